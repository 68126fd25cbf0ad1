"""Calls to other servers, for the personalities that stand between a client and a server.

A connection a call, HTTP/1.1, no TLS. What comes is told at once, byte for byte, so that a stream can pass through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import httptools

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.timers import Entry, Timers

# An answer in one piece may be so large; a longer one is a failure.
LARGEST = 64 * 1024 * 1024


class Address(NamedTuple):
    """Where an upstream listens; `prefix` stands before every path."""

    host: str
    port: int
    prefix: str = ""

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.prefix}"


def parse_address(text: str) -> Address:
    """Return the address in a URL.

    Raises:
        ValueError: It is not an http URL; the message says what to write.
    """
    parts = urlsplit(text)
    try:
        port = 80 if parts.port is None else parts.port
    except ValueError:
        port = 0
    if parts.scheme != "http" or not parts.hostname or not port or parts.query or parts.fragment:
        raise ValueError(f"'{text}' is not a URL such as http://127.0.0.1:8000")
    return Address(parts.hostname, port, parts.path.rstrip("/").removesuffix("/v1"))


class Failure(NamedTuple):
    """Why there is no answer, or no whole one. `kind` is connect, timeout, cut or malformed."""

    kind: str
    text: str


class UpstreamAnswer(NamedTuple):
    """An answer in one piece; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Listener(Protocol):
    """Who is told what comes. After `end` or `failed` nothing more comes."""

    def head(self, call: UpstreamCall) -> None: ...
    def data(self, piece: bytes) -> None: ...
    def end(self) -> None: ...
    def failed(self, failure: Failure) -> None: ...


class UpstreamCall(asyncio.Protocol):
    """One request. `timeout` is the longest silence in seconds."""

    def __init__(self, timers: Timers, address: Address, listener: Listener, timeout: float) -> None:
        self.address = address
        self.status = 0
        self.headers: dict[str, str] = {}
        self._timers = timers
        self._listener = listener
        self._timeout = timeout
        self._request = b""
        self._parser: Any = httptools.HttpResponseParser(self)
        self._transport: Any = None
        self._task: asyncio.Task[Any] | None = None
        self._timer: Entry | None = None
        self._has_head = False
        self._over = False

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> None:
        """Connect and send the request."""
        host = self.address.url.partition("//")[2].partition("/")[0]
        lines = [f"{method} {self.address.prefix}{path} HTTP/1.1", f"host: {host}", "connection: close"]
        if body or method == "POST":
            lines.append(f"content-length: {len(body)}")
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._request = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body
        self._wait()
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._connect(loop))

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            await loop.create_connection(lambda: self, self.address.host, self.address.port)
        except OSError as error:
            self._fail("connect", (error.strerror or str(error) or type(error).__name__).lower())

    def _wait(self) -> None:
        self._timers.cancel(self._timer)
        self._timer = self._timers.at(monotonic() + self._timeout, self._timed_out)

    def _timed_out(self) -> None:
        self._fail("timeout", f"no answer for {self._timeout:g} s")

    def _fail(self, kind: str, text: str) -> None:
        if not self._over:
            self.abort()
            self._listener.failed(Failure(kind, text))

    def abort(self) -> None:
        """Drop the call; the listener hears nothing more."""
        self._over = True
        self._timers.cancel(self._timer)
        if self._transport is not None:
            self._transport.abort()
        elif self._task is not None:
            self._task.cancel()

    def pause_reading(self) -> None:
        with suppress(RuntimeError):  # closing
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        with suppress(RuntimeError):  # closing
            self._transport.resume_reading()

    # asyncio calls these

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._over:
            transport.abort()
        else:
            transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        self._wait()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail("malformed", f"not HTTP: {error}")

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if self._over:
            return
        framed = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        if error is None and self._has_head and not framed:
            self._finish()
        elif not self._has_head:
            self._fail("cut", "closed the connection without an answer")
        else:
            self._fail("cut", "closed the connection in the middle of its answer")

    # httptools calls these

    def on_message_begin(self) -> None:
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._has_head = True
            self._listener.head(self)

    def on_body(self, body: bytes) -> None:
        if not self._over:
            self._listener.data(body)

    def on_message_complete(self) -> None:
        if self._has_head and not self._over:
            self._finish()

    def _finish(self) -> None:
        self.abort()
        self._listener.end()


class _Whole:
    """Collects an answer."""

    def __init__(self, done: Callable[[UpstreamAnswer | Failure], None]) -> None:
        self._done = done
        self._pieces: list[bytes] = []
        self._size = 0
        self._call: UpstreamCall

    def head(self, call: UpstreamCall) -> None:
        self._call = call

    def data(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size > LARGEST:
            self._call.abort()
            self._done(Failure("malformed", f"an answer of more than {LARGEST:,} bytes"))

    def end(self) -> None:
        self._done(UpstreamAnswer(self._call.status, self._call.headers, b"".join(self._pieces)))

    def failed(self, failure: Failure) -> None:
        self._done(failure)


def fetch(
    timers: Timers,
    address: Address,
    path: str,
    done: Callable[[UpstreamAnswer | Failure], None],
    *,
    timeout: float = 5.0,
) -> UpstreamCall:
    """Get `path` from an upstream and call `done` with the whole answer, or with why there is none."""
    call = UpstreamCall(timers, address, _Whole(done), timeout)
    call.send("GET", path, {}, b"")
    return call


def fetch_all(
    timers: Timers,
    addresses: list[Address],
    path: str,
    done: Callable[[list[UpstreamAnswer | Failure]], None],
) -> None:
    """Get `path` from all upstreams at once and call `done` with the answers, in the order of the addresses."""
    answers: list[UpstreamAnswer | Failure] = [Failure("timeout", "")] * len(addresses)
    missing = len(addresses)

    def take(place: int, answer: UpstreamAnswer | Failure) -> None:
        nonlocal missing
        answers[place] = answer
        missing -= 1
        if not missing:
            done(answers)

    if not addresses:
        done([])
    for place, address in enumerate(addresses):
        fetch(timers, address, path, lambda answer, place=place: take(place, answer))  # type: ignore[misc]
