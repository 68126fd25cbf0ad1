"""Heads that came before are not parsed again: the same requests arrive, however their bytes are cut."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.simulator.core import connection, heads
from InferenceLibrary.simulator.core.connection import Connection


class Transport:
    def __init__(self) -> None:
        self.closing = False

    def get_extra_info(self, _name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        raise AssertionError("so many requests are not sent here")

    def write(self, _data: bytes) -> None:
        """Take it."""

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        raise AssertionError("nothing is refused that goes on")


class App:
    """Keeps what arrives, as it was, and answers at once."""

    def __init__(self) -> None:
        self.faults: list[Any] = []
        self.lasting: list[Any] = []
        self.connections: set[Any] = set()
        self.max_body_bytes = 1000
        self.ledger = SimpleNamespace(bytes_sent=0, rejected=0)
        self.timers = SimpleNamespace(at=lambda *_: None)
        self.seen: list[Any] = []
        self.heads: list[str] = []

    def on_connect(self, _connection: Connection) -> None:
        """Take it."""

    def on_head(self, _connection: Connection, request: Any) -> None:
        self.heads.append(request.path)

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        self.seen.append((status, message))
        return "text/plain", b""

    def handle(self, turn: Any) -> None:
        one = turn.request
        kept = (one.method, one.path, one.query, one.authority, one.body, one.body_bytes, one.keep_alive, one.version)
        self.seen.append((*kept, dict(one.headers)))
        # A fault may change them: the next request has its own.
        one.headers["authorization"] = "changed"
        turn.connection.ended(one.keep_alive)


def arriving(pieces: list[bytes], app: App | None = None) -> App:
    """Return what saw the requests of a connection whose bytes come in these pieces."""
    app = app or App()
    line = Connection(app)  # type: ignore[arg-type]
    line.connection_made(Transport())
    for piece in pieces:
        if not line.transport.is_closing():
            line.data_received(piece)
    return app


def chat(body: bytes = b'{"a":1}', more: bytes = b"", path: bytes = b"/v1/chat/completions?x=1") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (path, more, len(body), body)


KINDS = [
    chat(),
    chat(b'{"b":2}'),
    chat(b""),
    chat(b"{}", b"Connection: keep-alive\r\n"),
    chat(b"{}", b"Connection: close\r\n"),
    chat(b"{}", b"Expect: 100-continue\r\n"),
    chat(b"{}", b"Upgrade: h2c\r\nConnection: Upgrade\r\n"),
    chat(b"{}", b"X-Inference-Fault: truncate\r\n"),
    chat(b"{}", path=b"http://other/v1/%41"),
    chat(b"x" * 1001),
    b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /health HTTP/1.0\r\nHost: x\r\n\r\n",
    b"\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nno header\r\n\r\n",
]
TWICE = st.lists(st.sampled_from(KINDS), min_size=1, max_size=6).map(lambda some: [*some, *some])


@given(TWICE, st.data())
def test_the_same_requests_arrive(requests, data):
    whole = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=4)))
    cut = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    for pieces in (requests, cut, requests):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "known_request", lambda *_: None)
            parsed = arriving(pieces)
        known = arriving(pieces)
        assert known.seen == parsed.seen
        assert known.heads == parsed.heads


@pytest.fixture
def no_heads(monkeypatch):
    monkeypatch.setattr(heads, "_known", {})


@pytest.mark.usefixtures("no_heads")
def test_a_head_is_parsed_once(monkeypatch):
    arriving([chat(b"{}")])
    monkeypatch.setattr(Connection, "on_header", lambda *_: pytest.fail("parsed again"))
    assert [one[4] for one in arriving([chat(b"{}"), chat(b"[]")]).seen] == [b"{}", b"[]"]


@pytest.mark.usefixtures("no_heads")
@pytest.mark.parametrize("kind", ["faults", "lasting"])
def test_faults_see_each_head(kind):
    arriving([chat()])
    app = App()
    setattr(app, kind, ["some fault"])
    assert arriving([chat(), chat()], app).heads == ["/v1/chat/completions"] * 2


@pytest.mark.usefixtures("no_heads")
@pytest.mark.parametrize("special", [KINDS[5], KINDS[6], KINDS[7], KINDS[13], KINDS[11], KINDS[4]])
def test_heads_that_ask_for_more_are_not_kept(special):
    arriving([special])
    assert not heads._known


@pytest.mark.usefixtures("no_heads")
def test_not_too_many_and_too_long_heads_are_kept():
    arriving([chat(b"{}", b"X-Request-Id: %d\r\n" % number) for number in range(300)])
    assert len(heads._known) == 300 - heads._MOST
    arriving([chat(b"{}", b"X-Long: %b\r\n" % (b"x" * heads._LONGEST))])
    assert len(heads._known) == 300 - heads._MOST
