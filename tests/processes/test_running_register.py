"""The register: what a dead run left behind is found and ended, and nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from InferenceLibrary import cli
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import ServerError
from InferenceLibrary.processes import process_tree, running, tree_file
from InferenceLibrary.processes.process import MARK
from InferenceLibrary.processes.remains import Ended

RUNNER = """
import os, sys, time
from pathlib import Path
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.starting import StartSettings, start

folder, *flags = sys.argv[1:]
server = start(load_profile(folder + "/mine.yaml"), StartSettings(keep="keep" in flags), name="mine",
               new_log=lambda: Path(folder, "mine.log"), redact=Redactor(), progress=print)
print(server.pid, server.process.guard_pid, flush=True)
os.close(1)
if "end" in flags:
    server.close()
else:
    time.sleep(600)
"""
PROFILE = """
title: mine
start: {{command: [/bin/sh, -c, '{script}', sh, "{{port}}"]}}
ready: {{health: null, first_token: none, timeout: 20s}}
"""
SERVE = (
    "(setsid sleep 600 &) ; exec {python} -c "
    '"import socket, sys, time; s = socket.create_server((chr(49)+chr(50)+chr(55)+chr(46)+chr(48)+chr(46)+chr(48)'
    '+chr(46)+chr(49), int(sys.argv[1]))); time.sleep(600)" $1'
)

NOTHING = Ended()
CLEARED = """
import os, signal, socket, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        os.execvpe("sleep", ["sleep", "600"], {})
    os._exit(0)
