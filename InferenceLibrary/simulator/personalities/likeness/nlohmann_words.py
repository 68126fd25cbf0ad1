"""How nlohmann's JSON library for C++ tells values, and what is wrong with a text."""

from __future__ import annotations

import re
from typing import Any

_LITERALS = ("true", "false", "null")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_STRING = re.compile(r'"(?:\\.|[^"\\])*"')
_TOKEN = re.compile(f"{_STRING.pattern}|{_NUMBER.pattern}")
_HALF = "surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF"
_CONTEXTS = {
    "Expecting property name": ("object key", "string literal"),
    "Expecting ':'": ("object separator", "':'"),
    "Extra data": ("value", "end of input"),
    "Illegal trailing comma": ("object key", "string literal"),
}
"""By the beginning of Python's words what is read, and what is expected."""


def in_nlohmann(value: Any) -> str:
    """Return what the library calls a value."""
    names = {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def error_in_nlohmann(text: str, place: int, reason: str) -> str:
    """Return what is wrong with a JSON text, with line and column of the last letter that was read."""
    in_list = text[:place].rfind("[") > text[:place].rfind("{")
    between = ("array", "']'") if in_list else ("object", "'}'")
    if reason.startswith(("Expecting value", "Unterminated", "Invalid", "Half")):
        between = ("value", "")
    context, expected = next((both for start, both in _CONTEXTS.items() if reason.startswith(start)), between)
    place += len(text[place:]) - len(text[place:].lstrip())
    wrong, read = _wrong(text, place, reason)
    if read >= len(text) and "end of input" in wrong:
        read = len(text) + 1
        expected = expected or ("'[', '{', or a literal" if context == "value" else "")
    lines = text[: read - 1].count("\n")
    column = read - (text[: read - 1].rfind("\n") + 1)
    told = f"parse error at line {lines + 1}, column {column}: syntax error while parsing {context} - {wrong}"
    return f"[json.exception.parse_error.101] {told}" + (f"; expected {expected}" if expected else "")


def _wrong(text: str, place: int, reason: str) -> tuple[str, int]:
    """Return what was read in place of the right thing, and how many characters were read by then."""
    if reason.startswith("Half"):
        return f"invalid string: {_HALF}; last read: '{_last_read(text, place + 1)}'", place + 1
    if reason.startswith("Unterminated"):
        return f"invalid string: missing closing quote; last read: '{text[place:]}'", len(text) + 1
    if place >= len(text):
        return "unexpected end of input", len(text)
    rest = text[place:]
    if rest[0] in "{}[]:,":
        return f"unexpected '{rest[0]}'", place + 1
    for pattern, name in ((_STRING, "string literal"), (_NUMBER, "number literal")):
        found = pattern.match(rest)
        if found is not None:
            return f"unexpected {name}", place + found.end()
    word = next((word for word in _LITERALS if word[0] == rest[0]), "")
    if word and rest.startswith(word):
        return f"unexpected {word} literal", place + len(word)
    right = next((number for number, letter in enumerate(word) if rest[number : number + 1] != letter), 0)
    read = min(place + right + 1, len(text))
    return f"invalid literal; last read: '{_last_read(text, read)}'", read


def _last_read(text: str, read: int) -> str:
    """Return what was read since the beginning of the last text or number; all of it, where there was none."""
    starts = [found.start() for found in _TOKEN.finditer(text[:read])]
    return text[starts[-1] if starts else 0 : read]
