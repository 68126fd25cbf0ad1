"""Faults in the objects of a stream: wrong ids, roles, finish reasons and counts."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.drafts import Event
from InferenceLibrary.simulator.faults.spec import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.drafts import Draft
    from InferenceLibrary.simulator.exchange import Exchange


def events_of(draft: Draft, *kinds: str) -> list[Event]:
    """Return the events of these kinds; none when the answer is no stream."""
    return [event for event in draft.events or () if event.kind in kinds]


def place_of(draft: Draft, event: Event) -> int:
    """Return the position of an event."""
    assert draft.events is not None
    return next(index for index, other in enumerate(draft.events) if other is event)


wrong_id = define("wrong-id", "gives one chunk in the middle another id", breaks=("C2",))


@wrong_id.draft
def _(draft: Draft, _values: Values, _exchange: Exchange) -> None:
    chunks = [event for event in draft.events or () if isinstance(event.data, dict) and "id" in event.data]
    if chunks:
        event = chunks[len(chunks) // 2]
        event.data = {**event.data, "id": f"{event.data['id']}-other"}


double_finish = define("double-finish", "sends the chunk with the finish reason twice", breaks=("C9",))


@double_finish.draft
def _(draft: Draft, _values: Values, _exchange: Exchange) -> None:
    for event in events_of(draft, "finish")[:1]:
        assert draft.events is not None
        draft.events.insert(place_of(draft, event), copy.copy(event))


usage_off = define(
    "usage-off-by-one",
    "the total is not the sum of prompt and completion tokens",
    breaks=("C16", "N7"),
    by=Parameter("int", 1, "how much too large the total is"),
)


@usage_off.draft
def _(draft: Draft, values: Values, _exchange: Exchange) -> None:
    holders: list[Any] = [event.data for event in draft.events or ()] if draft.events is not None else [draft.body]
    for holder in holders:
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict) and "total_tokens" in usage:
            usage["total_tokens"] += values["by"]
