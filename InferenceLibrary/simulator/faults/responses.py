"""Faults of the Responses API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.objects import drop, events_of, nested
from InferenceLibrary.simulator.faults.requests import json_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_PATHS = ("/v1/responses",)
_FINAL = ("response.completed", "response.incomplete", "response.failed")


def _drops(name: str, text: str, rule: str, *kinds: str) -> None:
    """Define a fault that leaves out events."""
    kind = define(name, text, breaks=(rule,), paths=_PATHS)

    @kind.draft
    def leave_out(draft: Draft, _values: Values, _turn: Turn) -> None:
        drop(draft, *kinds)


_drops("text-done-missing", "does not say what a text is in the end", "RS6", "response.output_text.done")
_drops("item-done-missing", "does not close an item of the output", "RS6", "response.output_item.done")
_drops("item-start-missing", "does not open the items of the output", "RS6", "response.output_item.added")
_drops(
    "arguments-done-missing",
    "does not say what the arguments are in the end",
    "RS9",
    "response.function_call_arguments.done",
)

final_text_differs = define(
    "final-text-differs",
    "the text of the whole response is not what the deltas said",
    breaks=("RS8", "RS22"),
    paths=_PATHS,
)


@final_text_differs.draft
def final_text_differs_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    nested(draft)
    for event in events_of(draft, *_FINAL):
        for item in event.data["response"]["output"]:
            for part in item.get("content") or ():
                part["text"] += " more"


final_arguments_differ = define(
    "final-arguments-differ", "the arguments of the whole response are not what the deltas said",
    breaks=("RS9",), paths=_PATHS,
)  # fmt: skip


@final_arguments_differ.draft
def final_arguments_differ_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    nested(draft)
    for event in events_of(draft, *_FINAL):
        for item in event.data["response"]["output"]:
            if "arguments" in item:
                item["arguments"] += " "


response_id_changes = define(
    "response-id-changes", "the last event bears the id of another response", breaks=("RS20",), paths=_PATHS
)


@response_id_changes.draft
def response_id_changes_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    nested(draft)
    for event in events_of(draft, *_FINAL):
        event.data["response"]["id"] += "-other"


final_status_differs = define(
    "final-status-differs",
    "the last event's response says that it is still in progress",
    breaks=("RS21",),
    paths=_PATHS,
)


@final_status_differs.draft
def final_status_differs_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    nested(draft)
    for event in events_of(draft, *_FINAL):
        event.data["response"]["status"] = "in_progress"


response_key_missing = define(
    "response-key-missing", "leaves out keys that the reference requires", breaks=("RS13",), paths=_PATHS
)


@response_key_missing.draft
def response_key_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        if item.get("object") == "response":
            item.pop("parallel_tool_calls", None)
            item.pop("incomplete_details", None)


item_key_missing = define(
    "item-key-missing", "an item of the output has no status and no role", breaks=("RS14",), paths=_PATHS
)


@item_key_missing.draft
def item_key_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        if item.get("type") in ("message", "function_call"):
            for key in ("id", "role", "name"):
                item.pop(key, None)


opened_without_type = define(
    "opened-without-type", "the events that open items and parts do not tell of which type these are",
    breaks=("RS23",), paths=_PATHS,
)  # fmt: skip


@opened_without_type.draft
def opened_without_type_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    nested(draft)
    for event in events_of(draft, "response.output_item.added", "response.content_part.added"):
        for key in ("item", "part"):
            if key in event.data:
                event.data[key].pop("type", None)


sequence_missing = define("sequence-missing", "events have no sequence number", breaks=("RS15",), paths=_PATHS)


@sequence_missing.draft
def sequence_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        item.pop("sequence_number", None)


ignores_text_format = define(
    "ignores-text-format", "answers with free text where text.format requires one", breaks=("RS17",), paths=_PATHS
)


@ignores_text_format.answer
def ignores_text_format_answer(turn: Turn, _values: Values) -> bool:
    text = json_of(turn).get("text")
    if isinstance(text, dict) and text.get("format", {"type": "text"}) != {"type": "text"}:
        json_of(turn)["text"] = {}
    return False


accepts_unstored_background = define(
    "accepts-unstored-background", "works in the background on a response that it shall not keep",
    breaks=("RS19",), paths=_PATHS,
)  # fmt: skip


@accepts_unstored_background.answer
def accepts_unstored_background_answer(turn: Turn, _values: Values) -> bool:
    data = json_of(turn)
    if data.get("background") and data.get("store") is False:
        del data["store"]
    return False
