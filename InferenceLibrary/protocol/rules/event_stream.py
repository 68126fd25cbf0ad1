"""The view of an event stream: its framing, and what its events are, whatever the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from InferenceLibrary.foreign_text import cut
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.rule import Api
from InferenceLibrary.protocol.rules.views import Body, Place, Sightings
from InferenceLibrary.protocol.sse import Event, Note, Oddity, SSEDecoder
from InferenceLibrary.protocol.strict_json import Problem, read_json, show

DONE = "[DONE]"
"""The data of the event that ends a chat or completion stream."""
_DONE_AT_MOST = 64
"""Longer data is not `[DONE]` with white space around it that anybody sends."""
_PIECE = 1 << 18
"""So many bytes are decoded at once: large enough to be quick, small beside the body."""


class Reader(Protocol):
    """Takes the objects of a stream, one API's."""

    @property
    def quick(self) -> Callable[[str, int, int], bool] | None:
        """Takes the data of an unnamed event, its number and its byte, if it knows it at sight; None: never."""

    @property
    def at_sight(self) -> Callable[[Event], bool] | None:
        """Takes an event, whatever its name, if it knows it at sight; None: never."""

    def take(self, place: Place, event: Event, data: dict[str, Any]) -> None:
        """Take an event whose data is an object, and no error."""


class EventStream(Body):
    """The events of a stream, counted; what is odd about them, with places.

    Args:
        exchange: The exchange.
        api: What it speaks.
        reader: Takes the objects, in the same pass.
    """

    def __init__(self, exchange: Exchange, api: Api, reader: Reader | None = None) -> None:
        super().__init__(exchange, api)
        self.count = 0
        """Events in all, `[DONE]` included."""
        self.notes: list[Note] = []
        """What the decoder noted."""
        self.not_json: Sightings[str] = Sightings()
        """Events that are neither JSON nor `[DONE]`: their data."""
        self.not_objects: Sightings[str] = Sightings()
        """Events of JSON that is not an object."""
        self.json_problems: Sightings[Problem] = Sightings()
        self.bad_utf8: Sightings[str] = Sightings()
        self.done: Sightings[str] = Sightings()
        """Events of `[DONE]`."""
        self.after_done: Sightings[str] = Sightings()
        """Events after the first `[DONE]`, further ones of `[DONE]` not among them."""
        self.errors: Sightings[Any] = Sightings()
        """Error events, in any form of the field: what they say."""
        self.error_data: Sightings[Any] = Sightings()
        """The same events as they were decoded; None where they are not JSON."""
        self.after_error: Sightings[str] = Sightings()
        """Events after the first error, `[DONE]` and further errors not among them."""
        self._run(reader)

    @property
    def ran_to_its_end(self) -> bool:
        return super().ran_to_its_end and not self.errors

    def _run(self, reader: Reader | None) -> None:
        decoder = SSEDecoder(self.notes)
        body = memoryview(self.exchange.body)
        quick = reader.quick if reader is not None else None
        at_sight = reader.at_sight if reader is not None else None
        number = 0
        for start in range(0, len(body), _PIECE):
            for event in decoder.feed(bytes(body[start : start + _PIECE])):
                number += 1
                if quick is not None and event.event == "message" and quick(event.data, number, event.start):
                    continue
                if at_sight is not None and at_sight(event):
                    continue
                self._take(Place(number, event.start), event, reader)
                if self.done.count or self.errors.count:
                    # What comes now is odd: it is looked at closely.
                    quick = at_sight = None
        self.count = number
        decoder.close()
        for note in self.notes:
            if note.oddity is Oddity.INVALID_UTF8:
                self.bad_utf8.add(Place(None, note.offset), show(note.text))

    def _take(self, place: Place, event: Event, reader: Reader | None) -> None:
        text = event.data
        if len(text) <= _DONE_AT_MOST and text.strip() == DONE:
            self.done.add(place, text)
            return
        if self.done.count:
            self.after_done.add(place, cut(text, 80))
        read = read_json(text)
        value, problems = read
        readable = not problems or read.readable
        for problem in problems:
            if readable:
                self.json_problems.add(place, problem)
        said = error_in(event.event, value)
        if said is not None:
            self.errors.add(place, said)
            self.error_data.add(place, value)
        elif self.errors.count:
            self.after_error.add(place, cut(text, 80))
        if not readable:
            self.not_json.add(place, show(text))
        elif type(value) is not dict:
            self.not_objects.add(place, show(value))
        elif said is None and reader is not None:
            reader.take(place, event, value)


def error_in(name: str, data: Any) -> Any:
    """What an error event says, in any form of the field; None when it is not one.

    The forms: an event named `error`; an object with `error` (OpenAI), or of type `error` (Anthropic, Responses); a
    list of such objects (Gemini).
    """
    if name == "error":
        return "an error" if data is None else data
    if isinstance(data, list) and data:
        return error_in(name, data[0])
    if isinstance(data, dict):
        said = data.get("error")
        if data.get("type") == "error":
            return said or data
        if said and "type" not in data:
            return said
    return None
