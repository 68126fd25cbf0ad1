"""JSON by the letter of RFC 8259: what most readers let pass is told beside the value.

A strict client (JavaScript, Go, Rust) fails where Python's reader takes `NaN`; two clients read two things where an
object has a key twice. The value is still read as far as any reader would, so that the other rules can be asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec


class Fault(StrEnum):
    """What is wrong with a JSON text."""

    NOT_JSON = "not JSON"
    """No reader takes it."""
    NAN = "not a number"
    """NaN or Infinity stands where a number should; RFC 8259 section 6."""
    RANGE = "out of range"
    """A number that no double and no common integer holds; RFC 8259 section 6."""
    TWICE = "key twice"
    """An object names a key twice; RFC 8259 section 4."""
    SURROGATE = "half a surrogate pair"
    """A text holds an escape such as `\\ud83d` without its other half; RFC 8259 section 8.2."""
    MARK = "byte order mark"
    """The text begins with U+FEFF; RFC 8259 section 8.1."""
    DEPTH = "nested too deep"
    """It is nested beyond what readers take."""


class Problem(NamedTuple):
    """One fault of a JSON text, with what was found."""

    fault: Fault
    got: str


class Read(NamedTuple):
    """A JSON text as it was read."""

    value: Any
    """None where it could not be read."""
    problems: tuple[Problem, ...] = ()

    @property
    def readable(self) -> bool:
        """Whether there is a value."""
        return not self.problems or not any(problem.fault in {Fault.NOT_JSON, Fault.DEPTH} for problem in self.problems)


_decode = msgspec.json.Decoder().decode
_new = tuple.__new__
_MOST = 20
"""So many problems of one text are told."""
_DIGITS = 400
"""More digits of an integer than a double has range are read as a number out of range."""


def read_json(text: str) -> Read:
    """Read a JSON text, and tell each way in which it is not JSON by the letter. Never raises."""
    try:
        value = _decode(text)
        if _keys_are_single(text, value):
            return _new(Read, (value, ()))
    except (ValueError, RecursionError):
        pass
    return _read_slowly(text)


def _keys_are_single(text: str, value: Any) -> bool:
    """Whether no key can stand twice: there are no more places that look like a key than keys were read.

    A place that looks like a key is a quote followed by a colon. Where a colon follows white space the count says
    nothing, and the slow reader decides.
    """
    if '"' not in text:
        return True
    spaced = " :" in text or "\t:" in text or "\n:" in text or "\r:" in text
    return not spaced and text.count('":') == _count_keys(value)


def has_keys(text: str, count: int) -> bool:
    """Whether a JSON text, in which so many keys were read, surely has no more: every colon is that of one."""
    return text.count(":") == text.count('":') == count


def _count_keys(value: Any) -> int:
    count = 0
    waiting = [value]
    for item in waiting:
        kind = type(item)
        if kind is dict:
            count += len(item)
            waiting += item.values()
        elif kind is list:
            waiting += item
    return count


def _read_slowly(text: str) -> Read:
    problems: list[Problem] = []

    def note(fault: Fault, got: str) -> None:
        if len(problems) < _MOST:
            problems.append(Problem(fault, got))

    def constant(name: str) -> float:
        note(Fault.NAN, name)
        return float(name)

    def real(digits: str) -> float:
        number = float(digits)
        if not math.isfinite(number):
            note(Fault.RANGE, _cut(digits))
        return number

    def whole(digits: str) -> int | float:
        if len(digits) <= _DIGITS:
            return int(digits)
        note(Fault.RANGE, _cut(digits))
        return float("-inf") if digits.startswith("-") else float("inf")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            seen: set[str] = set()
            for key, _ in items:
                if key in seen:
                    note(Fault.TWICE, f"the key {_cut(key)!r} twice")
                seen.add(key)
        return found

    if text.startswith("\ufeff"):
        note(Fault.MARK, "a byte order mark")
        text = text[1:]
    try:
        value = json.loads(
            text, parse_constant=constant, parse_float=real, parse_int=whole, object_pairs_hook=pairs, strict=True
        )
    except RecursionError:
        return Read(None, (*problems, Problem(Fault.DEPTH, "JSON nested too deep to be read")))
    except ValueError as error:
        return Read(None, (*problems, Problem(Fault.NOT_JSON, f"{_cut(text)!r} ({error})")))
    if "\\ud" in text or "\\uD" in text:
        half = next((found for found in _texts(value) if not _is_whole(found)), None)
        if half is not None:
            note(Fault.SURROGATE, _cut(half))
    return Read(value, tuple(problems))


def _texts(value: Any) -> Iterator[str]:
    """All texts of a value, keys included. By hand: the recursion of the reader is deeper than ours may be."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, dict):
            waiting += item.keys()
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _cut(text: str, limit: int = 60) -> str:
    """Text for a message: short, and safe to be written anywhere."""
    shown = text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
    return shown.encode("utf-8", "backslashreplace").decode()


def show(value: Any, limit: int = 80) -> str:
    """A JSON value for a message: as JSON, short, safe to be written anywhere."""
    if isinstance(value, str):
        text = value if len(value) <= limit else value[:limit]
        shown = json.dumps(text, ensure_ascii=False)
        return _cut(shown if len(value) <= limit else f"{shown}… ({len(value)} characters)", limit + 40)
    if isinstance(value, list | dict) and len(value) > limit:
        kind = "list" if isinstance(value, list) else "object"
        return f"a {kind} of {len(value)}"
    try:
        return _cut(json.dumps(value, ensure_ascii=False, default=repr), limit)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"
