"""Views of an exchange: what rules look at. Each is made once, by one pass over the body, when a rule first asks.

A view keeps places, counts and joined texts, not the events: with a million events it is smaller than their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from InferenceLibrary.protocol.exchange import Ending, Exchange, Held
from InferenceLibrary.protocol.rules.rule import Api, Found
from InferenceLibrary.protocol.strict_json import Problem, Read, read_json

T = TypeVar("T")


class Place(NamedTuple):
    """Where something stands in the body."""

    event: int | None = None
    """Number of the event, from 1; None in a whole answer."""
    offset: int | None = None
    """Byte of the body."""


NOWHERE = Place()
"""The answer as a whole."""

MOST = 1000
"""So many of one sort are kept; all are counted."""


class Sightings(Generic[T]):
    """What was seen of one sort: all counted, the first thousand and the last one kept with their places."""

    __slots__ = ("_last", "count", "kept")

    def __init__(self) -> None:
        self.count = 0
        self.kept: list[tuple[Place, T]] = []
        self._last: tuple[Place, T] | None = None

    def add(self, place: Place, item: T) -> None:
        self.count += 1
        if self.count <= MOST:
            self.kept.append((place, item))
        else:
            self._last = (place, item)

    @property
    def first_and_last(self) -> list[tuple[Place, T]]:
        """Those that are kept, and the last one where it is not among them."""
        return self.kept if self._last is None else [*self.kept, self._last]

    def __bool__(self) -> bool:
        return self.count > 0

    def __iter__(self) -> Iterator[tuple[Place, T]]:
        return iter(self.kept)


BUSY = (501, 503, 529)
"""Statuses of a server that does not serve such calls, or not now, whatever was asked."""


class View:
    """What rules look at."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        self.exchange = exchange
        self.api = api

    @property
    def ran_to_its_end(self) -> bool:
        """Whether the answer came to its own end: we did not end it, and no error did."""
        return self.exchange.ending not in {Ending.LIMIT, Ending.CANCELLED}


class Called(View):
    """Any call, also one without an answer: for rules over several exchanges."""


class Answer(Called):
    """Any answer: status, headers, bytes."""


class Body(View):
    """A body that is text, whole or of events."""

    json_problems: Sightings[Problem]
    """What is wrong with JSON that could be read."""
    bad_utf8: Sightings[str]
    """Bytes that are not UTF-8, decoded."""


class JsonAnswer(Body):
    """A whole answer, its body read as JSON."""

    def __init__(self, exchange: Exchange, api: Api) -> None:
        super().__init__(exchange, api)
        self.read: Read = read_json(exchange.text)
        self.value: Any = self.read.value
        """None where it is not JSON."""
        self.is_json: bool = self.read.readable
        self.json_problems = Sightings()
        self.bad_utf8 = Sightings()
        if self.is_json:
            for problem in self.read.problems:
                self.json_problems.add(NOWHERE, problem)
        try:
            exchange.body.decode("utf-8")
        except UnicodeDecodeError as error:
            start, end = error.start, error.end
            self.bad_utf8.add(Place(None, start), repr(exchange.body[max(0, start - 20) : end + 20]))

    @property
    def has_body(self) -> bool:
        """Whether a body is to be expected: not for HEAD, nor where the status says that there is none."""
        exchange = self.exchange
        head = Held.REQUEST in exchange.held and exchange.request.method.upper() == "HEAD"
        return not head and exchange.status not in {204, 304}

    @property
    def says_json(self) -> bool:
        """Whether the content type says that it is JSON."""
        kind = self.exchange.media_type
        return kind == "application/json" or kind.endswith("+json")


def at(place: Place, kind: str, got: str) -> Found:
    """What a rule found at a place."""
    return Found(kind, got, place.event, place.offset)
