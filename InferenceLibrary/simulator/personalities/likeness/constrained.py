"""Answers that keep what a request demands of their text: one of some choices, a pattern, the words of a grammar."""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

_ERROR = "own"
"""The error of a dialect for what a server refuses by itself."""


def demanded_text(given: Any) -> str | None:
    """Return the text that `structured_outputs` of a request demands; None where it demands none.

    Raises:
        Refusal: It cannot be read.
    """
    if not isinstance(given, dict):
        return None
    choice, pattern, grammar = (given.get(name) for name in ("choice", "regex", "grammar"))
    if isinstance(choice, list) and choice:
        return str(choice[0])
    if isinstance(pattern, str):
        return text_of_pattern(pattern)
    return _text_of_grammar(grammar) if isinstance(grammar, str) else None


def constrained(text: str, limit: int) -> Output:
    """Return the answer that is this text, as far as its limit reaches."""
    tokens = tokenize(text)
    return Output(tokens[:limit], "stop" if len(tokens) <= limit else "length")


def text_of_pattern(pattern: str) -> str:
    """Return a text that a regular expression matches as a whole, the shortest that is easy to find.

    Raises:
        Refusal: It is not a regular expression.
    """
    try:
        text = _text(_parser.parse(pattern))
        if re.fullmatch(pattern, text):
            return text
    except (re.error, RecursionError, OverflowError) as error:
        raise Refusal(_ERROR, f"Grammar error: {error}") from None
    raise Refusal(_ERROR, f"Grammar error: no text was found for {pattern}")


def _text(parsed: Any) -> str:
    return "".join(_piece(kind, value) for kind, value in parsed)


def _piece(kind: Any, value: Any) -> str:
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.NOT_LITERAL:
        return "a" if value != ord("a") else "b"
    if kind is _constants.ANY:
        return "a"
    if kind is _constants.IN:
        return next(one for one in map(chr, range(32, 127)) if re.fullmatch(_set_of(value), one))
    if kind in {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}:
        least, _, inner = value
        return _text(inner) * int(least)
    if kind is _constants.BRANCH:
        return _text(value[1][0])
    if kind is _constants.SUBPATTERN:
        return _text(value[3])
    # Places, such as the beginning: they have no text.
    return ""


def _set_of(members: Any) -> str:
    """Return a set of characters as it is written."""
    classes = {
        _constants.CATEGORY_DIGIT: r"\d", _constants.CATEGORY_NOT_DIGIT: r"\D", _constants.CATEGORY_SPACE: r"\s",
        _constants.CATEGORY_NOT_SPACE: r"\S", _constants.CATEGORY_WORD: r"\w", _constants.CATEGORY_NOT_WORD: r"\W",
    }  # fmt: skip
    written = ""
    for kind, value in members:
        if kind is _constants.NEGATE:
            written += "^"
        elif kind is _constants.LITERAL:
            written += re.escape(chr(value))
        elif kind is _constants.RANGE:
            written += f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
        else:
            written += classes[value]
    return f"[{written}]"


def _text_of_grammar(grammar: str) -> str:
    """Return the first words of the root of a grammar, in GBNF or Lark."""
    root = re.search(r"^\s*(?:root|start|\?start)\s*(?:::=|:)(.*)$", grammar, re.MULTILINE)
    words = re.findall(r'"((?:[^"\\]|\\.)*)"', root[1].partition("|")[0]) if root is not None else []
    if not words:
        raise Refusal(_ERROR, "Grammar error: its root has no words")
    return "".join(words)
