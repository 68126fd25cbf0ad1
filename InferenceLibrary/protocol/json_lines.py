"""Lines of JSON (NDJSON), decoded incrementally from bytes: Ollama's answers, the progress of downloads.

A line is an event; empty lines are passed over. A last line without its end counts where it is JSON, as writers leave
it out; else the stream was cut inside it. The result never depends on how the bytes were cut into pieces.
"""

from __future__ import annotations

from InferenceLibrary.protocol.exchange import decode_json
from InferenceLibrary.protocol.sse import Event, Note, Oddity


class JsonLinesDecoder:
    """Turns bytes into events, one a line. `feed` pieces as they come, then `close` once.

    Args:
        notes: List that takes what was odd: bytes that are not UTF-8, a line that was cut.
    """

    def __init__(self, notes: list[Note]) -> None:
        self._notes = notes
        self._pending = b""
        self._offset = 0

    @property
    def open_block(self) -> bytes:
        """What has come of a line that has not ended; what it says is told when it has."""
        return b""

    def feed(self, piece: bytes) -> list[Event]:
        """Take a piece of the stream, return the lines that it completed."""
        *lines, self._pending = (self._pending + piece).split(b"\n")
        return [event for line in lines if (event := self._event(line, len(line) + 1)) is not None]

    def close(self) -> list[Event]:
        """The stream ended: return the last line, where it is whole without its end."""
        rest, self._pending = self._pending, b""
        if not rest.strip():
            return []
        if decode_json(rest.decode("utf-8", "replace")) is None:
            self._notes.append(Note(Oddity.TRUNCATED, self._offset, rest.decode("utf-8", "replace")))
            return []
        event = self._event(rest, len(rest))
        return [] if event is None else [event]

    def _event(self, line: bytes, size: int) -> Event | None:
        start = self._offset
        self._offset += size
        if not line.strip():
            return None
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text = line.decode("utf-8", "replace")
            self._notes.append(Note(Oddity.INVALID_UTF8, start, text))
        return Event(text.strip(), start=start, end=self._offset)
