"""What a terminal shows: text, cursor, and how the program ended. Pure values."""

from __future__ import annotations

import re
import signal
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from InferenceLibrary.redaction import Redactor

_ZERO_WIDTH = {"\u200b", "\u200c", "\u200d", "\ufe0e", "\ufe0f"}


@dataclass(frozen=True)
class Cursor:
    """Where the cursor is; the top left cell is column 0, row 0."""

    column: int
    row: int
    visible: bool = True

    def __str__(self) -> str:
        return f"column {self.column}, row {self.row}{'' if self.visible else ', hidden'}"


@dataclass(frozen=True)
class Screen:
    """One look at a terminal.

    Attributes:
        text: The visible rows, without blanks at their ends and without blank rows at the end.
        columns: Width in cells.
        rows: Height in cells.
        cursor: Where the cursor is.
        exit_code: The program's exit code, once it has ended by itself.
        exit_signal: Name of the signal that ended it, such as `SIGINT`.
        alternate: Whether the program draws on the alternate screen, as full-screen programs do.
        title: The title that the program gave the window.
    """

    text: str
    columns: int
    rows: int
    cursor: Cursor
    exit_code: int | None = None
    exit_signal: str | None = None
    alternate: bool = False
    title: str | None = None

    @property
    def ended(self) -> bool:
        """Whether the program has ended."""
        return self.exit_code is not None or self.exit_signal is not None

    @property
    def state(self) -> str:
        """The program's state as a clause: `the program runs`, `the program ended with exit code 3`."""
        if self.exit_signal is not None:
            return f"the program was ended by {self.exit_signal}"
        return "the program runs" if self.exit_code is None else f"the program ended with exit code {self.exit_code}"

    @property
    def before_cursor(self) -> str:
        """What stands in the cursor's row to the left of it."""
        rows = self.text.split("\n")
        row = rows[self.cursor.row] if self.cursor.row < len(rows) else ""
        return row.ljust(self.cursor.column)[: self.cursor.column]

    @property
    def unwrapped(self) -> str:
        """The text with the lines joined that only the edge of the screen broke."""
        return unwrap(self.text, self.columns)

    def contains(self, wanted: str, *, regexp: bool = False) -> bool:
        """Whether a text is on the screen; also one that the edge of the screen breaks."""
        return contains(self.text, self.columns, wanted, regexp=regexp)

    def framed(self) -> list[str]:
        """The screen in a frame, for an error or a log."""
        lines = self.text.splitlines() or [""]
        edge = "─" * min(self.columns, 40)
        shown = [f"│{line}" for line in lines]
        left_out = self.rows - len(lines)
        if left_out > 0:
            shown.append(f"│ ({left_out} blank row{'s' if left_out > 1 else ''})")
        return [f"┌{edge} {self.columns} x {self.rows}, cursor at {self.cursor}", *shown, f"└{edge}"]


def matches(text: str, wanted: str, *, regexp: bool) -> bool:
    """Whether `wanted` occurs in `text`: as it stands, or as a regular expression with ^ and $ at every line."""
    return re.search(wanted, text, re.MULTILINE) is not None if regexp else wanted in text


def contains(text: str, columns: int, wanted: str, *, regexp: bool) -> bool:
    """Whether a text occurs in rows of that width; also one that the edge of the screen breaks."""
    return matches(text, wanted, regexp=regexp) or matches(unwrap(text, columns), wanted, regexp=regexp)


def unwrap(text: str, columns: int) -> str:
    """Join rows that are full to the last cell with the row below; a wide character may leave one cell free.

    A line of exactly the screen's width and a line that broke at a blank cannot be told from the text alone: the first
    is joined, the second is not.
    """
    joined: list[str] = []
    for row, goes_on in _rows(text, columns):
        if goes_on:
            joined[-1] += row
        else:
            joined.append(row)
    return "\n".join(joined)


def masked(text: str, columns: int, redact: Redactor) -> str:
    """Return rows of that width without secrets, also those that the edge of the screen breaks. No row is lost."""
    places: list[int] = []
    at = 0
    for row, goes_on in _rows(text, columns):
        # The line feed before it belongs to it, where the edge did not set that.
        places += range(at if goes_on or not at else at - 1, at + len(row))
        at += len(row) + 1
    return redact.within(text, places)


def _rows(text: str, columns: int) -> Iterator[tuple[str, bool]]:
    """Each row, and whether it goes on where the edge of the screen broke the row above it."""
    free = columns
    for number, row in enumerate(text.split("\n")):
        yield row, number > 0 and bool(row) and (free <= 0 or (free == 1 and display_width(row[0]) == 2))
        free = columns - display_width(row)


def display_width(text: str) -> int:
    """Cells that a text takes: 2 for wide characters, 0 for marks that combine with the one before."""
    if text.isascii():
        return len(text)
    width = 0
    joined = False
    for character in text:
        if joined:  # what follows a zero width joiner is drawn into the character before it
            joined = False
            continue
        if character == "\u200d":
            joined = True
        elif (
            character in _ZERO_WIDTH
            or "\u1160" <= character <= "\u11ff"  # vowels and finals of Hangul, drawn into the syllable's first
            or unicodedata.category(character) in {"Mn", "Me", "Cf"}
        ):
            continue
        else:
            width += 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
    return width


def signal_name(description: str) -> str:
    """Return a signal's name for the system's description of it: `SIGINT` for `Interrupt`."""
    for number in signal.Signals:
        if signal.strsignal(number) == description:
            return number.name
    return description
