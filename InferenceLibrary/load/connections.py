"""The connections of a load, and what each request leaves."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from InferenceLibrary.load.framing import ChunkWalk, Head

if TYPE_CHECKING:
    from InferenceLibrary.load.secure import SecurePipe

CONNECTING = -1.0
"""In place of the seconds that a connection took: it does not stand yet."""
SECURING = -2.0
"""The same: it stands, its TLS does not yet."""


class Raw(NamedTuple):
    """What one request left."""

    number: int
    kind: int
    prompt: str
    scheduled: float
    """When it was due, on the monotonic clock."""
    sent: float
    """When we began to send it, a new connection included."""
    connected: float | None
    """Seconds until a new connection stood; None on one that was there."""
    ended: float
    parts: list[Any]
    """Bytes and the time of their read, in turns."""
    head: Head | None
    head_end: int
    error: str | None
    detail: str
    warmup: bool
    cancelled: bool
    resent: bool
    """Whether it was sent again, because the server had closed the idle connection that it was sent on first."""
    said: bytes
    """The messages before it in its conversation, in JSON, each with a comma after it."""
    turn: int
    """Which question of its conversation it is, from 1."""


class LoadConnection:
    """One connection and the request that it serves now."""

    __slots__ = (
        *("cancel", "chunked", "connected", "fd", "fed", "head", "head_end", "kind", "last", "left", "number", "out"),
        *(
            "parts",
            "problem",
            "prompt",
            "recvmsg",
            "resent",
            "said",
            "scheduled",
            "sent",
            "sock",
            "tls",
            "turn",
            "user",
            "walk",
        ),
        "warmup",
    )

    def __init__(self, sock: socket.socket, tls: SecurePipe | None = None) -> None:
        self.sock = sock
        self.tls = tls
        self.fd = sock.fileno()
        self.recvmsg = sock.recvmsg if hasattr(sock, "recvmsg") else _plain_receiver(sock)
        self.connected: float | None = CONNECTING
        self.problem = 0
        """The system's number of what forbade the connection at once."""
        self.out = b""
        self.parts: list[Any] | None = None
        """None while it serves no request."""

    def serve(self, number: int, user: int, kind: int, prompt: str, due: float, sent: float) -> None:
        """Begin anew with a request."""
        self.number, self.user, self.kind, self.prompt = number, user, kind, prompt
        self.scheduled, self.sent, self.last = due, sent, sent
        self.parts = []
        self.head: Head | None = None
        self.head_end = self.left = self.fed = 0
        self.walk: ChunkWalk | None = None
        self.chunked = self.warmup = self.cancel = self.resent = False
        self.said, self.turn = b"", 1


def _plain_receiver(sock: socket.socket) -> Any:
    return lambda size, _: (sock.recv(size), (), 0, None)
