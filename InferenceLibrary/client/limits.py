"""Limits of a call."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Time limits in seconds; None sets no limit of that kind. `total` always holds, retries and waits included."""

    total: float = 60.0
    connect: float | None = 5.0
    first_byte: float | None = None
    between: float | None = None
    """Longest silence between two reads once the answer has begun."""
    body: int = 64 * 2**20
    """Largest body in bytes."""
