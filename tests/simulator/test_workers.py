"""Several processes on one port are one server: counters, metrics, faults, what changes it, and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from simulator.conftest import Run, Simulator, close, read_all, start

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.simulator.cli import main

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections over processes")

MANY = 40
"""Connections among which one worker of several gets all with a chance of less than one in 10**11."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Simulator]:
    simulator = start("--workers", "2", "--seed", "1", "--control-port", "0", "--max-num-seqs", "64")
    yield simulator
    assert simulator.stop() == 0
    close(simulator)


@pytest.fixture
def workers(shared: Simulator) -> Simulator:
    assert shared.control("POST", "/reset").status == 204
    return shared


def pids_of(simulator: Simulator) -> list[int]:
    return [worker["pid"] for worker in simulator.stats()["workers"]]


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def metric(simulator: Simulator, name: str) -> float:
    text = simulator.request("GET", "/metrics").body.decode()
    found = re.search(rf"^vllm:{name}{{.*}} (.+)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found[1])


def test_counters_metrics_and_records_are_those_of_all(workers: Simulator) -> None:
    counted = metric(workers, "e2e_request_latency_seconds_count")
    generated = metric(workers, "generation_tokens_total")
    answers = [workers.chat(f"number {number}", max_tokens=3, ignore_eos=True).json for number in range(MANY)]
    ids = [answer["id"] for answer in answers]
    assert len(set(ids)) == MANY, "also under a seed"
    assert len({one.rpartition("-")[0] for one in ids}) == 2, "both answered"
    stats = workers.stats()
    assert stats["received"] == stats["completed"] == MANY
    assert stats["generated_tokens"] == 3 * MANY
    assert (stats["running"], stats["in_flight"], len(stats["workers"])) == (0, 0, 2)
    # Whichever worker is asked.
    assert {metric(workers, "e2e_request_latency_seconds_count") - counted for _ in range(10)} == {MANY}
    assert metric(workers, "generation_tokens_total") - generated == 3 * MANY
    records = workers.control("GET", "/requests?limit=7").json["requests"]
    # The last chats, and what asked for metrics after them.
    assert [one["path"] for one in records] == ["/metrics"] * 7
    everything = workers.control("GET", "/requests?limit=1000").json["requests"]
    assert [one["id"] for one in everything if one["id"]] == ids, "in the order of their arrival"
    assert workers.control("DELETE", "/requests").status == 204
    assert workers.control("GET", "/requests").json == {"requests": [], "in_flight": []}
    assert workers.control("POST", "/stats/reset").status == 204
    assert workers.stats()["received"] == 0


def test_a_fault_holds_in_all_and_counts_the_requests_of_all(workers: Simulator) -> None:
    told = workers.control("POST", "/faults", {"fault": ["status:code=503,after=2,first=3"]})
    assert told.json == workers.control("GET", "/faults").json == {"faults": ["status:code=503,after=2,first=3"]}
    statuses = [workers.chat().status for _ in range(MANY)]
    assert statuses == [200, 200, 503, 503, 503, *[200] * (MANY - 5)]
    assert workers.stats()["faults"] == [{"fault": "status:code=503,after=2,first=3", "matched": 3, "struck": 3}]
    assert workers.control("POST", "/faults", {"fault": "status:code=429"}).status == 200
    assert workers.control("DELETE", "/faults").status == 204
    assert {workers.chat().status for _ in range(MANY)} == {200}


def test_a_fault_of_the_start_counts_the_requests_of_all() -> None:
    simulator = start("--workers", "3", "--fault", "status:code=503,first=4")
    try:
        assert [simulator.chat().status for _ in range(MANY)] == [503] * 4 + [200] * (MANY - 4)
    finally:
        close(simulator)


def test_what_changes_the_server_changes_all(workers: Simulator) -> None:
    assert workers.control("PATCH", "/config", {"mode": "echo"}).json["mode"] == "echo"
    try:
        texts = {workers.chat("say this").json["choices"][0]["message"]["content"] for _ in range(MANY)}
        assert texts == {"say this"}
    finally:
        workers.control("PATCH", "/config", {"mode": "random"})
    refused = workers.control("PATCH", "/config", {"port": 1})
    assert refused.status == 422
    assert "cannot be changed" in refused.json["error"]
    assert workers.request("POST", "/v1/load_lora_adapter", {"lora_name": "one", "lora_path": "/one"}).status == 200
    try:
        assert {workers.chat(model="one").status for _ in range(MANY)} == {200}
        twice = workers.request("POST", "/v1/load_lora_adapter", {"lora_path": "/one"})
        assert twice.status == 400
        assert twice.json["error"]["message"]
    finally:
        assert workers.request("POST", "/v1/unload_lora_adapter", {"lora_name": "one"}).status == 200
    assert {workers.chat(model="one").status for _ in range(MANY)} == {404}


def test_metrics_that_are_set_are_not_added_up() -> None:
    simulator = start("--workers", "2", "--fake-metrics", '{"running-requests": 7}')
    try:
        assert metric(simulator, "num_requests_running") == 7
        assert simulator.request("POST", "/fake_metrics", {"running-requests": 9}).status == 204
        assert {metric(simulator, "num_requests_running") for _ in range(10)} == {9}
    finally:
        close(simulator)


def test_all_stop_listening_and_listen_again(workers: Simulator) -> None:
    assert workers.control("PUT", "/listening", {"listening": False}).json == {"listening": False}
    with pytest.raises(ConnectionRefusedError):
        workers.connect()
    assert workers.control("PUT", "/listening", {"listening": True}).json == {"listening": True}
    assert {workers.chat().status for _ in range(MANY)} == {200}


def test_a_scenario_is_refused_in_one_line(workers: Simulator) -> None:
    answer = workers.control("PUT", "/scenario", {"name": "capitals"})
    assert answer.status == 422
    assert answer.json == {"error": "A scenario counts its steps in one process: start the simulator without --workers"}
    assert workers.control("GET", "/scenario").json == {"scenario": None}
    assert workers.control("GET", "/nothing").status == 404
    assert workers.request("GET", "/config", headers={"Host": "evil.example"}, port=workers.control_port).status == 403


def test_a_worker_that_dies_is_told_and_the_others_go_on() -> None:
    simulator = start("--workers", "3", "--control-port", "0")
    try:
        first, second, third = pids_of(simulator)
        os.kill(second, signal.SIGKILL)
        ended = [None, "signal SIGKILL", None]
        assert wait_until(lambda: [one["ended"] for one in simulator.stats()["workers"]] == ended, 60)
        assert {simulator.chat().status for _ in range(MANY)} == {200}
        assert simulator.stats()["received"] == MANY
        assert metric(simulator, "e2e_request_latency_seconds_count") == MANY
        os.kill(first, signal.SIGKILL)
        os.kill(third, signal.SIGKILL)
        assert simulator.process.wait(60) == 1
        lines = simulator.errors().splitlines()
        died = "ended with signal SIGKILL"
        assert lines[0] == f"inference-simulator: worker 2 (process {second}) {died}; 2 of 3 go on"
        assert sorted(line.rpartition("; ")[2] for line in lines[1:]) == ["1 of 3 go on", "it was the last one"]
    finally:
        close(simulator)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_open_answers_of_all_end(number: signal.Signals) -> None:
    simulator = start("--workers", "2", "--control-port", "0", "--time-to-first-token", "1s")
    try:
        pids = pids_of(simulator)
        body = json.dumps(
            {"model": "fake-model", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
        ).encode()
        socks = [simulator.connect() for _ in range(10)]
        for sock in socks:
            head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body)
            sock.sendall(head + body)
        assert wait_until(lambda: simulator.stats()["received"] == 10, 60)
        # As a terminal does: to all of the group.
        for pid in (simulator.process.pid, *(pids if number == signal.SIGINT else [])):
            os.kill(pid, number)
        assert all(read_all(sock).startswith(b"HTTP/1.1 200") for sock in socks)
        for sock in socks:
            sock.close()
        assert simulator.process.wait(60) == 0
        assert not any(map(lives, pids))
        assert simulator.errors() == ""
    finally:
        close(simulator)


def test_no_worker_outlives_a_killed_parent() -> None:
    simulator = start("--workers", "2", "--control-port", "0")
    try:
        pids = pids_of(simulator)
        simulator.process.kill()
        simulator.process.wait(60)
        assert wait_until(lambda: not any(map(lives, pids)), 60)
    finally:
        close(simulator)


def test_a_second_signal_ends_all_at_once() -> None:
    simulator = start("--workers", "2", "--control-port", "0", "--time-to-first-token", "100s")
    try:
        pids = pids_of(simulator)
        body = b'{"model": "fake-model", "messages": [{"role": "user", "content": "hi"}]}'
        with simulator.connect() as sock:
            sock.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            assert wait_until(lambda: simulator.stats()["received"] == 1, 60)
            simulator.process.send_signal(signal.SIGTERM)
            assert wait_until(lambda: sum(map(lives, pids)) == 1, 60), "one has nothing to do and ends"
            simulator.process.send_signal(signal.SIGTERM)
            assert simulator.process.wait(60) == 128 + signal.SIGTERM
        assert not any(map(lives, pids))
    finally:
        close(simulator)


def test_a_port_in_use_is_told_once(run_cli: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run_cli("--workers", "2", "--port", str(port))
    assert done.returncode == 1
    assert done.stderr == f"inference-simulator: error: cannot listen on 127.0.0.1:{port}: address already in use\n"


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--as", "router"], "--as router keeps what one process alone knows"),
        (["--as", "llm-d", "--model", "m"], "--as llm-d keeps what one process alone knows"),
        (["--mode", "onnx", "--onnx-model", "trained"], "--mode onnx loads its model in one process"),
        (["--embedding-model", "topics"], "--embedding-model loads its model in one process"),
        (["--scenario", "capitals"], "--scenario counts its steps in one process"),
        (["--truth-file", "truth"], "--truth-file is written by one process"),
        (["--self-signed-certs"], "--self-signed-certs makes a certificate for one process; give --ssl-certfile"),
        (["--fault", "crash-after"], "--fault crash-after is one of a process"),
    ],
    ids=lambda value: value[0].strip("-") + (value[1] if value[0] == "--as" else "") if isinstance(value, list) else "",
)
def test_what_several_processes_cannot_serve_is_refused(
    capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    assert main(["--workers", "2", *words]) == 2
    written = capsys.readouterr()
    assert written.err.startswith(f"inference-simulator: error: --workers: {why}; ")
    assert "leave one of the two out" in written.err
    assert written.err.count("\n") == 1
