"""Keywords for two further APIs of generation: OpenAI's Responses and Anthropic's messages."""

from __future__ import annotations

from typing import Any

from robot.api.deco import keyword

from InferenceLibrary.client.records import Reply, Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.recordings import RecordingGroup
from InferenceLibrary.keywords.shared.calling import Call
from InferenceLibrary.keywords.shared.shared_arguments import BREAKING, SAMPLING, SENDING, TOOLS, refuse_misnamed, takes
from InferenceLibrary.types import Messages, to_messages

_RESPONSES = "/v1/responses"
_MESSAGES = "/v1/messages"
_VERSION = {"anthropic-version": "2023-06-01"}
_MESSAGE_TOKENS = 256
"""The Messages API demands a limit."""


class TypedApiKeywords(RecordingGroup):
    """Answers whose streams have typed events."""

    @keyword(tags=["responses"])
    @takes(SAMPLING, TOOLS, SENDING)
    def respond(self, messages: Messages, *misnamed: str, instructions: str | None = None, **options: Any) -> Reply:
        """Ask for an answer of the Responses API (`POST /v1/responses`).

        Args:
            messages: Text, or a JSON array of input items.
            instructions: What a system message is to a chat.

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
            Reply Should Contain    ${reply}    Paris
            Finish Reason Should Be    ${reply}    completed
        ```
        """
        refuse_misnamed(misnamed, self.respond)
        call = self._call(options)
        body = self._response_body(call, messages, instructions)
        with self._failures_kept():
            reply: Reply = call.server.client.generate(_RESPONSES, body, **call.sending)
        self._logged("response", call.server, body, reply)
        return reply

    @keyword(tags=["responses", "stream"])
    @takes(SAMPLING, TOOLS, BREAKING, SENDING)
    def stream_response(
        self, messages: Messages, *misnamed: str, instructions: str | None = None, **options: Any
    ) -> Stream:
        """Ask for a streamed answer of the Responses API and record it.

        Args:
            messages: As for [Respond].
            instructions: What a system message is to a chat.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is no event stream, or it broke off.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${stream} =    Stream Response    What is the capital of France?
            Reply Should Contain    ${stream}    Paris
            Typed Events Should Be In Order    ${stream}
        ```
        """
        refuse_misnamed(misnamed, self.stream_response)
        call = self._call(options, stream=True)
        body = self._response_body(call, messages, instructions)
        return self._typed_stream("streamed response", call, _RESPONSES, body)

    @keyword(tags=["messages"])
    @takes(SAMPLING, TOOLS, SENDING)
    def send_message(self, messages: Messages, *misnamed: str, system: str | None = None, **options: Any) -> Reply:
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
            Reply Should Contain    ${reply}    Paris
            Finish Reason Should Be    ${reply}    end_turn
        ```
        """
        refuse_misnamed(misnamed, self.send_message)
        call = self._call(options)
        body = self._message_body(call, messages, system)
        with self._failures_kept():
            reply: Reply = call.server.client.generate(_MESSAGES, body, **call.sending)
        self._logged("message", call.server, body, reply)
        return reply

    @keyword(tags=["messages", "stream"])
    @takes(SAMPLING, TOOLS, BREAKING, SENDING)
    def stream_message(self, messages: Messages, *misnamed: str, system: str | None = None, **options: Any) -> Stream:
        """Ask for a streamed answer of Anthropic's Messages API and record it.

        Args:
            messages: As for [Send Message].
            system: The system prompt.

        Returns:
            The stream, as from [Stream Chat].

        Raises:
            RequestError: No answer in time, or another status than 200.
            StreamError: The answer is no event stream, or it broke off.

        Example:
        ```robotframework
        *** Test Cases ***
        Capital
            Start Server    simulator
            ${stream} =    Stream Message    What is the capital of France?
            Reply Should Contain    ${stream}    Paris
            Typed Events Should Be In Order    ${stream}
        ```
        """
        refuse_misnamed(misnamed, self.stream_message)
        call = self._call(options, stream=True)
        body = self._message_body(call, messages, system)
        return self._typed_stream("streamed message", call, _MESSAGES, body)

    @keyword(tags=["messages"])
    @takes(SENDING)
    def count_message_tokens(self, messages: Messages, *, system: str | None = None, **options: Any) -> int:
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
        call = self._call(options)
        body = self._message_body(call, messages, system)
        del body["max_tokens"]
        with self._failures_kept():
            reply = call.server.client.generate(f"{_MESSAGES}/count_tokens", body, **call.sending)
        count = reply.json.get("input_tokens")
        if not isinstance(count, int) or isinstance(count, bool):
            raise CheckFailure(f"Count of tokens: expected a whole number in 'input_tokens', got {reply.body[:200]}.")
        return count

    @keyword(tags=["responses", "messages", "stream", "assertion"])
    def typed_events_should_be_in_order(self, stream: Stream) -> None:
        """Check the order of a stream of the Responses or the Messages API.

        Responses: created first, one end and nothing behind it, sequence numbers without a gap, items and parts opened
        and closed, deltas that make up the closing text. Messages: start, blocks by rising index each with its stop,
        message_delta, message_stop. Both: the `event:` line names the type of the data.

        Args:
            stream: What [Stream Response] or [Stream Message] returned.

        Raises:
            CheckFailure: Something is out of order; the message lists all.

        Example:
        ```robotframework
        *** Test Cases ***
        Order
            Start Server    simulator
            ${stream} =    Stream Message    Hello
            Typed Events Should Be In Order    ${stream}
        ```
        """
        from InferenceLibrary.protocol.typed_order import order_problems

        problems = order_problems([(chunk.event.event, chunk.json) for chunk in stream.chunks])
        if problems:
            more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
            raise CheckFailure(f"Order of typed events: {'; '.join(problems[:5])}{more}.")

    def _typed_stream(self, what: str, call: Call, path: str, body: dict[str, Any]) -> Stream:
        sending = {name: value for name, value in call.sending.items() if name != "include_usage"}
        with self._failures_kept():
            stream: Stream = call.server.client.generate_stream(path, body, **sending)
        return self._logged_stream(what, call.server, body, stream)

    @staticmethod
    def _response_body(call: Call, messages: Messages, instructions: str | None) -> dict[str, Any]:
        asked = to_messages(messages)
        plain = len(asked) == 1 and isinstance(asked[0].get("content"), str) and asked[0]["role"] == "user"
        keys = dict(call.generation)
        extra: dict[str, Any] = keys.pop("extra")
        tools, form = keys.pop("tools"), keys.pop("response_format")
        if tools:
            keys["tools"] = [{"type": "function", **tool["function"]} for tool in tools]
        if isinstance(keys.get("tool_choice"), dict):
            keys["tool_choice"] = {"type": "function", "name": keys["tool_choice"]["function"]["name"]}
        if form:
            schema = form.get("json_schema", {})
            keys["text"] = {"format": {"type": form["type"], **schema}}
        keys["max_output_tokens"] = keys.pop("max_tokens")
        body = {"input": asked[0]["content"] if plain else list(asked), "instructions": instructions, **keys}
        return {name: value for name, value in body.items() if value is not None} | extra

    @staticmethod
    def _message_body(call: Call, messages: Messages, system: str | None) -> dict[str, Any]:
        keys = dict(call.generation)
        extra: dict[str, Any] = keys.pop("extra")
        tools, choice, stop = keys.pop("tools"), keys.pop("tool_choice"), keys.pop("stop")
        keys.pop("response_format")
        if tools:
            functions = [tool["function"] for tool in tools]
            keys["tools"] = [
                {
                    "name": function["name"],
                    "description": function.get("description", ""),
                    "input_schema": function.get("parameters") or {"type": "object"},
                }
                for function in functions
            ]
        if choice is not None:
            named = {"auto": {"type": "auto"}, "none": {"type": "none"}, "required": {"type": "any"}}
            keys["tool_choice"] = (
                named[choice] if isinstance(choice, str) else {"type": "tool", "name": choice["function"]["name"]}
            )
        keys["stop_sequences"] = stop
        keys["max_tokens"] = keys["max_tokens"] or _MESSAGE_TOKENS
        call.sending["headers"] = {**_VERSION, **call.sending["headers"]}
        body = {"messages": list(to_messages(messages)), "system": system, **keys}
        return {name: value for name, value in body.items() if value is not None} | extra
