"""What came back: replies, streams and the attempts it took. One line each in a log, everything as attributes."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from InferenceLibrary.foreign_text import readable, readable_or_none
from InferenceLibrary.protocol.errors import ErrorBody, error_of, read_refusal
from InferenceLibrary.protocol.messages import DONE, Usage, join_tool_calls, merge_usage, read_pieces, read_usage
from InferenceLibrary.protocol.pieces import Piece, TokenLogprob, ToolCall
from InferenceLibrary.protocol.sse import Event, Note
from InferenceLibrary.protocol.typed_messages import is_typed

_SHOWN = 80


def shorten(text: str, limit: int = _SHOWN) -> str:
    """Return text on one line, cut for a log."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def milliseconds(seconds: float | None) -> str:
    """Return a duration for a log: `183 ms`, `2.31 s`, `-` for None."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


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


# Without the methods that nobody calls, a dataclass costs a sixth at import: see the budget of the library.
@dataclass(eq=False, repr=False)
class Reply:
    """One finished answer."""

    status: int
    headers: dict[str, str]
    """Header names in lower case."""
    body: str
    elapsed: float
    """Seconds from the start of the call to the last byte, all attempts included."""
    json: Any = None
    """The decoded body, None when it is not JSON."""
    attempts: tuple[Attempt, ...] = ()
    url: str = ""
    redact: Callable[[str], str] = str
    """Masks secrets where it is shown: what came back stays as it came, so that a test can look for a leaked key."""
    bad_utf8: int | None = None
    """Offset of the first bytes of the body that are no UTF-8, None when all are; `body` has U+FFFD there."""

    @property
    def text(self) -> str:
        """Content of the first choice; what a model thought aloud is in `reasoning`."""
        return readable(self._first("text") or "")

    @property
    def reasoning(self) -> str:
        """Reasoning content of the first choice."""
        return readable(self._first("reasoning") or "")

    @property
    def role(self) -> str | None:
        return readable_or_none(self._first("role"))

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended: stop, length, tool_calls, content_filter."""
        return readable_or_none(self._first("finish_reason"))

    @property
    def texts(self) -> list[str]:
        """Content of every choice."""
        return [readable(piece.text) for piece in read_pieces(self.json)]

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that the first choice calls: `.name`, `.id`, `.arguments` as text and `.input` decoded."""
        return [call.readable() for call in self._first("tool_calls") or ()]

    @property
    def logprobs(self) -> list[TokenLogprob]:
        """Log probabilities of the first choice's tokens; empty when none were asked for."""
        return list(self._first("logprobs") or ())

    @property
    def usage(self) -> Usage | None:
        return read_usage(self.json)

    @property
    def id(self) -> str | None:
        return self._key("id")

    @property
    def model(self) -> str | None:
        return self._key("model")

    @property
    def error(self) -> ErrorBody | None:
        """What an error answer says, None when it is none. The text of a refusal that is no JSON is its message."""
        return read_refusal(self.status, self.body)

    @property
    def category(self) -> str | None:
        """Category of a refusal: RATE_LIMIT, SERVER_ERROR, INVALID_REQ, AUTH_ERROR, UNKNOWN; None for a good answer."""
        from InferenceLibrary.protocol.errors import categorize

        return categorize(self.status) if self.status >= 400 else None

    def _first(self, name: str) -> Any:
        pieces = read_pieces(self.json)
        return getattr(pieces[0], name) if pieces else None

    def _key(self, name: str) -> str | None:
        value = self.json.get(name) if isinstance(self.json, dict) else None
        return None if value is None else readable(str(value))

    def __str__(self) -> str:
        if read_pieces(self.json):
            said = f'"{shorten(self.redact(self.text or self.reasoning))}"'
            said += f" ({self.finish_reason}, {self.usage or 'no usage'})"
        else:
            said = str(self.error) if self.error else shorten(self.redact(self.body))
        tries = f", {len(self.attempts)} attempts" if len(self.attempts) > 1 else ""
        return self.redact(f"{self.status} in {milliseconds(self.elapsed)}{tries}: {said}")

    __repr__ = __str__


