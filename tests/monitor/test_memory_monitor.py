"""The monitor on real processes, and its parts on readers that play what real ones rarely do."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
from fake_nvml import FakeNvml
from hypothesis import given
from hypothesis import strategies as st
from monitor.watched_programs import end, spawn

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import MissingExtraError, MonitorError
from InferenceLibrary.monitor import gpu, memory, memory_record
from InferenceLibrary.monitor.grid import Halt
from InferenceLibrary.monitor.linux import ProcTree
from InferenceLibrary.monitor.memory import MemoryMonitor
from InferenceLibrary.monitor.memory_record import MemoryRecord, MemorySample
from InferenceLibrary.monitor.portable import PsutilTree

MB = 1_000_000

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

FAMILY = """
    import os, sys, time
    block = bytearray(os.urandom(1)) * 30_000_000
    if os.fork() == 0:                  # a child
        other = bytearray(os.urandom(1)) * 20_000_000
        if os.fork() == 0:              # a grandchild that loses its parent
            third = bytearray(os.urandom(1)) * 10_000_000
            time.sleep(0.2)
            print("ready", flush=True)
            sys.stdin.read()
        os._exit(0)
    os.wait()
    sys.stdin.read()
"""


@pytest.fixture
def family() -> Iterator[subprocess.Popen[bytes]]:
    """A process of 30 MB and a grandchild of 10 MB whose parent is gone; they end when standard input closes."""
    process = spawn(FAMILY)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield process
    end(process)


@linux_only
def test_tree_holds_a_grandchild_that_lost_its_parent(family: subprocess.Popen[bytes]) -> None:
    tree = ProcTree(family.pid)
    sample = tree.sample()
    tree.close()
    assert sample is not None
    assert sample.processes == 2
    assert sample.pss is not None
    assert sample.uss is not None
    assert sample.rss > sample.pss >= sample.uss > 10 * MB
    # The grandchild shares the 30 MB of its ancestor: RSS counts them twice, PSS once.
    assert sample.rss > 30 * MB + 30 * MB
    assert sample.pss < sample.rss - 20 * MB


@linux_only
def test_both_readers_agree_on_one_process() -> None:
    process = spawn("import sys; block = bytearray(b'x') * 25_000_000; print(1, flush=True); sys.stdin.read()")
    assert process.stdout is not None
    process.stdout.readline()
    tree = ProcTree(process.pid)
    ours = theirs = None

    def agree() -> bool:
        nonlocal ours, theirs
        ours, theirs = tree.sample(), PsutilTree(process.pid).sample()
        return ours is not None and theirs is not None and (ours.rss, ours.uss) == (theirs.rss, theirs.uss)

    try:
        # It may still be on its way into its last wait when it is first looked at.
        assert wait_until(agree, 60), (ours, theirs)
    finally:
        tree.close()
        end(process)
    assert ours is not None
    assert theirs is not None
    assert ours.pss == pytest.approx(theirs.pss, rel=0.2)  # shared pages move between their users
    assert ours.rss > 25 * MB


def test_growth_between_samples_is_seen_and_peaks_stay() -> None:
    process = spawn(
        """
        import sys
        print("small", flush=True); sys.stdin.readline()
        block = bytearray(b"x") * 60_000_000
        print("large", flush=True); sys.stdin.readline()
        del block
        print("small", flush=True); sys.stdin.read()
        """
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    monitor = MemoryMonitor("growing", process.pid, 0.01)
    monitor.start()
    first = monitor.record.samples[0].rss
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()
    assert wait_until(lambda: monitor.record.peak("rss") > first + 50 * MB, 60)
    process.stdin.write(b"\n")
    process.stdin.flush()
    process.stdout.readline()
    assert wait_until(lambda: monitor.record.samples[-1].rss < first + 20 * MB, 60)
    record = monitor.stop()
    end(process)
    assert record.peak("rss") > first + 50 * MB
    assert record.samples[-1].rss < first + 20 * MB
    assert record.peak() == record.peak("pss" if record.has("pss") else "rss")
    assert not monitor.running
    assert monitor.stop() is record


def test_shortest_watch_has_two_samples_and_leaves_no_thread() -> None:
    monitor = MemoryMonitor("self", os.getpid(), 60)
    monitor.start()
    record = monitor.stop()
    monitor.close()
    assert record.count == 2
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("memory-monitor")]
    assert str(record).startswith("self: peak RSS ")


def test_a_snapshot_is_of_this_moment() -> None:
    monitor = MemoryMonitor("self", os.getpid(), 60)
    monitor.start()
    before = monitor.record.count
    asked = time.monotonic()
    record = monitor.snapshot()
    assert record.count == before + 1
    assert record.samples[-1].time >= asked
    if sys.platform == "linux":
        assert record.samples[-1].pss is not None
    count = monitor.stop().count
    assert monitor.snapshot().count == count, "a stopped monitor takes no more samples"


def test_end_of_the_process_is_noted() -> None:
    process = spawn("import sys; print(1, flush=True); sys.stdin.read()")
    assert process.stdout is not None
    process.stdout.readline()
    monitor = MemoryMonitor("short-lived", process.pid, 0.01)
    monitor.start()
    end(process)
    assert wait_until(lambda: monitor.record.process_ended is not None, 60)
    record = monitor.stop()
    assert record.count >= 1
    assert "the process ended after" in str(record)


def test_process_that_is_gone_cannot_be_watched() -> None:
    process = spawn("")
    end(process)
    with pytest.raises(
        MonitorError, match=rf"Process {process.pid} of 'gone' cannot be watched: expected a process, got none"
    ):
        MemoryMonitor("gone", process.pid).start()


def test_too_short_an_interval_is_refused() -> None:
    with pytest.raises(MonitorError, match="too short: expected at least 10 ms, got 1 ms"):
        MemoryMonitor("fast", os.getpid(), 0.001)


class Scripted:
    """A tree whose samples are given."""

    def __init__(self, *steps: MemorySample | Exception | None) -> None:
        self._steps = iter(steps)
        self.closed = 0

    def follow(self, _stop: Halt, due: float, _interval: float) -> float:
        return due

    def noted(self) -> list[MemorySample]:
        return []

    def sample(self) -> MemorySample | None:
        step = next(self._steps, MemorySample(time.monotonic(), 1, 5))
        if isinstance(step, Exception):
            raise step
        return step

    def pids(self) -> list[int]:
        return [1]

    def measure_shares_next(self) -> None:
        pass

    def close(self) -> None:
        self.closed += 1


def test_a_hole_in_the_record_is_an_error_not_a_pass() -> None:
    tree = Scripted(MemorySample(0, 1, 5), OSError("disk on fire"))
    monitor = MemoryMonitor("broken", 1, 0.01, tree)
    monitor.start()
    assert wait_until(lambda: monitor._problem is not None, 60)
    with pytest.raises(MonitorError, match="memory monitor of 'broken' failed: got disk on fire"):
        monitor.snapshot()
    with pytest.raises(MonitorError, match="memory monitor of 'broken' failed: got disk on fire"):
        monitor.stop()
    assert tree.closed == 1


def test_samples_keep_to_their_grid() -> None:
    monitor = MemoryMonitor("grid", 1, 0.02, Scripted())
    monitor.start()
    assert wait_until(lambda: monitor.record.count >= 12, 60)
    monitor.close()
    # However late single samples are, none is due before its place on the grid: no burst makes up for a pause.
    assert monitor.record.count <= monitor.record.duration / 0.02 + 2


def test_series_stays_bounded_and_keeps_its_peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_record, "MOST_SAMPLES", 16)
    record = MemoryRecord("long", 0.1, 0.0)
    for index in range(1000):
        record.add(
            MemorySample(
                index / 10, 1 + (index == 77), 1000 + (index == 500) * 9000, pss=index if index % 7 == 0 else None
            )
        )
    assert record.count == 1000
    assert len(record.samples) <= 16
    assert record.peak("rss") == 10_000 == max(value for _, value in record.series("rss"))
    assert record.peak("pss") == 994 == max(value for _, value in record.series("pss"))
    times = [sample.time for sample in record.samples]
    assert times == sorted(times)
    assert times[-1] == 99.9
    assert max(sample.processes for sample in record.samples) == 2


def test_what_was_not_measured_has_no_peak() -> None:
    record = MemoryRecord("empty", 0.1, 0.0)
    with pytest.raises(MonitorError, match="'empty' has no RSS: expected samples, got nothing"):
        record.peak()
    record.add(MemorySample(0, 1, 7))
    assert record.peak() == 7
    with pytest.raises(MonitorError, match="'empty' has no GPU: expected samples, got rss"):
        record.peak("gpu")


names = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00\n"), max_size=15)


@linux_only
@given(names, st.integers(1, 9999), st.integers(1, 9999), st.integers(0, 10**12))
def test_any_process_name_is_read_past(name: str, parent: int, session: int, started: int) -> None:
    rest = ["S", str(parent), "1", str(session), *["0"] * 15, str(started), "0", "0"]

    class Stat:
        def read(self) -> bytes:
            return f"7 ({name}) {' '.join(rest)}\n".encode()

    assert ProcTree._facts(Stat()) == (parent, session, started, 0, 0, b"S")  # type: ignore[arg-type]


def test_portable_reader_follows_children() -> None:
    process = spawn(
        """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"])
        child.wait()
        """
    )
    assert process.stdout is not None
    process.stdout.readline()
    tree = PsutilTree(process.pid)
    sample = tree.sample()
    assert sample is not None
    assert sample.processes == 2 == len(tree.pids())
    end(process)
    assert tree.sample() is None
    assert PsutilTree(process.pid).sample() is None


def test_missing_psutil_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(MissingExtraError, match=r"Watching memory .* needs the package 'psutil'.*pip install psutil"):
        memory.process_tree(os.getpid())


def test_gpu_memory_of_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpus, reason = gpu.open_gpus()
    assert reason == ""
    assert gpus is not None
    assert gpus.names == ("Fake 0", "Fake 1")
    assert gpus.held_by([11]) == 61
    assert gpus.held_by([11, 12, 99]) == 1061
    assert gpus.held_by([99]) is None
    assert gpus.held_by([13]) is None
    assert gpus.used() == 300
    gpus.close()
    gpus.close()
    assert nvml.shut == 1
    nvml.broken = "processes"
    broken, _ = gpu.open_gpus()
    assert broken is not None
    assert broken.held_by([11]) == 30


def test_monitor_records_gpu_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml()
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    tree = Scripted()
    monkeypatch.setattr(tree, "pids", lambda: [12])
    monitor = MemoryMonitor("gpu", 1, 0.01, tree)
    monitor.start()
    record = monitor.stop()
    assert record.peak("gpu") == 1000
    assert nvml.shut == 1


@pytest.mark.parametrize(
    ("nvml", "reason"),
    [
        (None, "nvidia-ml-py, which sees GPUs, is not installed. Hint: pip install"),
        (FakeNvml(broken="init"), "No NVIDIA GPU can be used here: NVML Shared Library Not Found. Hint: run on"),
        (FakeNvml(broken="count"), "driver answers, its GPUs do not: GPU is lost"),
        (FakeNvml(count=0), "sees no GPU. Hint: check CUDA_VISIBLE_DEVICES"),
    ],
)  # fmt: skip
def test_no_gpu_has_a_reason(nvml: FakeNvml | None, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    status = gpu.gpu_status()
    assert not status.available
    assert reason in status.reason


def test_gpu_status_lists_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    assert gpu.gpu_status().names == ("Fake 0", "Fake 1")


@linux_only
def test_sampling_costs_less_than_psutil() -> None:
    """Both in one run, in turn, in CPU time; the bar is a ratio."""
    ours, theirs = ProcTree(os.getpid()), psutil.Process()
    ours.sample()
    rounds: dict[str, float] = {"ours": 0.0, "psutil": 0.0}
    for name in itertools.islice(itertools.cycle(rounds), 20):
        begun = time.thread_time()
        for _ in range(5):
            if name == "ours":
                ours.sample()
            else:
                theirs.memory_info()
                theirs.children(recursive=True)
        rounds[name] += time.thread_time() - begun
    ours.close()
    assert rounds["ours"] < rounds["psutil"] / 3, rounds
