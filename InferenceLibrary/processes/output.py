"""The file that holds what a program wrote."""

from __future__ import annotations

import os
import re
from pathlib import Path

from InferenceLibrary.redaction import Redactor

TAIL_LINES = 12
_TAIL_BYTES = 16_384
_LONGEST_LINE = 65_536
MOST_TEXT = 16 * 1024 * 1024
"""Bytes of a log that are held in memory at once; a server may write gigabytes."""


class OutputFile:
    """Reads a file that something else writes."""

    log_path: Path

    def log_size(self) -> int:
        """Return how many bytes have been written; 0 when there is no file."""
        try:
            return self.log_path.stat().st_size
        except OSError:
            return 0

    def log_text(self, start: int = 0) -> str:
        """Return its output from byte `start` on; of more than 16 MiB the last 16 MiB."""
        with self.log_path.open("rb") as log:
            log.seek(max(start, self.log_size() - MOST_TEXT))
            return log.read(MOST_TEXT).decode("utf-8", "replace")

    def log_tail(self, lines: int = TAIL_LINES) -> list[str]:
        """Return the last lines of its output, without escape sequences; none when the file is gone."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_size() - _TAIL_BYTES))
                text = log.read(_TAIL_BYTES).decode("utf-8", "replace")
        except FileNotFoundError:
            return []
        return [plain(line) for line in text.splitlines()[-lines:]]

    def mask_log(self, redact: Redactor) -> None:
        """Take secrets out of its output, once nothing writes it any more. Programs log keys that they are given."""
        if not redact.knows_any or not self.log_path.exists():
            return
        masked = self.log_path.with_name(self.log_path.name + ".masked")
        with self.log_path.open("rb") as log, masked.open("wb") as copy:
            while line := log.readline(MOST_TEXT):
                text = line.decode("utf-8", "surrogateescape")
                copy.write(redact(text).encode("utf-8", "surrogateescape"))
        masked.replace(self.log_path)


class LogFollower:
    """Finds a pattern in a growing file, reading every byte once."""

    def __init__(self, path: Path, pattern: re.Pattern[str], start: int = 0) -> None:
        self._path = path
        self._pattern = pattern
        self._position = start
        self._rest = b""

    def find(self) -> re.Match[str] | None:
        """Return the first match in a whole line, or in the unfinished last one; None when there is none yet."""
        with self._path.open("rb") as log:
            log.seek(self._position)
            while piece := log.read(_LONGEST_LINE * 4):
                self._position += len(piece)
                match = self._pattern.search((self._rest + piece).decode("utf-8", "replace"))
                if match is not None and not self._may_grow(match, piece):
                    return match
                text = self._rest + piece
                self._rest = text[text.rfind(b"\n") + 1 :][-_LONGEST_LINE:]
        return self._pattern.search(self._rest.decode("utf-8", "replace")) if self._rest else None

    def _may_grow(self, match: re.Match[str], piece: bytes) -> bool:
        """Whether the match ends where the read ended: an address may be written in two pieces."""
        return match.end() == len(match.string) and not piece.endswith(b"\n") and len(piece) == _LONGEST_LINE * 4


_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


def plain(line: str) -> str:
    """Return a line of output without terminal escapes and control characters."""
    return _ESCAPES.sub("", line)


def log_name(path: Path) -> str:
    """Return a file's name as errors show it, relative to the working directory where that is shorter."""
    relative = os.path.relpath(path)
    return relative if len(relative) < len(str(path)) else str(path)
