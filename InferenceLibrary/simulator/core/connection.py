"""One HTTP/1 connection: bytes in, requests out, and the writing of answers. No web framework: see benchmarks."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

import httptools

from InferenceLibrary.simulator.core.heads import known_request, remember
from InferenceLibrary.simulator.core.http_text import date_line, status_line
from InferenceLibrary.simulator.core.request import Request
from InferenceLibrary.simulator.core.turn import Turn

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App

MAX_HEADER_BYTES = 64 * 1024
MAX_PIPELINED = 16
# How long a refused sender may go on sending before the connection is cut.
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 8 * 1024 * 1024
# What a request says when it offers another protocol.
_OFFER = frozenset({"upgrade", "http2-settings"})
_header_names: dict[bytes, str] = {}
_NAMES, _LONG_NAME = 200, 64
_DIRECT_WRITES = sys.platform != "win32"


class Connection(asyncio.Protocol):
    """Parses requests one after another and hands each to the application."""

    __slots__ = (
        "_app",
        "_between",
        "_body",
        "_body_bytes",
        "_buffered",
        "_discarding",
        "_dropped",
        "_fd",
        "_head_bytes",
        "_headers",
        "_offering",
        "_parser",
        "_queue",
        "_refused",
        "_target",
        "_whole",
        "current",
        "peer",
        "transport",
        "write_paused",
    )

    def __init__(self, app: App) -> None:
        self._app = app
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[Request] = deque()
        self._headers: dict[str, str] = {}
        # The headers of a request that offers another protocol, while it is parsed without the offer.
        self._offering: dict[str, str] | None = None
        self._target = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._head_bytes = 0
        # Whether the parser is between two requests, and what came there: perhaps one whole request.
        self._between = True
        self._whole: bytes | None = None
        self._refused: tuple[int, str] | None = None
        self._discarding = False
        self._dropped = 0
        self._fd = -1
        self._buffered = False
        self.current: Turn | None = None
        self.transport: Any = None
        self.write_paused = False
        self.peer = ""

    # asyncio calls these

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        sock = transport.get_extra_info("socket")
        if _DIRECT_WRITES and sock is not None and transport.get_extra_info("sslcontext") is None:
            self._fd = sock.fileno()
        self._app.connections.add(self)
        self._app.on_connect(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._fd = -1
        self._app.connections.discard(self)
        self._queue.clear()
        turn, self.current = self.current, None
        if turn is not None:
            turn.client_left()

    def eof_received(self) -> bool:
        # A client that closes its side has gone: that is how it cancels. As uvicorn and Go's net/http have it.
        return False

    def data_received(self, data: bytes) -> None:
        if self._discarding:
            self._dropped += len(data)
            if self._dropped > _LINGER_BYTES:
                self.transport.abort()
            return
        self._whole = None
        if self._between and self._refused is None:
            app = self._app
            if not app.faults and not app.lasting and (known := known_request(data, monotonic())) is not None:
                self._arrived(known)
                return
            self._whole = data
        self._head_bytes += len(data)
        self._parse(data)
        if self._refused is None and not self._body_bytes and self._head_bytes > MAX_HEADER_BYTES:
            # Reset by each complete request, so this much can only be one unfinished head.
            self._refuse(431, f"The request head is larger than {MAX_HEADER_BYTES} bytes")
        if self._refused is not None and self.current is None:
            self._answer_refusal()

    def _parse(self, data: bytes) -> None:
        rest: bytes | None = data
        while rest is not None:
            try:
                self._parser.feed_data(rest)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # The parser stops at the head of a request that offers another protocol.
                rest = None if self._refused else self._without_offer() + rest[upgrade.args[0] :]
            except httptools.HttpParserError as error:
                self._refuse(400, f"The request is not HTTP: {error}")
                return

    def _without_offer(self) -> bytes:
        """Begin the request anew without its offer of another protocol, which a server may ignore (RFC 9110, 7.8).

        Returns:
            Its head without the offer; the body follows as it came.
        """
        parser = self._parser
        kept = {name: value for name, value in self._headers.items() if name not in _OFFER}
        wanted = [word for word in _words(self._headers.get("connection", "")) if word.lower() not in _OFFER]
        kept["connection"] = ", ".join(wanted)
        lines = [parser.get_method() + b" " + self._target + b" HTTP/" + parser.get_http_version().encode()]
        lines += [f"{name}: {value}".encode("latin-1") for name, value in kept.items()]
        self._offering = self._headers
        self._parser = httptools.HttpRequestParser(self)
        return b"\r\n".join([*lines, b"", b""])

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self.current is not None:
            self.current.resume()

    # httptools calls these

    def on_message_begin(self) -> None:
        self._between = False
        self._headers = {}
        self._target = b""
        self._body = []
        self._body_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        key = _header_names.get(name) or _header_name(name)
        text = value.decode("latin-1")
        if key in self._headers:
            text = f"{self._headers[key]}, {text}"
        self._headers[key] = text

    def on_headers_complete(self) -> None:
        self._head_bytes = 0
        if self._parser.should_upgrade():
            if self._parser.get_method() == b"CONNECT":
                self._refuse(400, "CONNECT is for proxies, and this is a server")
            return
        if self._offering is not None:
            self._headers, self._offering = self._offering, None
        headers = self._headers
        limit = self._app.max_body_bytes
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > limit:
            self._refuse(413, f"The body is larger than {limit} bytes")
        elif "expect" in headers and headers["expect"].lower() == "100-continue" and self.current is None:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        asked = self._app.faults or self._app.lasting or "x-inference-fault" in headers
        if asked and self.current is None and self._refused is None:
            self._app.on_head(self, self._request(b""))

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._app.max_body_bytes:
            self._body = []
            self._refuse(413, f"The body is larger than {self._app.max_body_bytes} bytes")
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        self._head_bytes = 0
        if self._refused is not None or self._discarding or self._parser.should_upgrade():
            return
        request = self._request(self._body[0] if len(self._body) == 1 else b"".join(self._body))
        self._body = []
        self._body_bytes = 0
        self._between = True
        if self._whole is not None:
            remember(self._whole, request)
            self._whole = None
        self._arrived(request)

    def _arrived(self, request: Request) -> None:
        if self.current is None:
            self._start(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= MAX_PIPELINED:
                self.transport.pause_reading()

    def _request(self, body: bytes) -> Request:
        parser = self._parser
        return Request(
            "POST" if (method := parser.get_method()) == b"POST" else method.decode("latin-1"),
            self._target.decode("latin-1"),
            self._headers,
            body,
            monotonic(),
            parser.should_keep_alive(),
            parser.get_http_version(),
        )

    # The answering side

    def _start(self, request: Request) -> None:
        turn = Turn(self._app, self, request)
        self.current = turn
        try:
            self._app.handle(turn)
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the client waiting
            self._app.crashed(turn, error)

    def ended(self, keep_alive: bool) -> None:
        """Go on after an answer: the next request in line, or the end of the connection."""
        self.current = None
        if not keep_alive:
            self.close()
        elif self._queue:
            # In a new turn of the loop: an unlimited pipeline must not recurse.
            self._app.timers.at(monotonic(), self._next)
        elif self._refused is not None:
            self._answer_refusal()

    def _next(self) -> None:
        if self.current is None and self._queue and not self.transport.is_closing():
            if len(self._queue) == MAX_PIPELINED:
                self.transport.resume_reading()
            self._start(self._queue.popleft())

    def _refuse(self, status: int, message: str) -> None:
        if self._refused is None:
            self._refused = (status, message)

    def _answer_refusal(self) -> None:
        if self._discarding or self._refused is None or self.transport is None or self.transport.is_closing():
            return
        status, message = self._refused
        self._app.ledger.rejected += 1
        content_type, body = self._app.error_body(status, message)
        head = (
            f"{status_line(status)}{date_line()}content-type: {content_type}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.send(head.encode("latin-1") + body)
        self.close_lingering()

    def close_lingering(self) -> None:
        """End our side and drop what still comes, so that the answer is not lost to a reset."""
        self._discarding = True
        transport = self.transport
        if transport.is_closing():
            return
        if transport.can_write_eof():
            transport.write_eof()
        self._app.timers.at(monotonic() + _LINGER_SECONDS, transport.abort)

    def send(self, data: bytes) -> None:
        """Write at once when nothing waits before it: one call, one TCP write."""
        transport = self.transport
        self._app.ledger.bytes_sent += len(data)
        if self._fd < 0 or self._buffered:
            self._buffered = transport.get_write_buffer_size() > 0
        if self._fd < 0 or self._buffered:
            if not transport.is_closing():
                transport.write(data)
            return
        try:
            written = os.write(self._fd, data)
        except BlockingIOError:
            written = 0
        except OSError:
            self._fd = -1
            transport.abort()
            return
        if written != len(data):
            self._buffered = True
            transport.write(data[written:])

    def unsent(self) -> int:
        """Bytes that wait in the transport's buffer."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def close(self) -> None:
        """Close after everything was sent (FIN)."""
        self._fd = -1
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Cut the connection (RST)."""
        self._fd = -1
        sock = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _header_name(name: bytes) -> str:
    """Return the name of a header in lower case, and remember it for the next request."""
    key = name.decode("latin-1").lower()
    if len(_header_names) < _NAMES and len(name) < _LONG_NAME:
        _header_names[name] = key
    return key


def _words(text: str) -> list[str]:
    """Return the words of a header that is a list."""
    return [word.strip() for word in text.split(",") if word.strip()]
