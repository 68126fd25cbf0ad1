"""Readers of streams of typed events: runs of deltas of one place are joined.

A stream of a million deltas is a handful of steps, so that rules may look at all of them, each for itself.
"""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

from InferenceLibrary.protocol.rules.delta_pattern import DeltaPattern, pattern_of
from InferenceLibrary.protocol.rules.forms import is_integer
from InferenceLibrary.protocol.rules.views import Place, Sightings
from InferenceLibrary.protocol.sse import Event
from InferenceLibrary.protocol.strict_json import show

_TRIES = 3
"""So many deltas of a run are looked at for what they have in common."""


class Step:
    """One event, or a run of deltas of one place."""

    __slots__ = ("_joined", "count", "data", "kind", "place", "text", "where")

    def __init__(
        self, kind: str, data: dict[str, Any], place: Place, where: Any = None, text: str | None = None
    ) -> None:
        self.kind = kind
        """The type of the event; empty when it has none."""
        self.data = data
        """The (first) event."""
        self.place = place
        """Of the (first) event."""
        self.where = where
        """What tells a run from the next one; None when it is not a run of deltas."""
        self.text = text
        """The joined text of a run of deltas; None for other events."""
        self.count = 1
        """How many events it is."""
        self._joined: StringIO | None = None

    def add(self, text: str) -> None:
        """Take the next delta of the run."""
        if self._joined is None:
            self._joined = StringIO(newline="")
            self._joined.write(self.text or "")
        self._joined.write(text)
        self.count += 1

    def close(self) -> None:
        """No more deltas come."""
        if self._joined is not None:
            self.text = self._joined.getvalue()
            self._joined = None


class TypedReader:
    """Reads a stream of typed events. Each API says what a delta of it is."""

    quick: Callable[[str, int, int], bool] | None = None
    """Events are known at sight by more than their data: see `at_sight`."""
    number_key: str | None = None
    """The key of a number that rises by one from delta to delta."""

    def __init__(self) -> None:
        self._pattern: DeltaPattern | None = None
        self._tries = 0
        self._numbered = False
        """Whether the deltas of the run have numbers."""
        self._last = 0
        """The number of the last event."""
        self.steps: list[Step] = []
        """All events that are objects and no errors."""
        self.untyped: Sightings[str] = Sightings()
        """Events without a type."""
        self.misnamed: Sightings[str] = Sightings()
        """Events whose `event:` line says another type."""
        self.unnamed: Sightings[str] = Sightings()
        """Events without an `event:` line: their types."""

    def delta_of(self, kind: str, data: dict[str, Any]) -> tuple[Any, str] | None:
        """Return where a delta belongs and its text; None when the event is not a delta in its right form."""
        raise NotImplementedError

    def text_key(self, data: dict[str, Any]) -> str:
        """The key of the text of a delta."""
        raise NotImplementedError

    def with_text(self, data: dict[str, Any], text: str) -> dict[str, Any]:
        """A delta with another text."""
        return {**data, self.text_key(data): text}

    def count(self) -> None:
        """Count an event that was known at sight."""
        self._last += self._numbered

    def at_sight(self, event: Event) -> bool:
        """Take an event that continues the run of the last one, if it is known at sight."""
        if self._pattern is None:
            return False
        text = self._pattern.text_of(event, self._last + 1)
        if text is None:
            return False
        self.steps[-1].add(text)
        self.unnamed.count += event.event == "message"
        self.count()
        return True

    def _learn(self, event: Event, data: dict[str, Any], text: str) -> None:
        """Learn how the deltas of a run look."""
        self._tries += 1
        key = self.number_key if self.number_key in data else None
        self._numbered = key is not None

        def said(other: str, count: int) -> dict[str, Any]:
            changed = self.with_text(data, other)
            return changed if key is None else {**changed, key: count}

        self._pattern = pattern_of(event, said, self.text_key(data), text, key, self._last)

    def take(self, place: Place, event: Event, data: dict[str, Any]) -> None:
        """Take the next event."""
        kind = data.get("type")
        if not isinstance(kind, str):
            self.untyped.add(place, show(data))
            kind = ""
        elif event.event != kind:
            if event.event != "message":
                self.misnamed.add(place, f"the name {show(event.event)} for the type {show(kind)}")
            else:
                self.unnamed.add(place, kind)
        delta = self.delta_of(kind, data)
        steps = self.steps
        last = steps[-1] if steps else None
        if delta is None:
            step = Step(kind, data, place)
        else:
            where, text = delta
            if last is not None and last.where == where:
                last.add(text)
                if self._pattern is None and self._tries < _TRIES:
                    self._learn(event, data, text)
                return
            step = Step(kind, data, place, where, text)
        if last is not None:
            last.close()
        steps.append(step)
        self._pattern, self._tries = None, 0

    def close(self) -> None:
        """The stream is over."""
        if self.steps:
            self.steps[-1].close()


