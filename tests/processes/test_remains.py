"""What outlives a killed guard is found by each trace alone, ended, and told of; strangers are left alone. Linux."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes import process_tree, remains, tree_file
from InferenceLibrary.processes.process import MARK, ServerProcess
from InferenceLibrary.processes.remains import Identity, Traces, end_remains, find_remains, identify

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes by /proc")

DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setpgid(0, 0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for descriptor in (0, 1, 2) if "quiet" in sys.argv else ():
            os.close(descriptor)
        os.execvpe("sleep", ["sleep", "600"], {})
    os._exit(0)
os.wait()
time.sleep(600)
"""
"""A server with a daemon that left its session and its group, ignores TERM and has cleared its environment."""

Begin = Callable[..., ServerProcess]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    started: list[ServerProcess] = []

    def run(*flags: str) -> ServerProcess:
        process = ServerProcess(
            [sys.executable, "-I", "-S", "-c", DAEMON, *flags], tmp_path / "log", tree_file=tmp_path / "1.tree"
        )
        started.append(process)
        assert wait_until(lambda: daemon_of(process) is not None, 60)
        return process

    yield run
    for process in started:
        process.stop(0)


def daemon_of(process: ServerProcess) -> process_tree.ProcessInfo | None:
    return next((seen for seen in process.tree() if seen.name == "sleep"), None)


def written(process: ServerProcess, path: Path) -> bool:
    """Whether the guard has written down the daemon."""
    daemon = daemon_of(process)
    return daemon is not None and (daemon.pid, daemon.started) in tree_file.read(str(path))


def keeper_of(process: ServerProcess) -> int:
    guard = process_tree.look(process.guard_pid)
    assert guard is not None
    return guard.parent


def test_a_daemon_does_not_survive_a_killed_guard_whose_keeper_lives(begin: Begin, tmp_path: Path) -> None:
    process = begin("quiet")
    daemon = daemon_of(process)
    assert daemon is not None
    os.kill(process.guard_pid, signal.SIGKILL)
    assert wait_until(lambda: not Identity(daemon.pid, daemon.started).lives, 60), "though nobody asks"
    assert wait_until(lambda: not process.running, 60)
    guard = f"after its guard (process {process.guard_pid}) ended with signal SIGKILL"
    assert process.how_it_ended() == f"signal SIGKILL, {guard}; ended what was left: sleep (pid {daemon.pid})"
    assert process.stop(5) is True
    assert not (tmp_path / "1.tree").exists()


def test_a_killed_keeper_changes_nothing(begin: Begin) -> None:
    process = begin("quiet")
    daemon = daemon_of(process)
    assert daemon is not None
    os.kill(keeper_of(process), signal.SIGKILL)
    process.stop(5)
    assert not Identity(daemon.pid, daemon.started).lives
    assert process.how_it_ended() == "signal SIGTERM"


@pytest.mark.parametrize("flags", [(), ("quiet",)], ids=["writes to the log", "has closed its output"])
def test_a_daemon_without_marks_does_not_survive_when_guard_and_keeper_are_killed(
    begin: Begin, tmp_path: Path, flags: tuple[str, ...]
) -> None:
    process = begin(*flags)
    assert wait_until(lambda: written(process, tmp_path / "1.tree"), 60)
    daemon = daemon_of(process)
    assert daemon is not None
    os.kill(keeper_of(process), signal.SIGKILL)
    os.kill(process.guard_pid, signal.SIGKILL)
    assert wait_until(lambda: not process.running, 60)
    assert wait_until(lambda: not Identity(daemon.pid, daemon.started).lives, 60), "it is ended as soon as that is seen"
    guard = f"after its guard (process {process.guard_pid}) ended with signal SIGKILL"
    assert process.how_it_ended() == f"signal SIGKILL, {guard}; ended what was left: sleep (pid {daemon.pid})"
    assert process.stop(5) is True
    assert not (tmp_path / "1.tree").exists()


def test_who_lives_is_written_down_until_nobody_does(begin: Begin, tmp_path: Path) -> None:
    process = begin()
    path = tmp_path / "1.tree"
    assert wait_until(lambda: written(process, path), 60)
    assert (process.pid, identify(process.pid).started) in tree_file.read(str(path))
    process.stop(0)
    assert not path.exists()
    assert list(tmp_path.glob("*.new")) == []


