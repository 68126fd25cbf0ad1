"""Recordings of a terminal (asciicast v2), read while they are written, and the plain text in them.

The format: https://docs.asciinema.org/manual/asciicast/v2/ - a header line, then one JSON array a line:
seconds since the start, kind (`o` for output), data.
"""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from InferenceLibrary.redaction import Redactor

_TOKEN = re.compile(
    r"\x1b\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"  # CSI
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, SOS, PM, APC up to their end
    r"|\x1b[ -/]*[0-~]"  # two-character escapes and character sets
    r"|[\x00-\x07\x0e-\x1f\x7f]"  # control characters that move nothing
    r"|(?P<move>[\r\b])"
    r"|(?P<text>[^\x00-\x08\x0d-\x1f\x7f]+)"
)
_PLAIN = re.compile(r"[^\x00-\x08\x0d-\x1f\x7f]*")


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

    @staticmethod
    def now() -> float:
        """The present time on the clock of the events."""
        return time.monotonic()

    def read(self) -> list[Output]:
        """Return the new output events."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read()
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        events = [json.loads(line) for line in lines if line.startswith(b"[")]
        if events:
            self._began = min(self._began, self.now() - events[-1][0])
        return [Output(self._began + after, data) for after, kind, data in events if kind == "o"]


def redact_recording(path: Path, redact: Redactor) -> None:
    """Mask secrets in a finished recording, also those that come in several events or in several colours.

    What is not known and only looks like a secret, and came in several events, cannot be masked in one; such a
    recording becomes a single event.
    """
    if not path.exists():
        return
    header, *lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    events = [json.loads(line) for line in lines if line.startswith("[") and line.endswith("]")]
    outputs = iter(_without_secrets([data for _, kind, data in events if kind == "o"], redact))
    masked = [[at, kind, next(outputs) if kind == "o" else redact(data)] for at, kind, data in events]
    whole = "".join(data for _, kind, data in masked if kind == "o")
    if redact(whole) != whole:
        masked = [[0.0, "o", redact(whole)]]
    if masked != events:
        path.write_text("\n".join([header, *map(json.dumps, masked)]) + "\n", encoding="utf-8")


def _without_secrets(pieces: Sequence[str], redact: Redactor) -> list[str]:
    """Mask secrets in pieces of one output. A secret may go from one to the next, and change its colour."""
    whole = "".join(pieces)
    texts = [token.span("text") for token in _TOKEN.finditer(whole) if token["text"]]
    characters = redact.characters(whole, [place for begin, end in texts for place in range(begin, end)])
    ends = list(itertools.accumulate(map(len, pieces)))
    return [redact("".join(characters[begin:end])) for begin, end in itertools.pairwise([0, *ends])]


def plain_text(stream: str) -> str:
    """Return what a stream of terminal output leaves on endless lines.

    Colours and other sequences are dropped; carriage return, backspace and erase-line act on the present line, where
    every code point counts as one cell. Fit for programs that write line after line; a full-screen program is looked at
    on its screen.
    """
    return "\n".join(_line(raw) for raw in stream.replace("\r\n", "\n").split("\n"))


def _line(raw: str) -> str:
    if _PLAIN.fullmatch(raw):
        return raw
    cells: list[str] = []
    column = 0
    for token in _TOKEN.finditer(raw):
        if text := token["text"]:
            cells += [" "] * (column - len(cells))
            cells[column : column + len(text)] = text
            column += len(text)
        elif token["move"]:
            column = 0 if token["move"] == "\r" else max(0, column - 1)
        elif token["final"] == "K":
            _erase(cells, column, token["parameters"])
    return "".join(cells)


def _erase(cells: list[str], column: int, mode: str) -> None:
    """EL: 0 erases from the cursor to the end of the line, 1 from its beginning to the cursor, 2 all of it."""
    if mode in {"", "0", "2"}:
        del cells[column:]
    if mode in {"1", "2"}:
        cells[:column] = [" "] * min(column, len(cells))
