"""Sizes as people write them, for profiles: `500 MB`, `2GiB`."""

from __future__ import annotations

import re

_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*", re.IGNORECASE)


def parse_bytes(text: str) -> int:
    """Return bytes.

    Raises:
        ValueError: The text is not a number with a unit of bytes.
    """
    match = _SIZE.fullmatch(str(text))
    if match is None or match[2].lower() not in _UNITS:
        raise ValueError(f"expected a size with a unit, such as 500 MB or 2 GiB, got '{text}'")
    return int(float(match[1]) * _UNITS[match[2].lower()])


def show_bytes(size: int) -> str:
    """Return `1.5 GB`, `320 MB`, `12 kB`."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size} B"
