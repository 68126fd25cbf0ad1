"""A daemon that loses session, environment, output and parents at once is found by its limit, and ended. Linux."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes import limit_marks, process_tree
from InferenceLibrary.processes.process import ServerProcess
from InferenceLibrary.processes.remains import Traces, find_remains
from InferenceLibrary.processes.sessions import ProcessSession

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are read in /proc")

DAEMON = """
import os, sys, time
go, told = sys.argv[1:3]
while not os.path.exists(go):
    time.sleep(0.01)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open(told + ".new", "w") as file:
            file.write(str(os.getpid()))
        os.rename(told + ".new", told)
        os.closerange(0, 100)
        os.execve("/bin/sleep", ["sleep", "600"], {})
    os._exit(0)
os.wait()
if "stays" in sys.argv:
    time.sleep(600)
"""


class Files:
    def __init__(self, folder: Path) -> None:
        self.go, self.told = folder / "go", folder / "told"
        self.command = [sys.executable, "-I", "-S", "-c", DAEMON, str(self.go), str(self.told)]

    def let_go(self) -> int:
        """Let the daemon be born; return its number once it sleeps and has lost its parents."""
        self.go.touch()
        assert wait_until(self.told.exists, 60)
        pid = int(self.told.read_text())

        def is_lost() -> bool:
            seen = process_tree.look(pid)
            return seen is not None and seen.name == "sleep" and not Path(f"/proc/{pid}/environ").read_bytes()

        assert wait_until(is_lost, 60)
        return pid


def lives(pid: int) -> bool:
    seen = process_tree.look(pid)
    return seen is not None and seen.lives


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Files]:
    made = Files(tmp_path)
    yield made
    if made.told.exists() and lives(pid := int(made.told.read_text())):
        os.kill(pid, signal.SIGKILL)


def test_a_value_tells_run_and_number() -> None:
    marks = ["a.1.", "a.2.", "b.1.", "a", "b", "ab.1.", "ba.1."]
    assert len({limit_marks.value_of(mark) for mark in marks}) == len(marks)
    assert all(1 << 62 <= limit_marks.value_of(mark) < 1 << 63 for mark in marks)
    assert limit_marks.value_of("a.1.") == limit_marks.value_of("a.1")


def test_who_bears_a_mark_is_found_by_it_and_by_its_run(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "600"])
    among = [process.pid, os.getpid(), 0]
    try:
        assert limit_marks.bearers("run.7.", among) == []
        assert limit_marks.put_on(process.pid, "run.7.")
        assert limit_marks.bearers("run.7.", among) == limit_marks.bearers("run.", among) == [process.pid]
        assert limit_marks.bearers("run.8.", among) == limit_marks.bearers("ru.", among) == []
        assert limit_marks.bearers("run", among) == []
    finally:
        process.kill()
        process.wait()
    assert not limit_marks.put_on(process.pid, "run.7."), "it has ended"


def test_a_program_that_has_lower_limits_is_not_marked_and_no_worse_for_it() -> None:
    code = """
import os, resource, sys
sys.path.insert(0, sys.argv[1])
import limit_marks
resource.setrlimit(resource.RLIMIT_RTTIME, (10**9, 10**9))
if os.getuid() == 0:
    os.setuid(65534)
print(limit_marks.put_on(0, "run.7."), resource.getrlimit(resource.RLIMIT_RTTIME))
"""
    folder = str(Path(limit_marks.__file__).parent)
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout == "False (1000000000, 1000000000)\n"


def test_what_runs_already_is_marked_with_what_it_has_started() -> None:
    process = subprocess.Popen(["sh", "-c", "sleep 600 & sleep 600; true"], start_new_session=True)
    try:
        assert wait_until(lambda: len(process_tree.descendants(process.pid)) == 2, 60)
        limit_marks.put_on_tree(process.pid, "run.9.")
        tree = [process.pid, *(seen.pid for seen in process_tree.descendants(process.pid))]
        assert sorted(limit_marks.bearers("run.9.", tree)) == sorted(tree)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_a_lost_daemon_of_a_program_is_a_member_of_its_session(tmp_path: Path, files: Files) -> None:
    folder = tmp_path / "folder"
    session = ProcessSession(folder)
    program = subprocess.Popen(files.command, env=session.environment, start_new_session=True)
    session.lead(program.pid)
    try:
        daemon = files.let_go()
        assert program.wait(60) == 0
        assert [member.pid for member in session.members()] == [daemon]
        assert session.end(polite=None) == []
        assert not lives(daemon)
    finally:
        session.end(polite=None)
        session.release()


def test_a_lost_daemon_of_a_program_does_not_survive_the_death_of_the_runner(tmp_path: Path, files: Files) -> None:
    """Born while the watcher does not look."""
    code = f"""
import subprocess, time
from pathlib import Path
from InferenceLibrary.processes import watcher
from InferenceLibrary.processes.sessions import ProcessSession
session = ProcessSession(Path({str(tmp_path / "folder")!r}))
program = subprocess.Popen({files.command!r}, env=session.environment, start_new_session=True)
session.lead(program.pid)
print(watcher._mine()._process.pid, flush=True)
program.wait()
print("over", flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        watcher = int(runner.stdout.readline())
        os.kill(watcher, signal.SIGSTOP)
        daemon = files.let_go()
        assert runner.stdout.readline() == "over\n"
        assert lives(daemon)
        runner.kill()
        os.kill(watcher, signal.SIGCONT)
    assert wait_until(lambda: not lives(daemon), 60)


def test_a_lost_daemon_of_a_server_does_not_survive_when_its_guards_are_killed_before_they_look(
    tmp_path: Path, files: Files
) -> None:
    process = ServerProcess([*files.command, "stays"], tmp_path / "log", tree_file=tmp_path / "1.tree", mark="run.3.")
    try:
        guard = process_tree.look(process.guard_pid)
        assert guard is not None
        os.kill(process.guard_pid, signal.SIGSTOP)
        daemon = files.let_go()
        found = find_remains(Traces(marks=(process._mark,)))
        assert daemon in {seen.pid for seen in found}
        assert daemon in {seen.pid for seen in find_remains(Traces(marks=("ANY=run.",)))}, "what the run left"
        assert daemon not in {seen.pid for seen in find_remains(Traces(marks=("ANY=ran.",)))}
        os.kill(guard.parent, signal.SIGKILL)
        os.kill(process.guard_pid, signal.SIGKILL)
        assert wait_until(lambda: not process.running, 60)
        assert wait_until(lambda: not lives(daemon), 60)
    finally:
        process.stop(0)
