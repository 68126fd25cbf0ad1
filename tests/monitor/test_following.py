"""What is only noted of one process, ten times a second, is what samples say."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from monitor.watched_programs import end, spawn

from InferenceLibrary.deadline import wait_until

if sys.platform != "linux":
    pytest.skip("reads /proc", allow_module_level=True)

from InferenceLibrary.monitor.grid import Halt
from InferenceLibrary.monitor.linux import ProcTree
from InferenceLibrary.monitor.memory import MemoryMonitor


@pytest.fixture
def quiet() -> Iterator[subprocess.Popen[bytes]]:
    """A process that does nothing until its standard input closes."""
    process = spawn("import sys; block = bytearray(b'x') * 5_000_000; print(1, flush=True); sys.stdin.read()")
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    end(process)


def notes(tree: ProcTree) -> bool:
    """Whether the memory of this moment is noted, and no sample is to be taken."""
    stop, now = Halt(), time.monotonic()
    stop.set()
    return tree.follow(stop, now, 60.0) > now


def test_what_begins_later_belongs_to_the_tree_and_its_threads_do_not() -> None:
    process = spawn(
        """
        import subprocess, sys, threading
        child = "import sys, threading; threading.Thread(target=sys.stdin.read).start(); print(1, flush=True)"
        print("alone", flush=True); sys.stdin.readline()
        started = subprocess.Popen([sys.executable, "-c", child], stdin=subprocess.PIPE)
        sys.stdin.read(); started.communicate()
        """
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    tree = ProcTree(process.pid)
    first = tree.sample()
    assert first is not None
    assert first.processes == 1
    assert notes(tree)
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()
    tree.measure_shares_next()
    assert not notes(tree), "a sample is due"
    second = tree.sample()
    assert second is not None
    assert second.processes == 2
    assert second.usage is not None
    assert second.usage.threads == 3
    assert not notes(tree), "two processes"
    assert len(tree.noted()) == 1
    end(process)
    assert wait_until(lambda: tree.sample() is None, 60)
    tree.close()


def test_what_is_noted_is_what_a_sample_says(quiet: subprocess.Popen[bytes]) -> None:
    tree, other = ProcTree(quiet.pid), ProcTree(quiet.pid)
    tree.sample()
    seen: list[tuple[object, ...]] = []

    def agree() -> bool:
        tree._next_scan = other._next_scan = 0.0
        assert notes(tree)
        (noted,), sample = tree.noted(), other.sample()
        assert sample is not None
        assert sample.usage is not None
        assert noted.usage is not None
        assert noted.usage.time == noted.time
        assert noted.usage.cpu == pytest.approx(sample.usage.cpu, abs=0.1)
        seen[:] = [
            (one.processes, one.rss, use.threads, use.handles, use.read, use.written)
            for one, use in ((noted, noted.usage), (sample, sample.usage))
        ]
        return seen[0] == seen[1]

    # It may still be on its way into its last wait when it is first looked at.
    assert wait_until(agree, 60), seen
    assert notes(tree)
    assert tree.noted()[0].usage is None, "once a second"
    tree.close()
    other.close()


def test_a_sample_is_taken_where_something_changed(quiet: subprocess.Popen[bytes]) -> None:
    tree = ProcTree(quiet.pid)
    sample = tree.sample()
    assert sample is not None

    def told(**state: float) -> bool:
        tree.sample()
        tree._next_pss_moved = float("inf")
        for name, value in {"_next_scan": 0.0, **state}.items():
            setattr(tree, name, value)
        return notes(tree)

    assert told()
    assert not told(_next_sample=0.0), "its time has come"
    assert told(_next_pss_moved=0.0)
    assert not told(_next_pss_moved=0.0, _rss_at_pss=sample.rss // 2), "the memory has grown"
    assert told(_rss_at_pss=sample.rss // 2), "PSS was read just now"
    tree.close()


def test_the_end_of_a_process_ends_the_notes() -> None:
    process = spawn("import sys; print(1, flush=True); sys.stdin.read()")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    tree = ProcTree(process.pid)
    tree.sample()
    process.stdin.close()
    assert wait_until(lambda: not notes(tree), 60), "not yet reaped"
    process.wait()
    assert not notes(tree), "gone"
    assert tree.sample() is None
    process.stdout.close()


def test_notes_keep_to_their_grid_and_end_at_once(quiet: subprocess.Popen[bytes]) -> None:
    tree, stop = ProcTree(quiet.pid), Halt()
    tree.sample()
    begun = time.monotonic()
    ender = threading.Timer(0.3, stop.set)
    ender.start()
    # The first times have passed: they are left out.
    due = tree.follow(stop, begun - 1.0, 0.05)
    ender.join()
    assert (due - begun) / 0.05 == pytest.approx(round((due - begun) / 0.05))
    times = [one.time for one in tree.noted()]
    assert times
    assert times == sorted(times)
    assert len(times) <= (times[-1] - begun) / 0.05 + 2
    tree.close()


def test_the_record_is_of_now_while_it_is_only_noted(quiet: subprocess.Popen[bytes]) -> None:
    monitor = MemoryMonitor("watched", quiet.pid, 0.01)
    monitor.start()
    assert wait_until(lambda: monitor.record.count > 5, 60)
    thread = monitor.thread
    before = monitor.snapshot().count
    assert monitor.thread is not thread, "the snapshot was taken by the one who asked"
    assert wait_until(lambda: monitor.record.count > before + 5, 60), "it goes on"
    times = [one.time for one in monitor.stop().samples]
    assert times == sorted(times)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("memory-monitor")]


def test_noting_costs_less_than_sampling(quiet: subprocess.Popen[bytes]) -> None:
    """Both in one run, in turn, in CPU time, of each the least; the bar is a ratio."""
    tree = ProcTree(quiet.pid)
    rounds: dict[str, float] = {}
    for name in itertools.islice(itertools.cycle(("notes", "samples")), 20):
        tree.sample()
        tree._next_pss = tree._next_pss_moved = float("inf")
        begun = time.thread_time()
        for _ in range(20):
            _ = notes(tree) if name == "notes" else tree.sample()
        spent = time.thread_time() - begun
        rounds[name] = min(rounds.get(name, spent), spent)
    tree.close()
    assert rounds["notes"] < rounds["samples"], rounds