class Chunk:
    """One event of a stream, decoded.

    Args:
        event: The event as it came.
        arrival: Seconds from the sending of the request to the read that completed the event.
        json: The decoded data, None for `[DONE]` and for what is not JSON.
        redact: Masks secrets where it is shown.
    """

    __slots__ = ("_pieces", "arrival", "event", "json", "redact")

    def __init__(self, event: Event, arrival: float, json: Any = None, redact: Callable[[str], str] = str) -> None:
        self.event = event
        self.arrival = arrival
        self.json = json
        self.redact = redact
        self._pieces: list[Piece] | None = None

    @property
    def text(self) -> str:
        """Content of the first choice in this chunk."""
        return readable(self._piece("text") or "")

    @property
    def reasoning(self) -> str:
        return readable(self._piece("reasoning") or "")

    @property
    def role(self) -> str | None:
        return readable_or_none(self._piece("role"))

    @property
    def finish_reason(self) -> str | None:
        return readable_or_none(self._piece("finish_reason"))

    @property
    def usage(self) -> Usage | None:
        return read_usage(self.json)

    @property
    def id(self) -> str | None:
        if not isinstance(self.json, dict):
            return None
        inner = self.json.get("response", self.json.get("message"))
        value = self.json.get("id", inner.get("id") if isinstance(inner, dict) else None)
        return None if value is None else readable(str(value))

    @property
    def error(self) -> ErrorBody | None:
        return error_of(self.json)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """Pieces of tool calls of the first choice."""
        return tuple(call.readable() for call in self._piece("tool_calls") or ())

    @property
    def type(self) -> str | None:
        """The type of a typed event, such as `response.completed` or `message_stop`."""
        value = self.json.get("type") if isinstance(self.json, dict) else None
        return value if isinstance(value, str) else None

    @property
    def is_done(self) -> bool:
        """Whether this is the closing `[DONE]`."""
        return self.event.data == DONE

    @property
    def has_token(self) -> bool:
        """Whether it carries output: text or reasoning that is not empty, or a piece of a tool call."""
        return bool(self.text or self.reasoning or self.tool_calls)

    def texts(self) -> list[tuple[int, str]]:
        """Index and content of every choice in this chunk."""
        return [(piece.index, readable(piece.text)) for piece in self.pieces]

    @property
    def pieces(self) -> list[Piece]:
        """What each choice of this chunk holds."""
        if self._pieces is None:
            self._pieces = read_pieces(self.json)
        return self._pieces

    def _piece(self, name: str) -> Any:
        return next((getattr(piece, name) for piece in self.pieces if piece.index == 0), None)

    def __str__(self) -> str:
        return f"{self.arrival * 1000:.1f} ms: {shorten(self.redact(self.event.data))}"

    __repr__ = __str__


