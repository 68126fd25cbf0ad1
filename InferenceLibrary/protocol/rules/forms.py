"""What a value of an answer may be: small predicates, and the keys of an object that do not fit theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

from InferenceLibrary.protocol.strict_json import read_json, show

Fits = Callable[[Any], bool]


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
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def is_boolean(value: Any) -> TypeGuard[bool]:
    return isinstance(value, bool)


def is_list(value: Any) -> bool:
    return isinstance(value, list)


def is_object(value: Any) -> bool:
    return isinstance(value, dict)


def is_anything(_value: Any) -> bool:
    return True


def or_null(fits: Fits) -> Fits:
    return lambda value: value is None or fits(value)


def one_of(*words: str) -> Fits:
    return lambda value: isinstance(value, str) and value in words


def wrong_keys(data: Mapping[str, Any], form: Mapping[str, Fits]) -> Iterator[tuple[str, str]]:
    """Yield each key that is missing or has a value that does not fit, and what stands there."""
    for key, fits in form.items():
        if key not in data:
            yield key, f"no {key}"
        elif not fits(data[key]):
            yield key, f"{key} {show(data[key])}"


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
