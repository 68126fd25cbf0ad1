"""One choice of an answer, by its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.foreign_text import readable

if TYPE_CHECKING:
    from InferenceLibrary.protocol.pieces import Piece


def text_of(answer: Reply | Stream, choice: int) -> str:
    """Return the text of a choice.

    Raises:
        CheckFailure: The choice does not exist.
    """
    if choice == 0:
        return answer.text
    return readable("".join(piece.text for piece in _pieces_of(answer, choice, "Text")))


def finish_reason_of(answer: Reply | Stream, choice: int) -> str | None:
    """Return why a choice ended; None when that is not told.

    Raises:
        CheckFailure: The choice does not exist.
    """
    if choice == 0:
        return answer.finish_reason
    own = _pieces_of(answer, choice, "Finish reason")
    return next((piece.finish_reason for piece in own if piece.finish_reason), None)


def called(what: str, choice: int) -> str:
    """Return how messages call a part of a choice: the first one is what is meant without a word."""
    return f"{what} of choice {choice}" if choice else what


def _pieces_of(answer: Reply | Stream, choice: int, what: str) -> list[Piece]:
    pieces = (
        [piece for chunk in answer.chunks for piece in chunk.pieces] if isinstance(answer, Stream) else answer.pieces
    )
    own = [piece for piece in pieces if piece.index == choice]
    if not own:
        there = ", ".join(str(index) for index in sorted({piece.index for piece in pieces})) or "none"
        raise CheckFailure(f"{what}: expected choice {choice}, got only {there} in {answer}.")
    return own
