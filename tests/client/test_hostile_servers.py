"""Hostile servers: whatever they send, a call ends in one clear error within its limits, and memory stays bounded."""

from __future__ import annotations

import gzip
import json
import resource
import zlib

import pytest
from wire_server import DONE, END_OF_BODY, HOLD, STREAM_HEAD, answer, delta, piece

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.errors import RequestError, StreamError

HELLO = [{"role": "user", "content": "Hi"}]
SMALL = Limits(total=5.0, body=2**20)
MEGABYTE = b"x" * 2**20


def first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


ENDLESS_HEADERS = [b"HTTP/1.1 200 OK\r\n" + b"X-More: yes\r\n" * 20_000]
LONG_HEADER = [b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 2**21]
HUGE_BODY = [
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n",
    *[MEGABYTE] * 50,
]
BOMB = gzip.compress(b"0" * 50_000_000)
PACKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        (ENDLESS_HEADERS, "headers beyond what a client takes"),
        (LONG_HEADER, "headers beyond what a client takes"),
        (HUGE_BODY, "a body beyond the limit of 1,048,576 bytes"),
        (
            [PACKED + f"Content-Length: {len(BOMB)}\r\n\r\n".encode() + BOMB],
            "that unpacks beyond the limit of 1,048,576",
        ),
        ([b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n"], "got 307"),
        ([answer(b'{"choices": "\xff\xfe"}')], "not UTF-8 at byte 13"),
        ([answer('{"choices": [{"mess')[:-1]], "without sending complete message body"),
        ([answer("null")], "expected a JSON object, got application/json: 'null'"),
        ([answer("[" * 200_000)], "expected a JSON object"),
        ([b"SSH-2.0-OpenSSH_9.2\r\n", HOLD], "got an answer that is not HTTP/1: b'SSH-2.0-OpenSSH_9.2"),
        ([b"\x15\x03\x03\0\x02\x02\x32"], "got an answer in TLS: does the URL begin with https:?"),
        ([b"\0\0\x12\x04\0\0\0\0\0\0\x03", HOLD], "got an answer in HTTP/2, as gRPC speaks it: does the "),
        ([b"\0" * 40, HOLD], "got an answer that is not HTTP/1: b'"),
        (
            [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", HOLD],
            "got another protocol that nobody asked for (status 101)",
        ),
        ([b"HTT", 0.05, b"X/1.1 200 OK\r\n", HOLD], "got an answer that is not HTTP/1: b'HTTX/1.1 200 OK"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n"], "Content-Length"),
        ([answer(json.dumps({"error": {"message": "no", "code": 1}}))], "200 with an error as its body: no (code 1)"),
    ],
)
def test_a_hostile_answer_ends_in_one_error(wire, script, told):
    with pytest.raises(RequestError) as caught:
        Client(wire(script).url, limits=SMALL).chat(HELLO)
    assert told in first_line(caught.value)
    assert caught.value.category in {"PARSE_ERROR", "SERVER_ERROR", "UNKNOWN"}


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ([STREAM_HEAD, piece(b"data: "), *[piece(MEGABYTE)] * 50], "a body beyond the limit of 1,048,576 bytes"),
        ([STREAM_HEAD, *[piece(b":" + b"c" * 1000 + b"\n\n")] * 2000], "a body beyond the limit"),
        ([STREAM_HEAD, piece(delta("a")), piece(b"data: \xff\xfe\n\n"), piece(DONE), END_OF_BODY], "not UTF-8 at byte"),
        (
            [STREAM_HEAD, piece(delta("a")), piece("data: {oops\n\n"), piece(DONE), END_OF_BODY],
            "event 2, which is not JSON",
        ),
        ([STREAM_HEAD, piece(delta("a")), HOLD], "no end within the total time limit of 1 s"),
    ],
)
def test_a_hostile_stream_ends_in_one_error(wire, script, told):
    with pytest.raises(StreamError) as caught:
        Client(wire(script).url, limits=SMALL.replace(total=1.0)).stream_chat(HELLO)
    assert told in first_line(caught.value)
    assert caught.value.stream is not None


def test_comments_are_no_sign_of_life(wire):
    """A server that only sends keep-alive comments is silent where it counts."""
    comments = [step for _ in range(100) for step in (piece(": still here\n\n"), 0.05)]
    script = [STREAM_HEAD, piece(delta("a")), *comments]
    with pytest.raises(StreamError, match=r"between-events limit of 0\.3 s after 1 events") as caught:
        Client(wire(script).url, limits=Limits(total=20, between=0.3)).stream_chat(HELLO)
    assert len(caught.value.stream.notes) >= 1


def test_a_limit_tells_what_had_arrived(wire):
    script = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n12345", HOLD]
    with pytest.raises(RequestError, match=r"\(44 bytes had arrived, the last after 0\.\d+ s\)"):
        Client(wire(script).url, limits=Limits(total=0.2)).send("GET", "/x")


def test_a_compressed_answer_is_read(wire):
    packed = zlib.compress(b'{"choices": [{"index": 0, "message": {"content": "Hello"}}]}')
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\nContent-Length: {len(packed)}\r\n\r\n".encode()
    assert Client(wire([head + packed]).url).chat(HELLO).text == "Hello"


def test_memory_stays_bounded(wire):
    client = Client(wire(HUGE_BODY).url, limits=SMALL)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        with pytest.raises(RequestError):
            client.chat(HELLO)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40_000, f"{grown} kB"
