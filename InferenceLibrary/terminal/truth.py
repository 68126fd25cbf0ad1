"""What a terminal shows, against the tokens that the server sent.

The server's record is the simulator's truth file: one JSON object a line and answer, with the tokens in `texts`.
Compared are the answer as the program wrote it, and the rows of the screen, where every break must be one that the text
has or the edge of the screen makes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from InferenceLibrary.errors import TerminalError, describe
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.terminal.recording import plain_text
from InferenceLibrary.terminal.screen import display_width

_FRAME = re.compile(r"[\s\u2500-\u259f]+")
"""Blanks, and the lines and blocks of which programs draw frames and scroll bars."""
_AROUND = 24
_SHORTEST = 4
"""Characters that a place on the screen must share with a text to be tried as its beginning."""


@dataclass(frozen=True)
class Sent:
    """One answer as the server sent it."""

    tokens: tuple[str, ...]
    outcome: str

    @property
    def text(self) -> str:
        """What a terminal leaves of it, without blank space at its ends."""
        return plain_text("".join(self.tokens)).strip()

    def __str__(self) -> str:
        return f"{len(self.tokens)} tokens, {len(self.text)} characters, {self.outcome}"


def read_truth(path: Path) -> list[Sent]:
    """Return the answers of a truth file; of a line that is still being written, nothing.

    Raises:
        TerminalError: The file cannot be read, or is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TerminalError(
            describe(
                f"The truth file '{path}' cannot be read",
                got=error.strerror,
                hint="Start the simulator, or its terminal chat, with the option truth_file",
            )
        ) from None
    found = []
    for line in text.splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        try:
            record = json.loads(line)
            found.append(Sent(tuple(map(str, record["texts"])), str(record["outcome"])))
        except (ValueError, KeyError, TypeError):
            wanted = 'JSON objects with "texts" and "outcome", one a line'
            raise TerminalError(
                describe(f"'{path}' is not a truth file", expected=wanted, got=cut(line.strip(), 80))
            ) from None
    return found


def difference(shown: str, sent: Sent, *, interrupted: bool = False) -> str | None:
    """Return in words how a shown answer differs from the one that was sent; None when it does not.

    Args:
        shown: The answer, unwrapped.
        sent: The answer that was sent.
        interrupted: Whether it was stopped at the terminal: the server may have sent more by then.
    """
    shown, text = shown.strip(), sent.text
    if shown == text or (interrupted and text.startswith(shown)):
        return None
    return _mistake(shown, sent) or _place(shown, sent, _shared(shown, text))


def screen_difference(
    rows: Sequence[str], columns: int, sent: Sent, *, question: str | None = None, words: bool = False
) -> str | None:
    """Return in words how rows of a screen differ from the answer that was sent; None when they show it.

    Args:
        rows: The rows, oldest first, without blanks at their ends.
        columns: Cells of a row.
        sent: The answer.
        question: What was asked; the answer must stand below it.
        words: Whether the program breaks the lines itself, at blanks, and may draw a frame around them.
    """
    text = sent.text
    if not text:
        return None
    if words or "\t" in text:
        return _words_difference(rows, columns, sent, question)
    first = _below(rows, columns, text, question)
    best = 0
    trouble = None
    for row, offset in _beginnings(rows, first, text):
        reached, why = _follow(rows, row, offset, text, columns)
        if why is None:
            return None
        if reached >= min(_SHORTEST, len(text)) or reached >= best:
            # The oldest place counts: where a text repeats itself, a later one is in its middle.
            best, trouble = reached, why
    if trouble == "broken":
        return f"the row is broken before the edge of the screen, {_where(sent, best)}"
    return f"the screen goes on otherwise, {_where(sent, best)}" if best else "nothing of it is on the screen"


def _below(rows: Sequence[str], columns: int, text: str, question: str | None) -> int:
    """Return the row from which on the answer is looked for: that of its question."""
    if question is None or not question.strip():
        return 0
    asked = question.strip()
    places = [
        row for row, offset in _beginnings(rows, 0, asked) if _follow(rows, row, offset, asked, columns)[1] is None
    ]
    places.sort()
    # The answer may repeat the question; what stands above all these repetitions is the question itself.
    repeated = text.count(asked)
    if not places:
        return 0
    return places[-1 - repeated] + 1 if len(places) > repeated else places[-1] + 1


def _beginnings(rows: Sequence[str], first: int, text: str) -> Iterator[tuple[int, int]]:
    """Yield the places where a text may begin, the newest first."""
    line = text.partition("\n")[0]
    for row in range(len(rows) - 1, first - 1, -1):
        shown = rows[row]
        offset = shown.find(line[:1])
        while offset >= 0:
            rest = shown[offset : offset + _SHORTEST]
            if line.startswith(rest):
                yield row, offset
            offset = shown.find(line[:1], offset + 1)


