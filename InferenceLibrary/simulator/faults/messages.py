"""Faults of the Messages API alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.objects import drop, events_of, nested

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_PATHS = ("/v1/messages",)

stop_sequence_untold = define(
    "stop-sequence-untold", "does not tell the stop sequence that ended the text", breaks=("A12",), paths=_PATHS
)


@stop_sequence_untold.draft
def stop_sequence_untold_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        if item.get("stop_sequence"):
            item["stop_sequence"] = None


stop_sequence_key_missing = define(
    "stop-sequence-key-missing", "a message has no key `stop_sequence`", breaks=("A16",), paths=_PATHS
)


@stop_sequence_key_missing.draft
def stop_sequence_key_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        item.pop("stop_sequence", None)


stop_reason_missing = define(
    "stop-reason-missing", "does not say why the message ended", breaks=("A4", "A10"), paths=_PATHS
)


@stop_reason_missing.draft
def stop_reason_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        item.pop("stop_reason", None)


block_key_missing = define("block-key-missing", "a block of text has no text", breaks=("A17",), paths=_PATHS)


@block_key_missing.draft
def block_key_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        if item.get("type") == "text":
            item.pop("text", None)


delta_type_wrong = define(
    "delta-type-wrong", "sends a delta of a type that its block does not take", breaks=("A9",), paths=_PATHS
)


@delta_type_wrong.draft
def delta_type_wrong_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    nested(draft)
    for event in events_of(draft, "content_block_delta")[-1:]:
        delta = event.data["delta"]
        text = delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
        if delta["type"] == "text_delta":
            event.data["delta"] = {"type": "thinking_delta", "thinking": text}
        else:
            event.data["delta"] = {"type": "text_delta", "text": text}


message_delta_missing = define(
    "message-delta-missing", "ends without the event that tells stop reason and usage", breaks=("A1",), paths=_PATHS
)


@message_delta_missing.draft
def message_delta_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    drop(draft, "message_delta")


event_name_missing = define(
    "event-name-missing", "sends typed events without their `event:` lines", breaks=("A2",), paths=_PATHS
)


@event_name_missing.draft
def event_name_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in draft.events or ():
        event.name = ""
