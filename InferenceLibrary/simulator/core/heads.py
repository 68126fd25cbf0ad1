"""Heads of requests that came before, byte for byte: a client sends the same again and again, so each is parsed once.

Only a request that came alone and in one piece is known by its head, and only where nothing in the head asks for more
than an answer: a body of a stated length, and a connection that stays.
"""

from __future__ import annotations

from InferenceLibrary.simulator.core.request import Request

_END = b"\r\n\r\n"
_MOST = 256
_LONGEST = 2048
"""Bytes of a head that is remembered."""
_SPECIAL = frozenset({"expect", "transfer-encoding", "upgrade", "x-inference-fault"})
"""Headers that ask for more."""

_known: dict[bytes, Request] = {}


def known_request(data: bytes, received: float) -> Request | None:
    """Return the request that these bytes are, if they are one whole request with a head that is known."""
    end = data.find(_END) + 4
    like = _known.get(data[:end])
    if like is None or len(data) - end != like.body_bytes:
        return None
    return like.again(data[end:], received)


def remember(data: bytes, request: Request) -> None:
    """Keep the head of a request that was parsed, where `data` is this request and nothing else."""
    end = data.find(_END) + 4
    headers = request.headers
    if (
        end <= _LONGEST
        and request.keep_alive
        and request.version == "1.1"
        and request.body_bytes == len(data) - end
        and headers.get("content-length", "0") == str(request.body_bytes)
        and _SPECIAL.isdisjoint(headers)
    ):
        if len(_known) >= _MOST:
            _known.clear()
        _known[data[:end]] = request.again(b"", 0.0, request.body_bytes)
