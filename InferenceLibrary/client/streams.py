"""Streams: streamed answers as views of an exchange, event by event. One line in a log, everything as attributes."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.client.answers import headers_of, shorten
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.foreign_text import readable, readable_or_none

if TYPE_CHECKING:
    from InferenceLibrary.protocol.errors import ErrorBody
    from InferenceLibrary.protocol.exchange import Attempt, Exchange
    from InferenceLibrary.protocol.messages import Choice, Usage
    from InferenceLibrary.protocol.pieces import Piece, TokenLogprob, ToolCall
    from InferenceLibrary.protocol.sse import Event, Note
    from InferenceLibrary.protocol.usage_details import UsageDetails


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
        from InferenceLibrary.protocol.messages import read_usage

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
        """What it says of an error, None when it is not an error event, in any form of the field."""
        from InferenceLibrary.protocol.errors import error_of_event

        return error_of_event(self.event.event, self.json, self.event.data)

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
        from InferenceLibrary.protocol.messages import DONE

        return self.event.data == DONE

    @property
    def is_last_word(self) -> bool:
        """Whether nothing is to come after it: `[DONE]`, or the closing event of a typed stream or of a job."""
        from InferenceLibrary.protocol.typed_messages import LAST_TYPES

        return self.is_done or self.type in LAST_TYPES

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
            from InferenceLibrary.protocol.messages import read_pieces

            self._pieces = read_pieces(self.json)
        return self._pieces

    def _piece(self, name: str) -> Any:
        return next((getattr(piece, name) for piece in self.pieces if piece.index == 0), None)

    def __str__(self) -> str:
        return f"{self.arrival * 1000:.1f} ms: {shorten(self.redact(self.event.data))}"

    __repr__ = __str__


class Stream:
    """One recorded streamed answer: an exchange whose events are read.

    Args:
        exchange: The record of the call; while it goes on, its body is still to come.
        redact: Masks secrets where it is shown.
    """

    def __init__(self, exchange: Exchange, redact: Callable[[str], str] = str) -> None:
        self.exchange = exchange
        self.redact = redact
        self.chunks: list[Chunk] = []
        """Every event, `[DONE]` included."""
        self.notes: list[Note] = []
        """Oddities of the event stream: comments, truncation and the like."""
        self.broken: str | None = None
        """How the stream broke off, None when it ended properly."""
        self.recording: Path | None = None
        """The file that it is recorded in."""

    @property
    def status(self) -> int:
        return self.exchange.status or 0

    @cached_property
    def headers(self) -> dict[str, str]:
        """Header names in lower case; the values of repeated ones are joined with a comma."""
        return headers_of(self.exchange)

    @property
    def raw(self) -> bytes:
        """The bytes of the answer's body."""
        return self.exchange.body

    @property
    def reads(self) -> tuple[tuple[float, int], ...]:
        """(seconds since the request was sent, bytes of the body until then) of each read that brought some of it."""
        return self.exchange.reads

    @property
    def elapsed(self) -> float:
        """Seconds from the start of the call until the connection was done with."""
        return self.exchange.elapsed

    @property
    def interrupted(self) -> bool:
        """Whether the connection or a limit broke it, rather than what the server sent."""
        return self.exchange.problem is not None and self.error is None

    @property
    def cancelled(self) -> bool:
        """Whether we closed the connection on purpose, before its end."""
        from InferenceLibrary.protocol.exchange import Ending

        return self.exchange.ending is Ending.CANCELLED and self.broken is None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        return self.exchange.attempts

    @property
    def url(self) -> str:
        return self.exchange.request.url

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
    def choices(self) -> list[Choice]:
        """Every choice of the answer, joined, by its index."""
        from InferenceLibrary.protocol.messages import choices_of

        return choices_of(piece for chunk in self.chunks for piece in chunk.pieces)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The joined tool calls of the first choice."""
        from InferenceLibrary.protocol.messages import join_tool_calls

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
        from InferenceLibrary.protocol.messages import merge_usage

        return merge_usage(chunk.usage for chunk in self.chunks if chunk.usage)

    @property
    def usage_details(self) -> UsageDetails:
        """What the usage says beside its counts: tokens from a cache, tokens of reasoning, the server's own pace."""
        from InferenceLibrary.protocol.usage_details import NO_DETAILS, UsageDetails, read_usage_details

        return functools.reduce(
            UsageDetails.merge, (read_usage_details(chunk.json) for chunk in self.chunks), NO_DETAILS
        )

    @property
    def ids(self) -> list[str | None]:
        """The distinct ids of the JSON chunks, in order; one id is as it should be."""
        from InferenceLibrary.protocol.typed_messages import is_typed

        found = [chunk.id for chunk in self.chunks if chunk.json is not None and not is_typed(chunk.json)]
        typed: list[str | None] = [chunk.id for chunk in self.chunks if is_typed(chunk.json) and chunk.id is not None]
        return list(dict.fromkeys(found + typed))

    @property
    def id(self) -> str | None:
        return self.ids[0] if self.ids else None

    @property
    def model(self) -> str | None:
        from InferenceLibrary.protocol.typed_messages import is_typed

        objects = [chunk.json for chunk in self.chunks if isinstance(chunk.json, dict)]
        objects += [data.get("response", data.get("message")) or {} for data in objects if is_typed(data)]
        return next((readable(str(data["model"])) for data in objects if data.get("model")), None)

    @property
    def error(self) -> ErrorBody | None:
        """The error event of the stream, if there was one."""
        return next((chunk.error for chunk in self.chunks if chunk.error), None) or self.bare_error

    @property
    def bare_error(self) -> ErrorBody | None:
        """An error that stands in the stream as bare JSON, without `data:`, so that it is not an event."""
        return bare_error_in(self.notes)

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


def bare_error_in(notes: Iterable[Note]) -> ErrorBody | None:
    """Return what bare JSON among the oddities of a stream says of an error, None when none does."""
    from InferenceLibrary.protocol.sse import Oddity

    for note in notes:
        if note.oddity in {Oddity.UNKNOWN_FIELD, Oddity.TRUNCATED} and (found := bare_error(note.text)) is not None:
            return found
    return None


def bare_error(text: str) -> ErrorBody | None:
    """Return what a line of an event stream says of an error: JSON without `data:`, or a field `error`."""
    from InferenceLibrary.protocol.errors import read_error

    said = text.strip().removeprefix("error:").strip()
    return read_error(said) if said[:1] in {"{", "["} else None
