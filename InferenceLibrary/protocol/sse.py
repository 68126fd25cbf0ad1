"""Server-sent events, decoded incrementally from bytes.

Follows "9.2.6 Interpreting an event stream" of the WHATWG HTML standard: UTF-8 with an optional byte order mark, lines
ended by LF, CR or CRLF, comments, one optional space after the colon, several data lines joined by LF, `id`, `retry`.
A browser hides what is odd about a stream; a test wants to see it, so the decoder also keeps what it dropped or
tolerated: see `Oddity`. The result never depends on how the bytes were cut into pieces.
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
    """Byte offset after the blank line that closed the block."""


_RETRY_DIGITS = 18
"""More are not a time that anybody waits, and Python refuses to read thousands of them."""
_KEPT = 1000
"""So many notes of one oddity are kept; all are counted."""
_TAIL = 1 << 16
"""An open block of so many bytes is read line by line, lest its bytes are kept for ever."""
_SHOWN_OF_A_BLOCK = 4096
_new = tuple.__new__


class SSEDecoder:
    """Turns bytes into events. `feed` pieces as they come, then `close` once.

    Args:
        notes: List that takes what was odd, in the order of the stream; a new one by default. The first thousand of
            each oddity are kept.
    """

    def __init__(self, notes: list[Note] | None = None) -> None:
        self.notes: list[Note] = [] if notes is None else notes
        self.counts: dict[Oddity, int] = {}
        """How often each oddity was seen."""
        self.last_id = ""
        """The id of the last event, which stays in force."""
        self._pending = bytearray()
        self._scanned = 0
        self._without_blank = 0
        """So many bytes of the buffer were seen to hold no blank line."""
        self._offset = 0
        self._after_cr = False
        self._first_line = True
        self._data: list[str] = []
        self._event = ""
        self._id = ""
        self._retry: int | None = None
        self._fields = 0
        self._block_start = 0
        self._closed = False

    @property
    def open_block(self) -> bytes:
        """What has come of a block that no blank line has closed yet: its first kilobytes."""
        return bytes(self._pending[:_SHOWN_OF_A_BLOCK])

    def feed(self, piece: bytes) -> list[Event]:
        """Take a piece of the stream, return the events that it completed.

        An event is complete with the first byte of its blank line's end: a lone CR counts at once, without waiting for
        the LF that may follow.
        """
        if self._closed:
            raise ValueError("The decoder is closed.")
        events: list[Event] = []
        if self._fields or self._after_cr:
            self._pending += piece
            self._take_lines(events)
            return events
        if not self._pending and piece[-2:] == b"\n\n" and self._take_blocks(piece[:-2], events):
            # The usual case, without a way through the buffer: whole blocks.
            return events
        self._pending += piece
        self._take_closed(events)
        if len(self._pending) >= _TAIL or b"\n\n" in self._pending or b"\r" in self._pending:
            self._take_lines(events)
        # Else an open block waits for its blank line.
        return events

    def close(self) -> list[Event]:
        """The stream ended. What was not closed by a blank line is noted as truncated and does not count.

        Returns:
            Nothing: there are streams whose end completes an event, and these do not belong to them.
        """
        if self._closed:
            return []
        self._closed = True
        self._take_lines([])
        rest = bytes(self._pending)
        if rest or self._fields:
            start = self._block_start if self._fields else self._offset
            shown = rest.decode("utf-8", "replace") if rest else "\n".join(self._data)
            self._note(Oddity.TRUNCATED, start, shown)
        return []

    @property
    def truncated(self) -> bool:
        """Whether the stream ended inside an event."""
        return Oddity.TRUNCATED in self.counts

    def _note(self, oddity: Oddity, offset: int, text: str) -> None:
        count = self.counts.get(oddity, 0) + 1
        self.counts[oddity] = count
        if count <= _KEPT:
            self.notes.append(Note(oddity, offset, text))

    def _take_closed(self, events: list[Event]) -> None:
        """Take the closed blocks at the beginning of the buffer."""
        pending = self._pending
        cut = pending.rfind(b"\n\n", max(0, self._without_blank - 1))
        if cut >= 0 and self._take_blocks(bytes(pending[:cut]), events):
            del pending[: cut + 2]
            self._scanned = 0
        self._without_blank = len(pending)

    def _take_blocks(self, region: bytes, events: list[Event]) -> bool:
        """Take closed blocks at once, but for the blank line of the last, where all lines end with LF.

        It does what `_take_lines` does, and is several times as fast for blocks of one data line, named or not. False:
        it cannot, and has done nothing.
        """
        if b"\r" in region:
            return False
        try:
            text = region.decode()
        except UnicodeDecodeError:
            return False
        if self._first_line and not text.startswith("\ufeff"):
            self._first_line = False
        start = self._offset
        self._offset = stop = start + len(region) + 2
        if text.startswith("data: "):
            last = self._id
            if "\n" not in text:
                self.last_id = last
                events.append(_new(Event, (text[6:], "message", last, None, start, stop)))
                return True
            parts = text[6:].split("\n\ndata: ")
            if text.count("\n") == 2 * len(parts) - 2 and len(text) == len(region):
                self.last_id = last
                for data in parts:
                    end = start + len(data) + 8
                    events.append(_new(Event, (data, "message", last, None, start, end)))
                    start = end
                return True
        narrow = len(text) == len(region)
        for block in text.split("\n\n"):
            end = start + (len(block) if narrow else len(block.encode())) + 2
            name, _, data = block.partition("\n") if block.startswith("event: ") else ("event: ", "", block)
            if data.startswith("data:") and "\n" not in data:
                data = data[6:] if data.startswith("data: ") else data[5:]
                events.append(_new(Event, (data, name[7:] or "message", self._id, None, start, end)))
            else:
                self._take_block(block, start, events)
            start = end
        self.last_id = self._id
        return True

    def _take_block(self, block: str, start: int, events: list[Event]) -> None:
        """Take a closed block line by line."""
        for line in (*block.encode().split(b"\n"), b""):
            event = self._take(line, start, start + len(line) + 1)
            if event is not None:
                events.append(event)
            start += len(line) + 1

    def _take_lines(self, events: list[Event]) -> None:
        for start, end, line in self._lines():
            event = self._take(line, start, end)
            if event is not None:
                events.append(event)
        self._without_blank = len(self._pending)

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
            self._note(Oddity.INVALID_UTF8, offset, text)
        if text.startswith(":"):
            self._note(Oddity.COMMENT, offset, text)
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
                self._id = value
            case "id":
                self._note(Oddity.NULL_IN_ID, offset, text)
            case "retry" if value.isascii() and value.isdigit() and len(value) <= _RETRY_DIGITS:
                self._retry = int(value)
            case "retry":
                self._note(Oddity.BAD_RETRY, offset, text)
            case _:
                self._note(Oddity.UNKNOWN_FIELD, offset, text)
        return None

    def _dispatch(self, offset: int, end: int) -> Event | None:
        event = None
        self.last_id = self._id
        if self._data:
            data = "\n".join(self._data)
            event = Event(data, self._event or "message", self._id, self._retry, self._block_start, end)
        elif self._fields:
            self._note(Oddity.NO_DATA, offset, "")
        self._data = []
        self._event = ""
        self._retry = None
        self._fields = 0
        return event
