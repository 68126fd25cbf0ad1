"""Connections: nothing is sent twice in secret, nothing foreign is taken for an answer, no limit is outrun."""

from __future__ import annotations

import base64
import gzip
import socket
import threading
import time
import zlib
from collections.abc import Callable

import pytest
from wire_server import DONE, END_OF_BODY, HOLD, RESET, STREAM_HEAD, WireServer, answer, delta, piece

from InferenceLibrary.client.connection import Dialer
from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.retry import RetryPolicy
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.errors import RequestError, StreamError
from InferenceLibrary.protocol.exchange import Ending
from InferenceLibrary.protocol.statuses import ANY
from InferenceLibrary.redaction import Redactor

HELLO = [{"role": "user", "content": "Hi"}]
REPLY = '{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}'
HALF = answer(REPLY)[:-20]
GOOD = [piece(delta("Hel", role="assistant")), piece(delta(finish="stop")), piece(DONE)]


@pytest.mark.parametrize(
    ("ending", "keep_alive"),
    [([b""], False), ([RESET], True), ([HALF], False), ([HALF, RESET], True)],
    ids=["closed", "reset", "closed after half", "reset after half"],
)
def test_a_dropped_request_is_never_repeated_in_silence(wire, ending, keep_alive):
    """The server reads each request and hangs up, some after half an answer; it may keep other connections alive."""
    server = wire([answer(REPLY)], ending, [answer(REPLY)], ending, keep_alive=keep_alive)
    client = Client(server.url, limits=Limits(total=10))
    calls, attempts, failed = 300, [], 0
    for _ in range(calls):
        try:
            attempts.append(client.chat(HELLO).attempts)
        except RequestError as error:
            failed += 1
            attempts.append(error.attempts)
    assert failed == calls - 2
    assert {len(tried) for tried in attempts} == {1}
    assert len(server.requests) == calls


def test_a_retry_is_counted(wire):
    server = wire([b""], [answer(REPLY)])
    reply = Client(server.url, retry=RetryPolicy(max_retries=2, initial_backoff=0.001, jitter=0)).chat(HELLO)
    assert [attempt.error for attempt in reply.attempts] == ["a connection closed without an answer", None]
    assert len(server.requests) == 2


@pytest.mark.parametrize("head", [b"", b"0\r\n\r\n"], ids=["counted", "chunked"])
def test_what_follows_an_answer_is_told_and_never_taken_for_another(wire, head):
    poison = answer('{"choices": [{"index": 0, "message": {"content": "POISON"}}]}')
    first = answer(REPLY)
    if head:
        chunked = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        first = chunked + piece(REPLY) + head
    server = wire([first + poison], [answer(REPLY)], keep_alive=True)
    client = Client(server.url)
    one, two = client.chat(HELLO), client.chat(HELLO)
    assert one.exchange.left_over == poison
    assert (two.text, two.exchange.left_over) == ("Hello", b"")
    assert server.connections == 2


def test_the_total_limit_holds_while_a_request_is_written():
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def drip() -> None:
        connection, _ = listener.accept()
        with connection:
            while not done.wait(0.05):
                connection.recv(50_000)

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    client = Client(f"http://127.0.0.1:{listener.getsockname()[1]}", limits=Limits(total=0.5))
    began = time.monotonic()
    with pytest.raises(RequestError, match=r"no answer within the total time limit of 0\.5 s"):
        client.chat([{"role": "user", "content": "x" * 60_000_000}])
    took = time.monotonic() - began
    done.set()
    thread.join()
    listener.close()
    assert took < 10, "60 MB at a megabyte a second"


def test_an_answer_that_comes_before_the_request_was_read_is_read():
    listener = socket.create_server(("127.0.0.1", 0))

    def refuse() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer('{"error": {"message": "too long"}}', "413 Too Large"))
            connection.shutdown(socket.SHUT_WR)
            # What is still on its way is read, so that no reset overtakes the answer.
            while connection.recv(1_000_000):
                pass

    thread = threading.Thread(target=refuse, daemon=True)
    thread.start()
    with pytest.raises(RequestError, match="expected status 200, got 413: too long"):
        Client(f"http://127.0.0.1:{listener.getsockname()[1]}").chat([{"role": "user", "content": "x" * 5_000_000}])
    thread.join()
    listener.close()


def addresses(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, int]) -> None:
    """Let every name have these addresses."""
    listed = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in found]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: listed)


def test_every_address_of_a_name_is_tried(wire, monkeypatch):
    server = wire([answer(REPLY)])
    closed = wire([b""])
    closed.close()
    addresses(monkeypatch, ("127.0.0.1", closed.port), ("127.0.0.1", server.port))
    assert Client("http://two.test").chat(HELLO).text == "Hello"


