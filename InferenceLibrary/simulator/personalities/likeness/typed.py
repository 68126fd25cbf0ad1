"""Responses and messages, whole and as typed events, in the templates of a dialect."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import DONE, Event
from InferenceLibrary.simulator.personalities.likeness.chats import counts
from InferenceLibrary.simulator.personalities.likeness.templates import ABSENT, Names, fill, filled

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import OpenChoices
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask

# Fields of a request that its response repeats, and what templates call them.
_ECHOED = {
    "instructions": "instructions", "metadata": "metadata", "previous_response_id": "previous_response_id",
    "temperature": "temperature", "top_p": "top_p", "text": "text_format", "service_tier": "service_tier",
    "truncation": "truncation", "reasoning": "reasoning", "background": "background",
    "store": "store",
}  # fmt: skip
_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}


def _arguments(call: dict[str, Any]) -> Any:
    try:
        return json.loads(call["function"]["arguments"])
    except ValueError:
        return {}


class _Typed:
    """What both have: named events, in the order of the reference, those that the dialect has a template for."""

    def __init__(self, choices: OpenChoices, api: str, names: Names, ask: Ask, output: Output) -> None:
        self.choices = choices
        self.parts = choices.answers.get(api, {})
        self.told = choices.answers.get(f"{api.removesuffix('s')}_events", {})
        self.ask, self.output = ask, output
        self.names = names.plus(**counts(ask, [output]))
        self.names["usage"] = filled(self.parts.get("usage"), self.names)
        self.events: list[Event] = []

    def add(self, event: str, tokens: int = 0, /, **more: Any) -> None:
        """Send an event."""
        if event in self.told:
            data = fill(self.told[event], self.names.plus(number=len(self.events), **more))
            plain = self.choices.plain_responses and event.startswith("response.")
            shown = event if self.choices.event_names and not plain else ""
            self.events.append(Event(data, event, tokens=tokens, name=shown))

    def pieces(self, text: str) -> list[str]:
        """Return the pieces in which arguments are streamed."""
        size = self.choices.tools.piece
        return [text[start : start + size] for start in range(0, len(text), size)]

    def call_names(self, call: dict[str, Any]) -> dict[str, Any]:
        """Return the names of one call."""
        function = call["function"]
        found = {"name": function["name"], "arguments": function["arguments"], "input": _arguments(call)}
        call_id = fill(self.choices.ids.get("call", "call_${hex24}"), self.names)
        item = fill(self.choices.ids.get("call_item", "fc_${hex24}"), self.names)
        response_call = fill(self.choices.ids.get("response_call", ""), self.names)
        return {**found, "call_id": call_id, "item_id": item, "response_call_id": response_call}


class Response(_Typed):
    """A response of the Responses API."""

    def __init__(self, choices: OpenChoices, names: Names, ask: Ask, output: Output, data: dict[str, Any]) -> None:
        super().__init__(choices, "responses", names, ask, output)
        self.capped = output.finish == "length"
        for field, name in _ECHOED.items():
            value = data.get(field, ABSENT)
            is_whole = choices.plain_numbers and isinstance(value, float) and value.is_integer()
            self.names[name] = int(value) if is_whole else value
        self.names["completed_at"] = self.names["created"]
        self.names["text"] = output.text
        self.names.update(
            parallel=ask.parallel_tool_calls,
            max_tokens=ABSENT if ask.max_tokens is None else ask.max_tokens,
            tool_choice=data.get("tool_choice", "auto" if data.get("tools") else ABSENT),
            tools=self._tools(data),
            incomplete={"reason": "max_output_tokens"} if self.capped else None,
        )

    def _tools(self, data: dict[str, Any]) -> Any:
        """Return the tools as the response repeats them."""
        given = data.get("tools")
        if not isinstance(given, list) or "tool" not in self.parts:
            return ABSENT if given is None else given
        found = []
        for tool in (one for one in given if isinstance(one, dict)):
            known = {"description": None, "parameters": None, "strict": None, **tool}
            is_function = tool.get("type") == "function"
            if is_function:
                found.append(fill(self.parts["tool"], self.names.plus(**known)))
            elif "other_tool" in self.parts:
                found.append(fill(self.parts["other_tool"], self.names.plus(**known)))
            else:
                found.append(tool)
        return found

    def _message(self, status: str) -> Any:
        names = self.names.plus(status=status, text=self.output.text)
        part = fill(self.parts.get("part"), names)
        return fill(self.parts.get("message"), names.plus(content=[part])), part

    def whole(self) -> Any:
        """Return the response in one piece."""
        self.names["null_in_whole"] = None
        self.names["item_id"] = fill(self.choices.ids.get("item", "msg_${hex24}"), self.names)
        return self._answer(self._items("completed"), "completed")

    def _items(self, status: str) -> list[Any]:
        items = []
        if self.output.tokens or not self.output.tool_calls:
            items.append(self._message(status)[0])
        for call in self.output.tool_calls:
            items.append(fill(self.parts.get("call"), self.names.plus(status="completed", **self.call_names(call))))
        return items

    def _answer(self, output: list[Any], status: str, **more: Any) -> Any:
        shown = self.choices.capped_status if status == "completed" and self.capped else status
        return fill(self.parts.get("answer"), self.names.plus(output=output, status=shown, **more))

    def _tells_incomplete(self) -> bool:
        return "response.incomplete" in self.told

    def streamed(self) -> list[Event]:
        """Return the response as typed events."""
        self.names["item_id"] = fill(self.choices.ids.get("item", "msg_${hex24}"), self.names)
        opening = self._answer([], "in_progress", usage=None, incomplete=None, completed_at=None)
        self.add("response.created", response=opening)
        self.add("response.in_progress", response=opening)
        items: list[Any] = []
        if self.output.tokens or not self.output.tool_calls:
            message, part = self._message("completed")
            items.append(message)
            self._stream_message(message, part)
        for call in self.output.tool_calls:
            items.append(self._stream_call(call, len(items)))
        # A server that names each item anew does so here once more.
        closed = (
            [self._message("completed")[0], *items[1:]] if self.output.tokens or not self.output.tool_calls else items
        )
        final = self._answer(closed, "completed")
        ending = "response.incomplete" if self.capped and self._tells_incomplete() else "response.completed"
        self.add(ending, response=final, output=closed)
        if self.choices.plain_responses or self.choices.responses_done:
            self.events.append(Event(DONE, "done"))
        return self.events

    def _stream_message(self, message: Any, part: Any) -> None:
        names = self.names.plus(status="in_progress", content=[], text="")
        begun = fill(self.parts.get("message"), names)
        at: dict[str, Any] = {"index": 0, "text": self.output.text}
        self.add("response.output_item.added", **at, block=begun)
        self.add("response.content_part.added", **at, block=part)
        for token in self.output.tokens:
            self.add("response.output_text.delta", 1, **at, delta=token)
        self.add("response.output_text.done", self.output.end_tokens, **at)
        self.add("response.content_part.done", **at, block=part)
        self.add("response.output_item.done", **at, block=message)

    def _stream_call(self, call: dict[str, Any], index: int) -> Any:
        known = self.call_names(call)
        begun = fill(self.parts.get("call"), self.names.plus(**{**known, "arguments": ""}, status="in_progress"))
        item = fill(self.parts.get("call"), self.names.plus(**known, status="completed"))
        at: dict[str, Any] = {**known, "index": index}
        self.add("response.output_item.added", **at, block=begun)
        for piece in self.pieces(known["arguments"]):
            self.add("response.function_call_arguments.delta", 1, **at, delta=piece)
        self.add("response.function_call_arguments.done", **at)
        self.add("response.output_item.done", **at, block=item)
        return item


class Message(_Typed):
    """A message of the Messages API."""

    def __init__(self, choices: OpenChoices, names: Names, ask: Ask, output: Output) -> None:
        super().__init__(choices, "messages", names, ask, output)
        stopped = bool(output.stopped_by)
        self.names.update(
            stop_reason=choices.stopped_reason if stopped else _REASONS.get(output.finish, output.finish),
            stop_sequence=output.stopped_by if stopped else ABSENT,
        )

    def _blocks(self) -> list[Any]:
        found = []
        if self.output.tokens or not self.output.tool_calls:
            found.append(fill(self.parts.get("text"), self.names.plus(text=self.output.text)))
        for call in self.output.tool_calls:
            found.append(fill(self.parts.get("call"), self.names.plus(**self.call_names(call))))
        return found

    def whole(self) -> Any:
        """Return the message in one piece."""
        return fill(self.parts.get("answer"), self.names.plus(content=self._blocks()))

    def streamed(self) -> list[Event]:
        """Return the message as typed events."""
        begun = self.names.plus(content=[], stop_reason=None, stop_sequence=ABSENT, completion_tokens=0)
        self.add("message_start", message=fill(self.parts.get("answer"), begun))
        self.add("ping")
        index = 0
        if self.output.tokens or not self.output.tool_calls:
            self.add("content_block_start", index=index, block=fill(self.parts.get("text"), self.names.plus(text="")))
            for token in self.output.tokens:
                self.add("content_block_delta", 1, index=index, delta={"type": "text_delta", "text": token})
            self.add("content_block_stop", index=index)
            index += 1
        for call in self.output.tool_calls:
            known = {**self.call_names(call), "input": {}}
            template = self.parts.get("call_start", self.parts.get("call"))
            self.add("content_block_start", index=index, block=fill(template, self.names.plus(**known)))
            for piece in self.pieces(known["arguments"]):
                self.add(
                    "content_block_delta", 1, index=index, delta={"type": "input_json_delta", "partial_json": piece}
                )
            self.add("content_block_stop", index=index)
            index += 1
        self.add("message_delta")
        self.add("message_stop")
        return self.events
