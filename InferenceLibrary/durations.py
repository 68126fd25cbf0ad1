"""Durations as people write them, `200ms`, `2 s`, `1.5 min`, and as they read them."""

from __future__ import annotations

import math
import re

_UNITS = {
    "ms": 0.001,
    "millisecond": 0.001,
    "milliseconds": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "seconds": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
    "h": 3600.0,
    "hour": 3600.0,
    "hours": 3600.0,
}
_DURATION = r"(?i)\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*"


def parse_duration(value: str | float) -> float:
    """Return seconds. Text needs a unit; a number is seconds.

    Raises:
        ValueError: The text is not a duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < math.inf:
            raise ValueError(f"expected a duration from 0 s on, got {value}")
        return float(value)
    match = re.fullmatch(_DURATION, str(value))
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError(f"expected a duration with a unit, such as 200ms, 2s or 1min, got '{value}'")
    # Rounded to nanoseconds: 700 ms are 0.7 s and not 0.7000000000000001.
    return round(float(match[1]) * _UNITS[match[2].lower()], 9)


def milliseconds(seconds: float | None) -> str:
    """Return a duration for a log: `183 ms`, `2.31 s`, `-` for None."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
