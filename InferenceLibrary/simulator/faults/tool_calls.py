"""Faults of tool calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define
from InferenceLibrary.simulator.faults.objects import all_objects, choices_of, events_of, nested
from InferenceLibrary.simulator.faults.requests import json_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft, Event
    from InferenceLibrary.simulator.core.turn import Turn


def deltas(draft: Draft) -> list[dict[str, Any]]:
    """Return the pieces of tool calls in a stream of chat chunks."""
    return [
        call
        for event in events_of(draft, "tool")
        for choice in event.data["choices"]
        for call in choice["delta"]["tool_calls"]
    ]


def calls(draft: Draft) -> Iterator[dict[str, Any]]:
    """Yield the tool calls of a chat answer in one piece."""
    for item in all_objects(draft):
        for choice in item.get("choices", ()):
            yield from choice.get("message", {}).get("tool_calls", ())


def _typed_calls(draft: Draft) -> list[dict[str, Any]]:
    """Return the calls of a response or a message: items and blocks, wherever they stand."""
    return [item for item in nested(draft) if item.get("type") in ("function_call", "tool_use")]


def _arguments_events(draft: Draft) -> list[Event]:
    """Return the events of a response or a message that bring a piece of arguments."""
    return [
        event
        for event in draft.events or ()
        if event.kind == "response.function_call_arguments.delta"
        or (isinstance(event.data, dict) and "partial_json" in (event.data.get("delta") or ()))
    ]


def _put_arguments(event: Event, text: str) -> None:
    if isinstance(event.data["delta"], dict):
        event.data["delta"]["partial_json"] = text
    else:
        event.data["delta"] = text


tool_index_missing = define("tool-index-missing", "leaves out the index of tool call pieces", breaks=("T1",))


@tool_index_missing.draft
def tool_index_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in deltas(draft):
        delta.pop("index", None)


tool_index_wrong = define(
    "tool-index-wrong",
    "numbers the tool calls wrongly: from 1, or all alike",
    breaks=("T4",),
    kind=Parameter("gap|same", "gap", "how"),
)


@tool_index_wrong.draft
def tool_index_wrong_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    for delta in deltas(draft):
        delta["index"] = 0 if values["kind"] == "same" else delta["index"] + 1


tool_name_missing = define("tool-name-missing", "a tool call has no name", breaks=("T2", "N6", "RS9", "RS14", "A17"))


@tool_name_missing.draft
def tool_name_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in (*deltas(draft), *calls(draft)):
        delta["function"].pop("name", None)
    for item in _typed_calls(draft):
        item.pop("name", None)


tool_id_missing = define("tool-id-missing", "tool calls have no id", breaks=("T2", "N6", "RS9", "RS14", "A17"))


@tool_id_missing.draft
def tool_id_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in (*deltas(draft), *calls(draft)):
        delta.pop("id", None)
    for item in _typed_calls(draft):
        item.pop("call_id" if "call_id" in item else "id", None)


tool_id_repeated = define("tool-id-repeated", "every piece of a tool call bears id and name again", breaks=("T3",))


@tool_id_repeated.draft
def tool_id_repeated_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    first: dict[int, dict[str, Any]] = {}
    for delta in deltas(draft):
        opening = first.setdefault(delta["index"], delta)
        if opening is not delta:
            delta["id"], delta["type"] = opening["id"], "function"
            delta["function"]["name"] = opening["function"]["name"]


tool_arguments_broken = define(
    "tool-arguments-broken", "the arguments are not JSON: their end is missing", breaks=("T5", "A5", "RS18")
)


@tool_arguments_broken.draft
def tool_arguments_broken_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    found = [delta for delta in deltas(draft) if delta["function"].get("arguments")]
    for delta in (*found[-1:], *calls(draft)):
        delta["function"]["arguments"] = delta["function"]["arguments"][:-1]
    for item in nested(draft):
        if isinstance(item.get("arguments"), str) and ("call_id" in item or "item_id" in item):
            item["arguments"] = item["arguments"][:-1]
    for event in _arguments_events(draft)[-1:]:
        delta = event.data["delta"]
        _put_arguments(event, (delta["partial_json"] if isinstance(delta, dict) else delta)[:-1])


tool_arguments_object = define(
    "tool-arguments-object",
    "the arguments are an object instead of text",
    breaks=("N6", "RS14"),
)


@tool_arguments_object.draft
def tool_arguments_object_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    import json

    for call in calls(draft):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    for item in _typed_calls(draft):
        if item.get("arguments"):
            item["arguments"] = json.loads(item["arguments"])


tool_arguments_misfit = define(
    "tool-arguments-misfit", "the arguments lack what the tool's schema requires", breaks=("T5", "RS16", "A14")
)


@tool_arguments_misfit.draft
def tool_arguments_misfit_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    pieces = deltas(draft)
    for delta in pieces:
        if "name" not in delta["function"]:
            delta["function"]["arguments"] = "{}" if delta is pieces[-1] else ""
    for call in calls(draft):
        call["function"]["arguments"] = "{}"
    for item in nested(draft):
        if isinstance(item.get("arguments"), str) and item["arguments"] and ("call_id" in item or "item_id" in item):
            item["arguments"] = "{}"
        if item.get("type") == "tool_use":
            item["input"] = {}
    events = _arguments_events(draft)
    for event in events:
        _put_arguments(event, "{}" if event is events[-1] else "")


tool_finish_stop = define("tool-finish-stop", "says stop instead of tool_calls", breaks=("T6", "A13"))


@tool_finish_stop.draft
def tool_finish_stop_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in all_objects(draft):
        for choice in item.get("choices", ()):
            if choice.get("finish_reason") == "tool_calls":
                choice["finish_reason"] = "stop"
    for item in nested(draft):
        if item.get("stop_reason") == "tool_use":
            item["stop_reason"] = "end_turn"


ignores_tool_choice = define(
    "ignores-tool-choice", "calls tools where none was asked for, and none where one was", breaks=("T7", "RS16", "A14")
)


@ignores_tool_choice.answer
def ignores_tool_choice_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if data.get("tools"):
        asked = data.get("tool_choice")
        if turn.request.path.endswith("/messages"):
            none = isinstance(asked, dict) and asked.get("type") == "none"
            data["tool_choice"] = {"type": "any" if none else "none"}
        else:
            data["tool_choice"] = "required" if asked == "none" else "none"
    return False


tool_name_unknown = define("tool-name-unknown", "calls a tool that was not offered", breaks=("T8", "RS16", "A14"))


@tool_name_unknown.draft
def tool_name_unknown_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in (*deltas(draft), *calls(draft)):
        if "name" in delta["function"]:
            delta["function"]["name"] = "self_destruct"
    for item in nested(draft):
        if "name" in item and (item.get("type") in ("function_call", "tool_use") or "item_id" in item):
            item["name"] = "self_destruct"


tool_type_missing = define("tool-type-missing", "tool calls do not say that they are of functions", breaks=("T2", "N6"))


@tool_type_missing.draft
def tool_type_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in (*deltas(draft), *calls(draft)):
        delta.pop("type", None)


tool_id_shared = define("tool-id-shared", "all tool calls of an answer have one id", breaks=("T4",))


@tool_id_shared.draft
def tool_id_shared_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for found in (deltas(draft), list(calls(draft))):
        named = [call for call in found if "id" in call]
        for call in named[1:]:
            call["id"] = named[0]["id"]


tool_arguments_list = define("tool-arguments-list", "the arguments are a JSON list", breaks=("T5", "A5", "RS18"))


@tool_arguments_list.draft
def tool_arguments_list_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    pieces = [delta for delta in deltas(draft) if "name" not in delta["function"]]
    for delta in pieces:
        delta["function"]["arguments"] = "[]" if delta is pieces[-1] else ""
    for call in calls(draft):
        call["function"]["arguments"] = "[]"
    for item in nested(draft):
        if isinstance(item.get("arguments"), str) and item["arguments"] and ("call_id" in item or "item_id" in item):
            item["arguments"] = "[]"
    events = _arguments_events(draft)
    for event in events:
        _put_arguments(event, "[]" if event is events[-1] else "")


finish_without_calls = define("finish-without-calls", "says that tools are called where none is", breaks=("T6", "A13"))


@finish_without_calls.draft
def finish_without_calls_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if not deltas(draft) and not list(calls(draft)):
        for choice in choices_of(draft):
            if choice.get("finish_reason") and ("message" in choice or "delta" in choice):
                choice["finish_reason"] = "tool_calls"
    if not _typed_calls(draft):
        for item in nested(draft):
            if item.get("stop_reason"):
                item["stop_reason"] = "tool_use"
