"""The guard: whatever the server started ends, whoever of runner, guard and server ends first and however."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alarm import Interruption, interruption

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import ServerError
from InferenceLibrary.processes import process_tree
from InferenceLibrary.processes.process import MARK, ServerProcess

Start = Callable[..., ServerProcess]

DOUBLE_FORK = "(setsid sh -c 'sleep 600' >/dev/null 2>&1 &) ; "
DEAF = "trap '' TERM INT HUP; "
RUNNER = """
import sys, time
from pathlib import Path
from InferenceLibrary.processes.process import ServerProcess
script, log, mark, kind = sys.argv[1:]
process = ServerProcess(['/bin/sh', '-c', script], Path(log), mark=mark, portable=kind == 'portable')
print(process.guard_pid, flush=True)
time.sleep(600)
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and the sub-reaper of Linux")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[ServerProcess] = []

    def run(script: str, **options: object) -> ServerProcess:
        log = tmp_path / f"{len(started)}.log"
        process = ServerProcess(["/bin/sh", "-c", script], log, **options)  # type: ignore[arg-type]
        started.append(process)
        return process

    yield run
    for process in started:
        process.stop(0)


@pytest.fixture
def mark() -> str:
    return f"test-{os.urandom(6).hex()}."


def bearers(mark: str) -> list[str]:
    return [f"{seen.pid} {seen.name}" for seen in process_tree.bearers(f"{MARK}={mark}")]


def begun(process: ServerProcess) -> None:
    assert wait_until(lambda: "begun" in process.log_text(), 60)


def daemon_begun(process: ServerProcess) -> None:
    """Until then it is in its server's session, and a signal to that would end it too."""
    begun(process)

    def left_its_session() -> bool:
        return any(seen.name == "sleep" and seen.group != process.pid for seen in process.tree())

    assert wait_until(left_its_session, 60), [(seen.name, seen.pid, seen.group) for seen in process.tree()]


@linux
@pytest.mark.parametrize("portable", ["native", "portable"])
@pytest.mark.parametrize("script", ["", DOUBLE_FORK, DEAF, DOUBLE_FORK + DEAF], ids=["plain", "double", "deaf", "both"])
def test_nothing_survives_a_killed_runner(tmp_path: Path, mark: str, script: str, portable: str) -> None:
    log = tmp_path / "server.log"
    whole = f"{script} echo begun; while :; do sleep 0.2; done"
    runner = subprocess.Popen(
        [sys.executable, "-c", RUNNER, whole, str(log), mark, portable], stdout=subprocess.PIPE, text=True
    )
    assert runner.stdout is not None
    guard = int(runner.stdout.readline())
    assert wait_until(lambda: log.exists() and "begun" in log.read_text(), 60)
    assert bearers(mark)
    runner.kill()
    runner.wait()
    runner.stdout.close()
    assert wait_until(lambda: not bearers(mark), 60), bearers(mark)
    assert wait_until(lambda: process_tree.look(guard) is None, 60)


@linux
def test_a_daemon_comes_back_to_the_guard(start: Start, mark: str) -> None:
    process = start(f"{DOUBLE_FORK} echo begun; sleep 600", mark=mark)
    daemon_begun(process)
    assert wait_until(lambda: len(process.tree()) == len(bearers(mark)), 60), (
        "all that bears the mark is below the guard"
    )
    assert process.stop(5) is True
    assert {orphan.name for orphan in process.orphans} <= {"sh", "sleep"}
    assert process.orphans, "the daemon did not follow its server"
    assert bearers(mark) == []


def test_what_follows_its_server_is_no_leak(start: Start) -> None:
    process = start("sleep 600 & echo begun; wait")
    begun(process)
    assert process.stop(5) is True
    assert process.orphans == ()


@linux
def test_the_server_ends_with_a_killed_guard(start: Start, mark: str) -> None:
    process = start(f"{DOUBLE_FORK} echo begun; sleep 600", mark=mark)
    daemon_begun(process)
    os.kill(process.guard_pid, signal.SIGKILL)
    assert wait_until(lambda: not process.running, 60)
    seen = process_tree.look(process.pid)
    assert seen is None or not seen.lives, "it is gone, and not only said to be"
    assert str(process.how_it_ended()).startswith("signal SIGKILL, after its guard (process ")
    process.stop(1)
    assert bearers(mark) == [], "the daemon is found by its mark"


