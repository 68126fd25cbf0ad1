"""/v1/responses: the Responses API of OpenAI, in one piece and as typed events.

Where the text of Open Responses differs, `--reference open-responses` decides: [DONE] ends a stream, and the tools that
a response is offered are called.
"""

from __future__ import annotations

import base64
import copy
from collections import OrderedDict
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.openai_answers import token_logprob
from InferenceLibrary.simulator.answers.openai_requests import (
    ROLES,
    Ask,
    content_text,
    read_text_format,
    take,
    take_number,
)
from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draft import DONE, Event

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.core.settings import Settings

OPEN_RESPONSES = "open-responses"
_LOGPROBS = "message.output_text.logprobs"
_KEPT = 1000
_ARGUMENT_PIECE = 12


def read_response_request(data: dict[str, Any], settings: Settings, *, strict: bool) -> Ask:
    """Read a request.

    Raises:
        ApiError: 400, a parameter is wrong.
    """
    texts, last_user = _read_input(take(data, "input", (str, list)), strict=strict)
    instructions = take(data, "instructions", (str,), None)
    if instructions:
        texts.insert(0, instructions)
    ask = Ask(
        model=take(data, "model", (str,), settings.names[0]),
        prompts=["\n".join(texts)],
        prompt_tokens=sum(map(count_tokens, texts)),
        echo_text=last_user or (texts[-1] if texts else ""),
    )
    ask.stream = take(data, "stream", (bool,), False)
    ask.max_tokens = take(data, "max_output_tokens", (int,), None)
    if ask.max_tokens is not None and ask.max_tokens <= 0:
        raise ApiError(400, f"'max_output_tokens' must be positive, got {ask.max_tokens}", param="max_output_tokens")
    ask.temperature = take_number(data, "temperature", 0, 2)
    take_number(data, "top_p", 0, 1)
    take_number(data, "presence_penalty", -2, 2)
    take_number(data, "frequency_penalty", -2, 2)
    take(data, "reasoning", (dict,), None)
    ask.parallel_tool_calls = take(data, "parallel_tool_calls", (bool,), True)
    choice = take(data, "tool_choice", (str, dict), "auto")
    if isinstance(choice, dict):
        choice = {"type": "function", "function": {"name": choice.get("name")}}
    ask.tool_choice = "required" if choice == "auto" and _calls_at_once(data, settings) else choice
    top = take_number(data, "top_logprobs", 0, 20)
    if _LOGPROBS in take(data, "include", (list,), []):
        ask.logprobs = int(top or 0)
    ask.response_format = read_text_format(take(data, "text", (dict,), {}))
    for tool in take(data, "tools", (list,), []):
        if not isinstance(tool, dict):
            raise ApiError(400, "'tools' must hold objects", param="tools")
        if tool.get("type") == "function":
            ask.tools.append({"type": "function", "function": {key: tool.get(key) for key in ("name", "parameters")}})
    if take(data, "background", (bool,), False) and take(data, "store", (bool,), True) is False:
        raise ApiError(400, "'background' needs 'store'", param="background")
    return ask


def _calls_at_once(data: dict[str, Any], settings: Settings) -> bool:
    """Whether offered tools are called without being asked for: the conformance tests of Open Responses need it."""
    asked = data["input"]
    answered = isinstance(asked, list) and bool(asked) and "output" in asked[-1]
    return settings.reference == OPEN_RESPONSES and bool(data.get("tools")) and not answered


def _read_input(given: str | list[Any], *, strict: bool) -> tuple[list[str], str]:
    """Return the texts of an input, and the last of a user."""
    if isinstance(given, str):
        return [given], given
    texts, last_user = [], ""
    for index, item in enumerate(given):
        if not isinstance(item, dict):
            raise ApiError(400, f"'input[{index}]' must be an object", param="input")
        take(item, "type", (str,), "message")
        held = _opened(item) if item.get("type") == "compaction" else item.get("content", item.get("output"))
        text = content_text(held, f"input[{index}].content", strict=strict)
        if strict and "role" in item and item["role"] not in ROLES[:4]:
            raise ApiError(400, f"'input[{index}].role' must be one of {', '.join(ROLES[:4])}", param="input")
        texts.append(text)
        if item.get("role") == "user":
            last_user = text
    return texts, last_user


