"""Make one call with the client of the library, and return its record, whatever happens."""

from __future__ import annotations

import time

from InferenceLibrary.client.attempting import make_attempt, request_of
from InferenceLibrary.client.connection import Dialer
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.patience import Patience
from InferenceLibrary.client.route import Route
from InferenceLibrary.protocol.exchange import Exchange

LIMIT = 10.0
"""Seconds that one call may last."""


def record(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, limit: float = LIMIT
) -> Exchange:
    """Make one call to a server on this machine."""
    request = request_of(method, f"http://127.0.0.1:{port}{path}", headers or {}, body or None)
    limits = Limits(total=limit)
    return make_attempt(Dialer(Route()), request, Patience(limits, time.perf_counter()), limits.body)
