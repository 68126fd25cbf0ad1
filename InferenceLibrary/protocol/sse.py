"""Server-sent events, decoded incrementally from bytes.

Follows "9.2.6 Interpreting an event stream" of the WHATWG HTML standard: UTF-8 with an optional byte order mark, lines
ended by LF, CR or CRLF, comments, one optional space after the colon, several data lines joined by LF, `id`, `retry`.
A browser hides what is odd about a stream; a test wants to see it, so the decoder also keeps what it dropped or bore:
see `Oddity`. The result never depends on how the bytes were cut into pieces.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple


class Oddity(StrEnum):
    """Something legal or illegal about the stream that a browser would not show."""

    COMMENT = "comment"
    """A line that begins with a colon; legal, often a keep-alive."""
    UNKNOWN_FIELD = "unknown field"
    """A field other than data, event, id and retry; to be ignored."""
    NO_DATA = "block without data"
    """A blank line closed a block that had no data line; nothing is dispatched."""
    INVALID_UTF8 = "invalid UTF-8"
    """Bytes that are not UTF-8; they are decoded as U+FFFD."""
    NULL_IN_ID = "id with a null character"
    """An id that holds U+0000; to be ignored."""
    BAD_RETRY = "retry is not digits"
    """A retry field that is not only ASCII digits; to be ignored."""
    TRUNCATED = "truncated event"
    """The stream ended inside an event: no blank line closed it, so it does not count."""


class Note(NamedTuple):
    """One oddity at one place."""

    oddity: Oddity
    offset: int
    """Byte offset of the line in the stream."""
    text: str
    """The line, without its end."""


class Event(NamedTuple):
    """One dispatched event."""

    data: str
    event: str = "message"
    id: str = ""
    """The last id seen, as the standard has it: it stays in force for later events."""
    retry: int | None = None
    """Reconnection time in milliseconds that this block set."""
    start: int = 0
    """Byte offset of the first line of the block."""
    end: int = 0
    """Byte offset behind the blank line that closed the block."""


_RETRY_DIGITS = 18
"""More are no time that anybody waits, and Python refuses to read thousands of them."""


class SSEDecoder:
    """Turns bytes into events. `feed` pieces as they come, then `close` once.

    Args:
        notes: List that takes what was odd, in the order of the stream; a new one by default.
    """

    def __init__(self, notes: list[Note] | None = None) -> None:
        self.notes: list[Note] = [] if notes is None else notes
        self.last_id = ""
        self._pending = bytearray()
        self._scanned = 0
        self._offset = 0
        self._after_cr = False
        self._first_line = True
        self._data: list[str] = []
        self._event = ""
        self._retry: int | None = None
        self._fields = 0
        self._block_start = 0
        self._closed = False

    def feed(self, piece: bytes) -> list[Event]:
        """Take a piece of the stream, return the events that it completed.

        An event is complete with the first byte of its blank line's end: a lone CR counts at once, without waiting for
        the LF that may follow.
        """
        if self._closed:
            raise ValueError("The decoder is closed.")
        self._pending += piece
        events: list[Event] = []
        for start, end, line in self._lines():
            event = self._take(line, start, end)
            if event is not None:
                events.append(event)
        return events

    def close(self) -> None:
        """The stream ended. What was not closed by a blank line is noted as truncated and does not count."""
        if self._closed:
            return
        self._closed = True
        rest = bytes(self._pending)
        if rest or self._fields:
            start = self._block_start if self._fields else self._offset
            shown = rest.decode("utf-8", "replace") if rest else "\n".join(self._data)
            self.notes.append(Note(Oddity.TRUNCATED, start, shown))

    @property
    def truncated(self) -> bool:
        """Whether the stream ended inside an event."""
        return any(note.oddity is Oddity.TRUNCATED for note in self.notes)

    def _lines(self) -> Iterator[tuple[int, int, bytes]]:
        """Take whole lines from the buffer, with their start and end; an LF right after a CR belongs to that CR."""
        pending = self._pending
        position = 0
        while True:
            if self._after_cr and position < len(pending):
                if pending[position] == 0x0A:
                    position += 1
                self._after_cr = False
            end = self._line_end(max(position, self._scanned))
            if end < 0:
                break
            line = bytes(pending[position:end])
            start = self._offset + position
            self._after_cr = pending[end] == 0x0D
            position = end + 1
            self._scanned = 0
            yield start, self._offset + position, line
        del pending[:position]
        self._offset += position
        self._scanned = len(pending)

    def _line_end(self, start: int) -> int:
        feed_at = self._pending.find(b"\n", start)
        return_at = self._pending.find(b"\r", start, feed_at if feed_at >= 0 else len(self._pending))
        return return_at if return_at >= 0 else feed_at

    def _take(self, line: bytes, offset: int, end: int) -> Event | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            return self._dispatch(offset, end)
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            text = line.decode("utf-8", "replace")
            self.notes.append(Note(Oddity.INVALID_UTF8, offset, text))
        if text.startswith(":"):
            self.notes.append(Note(Oddity.COMMENT, offset, text))
            return None
        if not self._fields:
            self._block_start = offset
        self._fields += 1
        name, colon, value = text.partition(":")
        value = value.removeprefix(" ") if colon else ""
        match name:
            case "data":
                self._data.append(value)
            case "event":
                self._event = value
            case "id" if "\0" not in value:
                self.last_id = value
            case "id":
                self.notes.append(Note(Oddity.NULL_IN_ID, offset, text))
            case "retry" if value.isascii() and value.isdigit() and len(value) <= _RETRY_DIGITS:
                self._retry = int(value)
            case "retry":
                self.notes.append(Note(Oddity.BAD_RETRY, offset, text))
            case _:
                self.notes.append(Note(Oddity.UNKNOWN_FIELD, offset, text))
        return None

    def _dispatch(self, offset: int, end: int) -> Event | None:
        event = None
        if self._data:
            data = "\n".join(self._data)
            event = Event(data, self._event or "message", self.last_id, self._retry, self._block_start, end)
        elif self._fields:
            self.notes.append(Note(Oddity.NO_DATA, offset, ""))
        self._data = []
        self._event = ""
        self._retry = None
        self._fields = 0
        return event
