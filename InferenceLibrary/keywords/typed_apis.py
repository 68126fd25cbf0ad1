"""Keywords for two further APIs of generation: OpenAI's Responses and Anthropic's messages."""

from __future__ import annotations

from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.keywords.shared.calling import Call, CallGroup, has_failed
from InferenceLibrary.keywords.shared.shared_arguments import (
    BREAKING,
    FORMAT,
    MESSAGE_SAMPLING,
    RESPONSE_SAMPLING,
    SENDING,
    TOOLS,
    takes,
)
from InferenceLibrary.protocol.paths import COUNT_TOKENS, MESSAGES, RESPONSES
from InferenceLibrary.types import Messages


class TypedApiKeywords(CallGroup):
    """Answers whose streams have typed events."""

    @keyword(tags=["responses", "call"])
    @takes(RESPONSE_SAMPLING, TOOLS, FORMAT, SENDING)
    def respond(self, messages: Messages, *, system: str | None = None, **options: Any) -> Reply:
        """Ask for an answer of the Responses API (`POST /v1/responses`).

        Args:
            messages: Text, or a JSON array of input items.
            system: What a system message is to a chat; it becomes the `instructions` of this API.

        Returns:
            The reply, as from [Chat]; its finish reason is the status, `completed`, or why it is incomplete.

        Raises:
            RequestError: No answer in time, another status than 200, or an answer that is not JSON.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Respond    What is the capital of France?
            Answer Should Contain    ${reply}    Paris
            Finish Reason Should Be    ${reply}    completed
        ```
        """
        call = self._call(options, messages=messages, system=system)
        return self._typed_reply("response", RESPONSES, call)

    @keyword(tags=["responses", "stream", "call"])
    @takes(RESPONSE_SAMPLING, TOOLS, FORMAT, BREAKING, SENDING)
    def stream_response(self, messages: Messages, *, system: str | None = None, **options: Any) -> Stream | Reply:
        """Ask for a streamed answer of the Responses API and record it.

        Args:
            messages: As for [Respond].
            system: What a system message is to a chat; it becomes the `instructions` of this API.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is not an event stream, or it broke off.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${stream} =    Stream Response    What is the capital of France?
            Answer Should Contain    ${stream}    Paris
            Stream Should Be In Order    ${stream}
        ```
        """
        call = self._call(options, stream=True, messages=messages, system=system)
        return self._typed_stream("streamed response", RESPONSES, call)

    @keyword(tags=["messages", "call"])
    @takes(MESSAGE_SAMPLING, TOOLS, SENDING)
    def send_message(self, messages: Messages, *, system: str | None = None, **options: Any) -> Reply:
        """Ask for an answer of Anthropic's Messages API (`POST /v1/messages`).

        Tools are given as for [Chat] and written in the form of this API. Without `max_tokens`, 256 is sent.

        Args:
            messages: As for [Chat].
            system: The system prompt.

        Returns:
            The reply, as from [Chat]; its finish reason is `end_turn`, `max_tokens`, `stop_sequence` or `tool_use`.

        Raises:
            RequestError: No answer in time, another status than 200, or an answer that is not JSON.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${reply} =    Send Message    What is the capital of France?
            Answer Should Contain    ${reply}    Paris
            Finish Reason Should Be    ${reply}    end_turn
        ```
        """
        call = self._call(options, messages=messages, system=system)
        return self._typed_reply("message", MESSAGES, call)

    @keyword(tags=["messages", "stream", "call"])
    @takes(MESSAGE_SAMPLING, TOOLS, BREAKING, SENDING)
    def stream_message(self, messages: Messages, *, system: str | None = None, **options: Any) -> Stream | Reply:
        """Ask for a streamed answer of Anthropic's Messages API and record it.

        Args:
            messages: As for [Send Message].
            system: The system prompt.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is not an event stream, or it broke off.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${stream} =    Stream Message    What is the capital of France?
            Answer Should Contain    ${stream}    Paris
            Stream Should Be In Order    ${stream}
        ```
        """
        call = self._call(options, stream=True, messages=messages, system=system)
        return self._typed_stream("streamed message", MESSAGES, call)

    @keyword(tags=["messages", "call"])
    @takes(SENDING)
    def count_message_tokens(self, messages: Messages, *, system: str | None = None, **options: Any) -> int | Reply:
        """Return how many tokens a message would cost (`POST /v1/messages/count_tokens`); nothing is generated.

        Args:
            messages: As for [Send Message].
            system: The system prompt.

        Returns:
            Input tokens.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: The answer holds no count.

        Example:
        ```robotframework
        *** Test Cases ***
        As Counted
            Start Server    simulator
            ${count} =    Count Message Tokens    What is the capital of France?
            ${reply} =    Send Message    What is the capital of France?
            Should Be Equal    ${reply.usage.prompt_tokens}    ${count}
        ```
        """
        call = self._call(options, messages=messages, system=system)
        client = call.server.client
        reply = self._made("count of tokens", call, lambda: client.ask(COUNT_TOKENS, call.question, call.sending))
        if has_failed(reply):
            return reply
        count = reply.json.get("input_tokens")
        if not isinstance(count, int) or isinstance(count, bool):
            raise CheckFailure(
                f"Count of tokens: expected a whole number in 'input_tokens', got {cut(reply.body, 200)}."
            )
        return count

    def _typed_stream(self, what: str, path: str, call: Call) -> Stream | Reply:
        return self._made(what, call, lambda: call.server.client.ask_stream(path, call.question, call.sending))

    def _typed_reply(self, what: str, path: str, call: Call) -> Reply:
        return self._made(what, call, lambda: call.server.client.ask(path, call.question, call.sending))
