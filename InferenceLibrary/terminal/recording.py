"""Recordings of a terminal (asciicast v2), read while they are written, and the plain text in them.

The format: https://docs.asciinema.org/manual/asciicast/v2/ - a header line, then one JSON array a line:
seconds since the start, kind (`o` for output), data.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC up to their end
    r"|\x1b[ -/]*[0-~]"  # two-character escapes and character sets
)
_ERASE_LINE = re.compile(r"\x1b\[([012]?)K")


@dataclass(frozen=True)
class Output:
    """What a program wrote at one time.

    Attributes:
        time: Seconds on the monotonic clock.
        data: The text, escape sequences included.
    """

    time: float
    data: str


class RecordingReader:
    """Reads the output events that were added since the last look.

    A recording counts from its own beginning, and nobody tells when that was. No event can be read before it happens,
    so every look bounds the beginning from above; output is in the file at once, so the least bound is nearly it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._began = time.monotonic()

    def read(self) -> list[Output]:
        """Return the new output events."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = [json.loads(line) for line in lines if line.startswith(b"[")]
        if events:
            self._began = min(self._began, time.monotonic() - events[-1][0])
        return [Output(self._began + after, data) for after, kind, data in events if kind == "o"]


def plain_text(stream: str) -> str:
    """Return what a stream of terminal output leaves on endless lines.

    Colours and other sequences are dropped; carriage return, backspace and erase-line act on the present line. Fit for
    programs that write line after line; a full-screen program is looked at on its screen.
    """
    lines: list[str] = []
    for raw in stream.replace("\r\n", "\n").split("\n"):
        lines.append(_present_line(raw))
    return "\n".join(lines)


def _present_line(raw: str) -> str:
    if "\x1b" in raw:
        raw = _ERASE_LINE.sub(lambda match: "\x00" if match.group(1) in {"", "0"} else "\x01", raw)
        raw = _ESCAPE.sub("", raw)
    if not any(mark in raw for mark in "\r\b\x00\x01\x07"):
        return raw
    cells: list[str] = []
    column = 0
    for character in raw:
        if character == "\r":
            column = 0
        elif character == "\b":
            column = max(0, column - 1)
        elif character == "\x00":
            del cells[column:]
        elif character == "\x01":
            cells[:] = [" "] * column
        elif character != "\x07":
            cells[column : column + 1] = [character]
            column += 1
    return "".join(cells)
