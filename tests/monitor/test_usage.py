"""What a process tree uses beside memory, and whether its memory grows."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time

import pytest

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import MonitorError
from InferenceLibrary.monitor import memory_record
from InferenceLibrary.monitor.linux import ProcTree
from InferenceLibrary.monitor.memory import MemoryMonitor
from InferenceLibrary.monitor.memory_record import MemoryRecord, MemorySample, ProcessUsage
from InferenceLibrary.monitor.portable import PsutilTree

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

BUSY = """
    import os, sys, threading, time
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait) for _ in range(3)]
    [one.start() for one in threads]
    files = [open(os.devnull) for _ in range(20)]
    until = time.process_time() + 0.3
    if os.fork() == 0:                      # its time counts after its end
        while time.process_time() < 0.2: pass
        os._exit(0)
    while time.process_time() < until: pass
    print("ready", flush=True)
    sys.stdin.read()
    stop.set()
"""


@pytest.mark.parametrize("reader", [pytest.param(ProcTree, marks=linux_only), PsutilTree])
def test_what_a_tree_uses_beside_memory(reader: type[ProcTree] | type[PsutilTree]) -> None:
    command = [sys.executable, "-c", textwrap.dedent(BUSY)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    monitor = MemoryMonitor("busy", process.pid, 0.05, reader(process.pid))
    monitor.start()
    assert process.stdout is not None
    process.stdout.readline()
    record = monitor.stop()
    assert record.used("threads") >= 4
    assert record.used("handles") >= 20
    last = record.samples[-1].usage
    assert last is not None
    assert 0.25 <= last.cpu < 5
    assert 0 < record.used("cpu") <= (os.cpu_count() or 1) + 0.5
    shares = record.cpu_shares()
    assert shares
    assert all(0 <= share <= (os.cpu_count() or 1) + 0.5 for _, share in shares)
    rows = record.rows()
    assert rows[0]["time"] >= 0
    assert rows[-1]["threads"] == last.threads
    assert rows[-1]["rss"] == record.samples[-1].rss
    process.communicate(timeout=10)


@linux_only
def test_a_process_that_was_busy_before_is_not_charged_for_it() -> None:
    while time.process_time() < 0.3:
        pass
    tree = ProcTree(os.getpid())
    first = tree.sample()
    tree.close()
    assert first is not None
    assert first.usage is not None
    assert first.usage.cpu < 0.05


def test_figures_that_were_not_measured_are_refused() -> None:
    record = MemoryRecord("bare", 0.1, 0.0)
    record.add(MemorySample(0, 1, 7, usage=ProcessUsage(0, 0.0, 3)))
    assert record.used("threads") == 3
    for resource in ("cpu", "handles"):
        with pytest.raises(MonitorError, match=f"monitor of 'bare' has no figure of {resource}"):
            record.used(resource)  # type: ignore[arg-type]
    assert record.cpu_shares() == []


def test_growth_is_that_of_the_quarters_and_a_peak_is_none() -> None:
    record = MemoryRecord("growing", 0.1, 0.0)
    for index in range(7):
        record.add(MemorySample(index, 1, 1000))
    with pytest.raises(MonitorError, match="expected 8 samples or more of its RSS, got 7"):
        record.growth()
    record.add(MemorySample(7, 1, 9000))
    assert record.growth() == (1000, 5000.0)
    for index in range(8, 16):
        record.add(MemorySample(index, 1, 1500, pss=500))
    assert record.growth() == (1000, 1500)
    assert record.growth("pss") == (500, 500)


def test_merged_samples_keep_their_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_record, "MOST_SAMPLES", 8)
    record = MemoryRecord("long", 0.1, 0.0)
    for index in range(100):
        record.add(MemorySample(index, 1, 7, usage=ProcessUsage(index, index / 2, 3) if index % 2 == 0 else None))
    assert len(record.samples) <= 8
    assert [share for _, share in record.cpu_shares()] == pytest.approx([0.5] * len(record.cpu_shares()))
    assert record.used("cpu") == pytest.approx(0.5, rel=0.1)


@linux_only
def test_pss_is_read_anew_when_the_memory_has_changed() -> None:
    code = "import sys; print(1, flush=True); sys.stdin.readline(); b = b'x' * 40_000_000; sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    tree = ProcTree(process.pid)
    first = tree.sample()
    assert first is not None
    assert first.pss is not None
    tree._next_pss = float("inf")
    tree._next_pss_moved = 0.0
    steady = tree.sample()
    assert steady is not None
    assert steady.pss is None
    process.stdin.write(b"\n")
    process.stdin.flush()
    grown: list[int] = []

    def told() -> bool:
        sample = tree.sample()
        if sample is not None and sample.pss is not None:
            grown.append(sample.pss)
        return bool(grown) and grown[-1] > first.pss + 30_000_000

    assert wait_until(told, 60), grown
    tree.close()
    process.communicate(timeout=10)
