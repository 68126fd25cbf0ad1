"""Connections of calls: opened, written and read within the limits of the call, one connection a call.

A call is not sent over a connection that another one used: a server may have closed it meanwhile, and a request that
was written and not answered may have been carried out.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from InferenceLibrary.client.bodies import encoded
from InferenceLibrary.client.patience import Patience
from InferenceLibrary.client.problems import UnreachableError
from InferenceLibrary.client.route import UNIX_HOST, Route

_PIECE = 64 * 1024
"""Bytes that are written or read at once."""
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_LONGEST_ANSWER_OF_A_PROXY = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class Way(NamedTuple):
    """How an address is reached."""

    host: str
    port: int
    tls: bool
    proxy: SplitResult | None
    unix_socket: Path | None = None

    @property
    def proxy_login(self) -> str | None:
        """What tells the proxy who we are: the value of `Proxy-Authorization`."""
        return None if self.proxy is None else login_of(self.proxy)


def login_of(url: SplitResult) -> str | None:
    """Return the user and password of a URL as the value of `Authorization` (RFC 7617), None without them."""
    if url.username is None:
        return None
    from httpx import BasicAuth, Request

    login = BasicAuth(encoded(unquote(url.username)), encoded(unquote(url.password or "")))
    authorized = next(login.auth_flow(Request("GET", "http://localhost")))
    return authorized.headers["authorization"]


class Connection:
    """One connection. Every wait on it obeys the limits of its call."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._socket = sock
        self._patience = patience
        self._ended = False
        """Whether nothing more will come."""

    def write(self, data: bytes) -> None:
        """Write everything.

        Raises:
            LimitExceeded: The other side takes it too slowly.
        """
        rest = memoryview(data)
        while rest:
            limit, left = self._patience.to_write()
            self._socket.settimeout(left)
            try:
                rest = rest[self._socket.send(rest[:_PIECE]) :]
            except TimeoutError:
                raise limit from None

    def write_or_read(self, data: memoryview) -> tuple[int, bytes | None]:
        """Write a piece, or read what has come meanwhile where the other side takes nothing.

        Returns:
            How many bytes were written, and what has come: None for nothing, no bytes for the end of what comes.

        Raises:
            LimitExceeded: The other side takes it too slowly.
        """
        limit, left = self._patience.to_write()
        self._socket.settimeout(0)
        try:
            return self._socket.send(data[:_PIECE]), None
        except _NOT_NOW:
            pass
        events = selectors.EVENT_WRITE if self._ended else selectors.EVENT_WRITE | selectors.EVENT_READ
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, events)
            found = selector.select(left)
        if not found:
            raise limit
        if not found[0][1] & selectors.EVENT_READ:
            return 0, None
        try:
            came = self._socket.recv(_PIECE)
        except _NOT_NOW:  # a record of TLS that holds nothing for us
            return 0, None
        self._ended = not came
        return 0, came

    def read(self) -> tuple[bytes, float]:
        """Wait for bytes; return them (none at the end of the connection) and when they came.

        Raises:
            LimitExceeded: Nothing came in time.
        """
        limit, left = self._patience.to_read()
        self._socket.settimeout(left)
        try:
            data = self._socket.recv(_PIECE)
        except TimeoutError:
            raise limit from None
        return data, self._patience.read(len(data))

    def waiting(self) -> bytes:
        """Return what has come and was not read, without waiting."""
        self._socket.settimeout(0)
        try:
            return self._socket.recv(_PIECE)
        except OSError:
            return b""

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Dialer:
    """Opens the connections of one client."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()

    def way_to(self, url: str) -> Way:
        """Return how a URL is reached.

        Raises:
            UnreachableError: It is not a URL of HTTP.
        """
        import httpx

        try:
            parts = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise UnreachableError(f"a URL that cannot be read ({error})") from None
        host = parts.raw_host.decode()
        if ":" in host:
            # What stands between an address and its zone is escaped in a URL (RFC 6874).
            host = unquote(host)
        if parts.port is not None and not 0 < parts.port < 2**16:
            raise UnreachableError(f"a URL with a port that there is not ({url!r})")
        if parts.scheme not in _PORTS or not host:
            raise UnreachableError(f"a URL without http:// or https:// and a host ({url!r})")
        proxy = self._route.proxy_for(url)
        secure = parts.scheme == "https"
        sock = self._route.unix_socket if (host, parts.port, secure) == (UNIX_HOST, None, False) else None
        return Way(host, parts.port or _PORTS[parts.scheme], secure, urlsplit(proxy) if proxy else None, sock)

    def dial(self, way: Way, patience: Patience) -> Connection:
        """Open a connection.

        Raises:
            LimitExceeded: It took too long.
            OSError: It failed at every address of the host, or a certificate was refused.
            UnreachableError: A proxy refused to open it.
        """
        began = time.perf_counter()
        if way.unix_socket is not None:
            sock = _open_unix(way.unix_socket, patience, began)
        elif way.proxy is None:
            sock = _open(way.host, way.port, patience, began)
        else:
            sock = _open(way.proxy.hostname or "", way.proxy.port or _PORTS[way.proxy.scheme], patience, began)
        try:
            if way.proxy is not None and way.proxy.scheme == "https":
                sock = self._secured(sock, way.proxy.hostname or "", patience, began)
            elif way.proxy is not None and way.tls:
                _tunnel(sock, way, patience)
            if way.tls:
                sock = self._secured(sock, way.host.partition("%")[0], patience, began)
        except BaseException:
            sock.close()
            raise
        return Connection(sock, patience)

    def _tls(self) -> ssl.SSLContext:
        """What TLS connections are made with, prepared once: reading the certificates takes milliseconds."""
        with self._lock:
            if self._context is None:
                self._context = self._route.context()
            return self._context

    def _secured(self, sock: socket.socket, host: str, patience: Patience, began: float) -> ssl.SSLSocket:
        limit, left = patience.to_connect(began)
        sock.settimeout(left)
        try:
            secured = self._tls().wrap_socket(sock, server_hostname=host)
        except TimeoutError:
            raise limit from None
        if patience.cancellation is not None:
            patience.cancellation.attach(secured)
        return secured


def _open(host: str, port: int, patience: Patience, began: float) -> socket.socket:
    """Connect to the first address of a host that takes it; all of them share the limits."""
    problem: OSError | None = None
    addresses = _addresses(host, port, patience, began)
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        limit, left = patience.to_connect(began)
        sock = socket.socket(family, kind, protocol)
        try:
            # One that never answers must not use up the time of those after it.
            sock.settimeout(left / (len(addresses) - number))
            if patience.cancellation is not None:
                patience.cancellation.attach(sock)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except TimeoutError as error:
            sock.close()
            if number == len(addresses) - 1:
                raise limit from None
            problem = error
        except OSError as error:
            sock.close()
            problem = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise problem or OSError("no address")


def _open_unix(path: Path, patience: Patience, began: float) -> socket.socket:
    limit, left = patience.to_connect(began)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(left)
        if patience.cancellation is not None:
            patience.cancellation.attach(sock)
        sock.connect(str(path))
    except TimeoutError:
        sock.close()
        raise limit from None
    except BaseException:
        sock.close()
        raise
    return sock


def _addresses(host: str, port: int, patience: Patience, began: float) -> list[Any]:
    """Look a name up. The system's look-up knows no time limit, so it gets a thread that may outlive the call."""
    if host == "localhost" or _is_numeric(host):
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    limit, left = patience.to_connect(began)
    thread = threading.Thread(target=look_up, daemon=True, name=f"look-up of {host}")
    thread.start()
    thread.join(left)
    if not found:
        raise limit
    if isinstance(found[0], UnicodeError):
        raise UnreachableError(f"a host name that cannot be sent ({host!r})")
    if isinstance(found[0], OSError):
        raise found[0]
    addresses: list[Any] = found[0]
    return addresses


def _is_numeric(host: str) -> bool:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return True
    return False


def _tunnel(sock: socket.socket, way: Way, patience: Patience) -> None:
    """Ask a proxy for a connection of its own to the server (RFC 9110, 9.3.6)."""
    host = f"[{way.host}]" if ":" in way.host else way.host
    login = f"Proxy-Authorization: {way.proxy_login}\r\n" if way.proxy_login else ""
    connection = Connection(sock, patience)
    connection.write(f"CONNECT {host}:{way.port} HTTP/1.1\r\nHost: {host}:{way.port}\r\n{login}\r\n".encode())
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < _LONGEST_ANSWER_OF_A_PROXY:
        piece, _ = connection.read()
        if not piece:
            break
        answer += piece
    line = answer.partition(b"\r\n")[0].decode("latin-1")
    if line.split(" ")[1:2] != ["200"]:
        raise UnreachableError(f"a proxy that does not connect to the server ({line or 'no answer'})")
    # What the proxy said does not count as an answer of the server.
    patience.forget_reads()