def _follow(rows: Sequence[str], row: int, offset: int, text: str, columns: int) -> tuple[int, str | None]:
    """Follow a text over the rows; return how many characters agree, and what is wrong then."""
    at = 0
    shown = rows[row]
    while True:
        if display_width(shown) > columns:
            return at, "other"
        for character in shown[offset:]:
            if at == len(text):
                return at, None
            if text[at] != character:
                return at, "other"
            at += 1
        if at == len(text):
            return at, None
        free = columns - _cells(shown)
        # Blanks at the end of a row cannot be seen.
        while free > 0 and text[at] == " ":
            at, free = at + 1, free - 1
            if at == len(text):
                return at, None
        if text[at] == "\n":
            at += 1
        elif free >= max(1, _cells(text[at])):
            return at, "broken"
        row, offset = row + 1, 0
        if row >= len(rows):
            return at, "other"
        shown = rows[row]


def _words_difference(rows: Sequence[str], columns: int, sent: Sent, question: str | None) -> str | None:
    """The text must be there without its blanks, and no short word broken."""
    text, last = sent.text, 0
    wanted = _FRAME.sub("", text)
    squeezed = [_FRAME.sub("", row) for row in rows]
    whole = "".join(squeezed)
    if question is not None and (asked := _FRAME.sub("", question)):
        places = [match.start() for match in re.finditer(re.escape(asked), whole)]
        repeated = wanted.count(asked)
        if places:
            last = (places[-1 - repeated] if len(places) > repeated else places[-1]) + len(asked)
    start = whole.rfind(wanted)
    if start < last or not wanted:
        best = max((_shared(wanted, whole[at:]) for at in _starts(whole, wanted, last)), default=0)
        return (
            f"the screen goes on otherwise, {_where(sent, best, squeezed=True)}"
            if best
            else ("nothing of it is on the screen")
        )
    breaks, total = set(), 0
    for row in squeezed:
        total += len(row)
        breaks.add(total - start)
    place = 0
    for word in text.split():
        inside = breaks & set(range(place + 1, place + len(word)))
        if inside and len(word) <= columns // 3 and word.isascii() and word.isalpha():
            return f"the word '{word}' is broken over two rows"
        place += len(word)
    return None


def _starts(whole: str, wanted: str, first: int) -> Iterator[int]:
    at = whole.find(wanted[:_SHORTEST], first)
    while at >= 0:
        yield at
        at = whole.find(wanted[:_SHORTEST], at + 1)


def _shared(one: str, other: str) -> int:
    return next(
        (at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), min(len(one), len(other))
    )


def _cells(text: str) -> int:
    """Cells that terminals give a text: each character by itself, or joined ones as one, whichever is more."""
    return max(display_width(text), sum(map(display_width, text)))


def _mistake(shown: str, sent: Sent) -> str | None:
    """Name the one mistake that explains what is shown, when there is one."""
    tokens = list(sent.tokens)

    def reads(changed: list[str]) -> bool:
        return plain_text("".join(changed)).strip() == shown

    same = _shared(shown, sent.text)
    near = _token_at(sent, same)
    for at in range(max(0, near - 3), min(len(tokens), near + 2)):
        name = f"token {at + 1} of {len(tokens)} ({tokens[at]!r})"
        if reads(tokens[:at] + tokens[at + 1 :]):
            return f"{name} is lost"
        if reads(tokens[: at + 1] + tokens[at:]):
            return f"{name} is doubled"
        if at + 1 < len(tokens) and reads([*tokens[:at], tokens[at + 1], tokens[at], *tokens[at + 2 :]]):
            return f"{name} and the next one ({tokens[at + 1]!r}) are swapped"
    return None


def _place(shown: str, sent: Sent, same: int) -> str:
    if same == len(sent.text):
        return f"{_short(shown[same:])} stands behind what was sent"
    if same == len(shown):
        return f"the end is lost, {_where(sent, same)}"
    return f"{_short(shown[same:])} stands in place of {_short(sent.text[same:])}, {_where(sent, same)}"


def _where(sent: Sent, characters: int, *, squeezed: bool = False) -> str:
    text = sent.text
    if squeezed:  # so many characters, blanks not counted
        visible = [at for at, character in enumerate(text) if not _FRAME.fullmatch(character)]
        characters = visible[characters] if characters < len(visible) else len(text)
    at = _token_at(sent, characters)
    before = text[max(0, characters - _AROUND) : characters]
    return f"at token {at + 1} of {len(sent.tokens)} ({sent.tokens[at]!r}), after {before!r}"


def _token_at(sent: Sent, characters: int) -> int:
    """Return the token of which so many characters of the text stand before."""
    whole = "".join(sent.tokens)
    characters += len(whole) - len(whole.lstrip())
    for at, token in enumerate(sent.tokens):
        characters -= len(token)
        if characters < 0:
            return at
    return max(0, len(sent.tokens) - 1)


def _short(text: str) -> str:
    return repr(text if len(text) <= _AROUND else text[: _AROUND - 3] + "...")
