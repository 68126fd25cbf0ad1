"""Durations with units, as `200ms` or `1m30s`, in the grammar of Go that llm-d-inference-sim takes."""

from __future__ import annotations

import re

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")


def parse_duration(text: str, *, legacy: bool = False) -> float:
    """Return the seconds that `text` says.

    Args:
        text: One or more numbers with a unit: `200ms`, `1.5s`, `1m30s`. A bare `0` needs no unit.
        legacy: A bare number counts as milliseconds, as in llm-d-inference-sim up to v0.8.

    Raises:
        ValueError: The text is not a duration; the message says what to write instead.
    """
    text = text.strip()
    if text == "0":
        return 0.0
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        if legacy:
            return float(text) / 1000
        raise ValueError(f"'{text}' has no unit; write '{text}ms', or give --legacy-durations")
    position, total = 0, 0.0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            break
        total += float(part[1]) * UNITS[part[2]]
        position = part.end()
    if not text or position < len(text):
        raise ValueError(f"'{text}' is not a duration; write a number with a unit, such as '200ms' or '1.5s'")
    return total
