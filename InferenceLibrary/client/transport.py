"""The socket of a call, watched: every read is timed, counted and bounded.

httpx bounds single operations; a call wants a bound on the whole, and a measurement wants the time of each read rather
than the time when a layer above got to it. So the network layer below httpx's pool is ours, through the public
interface of httpcore.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import httpcore
import httpx

from InferenceLibrary.client.cancellation import Cancellation
from InferenceLibrary.client.limits import Limits


class LimitExceeded(Exception):
    """A limit of the call was exceeded: `limit` says which, `seconds` how long it was."""

    def __init__(self, limit: str, seconds: float) -> None:
        super().__init__(f"{limit} limit of {seconds:g} s")
        self.limit = limit
        self.seconds = seconds


@dataclass
class Wire:
    """What one attempt of a call did on the network. Times are of `time.perf_counter`."""

    limits: Limits
    started: float
    """When the call began: the total limit counts from here, over all attempts."""
    sent: float = field(default_factory=time.perf_counter)
    """When this attempt began: arrivals are measured from here."""
    connected: float | None = None
    """When a connection was made for this attempt; None when one was reused or none came about."""
    reads: list[tuple[float, int]] = field(default_factory=list)
    """(time, bytes) of each read."""
    progress: float | None = None
    """When the answer last went on, for the limit of silence: a read, or of a stream an event."""
    silence: str = "between-reads"
    cancellation: Cancellation | None = None

    def by_events(self) -> None:
        """From now on only events end a silence, not comments and pieces of events."""
        self.silence = "between-events"

    @property
    def arrived(self) -> str:
        """What there is of an answer, for an error: `connected after 3 ms, 120 bytes arrived`."""
        size = sum(count for _, count in self.reads)
        if not size:
            return "nothing had arrived"
        return f"{size:,} bytes had arrived, the last after {self.reads[-1][0] - self.sent:.3f} s"

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self.started

    @property
    def remaining(self) -> float:
        return self.limits.total - self.elapsed

    def bound(self, limit: str, seconds: float | None, since: float | None = None) -> tuple[str, float, float]:
        """Return the tighter of a limit and what is left of the total: (name, configured seconds, seconds to wait).

        Args:
            limit: Name of the limit.
            seconds: How long it is, None for none.
            since: From when it counts, None for now.

        Raises:
            LimitExceeded: It is over already.
        """
        remaining = max(self.remaining, 0.001)
        left = seconds if seconds is None or since is None else seconds - (time.perf_counter() - since)
        if left is None or seconds is None or remaining < left:
            return "total time", self.limits.total, remaining
        if left <= 0:
            raise LimitExceeded(limit, seconds)
        return limit, seconds, left


_wire: ContextVar[Wire | None] = ContextVar("wire", default=None)


@contextlib.contextmanager
def watched(wire: Wire) -> Iterator[Wire]:
    """Let the calls of this thread be bounded by, and recorded in, `wire`."""
    token = _wire.set(wire)
    try:
        yield wire
    finally:
        _wire.reset(token)


class WatchedStream(httpcore.NetworkStream):
    """A connection whose reads and writes obey the limits of the call that uses it."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        wire = _wire.get()
        if wire is None:
            return self._inner.read(max_bytes, timeout)
        if wire.remaining <= 0:
            raise LimitExceeded("total time", wire.limits.total)
        if wire.progress is None:
            name, seconds, patience = wire.bound("first-byte", wire.limits.first_byte)
        else:
            name, seconds, patience = wire.bound(wire.silence, wire.limits.between, wire.progress)
        try:
            data = self._inner.read(max_bytes, patience)
        except httpcore.ReadTimeout:
            raise LimitExceeded(name, seconds) from None
        now = time.perf_counter()
        wire.reads.append((now, len(data)))
        if wire.progress is None or wire.silence == "between-reads":
            wire.progress = now
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        wire = _wire.get()
        if wire is None:
            return self._inner.write(buffer, timeout)
        name, seconds, patience = wire.bound("write", None)
        try:
            return self._inner.write(buffer, patience)
        except httpcore.WriteTimeout:
            raise LimitExceeded(name, seconds) from None

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        wire = _wire.get()
        name, seconds, patience = wire.bound("connect", wire.limits.connect) if wire else ("connect", 0.0, timeout)
        try:
            stream = self._inner.start_tls(ssl_context, server_hostname, patience)
            if wire is not None and wire.cancellation is not None:
                wire.cancellation.attach(stream.get_extra_info("socket"))
            return WatchedStream(stream)
        except httpcore.ConnectTimeout:
            raise LimitExceeded(name, seconds) from None

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class WatchedBackend(httpcore.NetworkBackend):
    """Opens watched connections."""

    def __init__(self) -> None:
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        wire = _wire.get()
        name, seconds, patience = wire.bound("connect", wire.limits.connect) if wire else ("connect", 0.0, timeout)
        try:
            stream = self._inner.connect_tcp(host, port, patience, local_address, socket_options)
        except httpcore.ConnectTimeout:
            raise LimitExceeded(name, seconds) from None
        if wire is not None:
            wire.connected = time.perf_counter()
            if wire.cancellation is not None:
                wire.cancellation.attach(stream.get_extra_info("socket"))
        return WatchedStream(stream)


class WatchedTransport(httpx.BaseTransport):
    """httpx over watched connections, HTTP/1.1.

    Args:
        context: What TLS connections are made with; None for `http`.
        keep_alive: Whether connections are used again.
        proxy: URL of a proxy on the way.
    """

    def __init__(self, *, context: ssl.SSLContext | None, keep_alive: bool, proxy: str | None = None) -> None:
        most_kept = None if keep_alive else 0
        backend = WatchedBackend()
        self._pool: httpcore.ConnectionPool
        if proxy is None:
            self._pool = httpcore.ConnectionPool(
                context, max_connections=None, max_keepalive_connections=most_kept, network_backend=backend
            )
        else:
            address = httpx.URL(proxy)
            login = (address.username.encode(), address.password.encode()) if address.username else None
            self._pool = httpcore.HTTPProxy(
                str(address.copy_with(username=None, password=None)),
                proxy_auth=login,
                ssl_context=context,
                max_connections=None,
                max_keepalive_connections=most_kept,
                network_backend=backend,
            )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        response = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        assert isinstance(response.stream, Iterable)
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response.stream), extensions=response.extensions
        )

    def close(self) -> None:
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Iterable[bytes]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield from self._stream

    def close(self) -> None:
        close = getattr(self._stream, "close", None)
        if close is not None:
            close()