@pytest.mark.parametrize("mark", ["%25", "%"])
def test_an_address_may_name_its_zone_which_is_not_sent(wire, monkeypatch, mark):
    server = wire([answer(REPLY)])
    asked: list[str] = []

    def look_up(host: str, port: int, **_: object) -> list[tuple]:  # type: ignore[type-arg]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert Client(f"http://[fe80::1{mark}eth0]:{server.port}").chat(HELLO).text == "Hello"
    assert asked == ["fe80::1%eth0"]
    assert f"\r\nhost: [fe80::1]:{server.port}\r\n".encode() in server.requests[0].lower()


def test_addresses_that_never_answer_share_the_limit(wire, monkeypatch):
    """A full queue of a listener drops what would connect: as silent as a host that is not there."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(silent.getsockname())
    server = wire([answer(REPLY)])
    addresses(monkeypatch, silent.getsockname(), ("127.0.0.1", server.port))
    assert Client("http://two.test", limits=Limits(total=20, connect=0.6)).chat(HELLO).text == "Hello"
    addresses(monkeypatch, *[silent.getsockname()] * 5)
    began = time.monotonic()
    with pytest.raises(RequestError, match=r"no answer within the connect limit of 0\.5 s"):
        Client("http://five.test", limits=Limits(total=20, connect=0.5)).chat(HELLO)
    assert time.monotonic() - began < 2.5, "five times the limit"
    for one in (silent, *waiting):
        one.close()


@pytest.mark.parametrize("host", ["slow.test", "dead.beef", "abc"])
def test_the_look_up_of_a_name_is_bounded(monkeypatch, host):
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(30) and [])
    with pytest.raises(RequestError, match=r"no answer within the connect limit of 0\.2 s"):
        Client(f"http://{host}", limits=Limits(total=20, connect=0.2)).chat(HELLO)
    release.set()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://127.0.0.1:1", "a URL without http:// or https://"),
        ("http://", "a URL without http:// or https:// and a host"),
        ("http://127.0.0.1:99999", "a URL with a port that there is not"),
    ],
)
def test_what_is_not_an_address_is_refused_in_one_line(url, told):
    with pytest.raises(RequestError) as caught:
        Client(url).send("GET", "/")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


# Who we are


def test_the_user_of_a_url_is_sent_as_basic_and_masked(wire):
    server = wire([answer('{"error": {"message": "\'pa ss!word\' is wrong, pa%20ss%21word"}}', "401 Unauthorized")])
    redact = Redactor()
    client = Client(server.url.replace("://", "://me:pa%20ss%21word@"), redact=redact)
    with pytest.raises(RequestError) as caught:
        client.chat(HELLO)
    expected = base64.b64encode(b"me:pa ss!word")
    assert b"authorization: basic " + expected.lower() in server.requests[0].lower()
    assert "word@" not in f"{caught.value}{client.base_url}"
    assert "'***' is wrong, ***" in str(caught.value)
    assert expected.decode() not in redact(f"It said {expected.decode()}")


def test_what_a_call_names_a_secret_is_masked_where_it_is_repeated(wire):
    """In the query of a URL, and in a header of one's own."""
    server = wire([answer('{"error": {"message": "neither \'planted-1\' nor planted-2"}}', "401 Unauthorized")])
    client = Client(server.url, headers={"X-Api-Key": "planted-1"})
    with pytest.raises(RequestError, match=r"^GET \S+/v1/models\?key=\*\*\* of .* neither '\*\*\*' nor \*\*\*"):
        client.send("GET", "/v1/models?key=planted-2", sending=Sending())
    assert b"/v1/models?key=planted-2" in server.requests[0]


def test_a_key_goes_before_the_user_of_a_url(wire):
    server = wire([answer(REPLY)])
    Client(server.url.replace("://", "://me:password@"), api_key="key-1").chat(HELLO)
    assert b"authorization: bearer key-1" in server.requests[0].lower()
    assert b"basic" not in server.requests[0].lower()


def test_another_server_gets_neither_key_nor_headers(wire):
    ours, foreign = wire([answer("{}")]), wire([answer("{}")])
    client = Client(ours.url, api_key="key-1", headers={"X-Team": "blue"})
    client.send("GET", f"{foreign.url}/v1/models", sending=Sending(headers={"X-Asked": "yes"}, expected_status=ANY))
    client.send("GET", f"{ours.url}/v1/models")
    client.send("GET", "/v1/models")
    assert b"key-1" not in foreign.requests[0]
    assert b"x-team" not in foreign.requests[0].lower()
    assert b"x-asked: yes" in foreign.requests[0].lower()
    for request in ours.requests:
        assert b"bearer key-1" in request.lower()
        assert b"x-team: blue" in request.lower()