class ResponsesReader(TypedReader):
    """Reads a stream of the Responses API."""

    number_key = "sequence_number"

    def __init__(self) -> None:
        super().__init__()
        self.unnumbered: Sightings[str] = Sightings()
        """Events without a sequence number: their types."""
        self.gaps: Sightings[str] = Sightings()
        """Events whose sequence number does not follow the one before."""
        self._begun = False

    def count(self) -> None:
        super().count()
        self.unnumbered.count += not self._numbered

    def text_key(self, data: dict[str, Any]) -> str:
        return "delta"

    def take(self, place: Place, event: Event, data: dict[str, Any]) -> None:
        given = data.get("sequence_number")
        if not is_integer(given):
            self.unnumbered.add(place, show(data.get("type")))
        else:
            if self._begun and given != self._last + 1:
                self.gaps.add(place, f"{show(given)} after {show(self._last)}")
            self._last, self._begun = given, True
        super().take(place, event, data)

    def delta_of(self, kind: str, data: dict[str, Any]) -> tuple[Any, str] | None:
        delta = data.get("delta")
        if not isinstance(delta, str) or not kind.endswith(".delta"):
            return None
        get = data.get
        return (kind, _plain(get("item_id")), _plain(get("output_index")), _plain(part_index(data))), delta


class MessagesReader(TypedReader):
    """Reads a stream of the Messages API."""

    def text_key(self, data: dict[str, Any]) -> str:
        return DELTA_TEXTS[data["delta"]["type"]]

    def with_text(self, data: dict[str, Any], text: str) -> dict[str, Any]:
        return {**data, "delta": {**data["delta"], self.text_key(data): text}}

    def delta_of(self, kind: str, data: dict[str, Any]) -> tuple[Any, str] | None:
        delta = data.get("delta")
        if kind != "content_block_delta" or not isinstance(delta, dict):
            return None
        what = delta.get("type")
        key = DELTA_TEXTS.get(what) if isinstance(what, str) else None
        text = delta.get(key) if key is not None else None
        index = data.get("index")
        return ((index, what), text) if isinstance(text, str) and is_integer(index) else None


class WorkerReader(TypedReader):
    """Reads the stream of a worker's job."""

    number_key = "i"

    def text_key(self, data: dict[str, Any]) -> str:
        return "t"

    def count(self) -> None:
        super().count()
        self.tokens += 1

    def __init__(self) -> None:
        super().__init__()
        self.tokens = 0
        """How many token events came."""

    def delta_of(self, kind: str, data: dict[str, Any]) -> tuple[Any, str] | None:
        if kind != "token":
            return None
        text, index = data.get("t"), data.get("i")
        self.tokens += 1
        if is_integer(index):
            self._last = index
        # Indices that rise by one have one distance to the count of tokens, and so are one run.
        return (index - self.tokens, text) if isinstance(text, str) and is_integer(index) else None


DELTA_TEXTS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
}
"""The types of deltas of the Messages API that hold a text, with its key."""


def part_index(data: dict[str, Any]) -> Any:
    """Which part of its item an event of the Responses API is about."""
    return data.get("content_index", data.get("summary_index"))


def _plain(value: Any) -> Any:
    """A value that can be compared with `==` in a tuple and tells true from 1."""
    return value if isinstance(value, str) or is_integer(value) or value is None else show(value)
