"""Whatever is sent, the answer is an HTTP error or a good one, and the next good request is served."""

from __future__ import annotations

import json
import random
import socket
from itertools import pairwise
from time import monotonic, sleep

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from InferenceLibrary.simulator.faults.catalogue import KINDS, reach

SLOW = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
GENERATING = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/messages",
    "/v1/embeddings",
    "/v1/rerank",
    "/v1/score",
]
PATHS = [
    *GENERATING,
    "/tokenize",
    "/detokenize",
    "/v1/messages/count_tokens",
    "/v1/load_lora_adapter",
    "/admin/config",
    "/v1/responses/x/cancel",
]
GOOD = {
    "model": "fake-model",
    "messages": [{"role": "user", "content": "hi"}],
    "prompt": "hi",
    "input": "hi",
    "max_tokens": 5,
    "stream": False,
    "stream_options": None,
    "n": 1,
    "stop": ["x"],
    "logprobs": None,
    "tools": [],
    "tool_choice": "auto",
    "response_format": {"type": "text"},
    "temperature": 1,
    "seed": 1,
    "dimensions": 3,
    "query": "q",
    "documents": ["d"],
    "top_n": 1,
    "text_1": "t",
    "text_2": ["t"],
    "tokens": [],
    "system": "s",
    "instructions": "i",
    "lora_name": "l",
    "time-to-first-token": "0",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*GOOD, "type", "role", "content", "function"]), inner, max_size=4)
    ),
    max_leaves=12,
)


def alive(simulator):
    assert simulator.process.poll() is None
    assert simulator.request("GET", "/health").status == 200


@SLOW
@given(st.binary(max_size=400))
def test_any_bytes(simulator, data):
    with simulator.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        found = _read(sock)
    assert not found or found.startswith(b"HTTP/1.1 ")
    assert b"Traceback" not in found
    alive(simulator)


BODY = b'{"model":"fake-model","messages":[{"role":"user","content":"one two three four"}]}'
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


@SLOW
@given(
    st.lists(st.tuples(st.integers(0, len(REQUEST)), st.binary(max_size=6), st.integers(0, 6)), min_size=1, max_size=4)
)
def test_damaged_requests(simulator, changes):
    data = REQUEST
    for place, insert, drop in changes:
        data = data[:place] + insert + data[place + drop :]
    with simulator.connect() as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        found = _read(sock)
    assert not found or (found.startswith(b"HTTP/1.1 ") and not found.startswith(b"HTTP/1.1 500"))
    alive(simulator)


@SLOW
@given(st.sampled_from(PATHS), st.dictionaries(st.sampled_from(list(GOOD)), JSON, max_size=3), st.booleans())
def test_any_values(simulator, path, changes, stream):
    body = json.dumps({**GOOD, "stream": stream, **changes}).encode()
    answer = simulator.request("POST", path, body)
    assert answer.status < 500, answer.raw
    if answer.status >= 400:
        assert answer.json["error"]["message"]
    simulator.control("PATCH", "/config", {"time-to-first-token": "0", "failure-injection-rate": 0})


@SLOW
@given(st.lists(st.integers(1, len(REQUEST) - 1), max_size=12))
def test_a_request_cut_anywhere_is_read_the_same(simulator, cuts):
    with simulator.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        places = sorted({0, len(REQUEST), *cuts})
        for start, end in pairwise(places):
            sock.sendall(REQUEST[start:end])
        found = _read(sock)
    assert found.startswith(b"HTTP/1.1 200")
    assert b'"content":"one two three four"' in found


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: t\r\nX: " + b"a" * 70_000, 431),
        (b"GET /" + b"a" * 70_000, 431),
        (b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /health HTTP/9.9\r\nHost: t\r\n\r\n", 400),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: t\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ],
)
def test_hostile_heads(simulator, data, status):
    with simulator.connect() as sock:
        sock.sendall(data)
        found = _read(sock)
    assert found.startswith(b"HTTP/1.1 %d " % status), found[:100]
    alive(simulator)


