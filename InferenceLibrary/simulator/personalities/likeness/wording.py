"""How the readers of JSON in other languages tell values, and what is wrong with a text."""

from __future__ import annotations

import json
from typing import Any

_SERDE = {
    "Expecting value": "expected value",
    "Expecting property name": "key must be a string",
    "Expecting ':'": "expected `:`",
    "Extra data": "trailing characters",
    "Unterminated": "EOF while parsing a string",
    "Invalid control": "control character (\\u0000-\\u001F) found while parsing a string",
    "Invalid \\": "invalid escape",
    "Illegal trailing comma": "trailing comma",
    "Half a character": "unexpected end of hex escape",
}


def in_serde(value: Any) -> str:
    """Return a value as Rust's serde tells it."""
    if value is None or isinstance(value, list | dict):
        return "null" if value is None else "sequence" if isinstance(value, list) else "map"
    text = json.dumps(value)
    kinds = {str: "string {}", bool: "boolean `{}`", int: "integer `{}`", float: "floating point `{}`"}
    return kinds[type(value)].format(text)


def in_rust(value: Any) -> str:
    """Return a JSON value as Rust prints it for those who look for faults."""
    if isinstance(value, dict):
        return f"Object {{{', '.join(f'{json.dumps(key)}: {in_rust(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"Array [{', '.join(map(in_rust, value))}]"
    if value is None:
        return "Null"
    name = "String" if isinstance(value, str) else "Bool" if isinstance(value, bool) else "Number"
    return f"{name}({json.dumps(value, ensure_ascii=False)})"


def error_in_serde(text: str, place: int, reason: str) -> str:
    """Return what is wrong with a JSON text as Rust's serde tells it, with line and column."""
    before = text[:place].rstrip()
    in_list = before.rfind("[") > before.rfind("{")
    if not text[place:].strip() or reason.startswith("Unterminated"):
        place = len(text)
        wants_value = before[-1:] in {"", ",", ":"} or reason.startswith("Expecting value")
        within = "a value" if wants_value and before[-1:] not in {"{", "["} else "a list" if in_list else "an object"
        told = _SERDE["Unterminated"] if reason.startswith("Unterminated") else f"EOF while parsing {within}"
    else:
        between = "expected `,` or `]`" if in_list else "expected `,` or `}`"
        told = next((words for start, words in _SERDE.items() if reason.startswith(start)), between)
        if before.endswith(",") and text[place : place + 1] in {"}", "]"}:
            told = "trailing comma"
        place += 1
    return f"{told} at {line_and_column(text, place)}"


_GO = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name": "looking for beginning of object key string",
    "Expecting ':'": "after object key",
    "Invalid control": "in string literal",
    "Invalid \\": "in string escape code",
}


def in_go(value: Any) -> str:
    """Return what Go's reader of JSON calls a value."""
    names = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    return names.get(type(value), "null")


def error_in_go(text: str, place: int, reason: str) -> str:
    """Return what is wrong with a JSON text as Go's reader tells it; it reads bytes, not characters."""
    if not text[place:].strip() or reason.startswith("Unterminated"):
        return "unexpected EOF"
    letter = chr(text[place:].lstrip().encode("utf-8", "surrogatepass")[0])
    shown = {"'": "\\'"}.get(letter, letter)
    after = "array element" if text[:place].rfind("[") > text[:place].rfind("{") else "object key:value pair"
    told = next((words for start, words in _GO.items() if reason.startswith(start)), f"after {after}")
    return f"invalid character '{shown}' {told}"


def error_in_orjson(text: str, place: int, reason: str) -> str:
    """Return what is wrong with a JSON text as orjson tells it, with line, column and offset."""
    before = text[:place].rstrip()
    told = "unexpected character"
    if text.startswith("\ufeff"):
        told = "UTF-8 byte order mark (BOM) is not supported"
    elif not text[place:].strip() or reason.startswith("Unterminated"):
        told, place = "unexpected end of data", len(text)
    elif reason.startswith("Extra data"):
        told = "unexpected content after document"
    elif before.endswith(",") and text[place] in {"}", "]"}:
        told, place = "trailing comma is not allowed", len(before) - 1
    line, column = text.count("\n", 0, place) + 1, place - text.rfind("\n", 0, place)
    return f"{told}: line {line} column {column} (char {place})"


def beyond_double(words: str, text: str, place: int, end: int) -> str:
    """Return that the number between two places of a JSON text is beyond a double, in the words of a reader."""
    number = text[place:end]
    if words == "go":
        return f"json: cannot unmarshal number {number} into Go value of type float64"
    if words == "nlohmann":
        return f"[json.exception.out_of_range.406] number overflow parsing '{number}'"
    return f"number out of range at {line_and_column(text, end)}"


def line_and_column(text: str, place: int) -> str:
    """Return where in a text a reader is that has read some of its characters."""
    return f"line {text.count(chr(10), 0, place) + 1} column {place - text.rfind(chr(10), 0, place) - 1}"