@pytest.mark.parametrize("portable", [False, True])
def test_a_guard_that_is_told_to_end_ends_its_server(start: Start, portable: bool) -> None:
    process = start("echo begun; sleep 600", portable=portable)
    begun(process)
    os.kill(process.guard_pid, signal.SIGTERM)
    assert wait_until(lambda: not process.guarded, 60)
    assert process.how_it_ended() == "signal SIGTERM"


def test_an_end_is_told_as_it_was(start: Start) -> None:
    process = start("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 3")
    assert wait_until(lambda: not process.running, 60)
    assert process.exit is not None
    assert process.exit.code == 3
    assert 0 < process.exit.user + process.exit.system < 20
    assert 100_000 < process.exit.max_rss < 100_000_000
    assert process.exit.lifetime > 0
    assert not process.exit.core_dumped


def test_a_core_dump_is_told(start: Start, tmp_path: Path) -> None:
    import resource

    pattern = Path("/proc/sys/kernel/core_pattern")
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if not pattern.exists() or pattern.read_text().startswith("|") or hard == 0:
        pytest.skip("this system does not let programs dump core into their folder")
    process = start("ulimit -c unlimited; kill -ABRT $$", cwd=tmp_path)
    assert wait_until(lambda: not process.running, 60)
    assert process.exit is not None
    assert process.exit.core_dumped
    assert process.how_it_ended() == "signal SIGABRT (core dumped)"


def test_the_guard_is_small(start: Start) -> None:
    process = start("sleep 600")
    status = Path(f"/proc/{process.guard_pid}/status")
    if not status.exists():
        pytest.skip("only Linux tells the memory of a process so")
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    assert int(line.split()[1]) * 1024 < 15_000_000


def test_the_guard_holds_no_file_of_the_runner(start: Start, tmp_path: Path) -> None:
    with (tmp_path / "open.txt").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        process = start("sleep 600")
        folder = Path(f"/proc/{process.guard_pid}/fd")
        if not folder.exists():
            pytest.skip("only Linux tells the files of a process so")
        files = set()
        for entry in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # the guard closed it since
                files.add(str(entry.readlink()))
    assert not any(str(tmp_path) in name for name in files), files
    assert "/dev/null" in files


def test_paused_and_resumed(start: Start) -> None:
    process = start("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")
    assert wait_until(lambda: process.log_size() > 10, 60)
    process.pause()
    states = [seen.state for seen in process.tree()]
    assert states or sys.platform != "linux"
    assert set(states) <= {"T", "Z", "D"}, "they stand when it returns"
    size = process.log_size()
    time.sleep(0.2)
    assert process.log_size() == size
    process.resume()
    assert wait_until(lambda: process.log_size() > size, 60)
    process.pause()
    assert process.stop(5) is True, "a paused server is woken to end"


