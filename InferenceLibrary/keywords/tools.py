"""Keywords on tool calls, structured answers and log probabilities."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.protocol.paths import MESSAGES, RESPONSES
from InferenceLibrary.types import JsonObject, Messages, Tools

if TYPE_CHECKING:
    from InferenceLibrary.protocol.pieces import ToolCall


class ToolKeywords(KeywordGroup):
    """What a model calls, and the form of what it says."""

    @keyword(tags=["tools", "assertion"])
    def tool_should_be_called(
        self,
        answer: Reply | Stream,
        name: str,
        arguments: JsonObject = JsonObject(),  # noqa: B008 - read, never changed
    ) -> Any:
        """Check that an answer calls a tool.

        Args:
            answer: A reply or a stream.
            name: Name of the tool.
            arguments: Arguments that the call must hold, beside others.

        Returns:
            The call: `${call.name}`, `${call.id}`, `${call.input}` (decoded arguments), `${call.arguments}` (text).

        Raises:
            CheckFailure: No such call, or its arguments are not a JSON object.

        Example:
        ```robotframework
        *** Test Cases ***
        Weather
            Start Server    simulator
            ${reply} =    Chat    Hi    tools={"name": "weather"}    tool_choice=required
            Tool Should Be Called    ${reply}    weather
        ```
        """
        from InferenceLibrary.keywords.shared.json_values import equal

        for call in answer.tool_calls:
            given = _given(answer, call)
            if call.name != name or given is None:
                continue
            if all(key in given and equal(given[key], value) for key, value in arguments.items()):
                self.log.info(f"Tool call: {call}.")
                return call
        wanted = f"{name}({json.dumps(arguments, ensure_ascii=False) if arguments else ''})"
        got = ", ".join(map(str, answer.tool_calls)) or f"none, but the text '{cut(answer.text, 200)}'"
        broken = any(call.name == name and _given(answer, call) is None for call in answer.tool_calls)
        why = ": its arguments are not a JSON object" if broken else ""
        raise CheckFailure(f"Tool calls: expected {wanted}, got {got}{why}.")

    @keyword(tags=["tools", "assertion"])
    def no_tool_should_be_called(self, answer: Reply | Stream) -> None:
        """Check that an answer calls no tool.

        Args:
            answer: A reply or a stream.

        Raises:
            CheckFailure: It calls one.

        Example:
        ```robotframework
        *** Test Cases ***
        None
            Start Server    simulator
            ${reply} =    Chat    Hi    tools={"name": "weather"}    tool_choice=none
            No Tool Should Be Called    ${reply}
        ```
        """
        if answer.tool_calls:
            raise CheckFailure(f"Tool calls: expected none, got {', '.join(map(str, answer.tool_calls))}.")
        self.log.info(f"Tool calls: none, but the text {answer.text!r}.")

    @keyword(tags=["tools", "assertion"])
    def tool_calls_should_be_sound(self, answer: Reply | Stream, tools: Tools | None = None) -> None:
        """Check that an answer calls tools, and the rules on that: ids, names, arguments, and how the pieces come.

        Args:
            answer: A reply or a stream.
            tools: The tools that were offered; those of the request by default.

        Raises:
            CheckFailure: There is no call, or a rule is broken; the message names it.

        Example:
        ```robotframework
        *** Test Cases ***
        Weather
            Start Server    simulator
            VAR    ${city}    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
            VAR    ${tool}    {"name": "weather", "parameters": ${city}}
            ${stream} =    Stream Chat    Hi    tools=${tool}    tool_choice=weather
            Tool Calls Should Be Sound    ${stream}    ${tool}
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import TOOLS, asked_besides, hold

        calls = answer.tool_calls
        if not calls:
            raise CheckFailure(f"Tool calls: expected at least one, got the text '{cut(answer.text, 200)}'.")
        hold(self.context, "Tool calls", answer, TOOLS, asked_besides(answer, tools=tools) if tools else None)
        self.log.info(f"Tool calls: {', '.join(map(str, calls))}")

    @keyword(tags=["tools"])
    def add_tool_results(self, messages: Messages, answer: Reply | Stream, results: JsonObject) -> Messages:
        """Return a conversation continued by the tool calls of an answer and what the tools gave.

        Args:
            messages: The conversation so far.
            answer: The reply or stream that calls tools.
            results: What each tool gave, by its name: text, or any JSON value.

        Returns:
            The messages for the next [Chat], [Respond] or [Send Message], in the form of the API that the answer is of.

        Raises:
            CheckFailure: The answer calls a tool that has no result here, or none at all.

        Example:
        ```robotframework
        *** Test Cases ***
        Two Turns
            Start Server    simulator
            ${reply} =    Chat    How warm is it?    tools={"name": "weather"}    tool_choice=weather
            ${messages} =    Add Tool Results    How warm is it?    ${reply}    {"weather": {"celsius": 21}}
            ${reply} =    Chat    ${messages}
            Should Not Be Empty    ${reply.text}
        ```
        """
        calls = answer.tool_calls
        lacking = [call.name for call in calls if call.name not in results]
        if not calls or lacking:
            raise CheckFailure(
                f"Tool results: expected a result for each call, got none for "
                f"{', '.join(map(str, lacking)) or 'an answer without calls'}."
            )
        texts = [_as_text(results[str(call.name)]) for call in calls]
        path = answer.exchange.request.path
        if path.endswith(RESPONSES):
            return Messages([*messages, *_items_of(answer, calls, texts)])
        if path.endswith(MESSAGES):
            return Messages([*messages, *_blocks_of(answer, calls, texts)])
        said = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in calls
        ]
        continued = Messages([*messages, {"role": "assistant", "content": answer.text or None, "tool_calls": said}])
        for call, text in zip(calls, texts, strict=True):
            continued.append({"role": "tool", "tool_call_id": call.id, "content": text})
        return continued

    @keyword(tags=["chat"])
    def add_turn(self, messages: Messages, answer: Reply | Stream, text: str) -> Messages:
        """Return a conversation continued by an answer and the user's next words.

        Args:
            messages: The conversation so far.
            answer: The reply or stream that answered it.
            text: What the user says next.

        Returns:
            The messages for the next [Chat].

        Example:
        ```robotframework
        *** Test Cases ***
        Two Turns
            Start Server    simulator
            ${reply} =    Chat    What is the capital of France?
            ${messages} =    Add Turn    What is the capital of France?    ${reply}    And the capital of Italy?
            ${reply} =    Chat    ${messages}
            Answer Should Contain    ${reply}    Rome
        ```
        """
        return Messages([*messages, {"role": "assistant", "content": answer.text}, {"role": "user", "content": text}])

    @keyword(tags=["chat", "assertion"])
    def answer_should_fit_schema(self, answer: Reply | Stream, schema: JsonObject, *, choice: int = 0) -> Any:
        """Check that the text of an answer is JSON that fits a schema.

        Args:
            answer: A reply or a stream.
            schema: JSON schema, of any draft to 2020-12; `$schema` names another than the last.
            choice: Index of the choice, of an answer with several.

        Returns:
            The decoded JSON.

        Raises:
            CheckFailure: The text is not JSON, or does not fit; the choice does not exist.

        Example:
        ```robotframework
        *** Test Cases ***
        A City
            Start Server    simulator
            VAR    ${schema}    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
            ${reply} =    Chat    Name a city.    response_format=${schema}
            ${data} =    Answer Should Fit Schema    ${reply}    ${schema}
            Should Not Be Empty    ${data}[city]
        ```
        """
        from InferenceLibrary.keywords.shared.choices import called, text_of
        from InferenceLibrary.protocol.json_schema import schema_problem

        if not schema:
            raise CheckFailure("Schema: expected what the answer must have, got {}, which everything fits.")
        text, what = text_of(answer, choice), called("Answer", choice)
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckFailure(f"{what}: expected JSON, got '{cut(text, 200)}' ({error}).") from None
        problem = schema_problem(data, schema)
        if problem:
            raise CheckFailure(f"{what}: expected JSON that fits the schema, got '{cut(text, 200)}': {problem}.")
        self.log.info(f"The answer fits the schema: {text}")
        return data

    @keyword(tags=["chat", "assertion"])
    def logprobs_should_be_sound(self, answer: Reply | Stream, *, alternatives: int | None = None) -> None:
        """Check that an answer has log probabilities, and the rules on them, for all choices.

        Args:
            answer: A reply or a stream asked for with `logprobs`.
            alternatives: The most alternatives that each token may have; what was asked for by default.

        Raises:
            CheckFailure: There are none, or a rule is broken; the message names it.

        Example:
        ```robotframework
        *** Test Cases ***
        Sure
            Start Server    simulator
            ${reply} =    Chat    Hello    logprobs=2
            Logprobs Should Be Sound    ${reply}    alternatives=2
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import LOGPROBS, asked_besides, hold

        if not answer.logprobs:
            for place, given in _unread_logprobs(answer):
                raise CheckFailure(
                    f"Log probabilities: expected objects with a token and a number as its logprob in {place}.content, "
                    f"or lists of tokens and token_logprobs in {place}, got {shorten(json.dumps(given), 200)}."
                )
            raise CheckFailure("Log probabilities: expected one for each token, got none. Hint: ask with logprobs=1.")
        besides = None if alternatives is None else asked_besides(answer, logprobs=alternatives)
        hold(self.context, "Log probabilities", answer, LOGPROBS, besides)


