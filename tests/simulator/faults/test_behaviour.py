"""Faults of connections and of what a server remembers."""

from __future__ import annotations

import json
import time

import pytest
from simulator.faults.answers import TEXT


def test_endless_stream_goes_on_until_the_client_leaves(simulator):
    simulator.control("POST", "/stats/reset")
    body = json.dumps(
        {"model": "fake-model", "messages": [{"role": "user", "content": "a b"}], "stream": True, "max_tokens": 5}
    ).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Inference-Fault: endless-stream:pause=1ms\r\n"
    with simulator.connect() as sock:
        sock.sendall(head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        found = b""
        while found.count(b"data: ") < 100:
            found += sock.recv(65536)
    while simulator.stats()["in_flight"]:
        pass
    assert simulator.stats()["cancelled"] == 1
    assert b"[DONE]" not in found


@pytest.mark.parametrize(
    ("how", "name", "code"),
    [("event", "error", "server_error"), ("response", "response.failed", "server_error")],
)
@pytest.mark.parametrize("asked", ["", "rate_limit_exceeded"])
def test_a_response_fails_as_its_api_has_it(simulator, how, name, code, asked):
    """https://platform.openai.com/docs/api-reference/responses-streaming: `error` and `response.failed`."""
    fault = f"error-mid-stream:events=4,how={how}" + (f",code={asked}" if asked else "")
    body = {"model": "fake-model", "input": "a b", "stream": True}
    answer = simulator.request("POST", "/v1/responses", body, {"X-Inference-Fault": fault})
    assert answer.body.count(b"event: ") == 5
    last = answer.data[-1]
    assert (last["type"], last["sequence_number"]) == (name, 4)
    assert f"\nevent: {name}\n" in answer.body.decode()
    error = last if how == "event" else last["response"]["error"]
    assert (error["code"], error["message"]) == (asked or code, "The engine died")
    if how == "response":
        assert (last["response"]["status"], last["response"]["output"]) == ("failed", [])
        assert last["response"]["id"] == answer.data[0]["response"]["id"]


def test_endless_line(simulator):
    answer = simulator.chat("x", fault="endless-line:bytes=1000000", stream=True)
    assert max(map(len, answer.body.split(b"\n"))) > 900_000


def test_reset_is_a_reset(simulator):
    body = json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": TEXT}], "stream": True}).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Inference-Fault: cut-after-events:events=2,how=reset\r\n"
    )
    found = b""
    with simulator.connect() as sock:
        sock.sendall(head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        try:
            while part := sock.recv(65536):
                found += part
        except ConnectionResetError:
            found += b"reset"
    assert found.count(b"data: ") == 2
    assert found.endswith(b"reset")


def test_refused_connections(start_simulator):
    simulator = start_simulator("--fault", "refuse-connection:first=2")
    found = []
    for _ in range(3):
        try:
            found.append(simulator.request("GET", "/health").raw[:12])
        except ConnectionError:
            found.append(b"")
    assert found == [b"", b"", b"HTTP/1.1 200"]


def test_early_response_does_not_wait_for_the_body(simulator):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Inference-Fault: early-response\r\n"
    assert simulator.raw(head + b"Content-Length: 1000\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_accepts_any_key(start_simulator):
    simulator = start_simulator("--api-key", "key-of-the-house", "--fault", "accepts-any-key")
    assert simulator.chat().status == 200
    assert simulator.request("GET", "/v1/models").status == 401


def test_stuck_after_error(start_simulator):
    simulator = start_simulator("--fault", "stuck-after-error", "--control-port", "0")
    assert simulator.chat().status == 200
    assert simulator.chat(model="other").status == 404
    with simulator.connect() as sock:
        sock.settimeout(0.3)
        sock.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 35\r\n\r\n"
            + b'{"model":"fake-model","prompt":"a"}'
        )
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert simulator.control("DELETE", "/faults").status == 204
    assert simulator.chat().status == 200


def test_first_request_hangs(start_simulator):
    simulator = start_simulator("--fault", "first-request-hangs")
    assert simulator.request("GET", "/health").status == 200
    with simulator.connect() as sock:
        sock.settimeout(0.3)
        sock.sendall(
            b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 35\r\n\r\n"
            + b'{"model":"fake-model","prompt":"a"}'
        )
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert simulator.chat().status == 200


def test_metrics_frozen(start_simulator):
    simulator = start_simulator("--fault", "metrics-frozen")
    before = simulator.request("GET", "/metrics").body
    simulator.chat()
    assert simulator.request("GET", "/metrics").body == before


def _asked(version: str, fault: str, **body: object) -> bytes:
    text = json.dumps({"model": "fake-model", "messages": [{"role": "user", "content": TEXT}], **body}).encode()
    head = f"POST /v1/chat/completions HTTP/{version}\r\nHost: t\r\nX-Inference-Fault: {fault}\r\n".encode()
    return head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(text) + text


@pytest.mark.parametrize(("fault", "ends"), [("; works-on-when-left", "completed"), ("", "cancelled")])
def test_a_client_that_leaves(simulator, fault, ends):
    """With the fault its answer is played to the end; without it nothing is."""
    simulator.control("POST", "/stats/reset")
    with simulator.connect() as sock:
        sock.sendall(_asked("1.1", f"stall:before=event,event=3,seconds=0.3{fault}", stream=True))
        assert sock.recv(100)
    while simulator.stats()["in_flight"]:
        pass
    assert simulator.stats()[ends] == 1


def test_a_neighbour_is_harmed(simulator):
    assert simulator.chat("x", fault="harms-neighbours").status == 200
    with simulator.connect() as sock:
        sock.sendall(_asked("1.1", "harms-neighbours; slow-drip:size=1,pause=10ms", stream=True))
        assert sock.recv(100)
    while simulator.stats()["in_flight"]:
        pass
    harmed = simulator.chat("x", fault="harms-neighbours")
    assert (harmed.status, "choices" in harmed.json) == (500, True)
    assert simulator.chat("x", fault="harms-neighbours").status == 200


@pytest.mark.parametrize(
    ("version", "fault", "chunks"),
    [("1.0", "chunks-to-http10", True), ("1.0", "comments", False), ("1.1", "chunks-to-http10", True)],
)
def test_chunks_to_a_client_of_http10(simulator, version, fault, chunks):
    found = b""
    with simulator.connect() as sock:
        sock.sendall(_asked(version, fault, stream=True).replace(b"Host: t", b"Host: t\r\nConnection: close"))
        while piece := sock.recv(65536):
            found += piece
    assert (b"transfer-encoding: chunked" in found) is chunks


@pytest.mark.parametrize("stream", [False, True])
def test_characters_are_lost(simulator, stream):
    """In echo mode it says what it is told."""
    assert "世" in simulator.chat("héllo 世界 ok", stream=stream).body.decode()
    told = simulator.chat("héllo 世界 ok", fault="lost-characters", stream=stream).body.decode()
    assert "世" not in told
    assert "hllo" in told


@pytest.mark.parametrize("stream", [False, True])
def test_the_first_space_is_lost(simulator, stream):
    body = {"model": "fake-model", "prompt": " one two", "stream": stream}
    texts = []
    for headers in ({}, {"X-Inference-Fault": "first-space-lost"}):
        answer = simulator.request("POST", "/v1/completions", body, headers)
        parts = answer.data[:-1] if stream else [answer.json]
        texts.append("".join(choice["text"] for part in parts if isinstance(part, dict) for choice in part["choices"]))
    assert texts == [" one two", "one two"]


def test_gaps_drift(simulator):
    """The configured gap is 10 ms: 20 of them last 200 ms, and 300 with the fault."""
    simulator.control("PATCH", "/config", {"inter_token_latency": "10ms"})
    try:
        began = time.monotonic()
        words = " ".join(map(str, range(21)))
        simulator.chat(words, fault="gaps-drift:by=50", stream=True)
        assert time.monotonic() - began >= 0.3
    finally:
        simulator.control("PATCH", "/config", {"inter_token_latency": "0ms"})


def test_the_format_of_a_message_is_ignored(simulator):
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    body = {
        "model": "fake-model",
        "messages": [{"role": "user", "content": TEXT}],
        "max_tokens": 99,
        "output_config": {"format": {"type": "json_schema", "schema": schema}},
    }
    texts = []
    for headers in ({}, {"X-Inference-Fault": "ignores-response-format"}):
        texts.append(simulator.request("POST", "/v1/messages", body, headers).json["content"][0]["text"])
    assert "city" in json.loads(texts[0])
    assert texts[1] == TEXT
