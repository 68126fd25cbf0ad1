"""Faults in streams of typed events: the Responses API and the Messages API."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import Event, event_bytes
from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.objects import all_objects, drop, events_of, middle, renumber

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_RESPONSES = ("/v1/responses",)
_MESSAGES = ("/v1/messages",)
_BOTH = (*_RESPONSES, *_MESSAGES)
_TYPED = (*_BOTH, "/execute")
# The last one ends the jobs of a worker.
_TERMINAL = ("response.completed", "response.incomplete", "response.failed", "message_stop", "end")


event_name_differs = define(
    "event-name-differs", "the `event:` line says another type than the data", breaks=("RS3", "A2", "W2"), paths=_TYPED
)


@event_name_differs.draft
def event_name_differs_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    event = middle(draft)
    if event is not None:
        event.name = "something"


event_type_missing = define("event-type-missing", "an event's data has no type", breaks=("RS3", "A2"), paths=_TYPED)


@event_type_missing.draft
def event_type_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    event = middle(draft)
    if event is not None:
        event.data = {key: value for key, value in event.data.items() if key != "type"}


sequence_gap = define("sequence-gap", "the sequence numbers leave one out", breaks=("RS4",), paths=_RESPONSES)


@sequence_gap.draft
def sequence_gap_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    found = [event for event in draft.events or () if "sequence_number" in event.data]
    for event in found[len(found) // 2 :]:
        event.data["sequence_number"] += 1


terminal_event_missing = define(
    "terminal-event-missing", "ends without the event that says so", breaks=("RS5", "A1", "W1"), paths=_TYPED
)


@terminal_event_missing.draft
def terminal_event_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    drop(draft, *_TERMINAL)


terminal_event_twice = define("terminal-event-twice", "says twice that it is over", breaks=("RS5", "A1"), paths=_TYPED)


@terminal_event_twice.draft
def terminal_event_twice_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is not None:
        for event in events_of(draft, *_TERMINAL)[:1]:
            data = copy.deepcopy(event.data)
            if "sequence_number" in data:
                data["sequence_number"] += 1
            draft.events.append(Event(data, event.kind, name=event.name))


start_event_late = define(
    "start-event-late", "sends an event before the one that begins the stream", breaks=("RS5", "A1"), paths=_TYPED
)


@start_event_late.draft
def start_event_late_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    events = draft.events
    other = next((place for place, event in enumerate(events or ()) if place and event.kind != "ping"), None)
    if events is not None and other is not None and isinstance(events[other].data, dict):
        events[0], events[other] = events[other], events[0]
        renumber(draft)


done_event_missing = define("done-event-missing", "does not close a content part", breaks=("RS6",), paths=_RESPONSES)


@done_event_missing.draft
def done_event_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    drop(draft, "response.content_part.done")


item_id_changes = define("item-id-changes", "a delta bears the id of another item", breaks=("RS7",), paths=_RESPONSES)


@item_id_changes.draft
def item_id_changes_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    event = middle(draft, "response.output_text.delta", "response.function_call_arguments.delta")
    if event is not None:
        event.data["item_id"] += "-other"


done_text_differs = define(
    "done-text-differs", "the text at the end is not what the deltas said", breaks=("RS8",), paths=_RESPONSES
)


@done_text_differs.draft
def done_text_differs_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "response.output_text.done"):
        event.data["text"] += " more"


done_arguments_differ = define(
    "done-arguments-differ", "the arguments at the end are not what the deltas said", breaks=("RS9",), paths=_RESPONSES
)


@done_arguments_differ.draft
def done_arguments_differ_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "response.function_call_arguments.done"):
        event.data["arguments"] += " "


usage_of_chat = define(
    "usage-of-chat", "gives usage with the names of chat completions", breaks=("RS2",), paths=_RESPONSES
)


@usage_of_chat.draft
def usage_of_chat_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    names = {"input_tokens": "prompt_tokens", "output_tokens": "completion_tokens", "total_tokens": "total_tokens"}
    for item in all_objects(draft):
        holder: dict[str, Any] = item["response"] if isinstance(item.get("response"), dict) else item
        usage = holder.get("usage")
        if isinstance(usage, dict):
            changed = {new: usage[old] for old, new in names.items() if old in usage}
            if holder is item:
                item["usage"] = changed
            else:
                item["response"] = {**holder, "usage": changed}


incomplete_as_completed = define(
    "incomplete-as-completed", "says completed where the limit of tokens ended it", breaks=("RS11",), paths=_RESPONSES
)


@incomplete_as_completed.draft
def incomplete_as_completed_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in all_objects(draft):
        holder = item["response"] if isinstance(item.get("response"), dict) else item
        if holder.get("status") == "incomplete":
            changed = {**holder, "status": "completed", "incomplete_details": None}
            if holder is item:
                item.update(changed)
            else:
                item.update(response=changed, type="response.completed")
    for event in events_of(draft, "response.incomplete"):
        event.name = "response.completed"


ignores_store = define(
    "ignores-store", "keeps a response that was not to be stored", breaks=("RS12",), paths=_RESPONSES
)


@ignores_store.answer
def ignores_store_answer(turn: Turn, _values: Values) -> bool:
    from InferenceLibrary.simulator.faults.requests import json_of

    if turn.request.method == "POST" and json_of(turn).get("store") is False:
        del json_of(turn)["store"]
    return False


block_stop_missing = define(
    "block-stop-missing", "does not close a content block", breaks=("A3", "A1"), paths=_MESSAGES
)


@block_stop_missing.draft
def block_stop_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    drop(draft, "content_block_stop")


block_index_wrong = define("block-index-wrong", "numbers the content blocks from 1", breaks=("A3",), paths=_MESSAGES)


@block_index_wrong.draft
def block_index_wrong_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in draft.events or ():
        if isinstance(event.data, dict) and "index" in event.data:
            event.data["index"] += 1


message_usage_missing = define(
    "message-usage-missing", "gives no usage at the start, nor at the end", breaks=("A4",), paths=_MESSAGES
)


@message_usage_missing.draft
def message_usage_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in all_objects(draft):
        item.pop("usage", None)
        if isinstance(item.get("message"), dict):
            item["message"].pop("usage", None)


signature_missing = define(
    "signature-missing", "a thinking block has no signature", breaks=("A6", "A18"), paths=_MESSAGES
)


@signature_missing.draft
def signature_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is not None:
        draft.events = [event for event in draft.events if b"signature_delta" not in event_bytes(event)]
    else:
        for block in draft.body.get("content", ()) if isinstance(draft.body, dict) else ():
            block.pop("signature", None)


error_event_wrong = define(
    "error-event-wrong", "sends an error event without its type, and ends", breaks=("A20", "RS10", "W3"), paths=_TYPED
)


@error_event_wrong.draft
def error_event_wrong_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is not None:
        data = {"message": "The engine died"}
        draft.events = [*draft.events[: len(draft.events) // 2], Event(data, "error", name="error")]