def response_object(response_id: str, model: str, data: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Return the object as it is before any output."""
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(time()),
        "completed_at": None,
        "status": "in_progress",
        "background": bool(data.get("background")),
        "error": None,
        "incomplete_details": None,
        "instructions": data.get("instructions"),
        "max_output_tokens": ask.max_tokens,
        "max_tool_calls": data.get("max_tool_calls"),
        "model": model,
        "output": [],
        "parallel_tool_calls": ask.parallel_tool_calls,
        "previous_response_id": data.get("previous_response_id"),
        "store": data.get("store") is not False,
        "temperature": 1.0 if ask.temperature is None else ask.temperature,
        "presence_penalty": data.get("presence_penalty") or 0.0,
        "frequency_penalty": data.get("frequency_penalty") or 0.0,
        "top_logprobs": data.get("top_logprobs") or 0,
        "reasoning": {"effort": None, "summary": None, **(data.get("reasoning") or {})},
        "service_tier": "default",
        "access_programs": None,
        "safety_identifier": data.get("safety_identifier"),
        "prompt_cache_key": data.get("prompt_cache_key"),
        "text": {"format": {"type": "text"}, **(data.get("text") or {})},
        "tool_choice": data.get("tool_choice") or "auto",
        "tools": [_tool(tool) for tool in data.get("tools") or []],
        "top_p": 1.0 if data.get("top_p") is None else data["top_p"],
        "truncation": "disabled",
        "usage": None,
        "metadata": data.get("metadata") or {},
    }


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Return a tool as a response repeats it: what was not said of a function is null, and it is strict."""
    if tool.get("type") != "function":
        return tool
    return {"description": None, "parameters": None, "strict": True, **tool}


def finish_response(response: dict[str, Any], ask: Ask, output: Output) -> None:
    """Fill in the output."""
    number = response["id"].rpartition("-")[2]
    capped = output.finish == "length"
    status = "incomplete" if capped else "completed"
    response["status"] = status
    response["completed_at"] = None if capped else int(time())
    if capped:
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    if output.tokens or not output.tool_calls:
        part: dict[str, Any] = {"type": "output_text", "text": output.text, "annotations": []}
        if ask.logprobs is not None:
            part["logprobs"] = [token_logprob(token, ask.logprobs) for token in output.tokens]
        item = {"id": f"msg_{number}", "type": "message", "status": status, "role": "assistant", "content": [part]}
        response["output"].append(item)
    for place, call in enumerate(output.tool_calls):
        response["output"].append(
            {
                "id": f"fc_{number}{place}",
                "type": "function_call",
                "status": "completed",
                "call_id": call["id"],
                "name": call["function"]["name"],
                "arguments": call["function"]["arguments"],
            }
        )
    response["usage"] = {
        "input_tokens": ask.prompt_tokens,
        "input_tokens_details": {"cached_tokens": ask.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": output.count,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": ask.prompt_tokens + output.count,
    }


def response_events(opening: dict[str, Any], final: dict[str, Any], output: Output, settings: Settings) -> list[Event]:
    """Return the typed events of a stream, numbered in their order."""
    events: list[Event] = []

    def add(kind: str, tokens: int = 0, **fields: Any) -> None:
        data = {"type": kind, "sequence_number": len(events), **fields}
        events.append(Event(data, kind, tokens=tokens, name=kind))

    add("response.created", response=opening)
    add("response.in_progress", response=opening)
    for index, item in enumerate(final["output"]):
        if item["type"] == "message":
            begun = {**item, "status": "in_progress", "content": []}
            add("response.output_item.added", output_index=index, item=begun)
            place = {"item_id": item["id"], "output_index": index, "content_index": 0}
            part = item["content"][0]
            scored = part.get("logprobs")
            empty = {**part, "text": ""} if scored is None else {**part, "text": "", "logprobs": []}
            add("response.content_part.added", **place, part=empty)
            for number, token in enumerate(output.tokens):
                shown = [] if scored is None else scored[number : number + 1]
                add("response.output_text.delta", 1, **place, delta=token, logprobs=shown)
            add("response.output_text.done", **place, text=part["text"], logprobs=scored or [])
            add("response.content_part.done", **place, part=part)
        else:
            begun = {**item, "status": "in_progress", "arguments": ""}
            add("response.output_item.added", output_index=index, item=begun)
            place = {"item_id": item["id"], "output_index": index}
            text = item["arguments"]
            for start in range(0, len(text), _ARGUMENT_PIECE):
                piece = text[start : start + _ARGUMENT_PIECE]
                add("response.function_call_arguments.delta", 1, **place, delta=piece)
            add("response.function_call_arguments.done", **place, name=item["name"], arguments=text)
        add("response.output_item.done", output_index=index, item=item)
    add(f"response.{final['status']}", response=final)
    if settings.reference == OPEN_RESPONSES:
        events.append(Event(DONE, "done"))
    return events


def compacted(response_id: str, data: dict[str, Any], ask: Ask) -> dict[str, Any]:
    """Return a conversation made shorter: what users said, and the rest in a form for the server alone.

    OpenAI's reference, "Compact a response", read 2026-11.
    """
    items = input_items(response_id, data["input"])
    kept = [item for item in items if item.get("role") == "user"]
    closed = base64.b64encode("\n".join(ask.prompts).encode()).decode()
    number = response_id.rpartition("-")[2]
    output = count_tokens(closed)
    return {
        "id": response_id,
        "object": "response.compaction",
        "created_at": int(time()),
        "output": [*kept, {"id": f"cmp_{number}", "type": "compaction", "encrypted_content": closed}],
        "usage": {
            "input_tokens": ask.prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": ask.prompt_tokens + output,
        },
    }


def _opened(item: dict[str, Any]) -> str:
    """Return what a compaction holds.

    Raises:
        ApiError: 400, it is not one of ours.
    """
    closed = item.get("encrypted_content")
    try:
        return base64.b64decode(closed if isinstance(closed, str) else "", validate=True).decode()
    except ValueError:
        raise ApiError(400, "'encrypted_content' is not of this server", param="input") from None


def input_items(response_id: str, asked: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the input of a response as items, each with an id."""
    given = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    items = []
    for place, item in enumerate(given):
        kind = item.get("type") or "message"
        made = {
            "id": f"{kind[:3]}_in_{response_id.rpartition('-')[2]}{place}",
            "type": kind,
            "status": "completed",
            **item,
        }
        if isinstance(made.get("content"), str):
            part = "output_text" if made.get("role") == "assistant" else "input_text"
            made["content"] = [{"type": part, "text": made["content"]}]
        items.append(made)
    return items


class Stored:
    """Responses that can be asked for later; the oldest are forgotten."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[dict[str, Any], float]] = OrderedDict()
        self._asked: dict[str, list[dict[str, Any]]] = {}

    def keep(self, response: dict[str, Any], asked: str | list[dict[str, Any]], due: float = 0.0) -> None:
        """Keep a response, and what it was asked; it is complete at `due` seconds of the monotonic clock."""
        self._kept[response["id"]] = (response, due)
        self._asked[response["id"]] = input_items(response["id"], asked)
        while len(self._kept) > _KEPT:
            forgotten, _ = self._kept.popitem(last=False)
            del self._asked[forgotten]

    def asked(self, response_id: str) -> dict[str, Any]:
        """Return the list of what a response was asked, the last first.

        Raises:
            ApiError: 404, it is not kept.
        """
        self.get(response_id)
        items = self._asked[response_id][::-1]
        ends = (
            {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
        )
        return {"object": "list", "data": items, **ends, "has_more": False}

    def get(self, response_id: str) -> dict[str, Any]:
        """Return a response as it stands now.

        Raises:
            ApiError: 404, it is not kept.
        """
        if response_id not in self._kept:
            raise ApiError(404, f"Response with id '{response_id}' not found.", param="response_id")
        response, due = self._kept[response_id]
        if monotonic() >= due or response["status"] == "cancelled":
            return response
        return {**copy.copy(response), "status": "in_progress", "output": [], "usage": None}

    def cancel(self, response_id: str) -> dict[str, Any]:
        """Cancel a response that is made in the background.

        Raises:
            ApiError: 404, or 400 when there is nothing to cancel.
        """
        current = self.get(response_id)
        if not current["background"]:
            raise ApiError(400, "Only responses made in the background can be cancelled", param="response_id")
        if current["status"] == "in_progress":
            current = {**current, "status": "cancelled"}
            self._kept[response_id] = (current, 0.0)
        return current

    def delete(self, response_id: str) -> dict[str, Any]:
        """Forget a response.

        Raises:
            ApiError: 404, it is not kept.
        """
        self.get(response_id)
        del self._kept[response_id], self._asked[response_id]
        return {"id": response_id, "object": "response", "deleted": True}
