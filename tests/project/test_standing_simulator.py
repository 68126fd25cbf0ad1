"""The simulator that is kept running: up, up again, logs, down, down again, and what is in its way."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import standing_simulator
from standing_simulator import Standing, start_time

from InferenceLibrary.processes.ports import free_port, is_free


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standing]:
    monkeypatch.setattr(standing_simulator, "ROOT", tmp_path)
    standing = Standing(free_port())
    yield standing
    standing.down()


def health(port: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status
    finally:
        connection.close()


def pid_of(standing: Standing) -> int:
    return int(json.loads(standing.state.read_text())["pid"])


def test_its_life(standing: Standing, capsys: pytest.CaptureFixture[str]) -> None:
    assert standing.up("none") == 0
    pid = pid_of(standing)
    said = capsys.readouterr().out
    assert said.startswith(f"A simulator stands at http://127.0.0.1:{standing.port} (process {pid}).")
    assert health(standing.port) == 200
    asked = http.client.HTTPConnection("127.0.0.1", standing.port, timeout=20)
    asked.request("POST", "/v1/chat/completions", b'{"model": "fake-model"}')
    assert asked.getresponse().status == 200, "as llm-d-inference-sim, which needs no messages and no content type"
    asked.close()
    assert standing.up("none") == 0
    assert "already" in capsys.readouterr().out
    assert pid_of(standing) == pid
    assert standing.logs() == 0
    assert f"listening on http://127.0.0.1:{standing.port}" in capsys.readouterr().out
    assert standing.down() == 0
    assert capsys.readouterr().out == f"The simulator on port {standing.port} is gone.\n"
    assert start_time(pid) == ""
    assert is_free(standing.port)
    assert list(standing.state.parent.iterdir()) == []
    assert standing.down() == 0
    assert capsys.readouterr().out == f"No simulator of ours stands on port {standing.port}.\n"


def test_logs_of_nothing(standing: Standing, capsys: pytest.CaptureFixture[str]) -> None:
    assert standing.logs() == 1
    assert "no simulator of ours stands" in capsys.readouterr().err


def test_a_port_of_somebody_else(standing: Standing, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", standing.port)):
        assert standing.up("none") == 1
    assert capsys.readouterr().err == (
        f"standing simulator: port {standing.port} is taken by another program. "
        "Hint: stop it, or use another PORT=...\n"
    )
    assert not standing.state.exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "process", "pid": 999999999, "started": "long ago"}'])
def test_a_stale_state_is_no_hindrance(standing: Standing, content: str) -> None:
    standing.state.parent.mkdir()
    standing.state.write_text(content)
    assert standing.up("none") == 0
    assert health(standing.port) == 200
    assert pid_of(standing) != 999999999


def test_a_foreign_server_in_its_place_is_not_taken_for_it(
    standing: Standing, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Standing(standing.port)
    assert other.up("none") == 0
    kept = other.state.read_text()
    try:
        standing.state.write_text('{"kind": "process", "pid": 999999999, "started": "never"}')
        assert standing.up("none") == 1
        assert "taken by another program" in capsys.readouterr().err
    finally:
        other.state.write_text(kept)


def test_a_process_that_took_over_the_number_is_left_alone(standing: Standing) -> None:
    standing.state.parent.mkdir()
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as other:
        standing.state.write_text(json.dumps({"kind": "process", "pid": other.pid, "started": "another time"}))
        assert standing.down() == 0
        assert other.poll() is None
        other.kill()
    assert not standing.state.exists()


def test_a_simulator_that_cannot_start_leaves_nothing(
    standing: Standing, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(standing_simulator, "is_free", lambda port: True)
    with socket.create_server(("127.0.0.1", standing.port)):
        assert standing.up("none") == 1
    said = capsys.readouterr().err
    assert "did not get ready" in said
    assert "in use" in said, "the end of its log"
    assert list(standing.state.parent.iterdir()) == []


def test_without_an_engine_it_is_a_process(standing: Standing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standing_simulator, "engine_answers", lambda: False)
    assert standing.up("auto") == 0
    assert json.loads(standing.state.read_text())["kind"] == "process"


def test_no_engine_without_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not standing_simulator.engine_answers()
