"""Values of JSON as tests give and read them."""

from __future__ import annotations

import json
import math
from typing import Any

from InferenceLibrary.client.answers import shorten


def same(got: Any, wanted: Any) -> bool:
    """Whether a value of JSON is the wanted one. Text is compared as it stands with text, else read as JSON."""
    if isinstance(wanted, str) and not isinstance(got, str):
        try:
            wanted = json.loads(wanted)
        except (ValueError, RecursionError):
            return False
    return equal(got, wanted)


def equal(got: Any, wanted: Any) -> bool:
    """Whether two values of JSON are the same, at any depth: to Python, true is 1 and false is 0."""
    if isinstance(got, dict) and isinstance(wanted, dict):
        return got.keys() == wanted.keys() and all(equal(value, wanted[key]) for key, value in got.items())
    if isinstance(got, list | tuple) and isinstance(wanted, list | tuple):
        return len(got) == len(wanted) and all(map(equal, got, wanted))
    if isinstance(got, bool) or isinstance(wanted, bool):
        return got is wanted
    return bool(got == wanted)


def is_number(value: Any) -> bool:
    """Whether it is a number of JSON: not true or false, not NaN."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def shown_value(value: Any) -> str:
    """Return a value as JSON, cut for a message; text as it stands, in quotes."""
    return shorten(f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), 200)
