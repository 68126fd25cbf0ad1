"""One attempt of a call: the request is written, the answer is read, and what happened is an exchange."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from InferenceLibrary.client.bodies import encoded, written
from InferenceLibrary.client.codings import CodingError, TooLarge, Unpacker
from InferenceLibrary.client.connection import Connection, Dialer, Way
from InferenceLibrary.client.patience import LimitExceeded, Patience, StillOpen
from InferenceLibrary.client.problems import UnreachableError, describe_problem, network_errors, stranger_to_http
from InferenceLibrary.errors import RequestError, describe
from InferenceLibrary.protocol.exchange import Ending, Exchange, Request
from InferenceLibrary.redaction import PLACEHOLDER, PLACEHOLDER_HINT
from InferenceLibrary.version import __version__

CANCELLED = "a call that was cancelled"

_BEGINNING = 80
"""Bytes of an answer that tell its protocol, and are shown where it is a strange one."""
_LONGEST_HEAD = 100 * 1024
"""Bytes of status line and headers."""
_OUR_HEADERS = {
    "accept": "*/*",
    "accept-encoding": "identity",
    "connection": "keep-alive",
    "user-agent": f"robotframework-inferencelibrary/{__version__}",
}


class AnswerReader(Protocol):
    """Looks at an answer while it is read."""

    @property
    def streams(self) -> bool:
        """Whether it reads a stream, event by event."""

    def begin(self, exchange: Exchange, patience: Patience) -> None:
        """Status and headers have come."""

    def feed(self, piece: bytes, arrival: float) -> bool:
        """A piece of the body has come, so many seconds after the attempt began; return whether to go on."""


def request_of(method: str, url: str, headers: Mapping[str, str], body: Any) -> Request:
    """Return a request. Text and bytes are sent as they are, everything else as JSON; None sends no body.

    Raises:
        RequestError: It holds `<secret>` where a secret should stand, or the URL is not one.
    """
    import httpx

    named = {name.lower() for name in headers}
    own = {name: value for name, value in _OUR_HEADERS.items() if name not in named}
    content = encoded(body) if isinstance(body, str) else b"" if body is None else body
    if not isinstance(content, bytes):
        content = written(body)
    if body is not None and "content-type" not in named:
        own["content-type"] = "application/json"
    given = [(encoded(name), encoded(value)) for name, value in (own | dict(headers)).items()]
    try:
        # Host, the length and the escapes of the URL are left to it.
        request = httpx.Request(method, url, headers=given, content=content)
    except httpx.InvalidURL as error:
        raise RequestError(describe(f"{method} {url} is not sent", expected="a URL", got=str(error))) from None
    sent = [(_text(name).lower(), _text(value)) for name, value in request.headers.raw]
    if "host" not in named:
        # The zone of an address means something to this machine alone (RFC 6874, 4).
        sent = [(name, re.sub("%.*]", "]", value) if name == "host" else value) for name, value in sent]
    where = next((f"the header '{name}'" for name, value in sent if PLACEHOLDER in value), None)
    if where is not None or PLACEHOLDER.encode() in content:
        raise RequestError(
            describe(
                f"{method} {url} is not sent",
                expected=f"the secret itself in {where or 'the body'}",
                got=f"the text {PLACEHOLDER}",
                hint=PLACEHOLDER_HINT,
            )
        )
    return Request(request.method, url, tuple(sent), content)


def make_attempt(
    dialer: Dialer, request: Request, patience: Patience, most: int, reader: AnswerReader | None = None
) -> Exchange:
    """Send a request once and read its answer. Whatever goes wrong on the way stands in the exchange.

    Args:
        dialer: Opens the connection.
        request: What is sent.
        patience: The limits of the attempt.
        most: Largest body in bytes.
        reader: Looks at the answer while it comes.
    """
    exchange = Exchange(request, None, ending=Ending.NO_ANSWER)
    answer = _Answer(exchange, patience, most, reader)
    cancellation = patience.cancellation
    try:
        way = dialer.way_to(request.url)
        with dialer.dial(way, patience) as connection:
            answer.read(connection, way)
    except LimitExceeded as error:
        on_purpose = isinstance(error, StillOpen) and not error.is_wrong
        exchange.ending = Ending.CANCELLED if on_purpose else Ending.LIMIT
        exchange.problem = None if on_purpose else answer.exceeded(error)
    except (TooLarge, CodingError) as error:
        exchange.ending = Ending.CANCELLED
        exchange.problem = str(error)
    except network_errors() as error:
        exchange.ending = Ending.NO_ANSWER if exchange.status is None else Ending.CUT
        said = describe_problem(error)
        exchange.problem = f"a connection that broke off ({said})" if answer.streams else said
    if cancellation is not None and cancellation.requested:
        exchange.ending = Ending.CANCELLED
        exchange.problem = CANCELLED if exchange.status is None else None
    answer.close()
    return exchange


class _Answer:
    """The answer of one attempt as it comes in."""

    def __init__(self, exchange: Exchange, patience: Patience, most: int, reader: AnswerReader | None) -> None:
        self._exchange = exchange
        self._patience = patience
        self._most = most
        self._reader = reader
        self._body = bytearray()
        self._reads: list[tuple[float, int]] = []
        self._unpacker: Unpacker | None = None
        self._arrival = 0.0
        self._begun = b""
        """The first bytes."""
        self._over = False
        """Whether the answer has come to its end, or nobody wants the rest."""

    def read(self, connection: Connection, way: Way) -> None:
        """Write the request and read the answer to its end."""
        import h11

        http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD)
        unsent = self._write(connection, way, http)
        while not self._over:
            try:
                data, when = connection.read()
            except OSError as error:
                raise unsent or error from None
            if not data and self._exchange.status is None:
                where = "inside the headers of its answer" if self._patience.arrived else "without an answer"
                raise UnreachableError(f"a connection closed {where}")
            self._receive(http, data, when)
        if self._exchange.ending is Ending.CANCELLED:
            return
        self._exchange.left_over = bytes(http.trailing_data[0]) or connection.waiting()
        if self._unpacker is not None:
            self._unpacker.close()

    def _receive(self, http: Any, data: bytes, when: float) -> None:
        """Take bytes that have come."""
        import h11

        self._arrival = when - self._patience.sent
        if len(self._begun) < _BEGINNING:
            self._begun += data[:_BEGINNING]
            if (strange := stranger_to_http(self._begun)) is not None:
                raise UnreachableError(strange)
        http.receive_data(data)
        while not self._over and (event := http.next_event()) is not h11.NEED_DATA:
            if isinstance(event, h11.Response):
                self._begin(event.status_code, event.headers.raw_items())
            elif isinstance(event, h11.Data):
                if not self._take(bytes(event.data)):
                    self._exchange.ending = Ending.CANCELLED
                    self._over = True
            elif isinstance(event, h11.EndOfMessage) or event is h11.PAUSED:
                self._exchange.ending = Ending.WHOLE
                self._over = True

    def _write(self, connection: Connection, way: Way, http: Any) -> OSError | None:
        """Write the request; return what kept the server from taking the whole of it: it may have answered before.

        A server that refuses need not read the rest of a request, so the rest is not sent (RFC 9112, 9.5).
        """
        import h11
        import httpx

        request = self._exchange.request
        headers = [(encoded(name), encoded(value)) for name, value in request.headers]
        strange = next((name for name, _ in request.headers if not name.isascii()), None)
        if strange is not None:
            raise UnreachableError(f"Illegal header name {strange!r}")
        url = httpx.URL(request.url)
        target = url.raw_path
        if way.proxy is not None and not way.tls:
            target = b"%b://%b%b" % (url.raw_scheme, url.netloc, target)
            headers += [(b"proxy-authorization", way.proxy_login.encode())] if way.proxy_login else []
        data = http.send(h11.Request(method=encoded(request.method), target=target, headers=headers))
        if request.body:
            data += http.send(h11.Data(data=request.body))
        data += http.send(h11.EndOfMessage())
        rest = memoryview(data)
        try:
            while rest and not self._over and not self._refused:
                count, came = connection.write_or_read(rest)
                rest = rest[count:]
                if came:
                    self._receive(http, came, self._patience.read(len(came)))
        except OSError as error:
            return error
        finally:
            self._patience.written()
        return None

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        exchange = self._exchange
        exchange.status = status
        exchange.headers = tuple((_text(name).lower(), _text(value)) for name, value in headers)
        # Until the framing says that the end has come.
        exchange.ending = Ending.CUT
        if self._reader is not None:
            self._reader.begin(exchange, self._patience)
        self._unpacker = Unpacker(exchange.header("content-encoding") or "", self._most)

    def _take(self, data: bytes) -> bool:
        assert self._unpacker is not None
        piece = self._unpacker.feed(data)
        if not piece:
            return True
        self._body += piece
        if self._reads and self._reads[-1][0] == self._arrival:
            self._reads.pop()
        self._reads.append((self._arrival, len(self._body)))
        return self._reader is None or self._reader.feed(piece, self._arrival)

    @property
    def _refused(self) -> bool:
        return self._exchange.status is not None and self._exchange.status >= 300

    @property
    def streams(self) -> bool:
        """Whether the answer is a stream that is read event by event."""
        return self._reader is not None and self._reader.streams

    def exceeded(self, limit: LimitExceeded) -> str:
        """Say what a limit ended."""
        if isinstance(limit, StillOpen):
            return str(limit)
        if self.streams:
            return f"no end within the {limit}"
        begin = "an answer cut by the" if self._patience.arrived else "no answer within the"
        return f"{begin} {limit} ({self._patience.so_far})"

    def close(self) -> None:
        self._exchange.body = bytes(self._body)
        self._exchange.reads = tuple(self._reads)


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