def test_a_stopped_guard_keeps_nothing_alive(begin: Begin) -> None:
    process = begin()
    os.kill(process.guard_pid, signal.SIGSTOP)
    process.stop(0)
    assert process._guard.returncode == 0, "it was woken and did its work, and its keeper had none"
    assert not process.running
    assert find_remains(Traces(logs=(process.log_path,))) == []


def test_a_guard_that_hangs_is_done_without(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    process = begin()
    monkeypatch.setattr(ServerProcess, "_wake_guard", lambda self: None)
    os.kill(process.guard_pid, signal.SIGSTOP)
    process.kill()
    assert not process.running
    assert find_remains(Traces(logs=(process.log_path,))) == []


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (tmp_path / "some.log").open("ab") as log:
        process = subprocess.Popen(
            ["sh", "-c", "sleep 600; true"], stdout=log, env={**os.environ, MARK: "run.7."}, start_new_session=True
        )
    # Its mark is there once it has begun, which the fork alone is not.
    while not any(seen.pid == process.pid for seen in process_tree.bearers(f"{MARK}=run.7.")):
        assert process.poll() is None
    yield process
    process.kill()
    for seen in process_tree.bearers(f"{MARK}=run.7."):
        os.kill(seen.pid, signal.SIGKILL)
    process.wait()


def traces_of(process: subprocess.Popen[bytes], folder: Path, kind: str) -> Traces:
    own = identify(process.pid)
    tree_file.write(str(folder / "7.tree"), [own])
    return {
        "known": Traces(known=(own,)),
        "tree file": Traces(tree_files=(folder / "7.tree",)),
        "mark": Traces(marks=(f"{MARK}=run.7.",)),
        "log": Traces(logs=(folder / "some.log",)),
    }[kind]


@pytest.mark.parametrize("kind", ["known", "tree file", "mark", "log"])
def test_each_trace_finds_it_alone(sleeper: subprocess.Popen[bytes], tmp_path: Path, kind: str) -> None:
    traces = traces_of(sleeper, tmp_path, kind)
    assert wait_until(lambda: {seen.name for seen in find_remains(traces)} == {"sh", "sleep"}, 60), "its child too"
    became = end_remains(traces)
    assert sorted(line.partition(" ")[0] for line in became.ended) == ["sh", "sleep"]
    assert became.failed == ()
    assert sleeper.wait(20) == -signal.SIGKILL


def test_a_later_process_of_the_same_number_is_left_alone(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    tree_file.write(str(tmp_path / "7.tree"), [(sleeper.pid, "1")])
    assert find_remains(Traces(known=(Identity(sleeper.pid, "1"),), tree_files=(tmp_path / "7.tree",))) == []


def test_who_only_reads_the_log_is_left_alone(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    with (tmp_path / "some.log").open("rb") as log:
        reader = subprocess.Popen(["sleep", "600"], stdin=log)
    try:
        found = [seen.pid for seen in find_remains(Traces(logs=(tmp_path / "some.log",)))]
        assert reader.pid not in found
        assert sleeper.pid in found
    finally:
        reader.kill()
        reader.wait()


def test_who_is_known_as_a_stranger_is_left_alone(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    everyone = frozenset(process_tree.everyone())
    assert wait_until(lambda: len(process_tree.bearers(f"{MARK}=run.7.")) == 2, 60)
    everyone = frozenset(process_tree.everyone())
    assert find_remains(Traces(logs=(tmp_path / "some.log",), strangers=everyone)) == []


def test_what_cannot_be_ended_is_told(
    sleeper: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(remains.os, "kill", refuse)
    became = end_remains(Traces(marks=(f"{MARK}=run.7.",)))
    assert became.ended == ()
    assert f"sh (pid {sleeper.pid}): it belongs to another user" in became.failed
    monkeypatch.setattr(remains, "kill", lambda found: {})
    became = end_remains(Traces(marks=(f"{MARK}=run.7.",)), 0.05)
    assert f"sh (pid {sleeper.pid}): it survived KILL for 0.05 s" in became.failed