os.wait()
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""
"""A server with a daemon that bears no mark, is in no session of it and holds no file of it."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")


@pytest.fixture(autouse=True)
def own_runtime_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees what other runs on this machine have in the register."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{folder}/no-engine.sock")
    return folder


def begin(folder: Path, *flags: str) -> tuple[subprocess.Popen[str], int, int]:
    """Start a run with one server; return the runner, the server's and the guard's process id."""
    folder.mkdir(exist_ok=True)
    (folder / "cleared.py").write_text(CLEARED)
    script = SERVE.format(python=sys.executable).replace("'", "''")
    if "cleared" in flags:
        script = f"exec {sys.executable} {folder}/cleared.py $1"
    (folder / "mine.yaml").write_text(PROFILE.format(script=script))
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, str(folder), *flags],
        stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=folder,
    )  # fmt: skip
    assert runner.stdout is not None
    *told, numbers = iter(runner.stdout.readline, "")  # it closes its output when the server is ready
    (folder / "told").write_text("".join(told))
    server, guard = map(int, numbers.split())
    return runner, server, guard


def kill_guard(guard: int) -> None:
    """Kill a guard and its keeper."""
    seen = process_tree.look(guard)
    assert seen is not None
    os.kill(seen.parent, signal.SIGKILL)
    os.kill(guard, signal.SIGKILL)


def end(runner: subprocess.Popen[str]) -> None:
    runner.kill()
    runner.wait()
    assert runner.stdout is not None
    runner.stdout.close()


def lives(pid: int) -> bool:
    seen = process_tree.look(pid)
    return seen is not None and seen.lives


def marked(run: running.Run) -> list[int]:
    return [seen.pid for seen in process_tree.bearers(f"{MARK}={run.id}.")]


def test_a_run_is_in_the_register_while_its_server_lives(tmp_path: Path) -> None:
    runner, server, guard = begin(tmp_path / "one")
    try:
        (run,) = running.runs()
        assert (run.runner.pid, run.lives) == (runner.pid, True)
        (entry,) = run.servers
        assert (entry.name, entry.server.pid, entry.guard.pid) == ("mine", server, guard)
        assert entry.url.startswith("http://127.0.0.1:")
        assert entry.lives
        assert running.end_leftovers() == NOTHING
        assert lives(server), "a living run is nobody else's business"
    finally:
        end(runner)


def test_what_guard_and_runner_left_is_ended_by_the_next_start(tmp_path: Path) -> None:
    runner, server, guard = begin(tmp_path / "one")
    (run,) = running.runs()
    kill_guard(guard)
    end(runner)
    assert wait_until(lambda: not lives(server), 60), "the kernel ends the server with its guard"
    (daemon,) = marked(run)
    other, other_server, _ = begin(tmp_path / "two")
    try:
        assert not lives(daemon)
        assert lives(other_server)
        assert [each.id for each in running.runs()] != [run.id]
        assert len(running.runs()) == 1
    finally:
        end(other)


def daemons_below(guard: int) -> list[process_tree.ProcessInfo]:
    return [seen for seen in process_tree.descendants(guard) if seen.name == "sleep"]


def test_a_daemon_without_any_mark_is_ended_by_the_next_start_which_tells(tmp_path: Path) -> None:
    runner, server, guard = begin(tmp_path / "one", "cleared")
    (run,) = running.runs()
    assert wait_until(lambda: len(daemons_below(guard)) == 1, 60)
    (daemon,) = daemons_below(guard)
    (path,) = run.tree_files()
    assert wait_until(lambda: (daemon.pid, daemon.started) in tree_file.read(str(path)), 60)
    kill_guard(guard)
    end(runner)
    assert wait_until(lambda: not lives(server), 60), "the kernel ends the server with its guard"
    assert lives(daemon.pid)
    assert marked(run) == []
    other, _, _ = begin(tmp_path / "two")
    try:
        assert not lives(daemon.pid)
        # A start that lasts tells of itself as well.
        assert (tmp_path / "two" / "told").read_text().splitlines()[0] == (
            f"Ended what a dead run had left behind: sleep (pid {daemon.pid}) of a run in {tmp_path / 'one'}."
        )
        assert run.tree_files() == []
    finally:
        end(other)


def test_what_cannot_be_ended_is_told_and_stays_in_the_register(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner, server, guard = begin(tmp_path / "one")
    kill_guard(guard)
    end(runner)
    assert wait_until(lambda: not lives(server), 60), "the kernel ends the server with its guard"
    with monkeypatch.context() as patched:
        patched.setattr("InferenceLibrary.processes.remains.kill", lambda found: {seen.pid: "no" for seen in found})
        became = running.end_leftovers()
    assert became.ended == ()
    assert [line.partition(" ")[0] for line in became.failed] == ["sleep"]
    assert len(running.runs()) == 1
    again = running.end_leftovers()
    assert [line.partition(" ")[0] for line in again.ended] == ["sleep"]
    assert running.runs() == []


def test_a_run_that_died_while_a_server_started_is_found_by_its_guards_file(
    own_runtime_dir: Path, tmp_path: Path
) -> None:
    folder = own_runtime_dir / "robotframework-inferencelibrary" / "runs"
    folder.mkdir(parents=True)
    dead = subprocess.Popen(["true"])
    dead.wait()
    runner = [dead.pid, "1"]
    line = {"kind": "run", "id": "0" * 32, "runner": runner, "machine": running.machine(), "folder": ""}
    (folder / "1-0.jsonl").write_text(json.dumps(line) + "\n")
    left = subprocess.Popen(["sleep", "600"])
    tree_file.write(str(folder / "1-0.1.tree"), [(left.pid, running.identify(left.pid).started)])
    try:
        assert running.end_leftovers().ended == (f"sleep (pid {left.pid})",)
    finally:
        left.kill()
        left.wait()
    assert list(folder.iterdir()) == []


def test_a_stranger_of_the_same_number_is_left_alone(tmp_path: Path, own_runtime_dir: Path) -> None:
    """The register names a number that has been given again: its start time differs."""
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        folder = own_runtime_dir / "robotframework-inferencelibrary" / "runs"
        folder.mkdir(parents=True)
        identity = [stranger.pid, "1"]
        lines = [
            {"kind": "run", "id": "0" * 32, "runner": identity, "machine": running.machine(), "folder": ""},
            {"kind": "server", "number": 1, "name": "x", "url": "", "log": "x", "guard": identity, "server": identity,
             "since": 0.0},
        ]  # fmt: skip
        file = folder / "1-0.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"kind": "serv')
        assert len(running.runs()) == 1
        assert running.end_leftovers() == NOTHING
        assert stranger.poll() is None
        assert not file.exists()
    finally:
        stranger.kill()
        stranger.wait()


def test_what_another_machine_wrote_is_left_alone(own_runtime_dir: Path) -> None:
    folder = own_runtime_dir / "robotframework-inferencelibrary" / "runs"
    folder.mkdir(parents=True)
    file = folder / "1-0.jsonl"
    file.write_text(
        json.dumps({"kind": "run", "id": "0" * 32, "runner": [1, "x"], "machine": "elsewhere", "folder": ""}) + "\n"
    )
    assert running.end_leftovers() == NOTHING
    assert file.exists()
    host = running.machine().rpartition(":")[0]
    file.write_text(
        json.dumps({"kind": "run", "id": "0" * 32, "runner": [1, "x"], "machine": f"{host}:older", "folder": ""}) + "\n"
    )
    assert running.end_leftovers() == NOTHING
    assert not file.exists(), "nothing lives on after a reboot"
    file.write_text("no JSON at all\n")
    assert running.runs() == []


def test_a_kept_server_lives_on_and_is_stopped_by_hand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runner, server, _ = begin(tmp_path / "one", "keep", "end")
    assert runner.wait(20) == 0
    assert runner.stdout is not None
    runner.stdout.close()
    assert lives(server)
    assert running.end_leftovers() == NOTHING, "what was kept is not a leftover"
    assert cli.main(["servers", "list"]) == 0
    listed = capsys.readouterr().out
    assert f"{server}" in listed
    assert re.search(rf"  kept +\d+ s +{tmp_path}/one +{tmp_path}/one/mine.log$", listed, re.MULTILINE), listed
    assert cli.main(["servers", "stop", "1"]) == 1
    assert f"no server with process id 1: expected one of {server}" in capsys.readouterr().err
    (run,) = running.runs()
    assert cli.main(["servers", "stop", str(server)]) == 0
    assert f"Stopped mine (pid {server})" in capsys.readouterr().out
    assert not lives(server)
    assert wait_until(lambda: marked(run) == [], 60)
    assert cli.main(["servers", "list"]) == 0
    assert capsys.readouterr().out == "No server runs.\n"


def test_a_missing_engine_is_a_line_and_no_error(capsys: pytest.CaptureFixture[str], own_runtime_dir: Path) -> None:
    assert cli.main(["servers", "list"]) == 0
    said = capsys.readouterr()
    address = f"unix://{own_runtime_dir}/no-engine.sock"
    line = f"Containers are not looked at: no container engine answers at {address} (DOCKER_HOST): no such socket\n"
    assert (said.out, said.err) == ("No server runs.\n", line)
    assert cli.main(["servers", "stop", "--all"]) == 0
    said = capsys.readouterr()
    assert (said.out, said.err) == ("Nothing to stop.\n", line)


def test_stop_all_spares_living_runs_and_those_of_other_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    living, mine, _ = begin(tmp_path / "one")
    kept_run, kept, _ = begin(tmp_path / "two", "keep", "end")
    kept_run.wait(20)
    assert kept_run.stdout is not None
    kept_run.stdout.close()
    try:
        monkeypatch.chdir(tmp_path / "one")
        assert cli.main(["servers", "stop", "--here"]) == 0
        assert capsys.readouterr().out == "Nothing to stop.\n"
        assert lives(kept)
        monkeypatch.chdir(tmp_path)
        assert cli.main(["servers", "stop", "--here"]) == 0
        assert capsys.readouterr().out == f"Stopped mine (pid {kept})\n"
        assert not lives(kept)
        assert cli.main(["servers", "stop", "--all"]) == 0
        assert capsys.readouterr().out == "Nothing to stop.\n"
        assert lives(mine)
    finally:
        end(living)


def test_a_register_that_could_not_be_written_is_written_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    register = running.Register()
    with monkeypatch.context() as full:
        write = os.write
        full.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:10]))
        with pytest.raises(
            ServerError,
            match=r"^The register of running servers, '\S+/runs/\S+\.jsonl', cannot be written: got No space left on "
            r"device\. Hint: make room on its disk, or name another folder with the variable XDG_RUNTIME_DIR\.$",
        ):
            register.expect()
    expected = register.expect()
    (run,) = running.runs()
    assert run.lives
    register.ended(expected.number)
    assert running.runs() == []
    assert not run.path.exists()


def test_names_from_the_register_are_shown_not_obeyed(
    own_runtime_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own_runtime_dir / "robotframework-inferencelibrary" / "runs"
    folder.mkdir(parents=True)
    ours = list(running.identify(os.getpid()))
    run = {"kind": "run", "id": "0" * 32, "runner": ours, "machine": running.machine(), "folder": "/f\x1b[2J\ud83d"}
    server = {"kind": "server", "number": 1, "name": "a\x1b[31m\n\u202eb", "url": "http://me:planted@h",
              "log": "/l\x1b", "guard": ours, "server": ours, "since": 0.0}  # fmt: skip
    (folder / "1-0.jsonl").write_text(json.dumps(run) + "\n" + json.dumps(server) + "\n")
    assert cli.main(["servers", "list"]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{os.getpid()}  a\\x1b[31m \\u202eb  http://me:***@h ")
    assert line.endswith("/f\\x1b[2J\\ud83d  /l\\x1b")


def test_an_ended_run_leaves_no_file(tmp_path: Path) -> None:
    runner, _, _ = begin(tmp_path / "one", "end")
    assert runner.wait(20) == 0
    assert runner.stdout is not None
    runner.stdout.close()
    assert running.runs() == []
    assert list((tmp_path / "runtime").rglob("*.jsonl")) == []
    assert list((tmp_path / "runtime").rglob("*.lock")) == []
