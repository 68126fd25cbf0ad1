"""Limits of a call."""

from __future__ import annotations

from typing import Any


class Limits:
    """Time limits in seconds; None sets no limit of that kind. `total` always holds, retries and waits included.

    Args:
        total: The whole call.
        connect: The connection.
        first_byte: From the request to the first byte of the answer.
        between: Longest silence between two reads once the answer has begun.
        body: Largest body in bytes.
    """

    # Written out: it is on the way of the library's import, where a named tuple costs as much as five classes.
    def __init__(
        self,
        total: float = 60.0,
        connect: float | None = 5.0,
        first_byte: float | None = None,
        between: float | None = None,
        body: int = 64 * 2**20,
    ) -> None:
        self.total = total
        self.connect = connect
        self.first_byte = first_byte
        self.between = between
        self.body = body

    def replace(self, **changes: Any) -> Limits:
        """Return the same limits but for these."""
        return Limits(**{**vars(self), **changes})
