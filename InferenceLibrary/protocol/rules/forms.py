"""What rules ask of values of any type: whether they are texts or numbers, what stands inside, where texts part."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from InferenceLibrary.protocol.rules.shape import MISSING, ObjectOf
from InferenceLibrary.protocol.strict_json import read_json, show


def is_text(value: Any) -> TypeGuard[str]:
    return isinstance(value, str)


def is_filled(value: Any) -> TypeGuard[str]:
    """A text that is not empty."""
    return isinstance(value, str) and bool(value)


def is_integer(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def is_count(value: Any) -> TypeGuard[int]:
    """An integer from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_number(value: Any) -> TypeGuard[int | float]:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    # An integer may be too large for a float.
    return abs(value) <= sys.float_info.max


def wrong_keys(data: Mapping[str, Any], shape: ObjectOf) -> Iterator[tuple[str, str]]:
    """Yield `missing` or `wrong`, and what stands there, of each key that does not fit its shape."""
    for misfit in shape.misfits(data):
        if misfit.kind == MISSING:
            yield "missing", f"no {misfit.key}"
        else:
            yield "wrong", f"{misfit.key} {misfit.got}"


def listed(value: Any) -> list[Any]:
    """The value when it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def inside(data: Any, key: str) -> Any:
    """A key of an object; None where there is no object or no such key."""
    return data.get(key) if isinstance(data, dict) else None


def same_text(first: str, second: str) -> bool:
    """Whether two texts are equal, halves of surrogate pairs that came in two pieces being one character."""
    return first == second or _joined(first) == _joined(second)


def _joined(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def difference(first: str, second: str) -> str:
    """Where two texts part, in words."""
    at = next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    at = min(len(first), len(second)) if at is None else at
    start = max(0, at - 10)
    return f"{show(first[start : start + 40])} and {show(second[start : start + 40])} from character {start}"


def decoded(text: Any) -> Any:
    """The value of a JSON text; None where there is none."""
    return read_json(text).value if isinstance(text, str) else None