@pytest.mark.parametrize("other", ["https://host:8000/x", "http://host:8001/x", "http://hosts:8000/x", "http://host/x"])
def test_scheme_host_and_port_make_a_server(other):
    client = Client("http://host:8000", api_key="key-1")
    sent = [dict(client._request("GET", url, None, Sending()).headers) for url in (other, "http://HOST:8000/x")]
    assert ["authorization" in headers for headers in sent] == [False, True]


# Content codings


def packed(body: bytes, coding: str, kind: str = "application/json") -> list[bytes]:
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return [head.encode() + body]


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


def brotli(body: bytes) -> bytes:
    import brotli

    return bytes(brotli.compress(body))


BODY = REPLY.encode()
CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "several members": ("gzip", lambda body: gzip.compress(body[:20]) + gzip.compress(body[20:])),
    "zlib": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "brotli": ("br", brotli),
    "twice": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    "two codings": ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
}


@pytest.mark.parametrize("name", CODINGS)
def test_a_compressed_answer_is_read(wire, name):
    coding, pack = CODINGS[name]
    reply = Client(wire(packed(pack(BODY), coding)).url).chat(HELLO)
    assert reply.exchange.body == BODY


@pytest.mark.parametrize("name", CODINGS)
def test_a_compressed_stream_is_read_event_by_event(wire, name):
    coding, pack = CODINGS[name]
    events = (delta("Hel", role="assistant") + delta("lo") + delta(finish="stop") + DONE).encode()
    raw = pack(events)
    head = STREAM_HEAD.replace(b"Transfer", b"Content-Encoding: " + coding.encode() + b"\r\nTransfer")
    pieces = [piece(raw[at : at + 7]) for at in range(0, len(raw), 7)]
    stream = Client(wire([head, *pieces, END_OF_BODY]).url).stream_chat(HELLO)
    assert stream.text == "Hello"
    assert stream.raw == events


@pytest.mark.parametrize(
    ("body", "coding", "told"),
    [
        (gzip.compress(BODY)[:-10], "gzip", "a body that ends before its Content-Encoding 'gzip' does"),
        (zlib.compress(BODY)[:-2], "deflate", "a body that ends before its Content-Encoding 'deflate' does"),
        (brotli(BODY)[:-3], "br", "a body that ends before its Content-Encoding 'br' does"),
        (gzip.compress(BODY)[:-8] + b"\0" * 8, "gzip", "a body that is not of its Content-Encoding 'gzip' (Error"),
        (BODY, "gzip", "a body that is not of its Content-Encoding 'gzip' (Error -3"),
        (zlib.compress(BODY) + b"more", "deflate", "not of its Content-Encoding 'deflate' (bytes after its end)"),
        (brotli(BODY) + b"more", "br", "a body that is not of its Content-Encoding 'br' ("),
        (BODY, "br", "a body that is not of its Content-Encoding 'br' ("),
        (BODY, "zstd", "a body with Content-Encoding 'zstd', which was not asked for and is not known"),
    ],
    ids=[
        "cut gzip",
        "cut deflate",
        "cut brotli",
        "wrong sum",
        "not gzip",
        "rest of deflate",
        "rest of brotli",
        "not brotli",
        "unknown",
    ],
)
def test_a_body_that_cannot_be_unpacked_is_told_with_its_coding(wire, body, coding, told):
    with pytest.raises(RequestError) as caught:
        Client(wire(packed(body, coding)).url).chat(HELLO)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
def test_a_bomb_ends_at_the_limit(wire, coding):
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli}[coding]
    with pytest.raises(RequestError, match="that unpacks beyond the limit of 1,000,000 bytes"):
        Client(wire(packed(pack(b"0" * 20_000_000), coding)).url, limits=Limits(body=1_000_000)).chat(HELLO)


# How a stream ends


ERRORS = {
    "named": 'event: error\ndata: {"message": "engine died", "code": 529}\n\n',
    "named text": "event: error\ndata: engine died\n\n",
    "key": 'data: {"error": {"message": "engine died"}}\n\n',
    "key text": 'data: {"error": "engine died"}\n\n',
    "list": 'data: [{"error": {"message": "engine died"}}]\n\n',
    "typed": 'event: error\ndata: {"type": "error", "error": {"type": "x", "message": "engine died"}}\n\n',
    "bare": '{"error": {"message": "engine died"}}\n',
    "field": 'error: {"message": "x", "error": {"message": "engine died"}}\n\n',
}


