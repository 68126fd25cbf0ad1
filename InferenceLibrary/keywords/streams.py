"""Keywords that record streamed answers and judge them."""

from __future__ import annotations

from typing import Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.arguments import prompt_of, revealed
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.calling import CallGroup
from InferenceLibrary.keywords.shared.shared_arguments import (
    BREAKING,
    FORMAT,
    GENERATION,
    SENDING,
    STREAMING,
    TOOLS,
    TRANSPORT,
    takes,
)
from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS
from InferenceLibrary.types import Messages


class StreamKeywords(CallGroup):
    """Streamed answers and checks of them."""

    @keyword(tags=["stream", "call"])
    @takes(GENERATION, TOOLS, FORMAT, STREAMING, SENDING)
    def stream_chat(
        self,
        messages: Messages,
        *,
        system: str | None = None,
        **options: Any,
    ) -> Stream | Reply:
        """Ask for a streamed chat answer, read it to its end and record every event with its arrival.

        Args:
            messages: As for [Chat], like all that is not named here.
            system: A system message put before them.

        Returns:
            The stream: `${stream.text}`, `${stream.time_to_first_token}` and `${stream.gaps}` in seconds,
            `${stream.chunks}`, `${stream.finish_reason}`, `${stream.usage}`, `${stream.broken}`.

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is not an event stream, or it broke off: the connection, an event cut in the middle,
                an error event, an end with neither a finish reason nor `[DONE]`.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital, Token By Token
            Start Server    simulator
            ${stream} =    Stream Chat    What is the capital of France?
            Answer Should Contain    ${stream}    Paris
            Stream Should End With Done    ${stream}
        ```
        """
        call = self._call(options, stream=True, messages=messages, system=system)
        client = call.server.client
        return self._made("streamed chat", call, lambda: client.ask_stream(CHAT, call.question, call.sending))

    @keyword(tags=["stream", "call"])
    @takes(GENERATION, STREAMING, SENDING)
    def stream_completion(
        self,
        prompt: str | list[str] | None = None,
        *,
        tokens: list[int] | None = None,
        **options: Any,
    ) -> Stream | Reply:
        """Ask for a streamed text completion, read it to its end and record it.

        Args:
            prompt: The text to continue; a list of texts, or JSON text of one, gives a choice for each.
            tokens: Ids of the tokens to continue, in place of a text.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is not an event stream, or it broke off.

        Example:
        ```robotframework
        *** Test Cases ***
        Five Chunks
            Start Server    simulator
            ${stream} =    Stream Completion    What is the capital of France?    max_tokens=5
            Get Chunk Count    ${stream}    >=    5
        ```
        """
        call = self._call(options, stream=True, prompt=prompt_of(prompt, tokens))
        client = call.server.client
        return self._made(
            "streamed completion", call, lambda: client.ask_stream(COMPLETIONS, call.question, call.sending)
        )

    @keyword(tags=["stream", "call"])
    @takes(BREAKING, TRANSPORT)
    def stream_request(self, method: str, path: str, body: Any = None, **options: Any) -> Stream | Reply:
        """Send any request that is answered by a stream, read it to its end and record it.

        The stream may be one of events (`text/event-stream`) or of lines of JSON (`application/x-ndjson`). Text, usage
        and finish reason are read of the APIs of OpenAI and Anthropic, and of Ollama's, llama.cpp's and Text Generation
        Inference's own. Streams without text, such as the progress of a download, are recorded too: `${stream.chunks}`.

        Args:
            method: HTTP method.
            path: Path below the server's address: `/completion`, `/generate_stream`, `/api/generate`.
            body: Text that is sent as it is; a dictionary or list variable is sent as JSON.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is neither an event stream nor lines of JSON, or it broke off: the connection, an
                event or a line that is cut or not JSON, an error event, generated text without a finish reason.

        Example:
        ```robotframework
        *** Test Cases ***
        By Any Path
            Start Server    simulator
            VAR    &{body}    prompt=What is the capital of France?    stream=${True}    model=fake-model
            ${stream} =    Stream Request    POST    /v1/completions    ${body}
            Answer Should Contain    ${stream}    Paris
        ```
        """
        from InferenceLibrary.client.endings import improper_end_of_any

        call = self._call(options, stream=True)
        body = revealed(self.context, body)
        method, client = method.upper(), call.server.client
        return self._made(
            f"streamed {method} {path}",
            call,
            lambda: client.record(path, body, call.sending, improper_end_of_any, method=method),
        )

    @keyword(tags=["stream", "assertion"])
    def stream_should_end_with_done(self, stream: Stream) -> None:
        """Check that a stream of chats or completions ended with exactly one `[DONE]`, its last event (rule F8).

        Args:
            stream: What [Stream Chat] or [Stream Completion] returned.

        Raises:
            CheckFailure: `[DONE]` is missing, doubled, or not the last event; or the stream broke off.

        Example:
        ```robotframework
        *** Test Cases ***
        End
            Start Server    simulator
            ${stream} =    Stream Chat    Hello
            Stream Should End With Done    ${stream}
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import DONE, hold

        hold(self.context, "End of stream", stream, DONE)

    @keyword(tags=["stream", "getter"])
    def get_chunk_count(
        self,
        stream: Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return in how many chunks a stream brought its text, checked inline when an operator is given.

        Chunks without text (the role, the finish reason, the usage) and `[DONE]` do not count.

        Args:
            stream: What [Stream Chat] or [Stream Completion] returned.
            assertion_operator: `==`, `>=` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            The number of chunks with text.

        Raises:
            CheckFailure: The comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Not In One Lump
            Start Server    simulator
            ${stream} =    Stream Chat    What is the capital of France?
            Get Chunk Count    ${stream}    >=    5
        ```
        """
        what = f"Chunks with text of {stream}"
        return check_number(len(stream.tokens), assertion_operator, assertion_expected, what, "", message)

    @keyword(tags=["stream", "assertion"])
    def stream_should_have_one_id(self, stream: Stream) -> None:
        """Check that every event of a stream carries the same id, and that it is not empty (rules C2, RS20).

        Args:
            stream: What [Stream Chat] or [Stream Completion] returned.

        Raises:
            CheckFailure: There are several ids, or none.

        Example:
        ```robotframework
        *** Test Cases ***
        One Id
            Start Server    simulator
            ${stream} =    Stream Chat    Hello
            Stream Should Have One Id    ${stream}
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import ONE_ID, hold

        hold(self.context, "Ids of a stream", stream, ONE_ID)

    @keyword(tags=["stream", "assertion"])
    def stream_should_be_in_order(self, stream: Stream) -> None:
        """Check the order of a stream, of any API: the rules on what comes after what.

        Of chats and completions, for every choice: the role first, exactly one finish reason, no text after it, usage
        that was asked for after all of them (C6, C9, C11, C14, C24, X6). Of typed events (Responses,
        Messages, jobs): what begins, what nests, what ends, sequence numbers without a gap, deltas that make up the
        closing text, and that the `event:` line names the type of the data.

        Args:
            stream: What [Stream Chat] or [Stream Completion] returned.

        Raises:
            CheckFailure: Something is out of order; the message names the event.

        Example:
        ```robotframework
        *** Test Cases ***
        Order
            Start Server    simulator
            ${stream} =    Stream Chat    Hello    include_usage=True
            Stream Should Be In Order    ${stream}
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import ORDER, TYPED, hold

        hold(self.context, "Order", stream, (*ORDER, *TYPED))

    @keyword(tags=["stream", "getter"])
    def get_time_to_first_token(
        self,
        stream: Stream,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the time to first token in seconds, checked inline when an operator is given.

        It counts from the sending of the request to the first chunk with text; a chunk with only a role does not count
        (the definition of GuideLLM and AIPerf).

        Args:
            stream: What [Stream Chat] or [Stream Completion] returned.
            assertion_operator: `<`, `>=` and so on.
            assertion_expected: The other side, with a unit: `200 ms`.
            message: Replaces the text of the failure.

        Returns:
            Seconds.

        Raises:
            CheckFailure: No token arrived, or the comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        First Token
            Start Server    simulator    time_to_first_token=50 ms
            ${stream} =    Stream Chat    Hello
            Get Time To First Token    ${stream}    >=    50 ms
        ```
        """
        if stream.time_to_first_token is None:
            raise CheckFailure(f"Time to first token: expected a chunk with text, got none in {stream}.")
        return check_number(
            stream.time_to_first_token, assertion_operator, assertion_expected, "time to first token", "s", message
        )
