"""Faults of tool calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.faults.events import all_objects, events_of
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define
from InferenceLibrary.simulator.faults.requests import json_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
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


tool_name_missing = define("tool-name-missing", "the first piece of a tool call has no name", breaks=("T2",))


@tool_name_missing.draft
def tool_name_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in deltas(draft):
        delta["function"].pop("name", None)


tool_id_missing = define("tool-id-missing", "tool calls have no id", breaks=("T2", "N6"))


@tool_id_missing.draft
def tool_id_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in (*deltas(draft), *calls(draft)):
        delta.pop("id", None)


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
    "tool-arguments-broken", "the arguments are no JSON: their end is missing", breaks=("T5", "A5", "RS9")
)


@tool_arguments_broken.draft
def tool_arguments_broken_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    found = [delta for delta in deltas(draft) if delta["function"].get("arguments")]
    for delta in (*found[-1:], *calls(draft)):
        delta["function"]["arguments"] = delta["function"]["arguments"][:-1]
    for event in (draft.events or ())[::-1]:
        if not isinstance(event.data, dict):
            continue
        inner = event.data.get("delta")
        if isinstance(inner, dict) and inner.get("partial_json"):
            inner["partial_json"] = inner["partial_json"][:-1]
            break
        if event.kind == "response.function_call_arguments.delta":
            event.data["delta"] = event.data["delta"][:-1]
            break


tool_arguments_object = define("tool-arguments-object", "the arguments are an object instead of text", breaks=("N6",))


@tool_arguments_object.draft
def tool_arguments_object_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    import json

    for call in calls(draft):
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])


tool_arguments_misfit = define(
    "tool-arguments-misfit", "the arguments lack what the tool's schema requires", breaks=("T5",)
)


@tool_arguments_misfit.draft
def tool_arguments_misfit_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    pieces = deltas(draft)
    for delta in pieces:
        if "name" not in delta["function"]:
            delta["function"]["arguments"] = "{}" if delta is pieces[-1] else ""
    for call in calls(draft):
        call["function"]["arguments"] = "{}"


tool_finish_stop = define("tool-finish-stop", "says stop instead of tool_calls", breaks=("T6",))


@tool_finish_stop.draft
def tool_finish_stop_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in all_objects(draft):
        for choice in item.get("choices", ()):
            if choice.get("finish_reason") == "tool_calls":
                choice["finish_reason"] = "stop"


ignores_tool_choice = define(
    "ignores-tool-choice", "calls tools where none was asked for, and none where one was", breaks=("T7",)
)


@ignores_tool_choice.answer
def ignores_tool_choice_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if data.get("tools"):
        data["tool_choice"] = "required" if data.get("tool_choice") == "none" else "none"
    return False


tool_name_unknown = define("tool-name-unknown", "calls a tool that was not offered", breaks=("T8",))


@tool_name_unknown.draft
def tool_name_unknown_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for delta in (*deltas(draft), *calls(draft)):
        if "name" in delta["function"]:
            delta["function"]["name"] = "self_destruct"