@pytest.mark.parametrize("form", ERRORS)
@pytest.mark.parametrize(
    "then", [[HOLD], [piece(DONE), HOLD], [piece(DONE), END_OF_BODY]], ids=["open", "done", "ended"]
)
def test_an_error_event_ends_the_wait_with_its_words(wire, form, then):
    server = wire([STREAM_HEAD, piece(delta("Hel", role="assistant")), piece(ERRORS[form]), *then])
    began = time.monotonic()
    with pytest.raises(StreamError, match="got an error event: engine died") as caught:
        Client(server.url, limits=Limits(total=60)).stream_chat(HELLO)
    assert time.monotonic() - began < 20
    assert caught.value.stream.text == "Hel"
    assert not caught.value.stream.cancelled
    assert caught.value.stream.exchange.ending in {Ending.WHOLE, Ending.CANCELLED}


def test_a_connection_that_stays_open_after_the_last_word_is_told_so(wire):
    server = wire([STREAM_HEAD, *GOOD, HOLD])
    began = time.monotonic()
    with pytest.raises(StreamError, match=r"got a connection that is still open 2 s after \[DONE\]") as caught:
        Client(server.url, limits=Limits(total=60)).stream_chat(HELLO)
    assert time.monotonic() - began < 30
    assert caught.value.stream.exchange.ending is Ending.LIMIT


def test_a_pause_before_the_last_word_is_waited_for(wire):
    server = wire([STREAM_HEAD, *GOOD[:-1], 2.5, GOOD[-1], END_OF_BODY])
    assert Client(server.url).stream_chat(HELLO).ended_with_done


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"choices": null}', "expected at least one choice in 'choices', got choices 'None'"),
        ('{"choices": []}', "expected at least one choice in 'choices', got choices '[]'"),
        ('{"id": "x"}', "expected at least one choice in 'choices', got none in"),
        ('{"choices": null, "error": {"message": "no", "code": 429}}', "200 with an error as its body: no (code 429)"),
        ('[{"error": {"message": "no"}}]', "200 with an error as its body: no"),
        ('{"choices": [{}], "error": {"message": "no"}}', "200 with an error as its body: no"),
    ],
)
def test_what_cannot_be_a_success_is_not_one(wire, body, told):
    with pytest.raises(RequestError) as caught:
        Client(wire([answer(body)]).url).chat(HELLO)
    assert told in str(caught.value)


# The record of a call


def test_an_exchange_holds_what_was_sent_and_what_came(wire):
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-A: 1\r\nX-B: 2\r\nX-A: 3\r\n"
    begin, end = REPLY[:30].encode(), REPLY[30:].encode()
    server = wire([f"{head}Content-Length: {len(REPLY)}\r\n\r\n".encode() + begin, 0.2, end])
    exchange = Client(server.url, api_key="key-1", model="m").chat(HELLO).exchange
    sent_head, _, sent_body = server.requests[0].partition(b"\r\n\r\n")
    lines = [line.split(": ", 1) for line in sent_head.decode().split("\r\n")[1:]]
    assert [(name.lower(), value) for name, value in lines] == list(exchange.request.headers)
    assert exchange.request.body == sent_body
    assert (exchange.request.method, exchange.request.path) == ("POST", "/v1/chat/completions")
    assert [pair for pair in exchange.headers if pair[0] in {"x-a", "x-b"}] == [
        ("x-a", "1"),
        ("x-b", "2"),
        ("x-a", "3"),
    ]
    assert exchange.header("x-a") == "1, 3"
    assert exchange.body == REPLY.encode()
    (first, one), (second, two) = exchange.reads
    assert (one, two) == (30, len(REPLY))
    assert 0 < first < second
    assert second - first > 0.15
    assert (exchange.ending, exchange.problem, len(exchange.attempts)) == (Ending.WHOLE, None, 1)


@pytest.mark.parametrize(
    ("script", "ending"),
    [
        ([b""], Ending.NO_ANSWER),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1"], Ending.CUT),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n1", HOLD], Ending.LIMIT),
    ],
)
def test_the_record_of_a_failed_call_hangs_on_its_error(wire: Callable[..., WireServer], script, ending):
    with pytest.raises(RequestError) as caught:
        Client(wire(script).url, limits=Limits(total=0.4)).chat(HELLO)
    assert caught.value.exchange.ending is ending
    assert caught.value.exchange.problem in str(caught.value)


def test_tls_is_prepared_once(monkeypatch):
    from InferenceLibrary.client.route import Route

    made = []
    monkeypatch.setattr(Route, "context", lambda self: made.append(self) or made)
    dialer = Dialer(Route())
    for _ in range(3):
        dialer._tls()
    assert len(made) == 1
