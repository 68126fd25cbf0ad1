"""Make a call over a plain socket, and record it whole: what no client library hides or mends."""

from __future__ import annotations

import socket
from time import monotonic

from InferenceLibrary.protocol.exchange import Ending, Exchange, Request

LIMIT = 10.0
"""Seconds that one call may last."""


def record(
    port: int, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, limit: float = LIMIT
) -> Exchange:
    """Make one call on a connection of its own; whatever happens becomes part of the record."""
    sent = {"host": "localhost", "connection": "close", "content-length": str(len(body)), **(headers or {})}
    request = Request(method, f"http://localhost:{port}{path}", tuple(sent.items()), body)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    begin = monotonic()
    data, reads, ending, problem = b"", [], Ending.WHOLE, None
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=limit) as sock:
            sock.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
            while True:
                sock.settimeout(max(0.001, begin + limit - monotonic()))
                piece = sock.recv(65536)
                if not piece:
                    break
                data += piece
                reads.append((monotonic() - begin, len(data)))
    except TimeoutError:
        ending, problem = Ending.LIMIT, f"nothing more came in {limit:g} s"
    except OSError as error:
        problem = str(error)
    head, blank, rest = data.partition(b"\r\n\r\n")
    status, came = _head_of(head)
    if not blank or status is None:
        return Exchange(request, None, ending=Ending.NO_ANSWER, problem=problem or "no status line")
    found, framed, left = _body_of(rest, dict(came))
    before = len(head) + 4
    arrived = tuple((at, count - before) for at, count in reads if count > before)
    if ending is Ending.WHOLE:
        ending = framed
    elapsed = monotonic() - begin
    return Exchange(
        request, status, came, found, arrived, ending=ending, left_over=left, elapsed=elapsed, problem=problem
    )


def _head_of(head: bytes) -> tuple[int | None, tuple[tuple[str, str], ...]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    parts = first.split(" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[0].startswith("HTTP/1.") and parts[1].isdecimal() else None
    pairs = (line.partition(":") for line in lines)
    return status, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)


def _body_of(rest: bytes, headers: dict[str, str]) -> tuple[bytes, Ending, bytes]:
    """Return the body, how it ended, and what came after it."""
    if "transfer-encoding" in headers:
        return _chunks_of(rest)
    if "content-length" not in headers:
        return rest, Ending.WHOLE, b""
    length = int(headers["content-length"])
    return rest[:length], Ending.WHOLE if len(rest) >= length else Ending.CUT, rest[length:]


def _chunks_of(rest: bytes) -> tuple[bytes, Ending, bytes]:
    found = b""
    while True:
        line, _, rest = rest.partition(b"\r\n")
        try:
            size = int(line, 16)
        except ValueError:
            return found, Ending.CUT, b""
        if not size:
            return found, Ending.WHOLE, rest.removeprefix(b"\r\n")
        if len(rest) < size + 2:
            return found + rest[:size], Ending.CUT, b""
        found += rest[:size]
        rest = rest[size + 2 :]
