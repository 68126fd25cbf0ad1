"""One call, whole: what was asked, every attempt, and what came. Replies and streams are views of it.

A record may hold less than a live call saw: a server's answer that somebody kept as status, headers and text has no
reads and no times. `Held` names what it holds; a rule on anything else is not judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from InferenceLibrary.durations import milliseconds


class Held(StrEnum):
    """What a record may hold or lack."""

    REQUEST = "request"
    """Method, URL, headers and body of the request."""
    HEADERS = "headers"
    """Headers of the answer."""
    BODY = "body"
    """The answer's bytes, exactly."""
    FRAMING = "framing"
    """How the body was framed and how it ended: chunked or counted, whole or cut, and what came after it."""
    READS = "reads"
    """The reads of the connection."""
    TIMES = "times"
    """When each read happened."""


EVERYTHING = frozenset(Held)


class Ending(StrEnum):
    """How the bytes of an answer ended."""

    WHOLE = "whole"
    """As its framing said: the last chunk, the whole length, or the end of the connection where nothing else tells."""
    CUT = "cut"
    """The connection ended before the framing did."""
    LIMIT = "limit"
    """A limit of the call ended it."""
    CANCELLED = "cancelled"
    """We closed the connection on purpose."""
    NO_ANSWER = "no answer"
    """There was no status line."""


class Attempt(NamedTuple):
    """One try of a call."""

    number: int
    """From 1."""
    status: int | None
    """None when there was no answer."""
    error: str | None
    """Why it failed, None when it did not."""
    elapsed: float
    """Seconds that it took."""
    wait: float = 0.0
    """Seconds that were to be waited after it."""
    started: float = 0.0
    """Seconds from the start of the call until it began."""
    retry_after: float | None = None
    """Seconds that its answer asked to wait for."""

    def __str__(self) -> str:
        outcome = self.error or f"status {self.status}"
        asked = f" (Retry-After {self.retry_after:g} s)" if self.retry_after is not None else ""
        waited = f", then waited {milliseconds(self.wait)}" if self.wait else ""
        return f"{self.number}: {outcome}{asked} in {milliseconds(self.elapsed)}{waited}"


JSON_LINES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json-lines",
        "application/stream+json",
    }
)
"""Media types of streams of JSON, a line each; none of them is registered."""


class Request(NamedTuple):
    """What was asked."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    """As sent, in order; names in lower case."""
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path of the URL, without the query."""
        return urlsplit(self.url).path


@dataclass(eq=False)
class Exchange:
    """The record of one call.

    Times are seconds from the sending of the request of the last attempt.
    """

    request: Request
    status: int | None
    """None when there was no answer."""
    headers: tuple[tuple[str, str], ...] = ()
    """Of the answer, in order, repeats included; names in lower case."""
    body: bytes = b""
    """The answer's body, transfer and content codings undone."""
    reads: tuple[tuple[float, int], ...] = ()
    """(time, bytes of the body that had arrived by then, in all) of each read that brought some of the body."""
    ending: Ending = Ending.WHOLE
    left_over: bytes = b""
    """Bytes that came after the answer on its connection."""
    attempts: tuple[Attempt, ...] = ()
    elapsed: float = 0.0
    """Seconds from the start of the call to its end, all attempts included."""
    problem: str | None = None
    """Why there is no whole answer, in words; None when there is one."""
    held: frozenset[Held] = field(default=EVERYTHING)
    views: list[Any] | None = field(default=None, init=False, repr=False)
    """What the rules see of it, once they were asked; an exchange is not changed from then on."""

    def header(self, name: str) -> str | None:
        """The value of a header of the answer; repeats are joined with a comma, None without one."""
        found = [value for key, value in self.headers if key == name]
        return ", ".join(found) if found else None

    @cached_property
    def media_type(self) -> str:
        """The answer's media type in lower case without parameters; empty without one."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()

    @property
    def is_event_stream(self) -> bool:
        return self.media_type == "text/event-stream"

    @property
    def is_json_lines(self) -> bool:
        return self.media_type in JSON_LINES

    @cached_property
    def asked(self) -> Any:
        """The decoded body of the request; None when it is not JSON."""
        return decode_json(self.request.body.decode("utf-8", "replace"))

    def asked_for(self, key: str) -> Any:
        """A key of the request's body; None where there is none."""
        return self.asked.get(key) if isinstance(self.asked, dict) else None

    @cached_property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 become U+FFFD."""
        return self.body.decode("utf-8", "replace")

    @cached_property
    def json(self) -> Any:
        """The decoded body of a whole answer; None when it is not JSON."""
        return None if self.is_event_stream else decode_json(self.text)


def decode_json(text: str) -> Any:
    """Return decoded JSON, None when the text is not JSON, or is nested beyond reading.

    Lenient: NaN, keys that stand twice and halves of characters are read as Python's `json` reads them.
    """
    try:
        return (_quick_reader or _load_quick_reader())(text)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


_quick_reader: Callable[[str], Any] | None = None
"""A reader that is several times as fast, and stricter."""


def _load_quick_reader() -> Callable[[str], Any]:
    """Load it when the first JSON is read: the library's import must stay light."""
    global _quick_reader  # noqa: PLW0603  (asked for with every event)
    import msgspec

    _quick_reader = msgspec.json.Decoder().decode
    return _quick_reader
