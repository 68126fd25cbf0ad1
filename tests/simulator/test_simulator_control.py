"""The control API: what truly happened, and changes while the server runs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from math import inf
from time import monotonic

import pytest
from machine import patience

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.simulator.core.metrics import Histogram


def settled(simulator):
    """Return the counters once nothing is in flight."""
    end = monotonic() + 60
    while (counters := simulator.stats())["in_flight"]:
        assert monotonic() < end
    return counters


@pytest.fixture
def fresh(simulator):
    simulator.control("POST", "/reset")
    return simulator


def test_counters_add_up(fresh):
    fresh.chat("one two")
    fresh.chat(model="other")
    fresh.chat("one two three", fault="cut-after-events", stream=True)
    fresh.request("GET", "/v1/models")
    found = settled(fresh)
    assert (found["received"], found["completed"], found["failed"], found["cancelled"]) == (3, 1, 2, 0)


def test_cancelled_request_stops_generating(fresh):
    fresh.control("PATCH", "/config", {"inter-token-latency": "50ms"})
    try:
        body = json.dumps(
            {"model": "fake-model", "messages": [{"role": "user", "content": "a " * 100}], "stream": True}
        ).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        with fresh.connect() as sock:
            sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert sock.recv(1000)
        found = settled(fresh)
        assert (found["cancelled"], found["completed"], found["running"]) == (1, 0, 0)
        assert found["generated_tokens"] < 20
    finally:
        fresh.control("PATCH", "/config", {"inter-token-latency": "0"})


def test_cancelled_while_waiting_in_the_queue(fresh):
    fresh.control("PATCH", "/config", {"max-num-seqs": 1, "time-to-first-token": "300ms"})
    try:
        body = b'{"model":"fake-model","messages":[{"role":"user","content":"a"}]}'
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        data = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        with fresh.connect() as first, fresh.connect() as second:
            first.sendall(data)
            second.sendall(data)
            while fresh.stats()["waiting"] != 1:
                pass
            second.close()
            while fresh.stats()["waiting"]:
                pass
            assert first.recv(1000).startswith(b"HTTP/1.1 200")
        assert settled(fresh)["cancelled"] == 1
    finally:
        fresh.control("PATCH", "/config", {"max-num-seqs": 64, "time-to-first-token": "0"})


def test_faults_on_and_off(fresh):
    assert fresh.control("POST", "/faults", {"fault": ["status:code=500,first=1"]}).json == {
        "faults": ["status:code=500,first=1"]
    }
    assert [fresh.chat().status for _ in range(2)] == [500, 200]
    assert fresh.stats()["faults"] == [{"fault": "status:code=500,first=1", "matched": 1, "struck": 1}]
    fresh.control("POST", "/faults", {"fault": "status"})
    assert fresh.control("DELETE", "/faults").status == 204
    assert fresh.chat().status == 200


def test_scenario_at_run_time(fresh):
    assert fresh.control("PUT", "/scenario", b"rules:\n  - answer: {text: scripted}\n").status == 400
    raw = b"rules:\n  - answer: {text: scripted}\n"
    answer = fresh.raw(
        b"PUT /scenario HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/yaml\r\n"
        b"Content-Length: %d\r\n\r\n" % len(raw) + raw,
        fresh.control_port,
    )
    assert answer.startswith(b"HTTP/1.1 200")
    assert fresh.chat("x").json["choices"][0]["message"]["content"] == "scripted"
    assert fresh.control("PUT", "/scenario", {"name": "capitals"}).status == 200
    assert "Paris" in fresh.chat("capital of France?").body.decode()
    assert fresh.control("DELETE", "/scenario").status == 204
    assert fresh.chat("x").json["choices"][0]["message"]["content"] == "x"


def test_recorded_requests_have_masked_secrets(fresh):
    fresh.request("GET", "/v1/models?x=1", headers={"Authorization": "Bearer sk-12345678", "X-Note": "kept"})
    (found,) = fresh.control("GET", "/requests?limit=1").json["requests"]
    assert (found["method"], found["path"], found["query"], found["status"]) == ("GET", "/v1/models", "x=1", 200)
    assert found["headers"]["x-note"] == "kept"
    assert found["headers"]["authorization"] == "***"


def test_large_bodies_are_not_kept(fresh):
    fresh.chat("a", padding="x" * 1_000_000)
    (found,) = fresh.control("GET", "/requests?limit=1").json["requests"]
    assert found["body_bytes"] > 1_000_000
    assert len(found["body"]) == 4096


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "part"),
    [
        ("PATCH", "/config", {"port": 1}, 422, "cannot be changed"),
        ("PATCH", "/config", {"time-to-first-token": "5"}, 400, "has no unit"),
        ("PATCH", "/config", {"mode": "loud"}, 400, "'loud'"),
        ("PATCH", "/config", {"time-to-first-token": "1s", "time-to-first-token-std-dev": "0.5s"}, 400, "30 %"),
        ("POST", "/faults", {"fault": "nothing"}, 400, "unknown fault"),
        ("POST", "/faults", {"fault": "never-listen"}, 422, "fault of the process"),
        ("POST", "/faults", {}, 400, "'fault' is required"),
        ("PUT", "/scenario", {"name": "nowhere"}, 400, "nowhere"),
        ("GET", "/requests?limit=x", None, 400, "'limit'"),
        ("GET", "/nowhere", None, 404, "/nowhere"),
        ("POST", "/stats", {}, 405, "takes no POST"),
    ],
)
def test_wrong_control_requests(fresh, method, path, body, status, part):
    answer = fresh.control(method, path, body)
    assert answer.status == status
    assert list(answer.json) == ["error"]
    assert part in answer.json["error"]


def test_counters_add_up_after_a_reset_under_load(start_simulator):
    simulator = start_simulator("--mode", "echo", "--control-port", "0")
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(simulator.chat, "one", fault=f"stall:before=headers,seconds={patience(0.5):.2f}")
        assert wait_until(lambda: simulator.stats()["in_flight"] == 1, 60)
        simulator.control("POST", "/reset")
        assert (simulator.stats()["received"], simulator.stats()["in_flight"]) == (1, 1)
        simulator.chat("two")
        assert under_way.result().status == 200
    found = settled(simulator)
    assert (found["received"], found["completed"], found["failed"], found["cancelled"]) == (2, 2, 0, 0)


@pytest.mark.parametrize(
    ("value", "falls"), [(0.0, 0.1), (0.1, 0.1), (0.11, 0.25), (0.25, 0.25), (0.5, 0.5), (0.51, inf)]
)
def test_a_time_falls_into_the_bucket_next_above_it(value, falls):
    histogram = Histogram((0.1, 0.25, 0.5))
    histogram.add(value)
    counted = {one.limit: one.value for one in histogram.samples({}) if one.suffix == "_bucket"}
    assert [limit for limit, count in counted.items() if count] == list(counted)[list(counted).index(falls) :]
    assert set(counted.values()) <= {0, 1}


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Origin": "http://evil.example"}, "'Origin: http://evil.example'"),
        ({"Origin": "https://127.0.0.1.evil.example:8000"}, "Origin"),
        ({"Origin": "null"}, "'Origin: null'"),
        ({"Host": "evil.example:9000"}, "'Host: evil.example:9000'"),
        ({"Host": "127.evil"}, "Host"),
        ({"Host": ""}, "'Host: '"),
        ({"Host": "127.0.0.1:9000\r\nHost: evil.example"}, "'Host: 127.0.0.1:9000, evil.example'"),
        ({"Host": "127.0.0.1:@evil.example"}, "Host"),
        ({"Origin": "http://127.0.0.1:9\r\nOrigin: http://evil.example"}, "Origin"),
    ],
)
def test_pages_of_other_sites_do_not_control_it(fresh, headers, said):
    # A form of any page may send this: no browser asks first.
    asked = {"Content-Type": "text/plain", **headers}
    refused = fresh.request("POST", "/faults", {"fault": "missing-done"}, asked, port=fresh.control_port)
    assert refused.status == 403
    assert said in refused.json["error"]
    assert fresh.control("GET", "/faults").json == {"faults": []}


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example", 403), ("127.0.0.1.evil.example:80", 403), ("[::1]:9", 200)]
)
def test_the_host_of_a_target_counts(fresh, host, status):
    asked = {"Host": "127.0.0.1"}
    answer = fresh.request("GET", f"http://{host}/faults", None, asked, port=fresh.control_port)
    assert (answer.status, f"the host of the target: {host}" in answer.body.decode()) == (status, status == 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "localhost:9000"},
        {"Host": "[::1]:9000"},
        {"Host": "127.0.0.2"},
        {"Origin": "http://localhost:3000", "Host": "127.0.0.1:9000"},
        {"Origin": "http://[::1]:3000"},
    ],
)
def test_pages_of_this_machine_do(fresh, headers):
    assert fresh.request("GET", "/stats", None, headers, port=fresh.control_port).status == 200
