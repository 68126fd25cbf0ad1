"""Answers that keep what a request demands of their text: one of some choices, a pattern, the words of a grammar."""

from __future__ import annotations

import re
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.tokens import tokenize
from InferenceLibrary.simulator.personalities.likeness.grammar_text import text_of_grammar
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import OpenChoices

_ERROR = "own"
"""The error of a dialect for what a server refuses by itself."""
_MOST = 20_000
"""Most characters of a text that is made for a pattern."""
_PLAIN = {
    _constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN, _constants.BRANCH,
    _constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.SUBPATTERN,
}  # fmt: skip
_SEARCH = 0.1
"""Seconds that it may take to see that a text is one of a pattern."""


def demanded_of(data: Any, choices: OpenChoices) -> str | None:
    """Return the text that a request demands where its server looks at that; a later turn gets another one.

    Raises:
        Refusal: What is demanded cannot be read.
    """
    if not isinstance(data, dict):
        return None
    messages = data.get("messages")
    turns = messages if isinstance(messages, list) else []
    pick = sum(isinstance(one, dict) and one.get("role") == "assistant" for one in turns)
    if choices.structured_outputs:
        return demanded_text(data.get("structured_outputs"), pick)
    return demanded_text({"grammar": data.get("grammar") or None}, pick) if choices.grammars else None


def demanded_text(given: Any, pick: int = 0) -> str | None:
    """Return the text that `structured_outputs` of a request demands; None where it demands none.

    Args:
        given: What was asked for.
        pick: Which of several texts, so that a later turn of a conversation gets another one.

    Raises:
        Refusal: It cannot be read.
    """
    if not isinstance(given, dict):
        return None
    _check_schema(given.get("json"))
    choice, pattern, grammar = (given.get(name) for name in ("choice", "regex", "grammar"))
    if isinstance(choice, list) and choice:
        return str(choice[pick % len(choice)])
    if isinstance(pattern, str):
        return text_of_pattern(pattern, pick)
    if not isinstance(grammar, str):
        return None
    try:
        return text_of_grammar(grammar, pick)
    except ValueError as error:
        raise Refusal(_ERROR, f"Grammar error: {error}") from None
    except RecursionError:
        raise Refusal(_ERROR, "Grammar error: it is nested too deeply") from None


def _check_schema(schema: Any) -> None:
    """Refuse what is not a JSON schema."""
    if not isinstance(schema, dict):
        return
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise Refusal(_ERROR, f"Grammar error: {error.message}") from None


def constrained(text: str, limit: int) -> Output:
    """Return the answer that is this text, as far as its limit reaches."""
    tokens = tokenize(text)
    return Output(tokens[:limit], "stop" if len(tokens) <= limit else "length")


def text_of_pattern(pattern: str, pick: int = 0) -> str:
    """Return a text that a regular expression matches as a whole, the shortest that is easy to find.

    Where there are several ways, the one at place `pick` is taken.

    Raises:
        Refusal: It is not a regular expression.
    """
    import regex

    reason = f"no text was found for {pattern}"
    try:
        parsed = _parser.parse(pattern)
        plain = not parsed.state.flags & re.IGNORECASE and _is_plain(parsed)
        for place in dict.fromkeys((pick, 0)):
            try:
                text = _text(parsed, place)
            except ValueError as error:
                reason = str(error)
                continue
            if plain or regex.fullmatch(pattern, text, timeout=_SEARCH):
                return text
    except RecursionError:
        reason = "the pattern is nested too deeply"
    except TimeoutError:
        reason = "the search for a text of the pattern was given up"
    except (re.error, regex.error, OverflowError, ZeroDivisionError) as error:
        reason = str(error)
    raise Refusal(_ERROR, f"Grammar error: {reason}")


def _is_plain(parsed: Any) -> bool:
    """Whether a pattern matches each text that is made of its parts: it looks neither back nor ahead, at any case."""
    for kind, value in parsed:
        if kind not in _PLAIN or (kind is _constants.SUBPATTERN and value[1]):
            return False
        inner = value[1] if kind is _constants.BRANCH else []
        if kind in {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.SUBPATTERN}:
            inner = [value[-1]]
        if not all(map(_is_plain, inner)):
            return False
    return True


def _text(parsed: Any, pick: int) -> str:
    return _bounded("".join(_piece(kind, value, pick) for kind, value in parsed), 1)


def _bounded(text: str, times: int) -> str:
    if len(text) * times > _MOST:
        raise ValueError(f"the text of the pattern that was tried has more than {_MOST} characters")
    return text * times if text else ""


def _piece(kind: Any, value: Any, pick: int) -> str:
    if kind is _constants.LITERAL:
        return chr(value)
    if kind is _constants.NOT_LITERAL:
        return "b" if chr(value) in "aA" else "a"
    if kind is _constants.ANY:
        return "a"
    if kind is _constants.IN:
        fitting = [one for one in map(chr, range(32, 127)) if re.fullmatch(_set_of(value), one)]
        return fitting[pick % len(fitting)]
    if kind in {_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT}:
        least, _, inner = value
        return _bounded(_text(inner, pick), int(least))
    if kind is _constants.BRANCH:
        return _text(value[1][pick % len(value[1])], pick)
    if kind is _constants.SUBPATTERN:
        return _text(value[3], pick)
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
