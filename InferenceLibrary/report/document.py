"""What a report says, whatever it is written as: facts, a headline, and sections of text, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple


class Tone(StrEnum):
    """What a piece of a report means to its reader."""

    GOOD = "good"
    BAD = "bad"
    ODD = "odd"
    """Worth a look: tolerated, or on purpose."""
    OPEN = "open"
    """Nothing is known."""
    PLAIN = "plain"


class Cell(NamedTuple):
    """One cell of a table, or any short piece of text. Texts are raw: whoever writes them escapes them."""

    text: str
    tone: Tone = Tone.PLAIN
    why: str = ""
    """The reason for it, in words; shown beside or below it."""
    link: str = ""
    """Where more is found: a path relative to the folder of the results."""


class Table(NamedTuple):
    """Rows of as many cells as the head has."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Image(NamedTuple):
    """A picture file, whole; it comes from outside and is shown where nothing in it can act."""

    caption: str
    media_type: str
    content: bytes


class Section(NamedTuple):
    """A part of a report."""

    title: str
    text: tuple[str, ...] = ()
    """Paragraphs."""
    table: Table | None = None
    picture: str = ""
    """An SVG, as `charts` draws it."""
    block: str = ""
    """Preformatted text, such as lines of a log; left to HTML."""
    images: tuple[Image, ...] = ()
    """Left to HTML, too."""
    folded: bool = False
    """Whether it is detail: closed at first where the format can fold it, left out on the console."""
    files: tuple[Cell, ...] = ()
    """Files of what is told: a path each, with a link where it is there."""


class Document(NamedTuple):
    """A whole report."""

    title: str
    headline: Cell
    """The verdict."""
    facts: tuple[tuple[str, str], ...]
    """Name and value of what stands at its head: the target, the date, versions."""
    sections: tuple[Section, ...]


def files_line(files: Sequence[Cell]) -> str:
    """Return the files of a section as text."""
    return f"Files of it: {', '.join(one.text for one in files)}"


def row(*cells: str | Cell) -> tuple[Cell, ...]:
    """Return a row; plain text becomes a plain cell."""
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells)


def table(head: Sequence[str], rows: Sequence[tuple[Cell, ...]]) -> Table:
    """Return a table.

    Raises:
        ValueError: A row has another length than the head.
    """
    for one in rows:
        if len(one) != len(head):
            raise ValueError(f"A row of {len(one)} cells stands under a head of {len(head)}.")
    return Table(tuple(head), tuple(rows))