@dataclass(eq=False, repr=False)
class Stream:
    """One recorded streamed answer: the bytes, their reads, and every event with its arrival."""

    status: int
    headers: dict[str, str]
    chunks: list[Chunk] = field(default_factory=list)
    """Every event, `[DONE]` included."""
    raw: bytes = b""
    reads: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the request was sent, bytes) of each read of the connection, headers included."""
    notes: list[Note] = field(default_factory=list)
    """Oddities of the event stream: comments, truncation and the like."""
    elapsed: float = 0.0
    """Seconds from the start of the call until the connection was done with."""
    broken: str | None = None
    """How the stream broke off, None when it ended properly."""
    interrupted: bool = False
    """Whether the connection or a limit broke it, rather than what the server sent."""
    cancelled: bool = False
    """Whether we closed the connection on purpose."""
    attempts: tuple[Attempt, ...] = ()
    url: str = ""
    redact: Callable[[str], str] = str
    """Masks secrets where it is shown."""
    recording: Path | None = None
    """The file that it is recorded in."""

    @property
    def text(self) -> str:
        """Joined content of the first choice. Halves of a character that came in neighbouring events are joined."""
        return self._joined("text")

    @property
    def reasoning(self) -> str:
        return self._joined("reasoning")

    @property
    def texts(self) -> list[str]:
        """Joined content of every choice."""
        joined: dict[int, str] = {}
        for chunk in self.chunks:
            for piece in chunk.pieces:
                joined[piece.index] = joined.get(piece.index, "") + piece.text
        return [readable(joined[index]) for index in sorted(joined)]

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The joined tool calls of the first choice."""
        calls = join_tool_calls(call for piece in self._first_choice() for call in piece.tool_calls)
        return [call.readable() for call in calls]

    @property
    def logprobs(self) -> list[TokenLogprob]:
        """Log probabilities of the first choice's tokens; empty when none were asked for."""
        return [item for piece in self._first_choice() for item in piece.logprobs]

    @property
    def tokens(self) -> list[Chunk]:
        """The chunks that carry output. A chunk is not a token: a server may send several tokens in one."""
        return [chunk for chunk in self.chunks if chunk.has_token]

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds from the sending of the request to the first chunk with output; a role-only chunk does not count."""
        return next((chunk.arrival for chunk in self.chunks if chunk.has_token), None)

    @property
    def gaps(self) -> list[float]:
        """Seconds between neighbouring chunks with output."""
        arrivals = [chunk.arrival for chunk in self.tokens]
        return [later - earlier for earlier, later in itertools.pairwise(arrivals)]

    @property
    def finish_reason(self) -> str | None:
        return next((chunk.finish_reason for chunk in self.chunks if chunk.finish_reason), None)

    @property
    def usage(self) -> Usage | None:
        """The last word of the chunks on each count."""
        return merge_usage(chunk.usage for chunk in self.chunks if chunk.usage)

    @property
    def ids(self) -> list[str | None]:
        """The distinct ids of the JSON chunks, in order; one id is as it should be."""
        found = [chunk.id for chunk in self.chunks if chunk.json is not None and not is_typed(chunk.json)]
        typed: list[str | None] = [chunk.id for chunk in self.chunks if is_typed(chunk.json) and chunk.id is not None]
        return list(dict.fromkeys(found + typed))

    @property
    def id(self) -> str | None:
        return self.ids[0] if self.ids else None

    @property
    def model(self) -> str | None:
        objects = [chunk.json for chunk in self.chunks if isinstance(chunk.json, dict)]
        objects += [data.get("response", data.get("message")) or {} for data in objects if is_typed(data)]
        return next((readable(str(data["model"])) for data in objects if data.get("model")), None)

    @property
    def error(self) -> ErrorBody | None:
        """The error event of the stream, if there was one."""
        return next((chunk.error for chunk in self.chunks if chunk.error), None)

    @property
    def ended_with_done(self) -> bool:
        """Whether the last event is `[DONE]`, the only one, and nothing came after it."""
        dones = [chunk for chunk in self.chunks if chunk.is_done]
        return len(dones) == 1 and self.chunks[-1].is_done and not self.broken

    def _first_choice(self) -> Iterator[Piece]:
        return (piece for chunk in self.chunks for piece in chunk.pieces if piece.index == 0)

    def _joined(self, name: str) -> str:
        return readable("".join(getattr(piece, name) for piece in self._first_choice()))

    def __str__(self) -> str:
        end = "cancelled" if self.cancelled else self.broken or self.finish_reason or "no finish reason"
        first = milliseconds(self.time_to_first_token)
        return (
            f"{self.status} in {milliseconds(self.elapsed)}: "
            f'"{shorten(self.redact(self.text or self.reasoning))}" '
            f"({len(self.tokens)} chunks with text of {len(self.chunks)}, first after {first}, {end})"
        )

    __repr__ = __str__


def decode_json(text: str) -> Any:
    """Return decoded JSON, None when the text is none, or is nested beyond reading."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
