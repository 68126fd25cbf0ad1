"""Durations as people write them, `200ms`, `2 s`, `1.5 min`, `1m30s`, and as they read them.

What the simulator's flags take, in Go's grammar, is taken here too.
"""

from __future__ import annotations

import math
import re

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "μs": 1e-6,
    "microsecond": 1e-6,
    "microseconds": 1e-6,
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
_PART = r"\s*(\d+\.?\d*|\.\d+)\s*([a-zA-Zµμ]+)\s*"


def parse_duration(value: str | float) -> float:
    """Return seconds. Text needs a unit; a number is seconds.

    Raises:
        ValueError: The text is not a duration.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value < math.inf:
            raise ValueError(f"expected a duration from 0 s on, got {value}")
        return float(value)
    text = str(value)
    parts = [] if isinstance(value, bool) else list(re.finditer(_PART, text, re.ASCII))
    if not parts or "".join(part[0] for part in parts) != text or any(part[2].lower() not in _UNITS for part in parts):
        raise ValueError(f"expected a duration with a unit, such as 200ms, 2s or 1min, got '{value}'")
    # Rounded to nanoseconds: 700 ms are 0.7 s and not 0.7000000000000001.
    return round(sum(float(part[1]) * _UNITS[part[2].lower()] for part in parts), 9)


def milliseconds(seconds: float | None) -> str:
    """Return a duration for a log: `183 ms`, `2.31 s`, `-` for None."""
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"
