"""The JSON objects of an answer, whole or streamed, for faults that change them."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft, Event

# Events that bring text, beside those of kind "token".
_TEXT_DELTAS = ("response.output_text.delta",)


def events_of(draft: Draft, *kinds: str) -> list[Event]:
    """Return the events of these kinds; none when the answer is not a stream."""
    return [event for event in draft.events or () if event.kind in kinds]


def place_of(draft: Draft, event: Event) -> int:
    """Return the position of an event."""
    return next(index for index, other in enumerate(draft.events or ()) if other is event)


def all_objects(draft: Draft) -> list[dict[str, Any]]:
    """Return the JSON objects of the answer: the chunks, or the body."""
    found = [draft.body] if draft.events is None else [event.data for event in draft.events]
    return [item for item in found if isinstance(item, dict)]


def choices_of(draft: Draft) -> list[dict[str, Any]]:
    """Return the choices of all chunks, or of the body."""
    return [choice for item in all_objects(draft) for choice in item.get("choices") or ()]


def middle(draft: Draft, *kinds: str) -> Event | None:
    """Return an event in the middle, so that some stand before it and some after."""
    found = [
        event for event in draft.events or () if isinstance(event.data, dict) and (not kinds or event.kind in kinds)
    ]
    return found[len(found) // 2] if found else None


def texts_of(draft: Draft) -> list[Event]:
    """Return the events of a stream that bring text, of whatever API."""
    return [event for event in draft.events or () if event.kind in {"token", *_TEXT_DELTAS} or _is_text_delta(event)]


def _is_text_delta(event: Event) -> bool:
    delta = event.data.get("delta") if isinstance(event.data, dict) else None
    return isinstance(delta, dict) and delta.get("type") == "text_delta"


def insert_after(draft: Draft, event: Event, extra: Event) -> None:
    """Put an event after another one of a stream, and number the events anew."""
    assert draft.events is not None
    draft.events.insert(place_of(draft, event) + 1, extra)
    renumber(draft)


def drop(draft: Draft, *kinds: str) -> None:
    """Leave out the events of these kinds, and number the others anew."""
    if draft.events is not None:
        draft.events = [event for event in draft.events if event.kind not in kinds]
        renumber(draft)


def renumber(draft: Draft) -> None:
    """Give the events of a response the numbers that their order asks for."""
    for number, event in enumerate(draft.events or ()):
        if isinstance(event.data, dict) and "sequence_number" in event.data:
            event.data = {**event.data, "sequence_number": number}


def nested(draft: Draft) -> list[dict[str, Any]]:
    """Return all JSON objects of an answer, however deep, the outer before the inner.

    They are copies of their own: what a server keeps of its answer is not changed with them.
    """
    if draft.events is None:
        if not isinstance(draft.body, bytes):
            draft.body = copy.deepcopy(draft.body)
        return list(_walk(draft.body))
    for event in draft.events:
        if isinstance(event.data, dict):
            event.data = copy.deepcopy(event.data)
    return [found for event in draft.events for found in _walk(event.data)]


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)
