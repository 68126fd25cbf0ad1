"""Requests that offer another protocol: the offer is ignored, as RFC 9110 7.8 lets a server, and the body is read."""

import json

import pytest
from simulator.conftest import read_all
from simulator.java_client import java_request, one_answer

from InferenceLibrary.dialects.files import shipped_dialects
from InferenceLibrary.simulator.personalities.registry import PERSONALITIES


@pytest.fixture(scope="module")
def backend(start_shared):
    return start_shared("--model", "fake-model", "--mode", "echo")


OF_THEIR_OWN = {"worker", "mistralrs"}
"""Those that are asked in tests of their own: the route is another, the command line that of a program."""
OFFENDED = {
    f"{one.name}@{one.version}": each.kind
    for one in shipped_dialects()
    for each in one.deviations
    if each.rule == "F13"
}
"""How those take it whose server does not ignore the offer: they do as it does."""
STAND_INS = [*(name for name in PERSONALITIES if name not in OF_THEIR_OWN), *OFFENDED]
"""The other dialects are asked with their quirks."""


@pytest.mark.parametrize("name", STAND_INS)
def test_the_first_request_of_a_java_client_is_answered(start_simulator, backend, name):
    words = {
        "llm-d": ["--model", "fake-model"],
        "service": ["--loaded-models", "phi-4"],
        "gateway": ["--upstream", f"inference={backend.url}"],
        "router": ["--backend", f"one={backend.url}"],
    }
    simulator = start_simulator("--as", name, *words.get(name, ()))
    if OFFENDED.get(name) == "no answer":
        with simulator.connect() as sock:
            sock.sendall(java_request("fake-model"))
            sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                sock.recv(1)
        assert simulator.chat().status == 200
        return
    answer = one_answer(simulator, java_request("phi-4" if name == "service" else "fake-model"))
    if OFFENDED.get(name) == "refused":
        assert answer.status == 400
        return
    assert answer.status == 200, answer.raw
    assert answer.json["choices"][0]["message"]["role"] == "assistant"


def test_the_worker_answers_it_too(start_simulator):
    worker = start_simulator("--as", "worker")
    body = json.dumps({"job_id": "j", "prompt": "hello", "max_tokens": 3}).encode()
    head = b"POST /execute HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, close\r\nUpgrade: h2c\r\n"
    head += b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert worker.raw(head + body).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize("chunked", [False, True])
def test_the_body_is_read_however_it_comes(simulator, step, chunked):
    answer = one_answer(simulator, java_request(chunked=chunked, pretty=False), step)
    assert answer.json["choices"][0]["message"]["content"] == "one two three"


def test_what_follows_on_the_connection_is_answered(simulator):
    asked = java_request() + java_request(chunked=True) + java_request(connection="Upgrade, HTTP2-Settings, close")
    answers = simulator.raw(asked)
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(b"connection: close") == 1


def test_a_request_without_a_body_may_offer_too(simulator):
    offer = b"GET /health HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert simulator.raw(offer + offer.replace(b": upgrade", b": upgrade, close")).count(b"HTTP/1.1 200 OK") == 2


def test_the_request_is_recorded_with_its_offer(simulator):
    one_answer(simulator, java_request())
    recorded = simulator.control("GET", "/requests").json["requests"][-1]
    assert recorded["headers"]["upgrade"] == "h2c"
    assert recorded["headers"]["connection"] == "Upgrade, HTTP2-Settings"


def test_a_body_that_is_too_large_is_refused_all_the_same(simulator):
    head = b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
    assert simulator.raw(head + b"Content-Length: 99999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_the_client_is_told_to_go_on_with_its_body(simulator):
    head, body = java_request(pretty=False).split(b"\r\n\r\n")
    with simulator.connect() as sock:
        sock.sendall(
            head.replace(b"HTTP2-Settings\r\n", b"HTTP2-Settings, close\r\n") + b"\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(body)
        assert read_all(sock).startswith(b"HTTP/1.1 200 OK")


def test_a_server_may_take_it_for_a_reason_to_refuse(start_simulator):
    simulator = start_simulator("--mode", "echo", "--control-port", "0", "--fault", "offer-refused:how=drop")
    dropped = one_answer(simulator, java_request())
    assert (dropped.status, simulator.chat().status) == (400, 200)
    simulator.control("DELETE", "/faults")
    simulator.control("POST", "/faults", {"fault": "offer-refused"})
    refused = one_answer(simulator, java_request())
    assert (refused.status, refused.json["error"]["message"]) == (400, "Protocol upgrades are not supported")
    simulator.control("DELETE", "/faults")
    simulator.control("POST", "/faults", {"fault": "offer-refused:how=hang"})
    with simulator.connect() as sock:
        sock.sendall(java_request())
        sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert simulator.chat().status == 200
    assert [one["struck"] for one in simulator.stats()["faults"]] == [1]