@linux
def test_a_parent_whose_new_child_does_not_run_its_program_yet_stands(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(fifo := tmp_path / "fifo")
    spawns = tmp_path / "spawns.py"
    # The child opens the pipe, which nobody writes to, before it runs its program; until then its parent waits.
    opens = f"(os.POSIX_SPAWN_OPEN, 0, {str(fifo)!r}, os.O_RDONLY, 0)"
    spawns.write_text(f"import os\nos.posix_spawn('/bin/true', ['true'], {{}}, file_actions=[{opens}])\n")
    process = start(f"exec {sys.executable} {spawns}")
    assert wait_until(lambda: [seen.state for seen in process.tree()] == ["D", "S"], 60)
    stood: list[bool] = []
    monkeypatch.setattr("InferenceLibrary.processes.process.wait_until", lambda *it: stood.append(wait_until(*it)))
    process.pause()
    assert stood
    assert all(stood)


def test_it_is_started_again_when_it_drops(start: Start) -> None:
    events: list[str] = []
    process = start("echo run; sleep 0.05; exit 4", restart=True)
    process.on_event = events.append
    first = process.pid
    assert wait_until(lambda: process.running and process.log_text().count("run") >= 2 and process.pid != first, 60)
    assert [exit_.code for exit_ in process.drops][:1] == [4]
    assert any("is started again" in event for event in events)
    process.stop(2)
    assert not process.running
    assert not process.guarded


@linux
def test_a_daemon_is_the_server(start: Start) -> None:
    process = start(
        "(setsid sh -c 'trap \"exit 9\" TERM; echo daemon $$; while :; do sleep 0.05; done' &) ; exit 0", daemon=True
    )
    # What started it may end after it began.
    assert wait_until(lambda: process.running and f"daemon {process.pid}" in process.log_text().splitlines(), 60)
    assert process.stop(10) is True
    assert process.how_it_ended() == "exit code 9", "its own status, fetched by the guard"


def test_the_server_alone_is_signalled(start: Start) -> None:
    child = "sh -c 'trap \"echo child; exit\" TERM; echo born; while :; do sleep 0.05; done'"
    process = start(f"{child} & trap 'echo main; exit' TERM; echo begun; wait", stop_whole_group=False)
    begun(process)
    assert wait_until(lambda: "born" in process.log_text(), 60), "its trap is set"
    assert process.stop(5) is True
    lines = process.log_text().split()
    assert lines.index("main") < lines.index("child"), "the child got its signal later, as something left behind"
    assert "sh" in {orphan.name for orphan in process.orphans}


def test_a_forked_child_ends_nothing(start: Start) -> None:
    """It runs the same clean-up when it exits."""
    process = start("echo begun; sleep 600")
    begun(process)
    child = os.fork()
    if child == 0:
        process.stop(0)
        process.kill()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    time.sleep(0.2)
    assert process.running
    assert process.stop(5) is True


def test_a_guard_that_cannot_be_started_is_told(monkeypatch: pytest.MonkeyPatch, start: Start) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ServerError, match=r"'/bin/sh' cannot be started: got no word of its guard after"):
        start("sleep 600")


@linux
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupted_start_leaves_nothing(tmp_path: Path, mark: str) -> None:
    """A signal handler raises at some moment of the start, again and again.

    Also between the end of the start and the moment when somebody has the object: then its socket closes when it is
    collected, with the warning that is ignored here.
    """

    interrupted = 0
    with interruption() as soon:
        for step in range(30):
            process = None
            try:
                soon(0.001 + step * 0.001)
                process = ServerProcess(["/bin/sleep", "600"], tmp_path / "x.log", mark=mark)
                time.sleep(60)
            except Interruption:
                interrupted += 1
            finally:
                soon(0)
                if process is not None:
                    process.stop(0)
            del process
    gc.collect()
    assert interrupted == 30
    assert wait_until(lambda: not bearers(mark), 60), bearers(mark)


@linux
def test_a_crash_shows_what_it_leaves_behind_and_a_kill_takes_it_along(start: Start, mark: str) -> None:
    crashed = start(f"{DOUBLE_FORK} echo begun; sleep 600", mark=mark)
    daemon_begun(crashed)
    crashed.kill(leave_children=True)
    assert crashed.how_it_ended() == "signal SIGKILL"
    crashed.settle()
    assert {orphan.name for orphan in crashed.orphans} >= {"sleep"}
    assert wait_until(lambda: bearers(mark) == [], 60), "what was left is ended after it was told"
    killed = start(f"{DOUBLE_FORK} echo begun; sleep 600", mark=mark)
    daemon_begun(killed)
    killed.kill()
    assert killed.orphans == ()
    assert bearers(mark) == []


@linux
def test_a_crash_of_what_is_restarted_is_a_drop(start: Start) -> None:
    process = start("echo begun; sleep 600", restart=True)
    begun(process)
    process.kill(leave_children=True)
    assert [exit_.code for exit_ in process.drops] == [-signal.SIGKILL]
    assert process.running


@linux
def test_a_keeper_does_its_work_also_where_the_runner_ignores_the_ends_of_its_children(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from InferenceLibrary.deadline import wait_until\n"
        "from InferenceLibrary.processes import process_tree\n"
        "from InferenceLibrary.processes.process import ServerProcess\n"
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
        "process = ServerProcess(['/bin/sh', '-c', '(setsid sleep 600 &) ; sleep 600'], Path(sys.argv[1]))\n"
        "assert wait_until(lambda: len(process.tree()) == 3, 20)\n"
        "keeper = process_tree.look(process.guard_pid).parent\n"
        "os.kill(process.guard_pid, signal.SIGKILL)\n"
        "print(wait_until(lambda: process_tree.look(keeper) is None, 20))\n"
        "process.stop(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "log")], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
