"""Faults of connections and of what a server remembers."""

from __future__ import annotations

import json

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