def test_endless_chunked_body_is_refused(simulator):
    with simulator.connect() as sock:
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"10000\r\n" + b"a" * 65536 + b"\r\n"
        sent = 0
        try:
            while sent < 50_000_000:
                sock.sendall(block)
                sent += len(block)
        except ConnectionError:
            pass
        assert sent < 50_000_000
    alive(simulator)


def test_expect_continue(simulator):
    with simulator.connect() as sock:
        head, body = REQUEST.split(b"\r\n\r\n")
        sock.sendall(head + b"\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert _read(sock).startswith(b"HTTP/1.1 200")


def test_client_that_does_not_read_costs_no_memory(simulator):
    status = f"/proc/{simulator.process.pid}/statm"
    body = json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": "x"}], "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Inference-Fault: endless-stream:pause=0\r\n"
    with simulator.connect() as sock:
        sock.sendall(head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        sock.recv(100)
        before = _pages(status)
        sent, end = -1, monotonic() + 60
        # Few questions: the server remembers the last requests, which costs memory too.
        while (now := simulator.stats()["bytes_sent"]) != sent and monotonic() < end:
            sent = now
            sleep(0.2)
        assert monotonic() < end, "it went on writing"
        assert _pages(status) - before < 2000  # 8 MB
    alive(simulator)
    while simulator.stats()["in_flight"]:
        pass


@pytest.mark.slow
def test_soak_with_random_faults(start_simulator):
    """100,000 requests with faults on at random: the counters agree, and the memory is back."""
    simulator = start_simulator(
        "--mode", "echo", "--control-port", "0", "--max-num-seqs", "64", "--seed", "1", "--record-requests", "10"
    )
    ends = {"cut-after-events", "cut-in-json", "cut-in-character", "missing-last-chunk", "close-before-status"}
    skipped = {
        "stall",
        "huge-body",
        "compression-bomb",
        "endless-stream",
        "endless-line",
        "slow-drip",
        "early-response",
    }
    skipped |= {"stuck-after-error", "first-request-hangs", "refuse-connection"}
    names = [kind.name for kind in KINDS.values() if not kind.of_process and kind.name not in skipped]
    names = [name for name in names if "chat" in " ".join(reach().get(name, {"openai": ["chat"]}).get("openai", ()))]
    chance = random.Random(1)
    status = f"/proc/{simulator.process.pid}/statm"
    before, sock, sent = 0, None, 0
    for number in range(100_000):
        if number == 5_000:
            before = _pages(status)
        fault = chance.choice(names) if chance.random() < 0.3 else ""
        body = json.dumps(
            {"model": "fake-model", "messages": [{"role": "user", "content": "a b c"}], "stream": chance.random() < 0.5}
        ).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        head += f"Content-Length: {len(body)}\r\n"
        head += f"X-Inference-Fault: {fault}\r\nConnection: close\r\n\r\n" if fault else "\r\n"
        if fault or sock is None:
            if sock is not None:
                sock.close()
            sock = simulator.connect()
        sock.sendall(head.encode() + body)
        sent += 1
        if fault:
            if chance.random() < 0.9:
                _read(sock)
            sock.close()
            sock = None
        else:
            found = b""
            while not _complete(found):
                found += sock.recv(65536)
    if sock is not None:
        sock.close()
    while (counters := simulator.stats())["in_flight"]:
        pass
    assert counters["received"] == sent
    assert counters["received"] == counters["completed"] + counters["failed"] + counters["cancelled"]
    assert counters["failed"] > sent * 0.3 * len(ends) / len(names) * 0.5
    assert _pages(status) - before < 2500  # 10 MB


def _complete(found: bytes) -> bool:
    head, _, body = found.partition(b"\r\n\r\n")
    if b"chunked" in head:
        return body.endswith(b"\r\n0\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return bool(length) and len(body) >= int(length)


def _pages(status: str) -> int:
    with open(status, encoding="ascii") as file:  # noqa: PTH123 - a file of the kernel
        return int(file.read().split()[1])


def _read(sock: socket.socket) -> bytes:
    found = b""
    try:
        while part := sock.recv(65536):
            found += part
    except ConnectionError:
        pass
    except TimeoutError:
        pytest.fail(f"no end after {found[-300:]!r}")
    return found
