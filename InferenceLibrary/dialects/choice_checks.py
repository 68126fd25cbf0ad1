"""What single values of a dialect's choices must be like, so that the stand-in can work with them."""

from __future__ import annotations

import ast
import difflib
import json
import math
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from InferenceLibrary.dialects.choice_names import NAMES
from InferenceLibrary.dialects.templates import template_names

Found = Iterator[tuple[str, str]]
"""Places, and what is wrong there."""

# RFC 9110, 5.1 and 5.5, without the control characters that may not be sent.
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})
_WITHOUT_BODY = frozenset({204, 205, 304})
_METRIC_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_MOST_BITS = 10_000
"""Longer numbers cannot be written."""
_LONGEST_FORM = 1_000


def clipped(value: Any) -> str:
    """Return a value as messages show it."""
    text = str(value)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= 80 else f"{text[:77]}..."


def unknown(word: str, what: str, words: Collection[str]) -> str:
    """Say that a word does not exist, and which is the nearest."""
    close = difflib.get_close_matches(word[:80], list(words), n=1, cutoff=0.4)
    meant = f" Did you mean '{close[0]}'?" if close else ""
    return f"'{clipped(word)}' is not {what}.{meant}"


# Templates


def template(place: str, value: Any) -> Found:
    """Check that a template is a value of JSON, and that its names exist."""
    yield from _json(place, value)
    yield from _defaults(place, value)
    for name in template_names(value):
        if name not in NAMES:
            yield place, unknown(name, "a name of templates", NAMES)


def templates(place: str, values: Mapping[str, Any]) -> Found:
    """Check templates by their keys."""
    for key, value in values.items():
        yield from template(f"{place}.{key}", value)


def _json(place: str, value: Any) -> Found:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                yield place, f"expected keys that are texts, got {clipped(key)}. Hint: put it in quotes."
                continue
            yield from _json(place, key)
            yield from _json(f"{place}.{key}", item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _json(f"{place}[{index}]", item)
    elif isinstance(value, str):
        if any("\ud800" <= char <= "\udfff" for char in value):
            yield place, f"expected whole characters, got half of a surrogate pair: {ascii(value)[:80]}"
    elif isinstance(value, int | None):
        if value is not None and value.bit_length() > _MOST_BITS:
            yield place, f"expected a number of at most {_MOST_BITS:,} bits, got one of {value.bit_length():,}"
    elif not isinstance(value, float) or not math.isfinite(value):
        kind = "number" if isinstance(value, float) else type(value).__name__
        yield (
            place,
            f"expected a value of JSON, got the {kind} {clipped(value)} of YAML. "
            "Hint: put it in quotes to send the text.",
        )


def _defaults(place: str, value: Any) -> Found:
    """Check what `$name|default` has after the bar."""
    if isinstance(value, dict):
        for item in value.values():
            yield from _defaults(place, item)
    elif isinstance(value, list):
        for item in value:
            yield from _defaults(place, item)
    elif isinstance(value, str) and value.startswith("$") and not value.startswith("${"):
        default = value.partition("|")
        if default[1] and not is_json(default[2]):
            yield place, f"expected JSON after the '|', such as null or \"none\", got '{clipped(default[2])}'"


def is_json(text: str) -> bool:
    """Whether a text is JSON that can be sent: without NaN, Infinity and half characters."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False
    return next(_json("", value), None) is None


def _no_constant(name: str) -> None:
    raise ValueError(name)


# HTTP


def status(place: str, value: int, body: Any) -> Found:
    """Check that a status can be sent, and with that body."""
    if not 200 <= value <= 599:
        yield f"{place}.status", f"expected a status of HTTP, 200 to 599, got {clipped(value)}"
    elif value in _WITHOUT_BODY and body != "":
        yield f"{place}.status", f"expected a status whose answers have a body: those of {value} have none"


def headers(place: str, values: Mapping[str, str]) -> Found:
    """Check that headers can be sent, and do not tell where the answer ends."""
    for name, value in values.items():
        if not _HEADER_NAME.fullmatch(name):
            yield place, f"expected the name of a header, letters, digits and hyphens, got '{clipped(name)}'"
        elif name.lower() in _FRAMING:
            yield place, f"the header {name} cannot be given: the stand-in sends its own"
        yield from header_value(f"{place}.{name}", value)
        yield from template(f"{place}.{name}", value)


def header_value(place: str, value: str | None) -> Found:
    """Check that the value of a header can be sent."""
    if value is not None and not _HEADER_VALUE.fullmatch(value):
        yield place, f"expected one line of Latin-1 text, got '{clipped(value)}'"


def metric(place: str, name: str, samples: list[str]) -> Found:
    """Check that the lines of a family of metrics are lines of the exposition."""
    if not re.fullmatch(_METRIC_NAME, name):
        yield f"{place}.name", f"expected letters, digits, '_' and ':', got '{clipped(name)}'"
    for number, sample in enumerate(samples):
        if not re.fullmatch(_METRIC_NAME + r"(\{[^\x00-\x1f\x7f]*\})?", sample):
            yield f"{place}.samples[{number}]", f"expected name{{label=\"value\"}}, got '{clipped(sample)}'"
        yield from template(f"{place}.samples[{number}]", sample)


# Patterns and forms


def pattern(place: str, text: str | None, *, group: str = "") -> Found:
    """Check that a text is a regular expression, with a group if it needs one: what that holds."""
    if text is None:
        return
    try:
        groups = re.compile(text).groups
    except (re.error, OverflowError, RecursionError) as error:
        yield place, f"not a regular expression: {error}"
        return
    if group and not groups:
        yield place, f"expected a group for {group}, such as 'Bearer (.*)', got none"


def form(place: str, text: str, plain: Collection[str], models: Collection[str]) -> Found:
    """Check that a form is one that values can be held against."""
    if not text:
        return
    if len(text) > _LONGEST_FORM:
        yield place, f"expected a form of at most {_LONGEST_FORM:,} characters, got {len(text):,}"
        return
    try:
        parsed = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        yield place, f"expected a type of Python such as 'str | list[int]', got '{clipped(text)}'"
        return
    yield from _form(place, parsed, {*plain} - {"Literal", "None"}, models)


def _form(place: str, node: ast.expr, plain: Collection[str], models: Collection[str]) -> Found:
    match node:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            yield from _form(place, left, plain, models)
            yield from _form(place, right, plain, models)
        case ast.Constant(value=None):
            pass
        case ast.Name(id=name) if name != "Literal":
            if name not in plain and name not in models:
                yield place, unknown(name, "a form or a model", [*plain, *models])
        case ast.Subscript(value=ast.Name(id="list"), slice=inner):
            match inner:
                case ast.Tuple(elts=[item, ast.Constant(value=int(most))]) if type(most) is int:
                    yield from _form(place, item, plain, models)
                case _:
                    yield from _form(place, inner, plain, models)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=words):
            items = words.elts if isinstance(words, ast.Tuple) else [words]
            if not items or not all(isinstance(one, ast.Constant) and isinstance(one.value, str) for one in items):
                yield place, f"expected texts such as Literal['a', 'b'], got '{clipped(ast.unparse(node))}'"
        case _:
            yield (
                place,
                "expected names, list[...], list[..., 4], Literal['a', 'b'], and | between them, got "
                f"'{clipped(ast.unparse(node))}'",
            )