def _given(answer: Reply | Stream, call: ToolCall) -> dict[str, Any] | None:
    """The decoded arguments of a call; None where they are not a JSON object, which empty text is not.

    In a stream of Anthropic's API, a tool without arguments has no piece of JSON at all.
    """
    if not call.arguments and not (isinstance(answer, Stream) and answer.exchange.request.path.endswith(MESSAGES)):
        return None
    return call.input if isinstance(call.input, dict) else None


def _unread_logprobs(answer: Reply | Stream) -> Iterator[tuple[str, Any]]:
    """Where choices hold something as log probabilities, and what."""
    for data in [chunk.json for chunk in answer.chunks] if isinstance(answer, Stream) else [answer.json]:
        choices = data.get("choices") if isinstance(data, dict) else None
        for number, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict) and choice.get("logprobs") is not None:
                yield f"choices.{number}.logprobs", choice["logprobs"]


def _as_text(result: Any) -> str:
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def _items_of(answer: Reply | Stream, calls: list[Any], texts: list[str]) -> list[dict[str, Any]]:
    """The items of the Responses API: what was said, each call, and each result with the id of its call."""
    said: list[dict[str, Any]] = [{"role": "assistant", "content": answer.text}] if answer.text else []
    called = [
        {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments} for call in calls
    ]
    given = [
        {"type": "function_call_output", "call_id": call.id, "output": text}
        for call, text in zip(calls, texts, strict=True)
    ]
    return [*said, *called, *given]


def _blocks_of(answer: Reply | Stream, calls: list[Any], texts: list[str]) -> list[dict[str, Any]]:
    """The messages of Anthropic's API: the assistant's with its blocks, and the user's with the results."""
    said: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    called = [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input} for call in calls]
    given = [
        {"type": "tool_result", "tool_use_id": call.id, "content": text}
        for call, text in zip(calls, texts, strict=True)
    ]
    return [{"role": "assistant", "content": [*said, *called]}, {"role": "user", "content": given}]
