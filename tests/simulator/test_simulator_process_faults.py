"""Faults of the process: seen from outside, as a supervisor sees them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

from InferenceLibrary.deadline import wait_until


def test_exit_at_start(run_cli):
    done = run_cli("--port", "0", "--fault", "exit-at-start:code=7,message=no such GPU")
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "no such GPU\n")


def test_out_of_memory_at_start(run_cli):
    done = run_cli("--port", "0", "--fault", "out-of-memory:requests=0,code=137")
    assert done.returncode == 137
    assert "CUDA out of memory" in done.stderr


def test_out_of_memory_in_a_request(start_simulator):
    simulator = start_simulator("--fault", "out-of-memory:requests=2")
    assert simulator.chat().status == 200
    assert simulator.chat().raw == b""
    assert simulator.process.wait(60) == 1
    assert "CUDA out of memory" in simulator.errors()


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return bool(int(status["SigCgt"], 16) >> (number - 1) & 1)


def test_never_listens(run_cli):
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--fault", "never-listen"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert wait_until(lambda: catches(process.pid, signal.SIGTERM), 60), "it never came as far as to listen"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.terminate()
        assert process.wait(60) == 0
        assert process.stdout.read() == b""


def test_never_ready(start_simulator):
    simulator = start_simulator("--fault", "never-ready")
    assert simulator.request("GET", "/health").status == 503
    assert simulator.request("GET", "/health/ready").status == 503
    assert simulator.chat().status == 200


def test_ignores_term(start_simulator):
    simulator = start_simulator("--fault", "ignore-term")
    for number in (signal.SIGTERM, signal.SIGINT):
        simulator.process.send_signal(number)
        with pytest.raises(subprocess.TimeoutExpired):
            simulator.process.wait(0.3)
    assert simulator.chat().status == 200
    simulator.process.kill()


@pytest.mark.parametrize(
    ("how", "code"), [("code=0", 0), ("code=1", 1), ("signal=KILL", -9), ("signal=SEGV", -11), ("signal=ABRT", -6)]
)
def test_crash(start_simulator, how, code):
    simulator = start_simulator("--fault", f"crash-after:requests=2,{how}")
    assert simulator.chat().status == 200
    assert simulator.chat().raw == b""
    assert simulator.process.wait(60) == code


def test_crash_in_mid_stream(start_simulator):
    simulator = start_simulator("--mode", "echo", "--fault", "crash-after:events=2,code=3")
    answer = simulator.chat("one two three four", stream=True)
    assert len(answer.data) == 3
    assert simulator.process.wait(60) == 3


def test_crash_by_header_and_by_control(start_simulator):
    simulator = start_simulator("--mode", "echo")
    assert simulator.chat("a b c", fault="crash-after:signal=KILL,events=1", stream=True).data[-1]["choices"][0][
        "delta"
    ]
    assert simulator.process.wait(60) == -9
    simulator = start_simulator("--control-port", "0")
    assert simulator.control("POST", "/faults", {"fault": "out-of-memory:after=1,code=137"}).status == 200
    assert simulator.chat().status == 200
    assert simulator.chat().raw == b""
    assert simulator.process.wait(60) == 137
    assert "CUDA out of memory" in simulator.errors()


def test_connections_are_truly_refused_while_it_does_not_listen(start_simulator):
    simulator = start_simulator("--control-port", "0")
    assert simulator.control("GET", "/listening").json == {"listening": True}
    for _ in range(2):
        assert simulator.control("PUT", "/listening", {"listening": False}).status == 200
    with pytest.raises(ConnectionRefusedError):
        simulator.connect()
    assert simulator.control("PUT", "/listening", {"listening": True}).json == {"listening": True}
    assert simulator.chat().status == 200
    simulator.control("PUT", "/listening", {"listening": False})
    with socket.create_server(("127.0.0.1", simulator.port)):
        answer = simulator.control("PUT", "/listening", {"listening": True})
    assert (answer.status, "address already in use" in answer.json["error"]) == (409, True)
    assert simulator.stop() == 0


def test_log_flood_does_not_stop_the_server(start_simulator):
    simulator = start_simulator("--fault", "log-flood:bytes=20000000")
    end, found = monotonic() + 120, 0
    while found < 2_000_000:
        assert monotonic() < end
        found += len(os.read(simulator.process.stderr.fileno(), 1_000_000))
    os.set_blocking(simulator.process.stderr.fileno(), False)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_forked_child_keeps_the_port(start_simulator):
    simulator = start_simulator("--fault", "forked-child:seconds=30")
    assert simulator.chat().status == 200
    end, children = monotonic() + 120, []
    while not children:
        assert monotonic() < end
        children = [
            int(path.name)
            for path in Path("/proc").iterdir()
            if path.name.isdigit() and _command(path).endswith("time.sleep(30.0)\0")
        ]
    try:
        assert os.getsid(children[0]) != os.getsid(simulator.process.pid)
        assert simulator.stop() == 0
        with pytest.raises(OSError, match="in use"), socket.socket() as sock:
            sock.bind(("127.0.0.1", simulator.port))
    finally:
        os.kill(children[0], signal.SIGKILL)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(encoding="utf-8")
    except OSError:
        return ""
