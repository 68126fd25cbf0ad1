"""An answer before it is bytes: objects that faults change, and how they become bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import accumulate
from math import isfinite
from typing import Any

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
DONE = "[DONE]"
COMMENT = "comment"
"""The kind of an event that is a comment: clients pass over it."""
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(slots=True)
class Event:
    """One server-sent event. `data` is an object, or text such as `[DONE]`; `delay` seconds pass before it."""

    data: Any
    kind: str = "token"  # role, token, tool, finish, usage, done, error, or a name of a typed event
    delay: float = 0.0
    tokens: int = 0
    name: str = ""  # for the `event:` line


class Gap(float):
    """Seconds before a token, as many as they are under the load at the start; others change how long it lasts."""

    __slots__ = ("alone",)
    alone: float
    """The seconds without other answers."""

    def __new__(cls, alone: float, load: float) -> Gap:
        gap = super().__new__(cls, alone * load)
        gap.alone = alone
        return gap


@dataclass(slots=True)
class Frame:
    """Bytes of a stream's body, or an action, after `delay` seconds."""

    data: Any
    kind: str = ""
    delay: float = 0.0
    tokens: int = 0


@dataclass(slots=True)
class Draft:
    """An answer. With `events` it is a stream, else `body` (bytes, or an object for JSON) is sent after `delay`."""

    status: int = 200
    content_type: str = JSON  # without one the header is left out
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Any = b""
    events: list[Event] | None = None
    delay: float = 0.0
    tokens: int = 0
    gaps: list[Gap] = field(default_factory=list)  # after `delay`, where others may slow them down
    moments: list[float] = field(default_factory=list)  # seconds of `delay` after which each token of a body was made
    framing: str = ""  # "chunked", "length" or "close"; chosen by the content when empty
    content_length: int | None = None  # a wrong one, told instead of the true one
    bare: bool = False  # without the headers that every answer bears

    def pace(self, first: float, gaps: list[float] | float, steps: int) -> None:
        """Send the body after the time in which its tokens are made, `steps` at each of several choices at once.

        What it waits for besides comes after its tokens.
        """
        if not first and not gaps:
            return
        waits = [gaps] * max(0, steps - 1) if isinstance(gaps, float) else gaps[: max(0, steps - 1)]
        self.gaps = [gap for gap in waits if isinstance(gap, Gap)]
        if self.gaps:
            self.delay += first
            return
        self.moments = list(accumulate(waits, initial=first))
        self.delay += self.moments[-1]


def with_comments(events: list[Event], seconds: float) -> list[Event]:
    """Return the events with a comment wherever so many seconds pass without one, to keep the connection open."""
    found: list[Event] = []
    for event in events:
        while event.delay > seconds:
            found.append(Event("", COMMENT, delay=seconds))
            event.delay -= seconds
        found.append(event)
    return found


def to_json(data: Any) -> bytes:
    """Return compact JSON in UTF-8; numbers that JSON cannot write are null."""
    try:
        text = _encode(data)
    except ValueError:
        text = _encode(_finite(data))
    return text.encode("utf-8", "replace")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def event_bytes(event: Event) -> bytes:
    """Return the event in the form of a server-sent event."""
    data = event.data if isinstance(event.data, bytes) else _data_bytes(event.data)
    if event.kind == COMMENT:
        return b":" + data + b"\n\n"
    name = b"event: " + event.name.encode() + b"\n" if event.name else b""
    return name + b"data: " + data + b"\n\n"


def text_lines(text: str) -> str:
    """Return a text of several lines as the data of an event, where each line has a field of its own."""
    return text.replace("\n", "\ndata: ")


def _data_bytes(data: Any) -> bytes:
    return data.encode("utf-8", "replace") if isinstance(data, str) else to_json(data)


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk of the chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)
