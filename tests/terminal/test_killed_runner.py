"""The runner is killed outright: nothing that it has started in terminals or by itself goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from inner_suites import marked_processes, start_inner

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes import orphans, process_tree, watcher
from InferenceLibrary.processes.sessions import ProcessSession

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")

STUBBORN = (
    "trap '' HUP TERM INT; sleep 100 & echo $! >> {pids}; "
    "(setsid sh -c 'echo $$ >> {pids}; exec sleep 100' &); "
    "env -i sh -c 'echo $$ >> {pids}; sleep 100' & "
    "env -i setsid sh -c 'echo $$ >> {pids}; exec sleep 100' & "
    "echo $$ >> {pids}; while :; do sleep 1; done"
)
"""Ignores all polite signals, and has a child, a daemon outside its session, a child without its environment, and one
without both."""
SUITE = """
*** Settings ***
Library    InferenceLibrary

*** Test Cases ***
Terminal
    Start Terminal    sh    -c    {script}
    Wait Until Terminal Contains    never    within=100 s

Chat
    Start Chat Terminal    sh    -c    printf '> '; {script}
    Ask In Terminal    hello    timeout=100 s

Program
    Run Program    sh    -c    {script}    timeout=100 s
"""


@pytest.mark.parametrize("test", ["Terminal", "Chat", "Program"])
def test_nothing_survives_the_death_of_the_runner(
    tmp_path: Path, lives: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch, test: str
) -> None:
    pytest.importorskip("tui_test")
    folders = tmp_path / "folders"
    folders.mkdir()
    monkeypatch.setenv("TMPDIR", str(folders))
    pids = tmp_path / "pids"
    suite = tmp_path / "killed.robot"
    suite.write_text(SUITE.format(script=STUBBORN.format(pids=pids)))
    process, mark = start_inner(suite, tmp_path / "out", "--test", test)
    try:
        assert wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 5, 60)
        assert all(lives(int(pid)) for pid in pids.read_text().split())
        assert list(folders.iterdir())
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    gone = wait_until(lambda: not marked_processes(mark), 20)
    left = marked_processes(mark)
    alive = [pid for pid in map(int, pids.read_text().split()) if lives(pid)]
    for pid in {*left, *alive}:
        os.kill(pid, signal.SIGKILL)
    assert gone, left
    assert alive == []
    assert list(folders.iterdir()) == []


def test_who_lost_session_environment_and_parents_is_remembered(tmp_path: Path, lives: Callable[[int], bool]) -> None:
    """A daemon that forked twice: it was seen while its parent lived."""
    pids, go = tmp_path / "pids", tmp_path / "go"
    daemon = f"env -i setsid sh -c 'echo $$ > {pids}; exec sleep 100' & while [ ! -e {go} ]; do sleep 0.01; done"
    leader = subprocess.Popen(["sh", "-c", daemon], start_new_session=True)
    assert wait_until(lambda: pids.exists() and pids.read_text().endswith("\n"), 60)
    pid = int(pids.read_text())
    held = orphans.WatchedPrograms()
    began = process_tree.look(leader.pid)
    assert began is not None
    held._obey(b"hold\0mark\0" + bytes(tmp_path / "none"))
    held._obey(f"lead\0mark\0{leader.pid}\0{began.started}".encode())
    held.look()
    go.touch()
    leader.wait()
    assert pid in held.living()
    held.known["mark"][pid] = "another time"
    assert held.living() == []
    held.known["mark"][pid] = process_tree.look(pid).started  # type: ignore[union-attr]
    held.end()
    assert not lives(pid)


def test_what_a_program_leaves_is_found_while_it_lives(tmp_path: Path) -> None:
    """By descent alone."""
    session = ProcessSession(tmp_path)
    program = subprocess.Popen(["sh", "-c", "env -i setsid sleep 100 & wait"], start_new_session=True)
    session.lead(program.pid)
    try:
        assert wait_until(lambda: "sleep" in {member.name for member in session.members()}, 60)
        assert session.end(polite=None) == []
    finally:
        session.release()
        program.wait()


def test_what_was_released_is_left_alone(tmp_path: Path, lives: Callable[[int], bool]) -> None:
    """The watcher of a runner that ends by itself ends with it, and ends nothing that is not held."""
    code = f"""
import subprocess
from pathlib import Path
from InferenceLibrary.processes.sessions import ProcessSession
session = ProcessSession(Path({str(tmp_path)!r}))
variables = {{"PATH": "/usr/bin:/bin", **session.environment}}
program = subprocess.Popen(["sleep", "100"], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
session.lead(program.pid)
session.release()
print(program.pid)
program.returncode = 0
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    pid = int(done.stdout)
    # A watcher that ended what is not its own would have done so before the runner's exit was over.
    assert lives(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_process_with_the_number_of_one_that_is_gone_is_left_alone(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "100"], start_new_session=True)
    session = ProcessSession(tmp_path)
    try:
        session.lead(stranger.pid)
        assert [member.pid for member in session.members()] == [stranger.pid]
        session._began = "another time"
        assert session.members() == []
        assert session.end(polite=None) == []
        assert stranger.poll() is None
    finally:
        session.release()
        stranger.kill()
        stranger.wait()


def test_a_watcher_that_was_killed_is_replaced(tmp_path: Path) -> None:
    one = ProcessSession(tmp_path)
    first = watcher._mine()._process
    assert first is not None
    first.kill()
    first.wait()
    two = ProcessSession(tmp_path)
    second = watcher._mine()._process
    assert second is not None
    assert second.pid != first.pid
    assert second.poll() is None
    one.release()
    two.release()


def test_watching_costs_a_start_little(tmp_path: Path) -> None:
    """Told to the watcher that runs already; compared with the start of a program, on the same machine."""
    ProcessSession(tmp_path).release()

    def cost(action: Callable[[], object]) -> float:
        times = []
        for _ in range(20):
            began = time.perf_counter()
            action()
            times.append(time.perf_counter() - began)
        return sorted(times)[len(times) // 2]

    with tempfile.TemporaryDirectory() as folder:
        watched = cost(lambda: ProcessSession(Path(folder)).release())
    assert watched < cost(lambda: subprocess.run(["true"], check=True))
