"""The monitor itself: a thread that samples the memory of a process tree until it is stopped."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.monitor.gpu import GpuMemory, open_gpus
from InferenceLibrary.monitor.grid import Halt, following
from InferenceLibrary.monitor.memory_record import MemoryRecord, MemorySample

SHORTEST_INTERVAL = 0.01
"""Seconds; more often than 100 times a second would measure the monitor."""


_GPU_INTERVAL = 0.2
"""Seconds between looks at what GPUs do: NVML averages over about as long."""


class ProcessTree(Protocol):
    """A source of samples."""

    def follow(self, stop: Halt, due: float, interval: float) -> float:
        """Note the memory at each time of a grid, where that costs less than samples, until `stop` is set.

        Args:
            stop: Ends it.
            due: The next time on the monotonic clock.
            interval: Seconds between the times.

        Returns:
            The time at which a sample is to be taken.
        """

    def noted(self) -> list[MemorySample]:
        """Return the samples of what was noted since the last time; before the next one is taken."""

    def sample(self) -> MemorySample | None:
        """Return the memory now, None when the tree is gone."""

    def pids(self) -> list[int]:
        """Return the processes of the tree."""

    def measure_shares_next(self) -> None:
        """Make the next sample read everything there is."""

    def close(self) -> None:
        """Release what is kept open."""


def process_tree(pid: int) -> ProcessTree:
    """Return the cheapest reader that this system has.

    Raises:
        MissingExtraError: There is no /proc and psutil is not installed.
    """
    if sys.platform == "linux" and Path("/proc/self/statm").exists():
        from InferenceLibrary.monitor.linux import ProcTree

        return ProcTree(pid)
    from InferenceLibrary.monitor.portable import PsutilTree

    return PsutilTree(pid)


class MemoryMonitor:
    """Samples the memory of a process tree in a thread of its own.

    The first sample is taken before the constructor's `start` returns and the last one when it is stopped, so that even
    the shortest record has two. Samples keep to their grid: a late one does not shift those that follow.

    Args:
        name: Name of what is watched, for messages.
        pid: Root of the tree.
        interval: Seconds between samples.
        tree: Source of the samples; the system's cheapest by default.

    Raises:
        MonitorError: The interval is too short, or there is no such process.
        MissingExtraError: A package is missing on this system.
    """

    def __init__(self, name: str, pid: int, interval: float = 0.1, tree: ProcessTree | None = None) -> None:
        if interval < SHORTEST_INTERVAL:
            raise MonitorError(
                describe(
                    "The interval of a memory monitor is too short",
                    expected=f"at least {SHORTEST_INTERVAL * 1000:g} ms",
                    got=f"{interval * 1000:g} ms",
                )
            )
        self.name = name
        self.pid = pid
        self._tree = tree or process_tree(pid)
        self._gpus: GpuMemory | None = None
        self._next_gpus = 0.0
        self._stop = Halt()
        self._lock = threading.Lock()
        self._problem: Exception | None = None
        self.thread: threading.Thread | None = None
        self._record = MemoryRecord(name=name, interval=interval, started=time.monotonic())

    @property
    def record(self) -> MemoryRecord:
        """What was seen until now."""
        with self._lock:
            self._add_noted()
        return self._record

    def start(self) -> None:
        """Take the first sample and begin to watch.

        Raises:
            MonitorError: The process does not exist.
        """
        self._gpus, self._record.no_gpu = open_gpus()
        self._record.started = time.monotonic()
        if not self._take():
            self._release()
            raise MonitorError(
                describe(f"Process {self.pid} of '{self.name}' cannot be watched", expected="a process", got="none")
            )
        self._go_on(self._record.started)

    def stop(self) -> MemoryRecord:
        """Take the last sample, end the thread and return the record. A second call returns the same record.

        Raises:
            MonitorError: The thread failed, so the record has a hole.
        """
        self._end()
        return self._whole()

    def snapshot(self) -> MemoryRecord:
        """Return the record with a sample of this moment, PSS and USS included, when the monitor runs.

        Raises:
            MonitorError: The thread failed, so the record has a hole.
        """
        if self.running:
            # One thread at a time reads the tree.
            self._pause()
            if self._take_whole(last=False):
                self._go_on(self._record.started)
        return self._whole()

    def close(self) -> None:
        """End the thread. A second call does nothing."""
        self._end()

    @property
    def running(self) -> bool:
        return self._record.ended is None

    def _go_on(self, started: float) -> None:
        """Watch on a grid that began then, from the next of its times on."""
        self._stop = Halt()
        due = following(started, self._record.interval)
        self.thread = threading.Thread(
            target=self._watch, args=(self._stop, due), name=f"memory-monitor-{self.pid}", daemon=True
        )
        self.thread.start()

    def _pause(self) -> None:
        self._stop.set()
        if self.thread is not None:
            self.thread.join(5)

    def _take_whole(self, *, last: bool) -> bool:
        """Take a sample with all there is; return whether there may be more."""
        with self._lock:
            if self._record.process_ended is not None or self._problem is not None:
                return False
            self._tree.measure_shares_next()
            return self._take(last=last)

    def _whole(self) -> MemoryRecord:
        if self._problem is not None:
            raise MonitorError(
                describe(f"The memory monitor of '{self.name}' failed", got=f"{self._problem}")
            ) from self._problem
        return self._record

    def _end(self) -> None:
        if not self.running:
            return
        self._pause()
        self._take_whole(last=True)
        with self._lock:
            self._record.ended = time.monotonic()
            self._release()

    def _watch(self, stop: Halt, due: float) -> None:
        interval = self._record.interval
        while not stop.is_set():
            # What GPUs hold is asked each time.
            if self._gpus is None:
                due = self._tree.follow(stop, due, interval)
            if stop.wait(max(0.0, due - time.monotonic())) or not self._look():
                return
            due = following(due, interval)

    def _look(self) -> bool:
        """Take a sample; return whether there will be more."""
        with self._lock:
            try:
                if not self._take():
                    self._record.process_ended = time.monotonic() - self._record.started
                    return False
            except (OSError, ValueError, RuntimeError) as error:
                self._problem = error
                return False
        return True

    def _take(self, *, last: bool = False) -> bool:
        self._add_noted()
        sample = self._tree.sample()
        if sample is None:
            return False
        if self._gpus is not None:
            sample = replace(sample, gpu=self._gpus.held_by(self._tree.pids()))
            if sample.time >= self._next_gpus or last:
                self._next_gpus = sample.time + _GPU_INTERVAL
                sample = replace(sample, gpus=self._gpus.usage(sample.time))
        self._record.add(sample)
        return True

    def _add_noted(self) -> None:
        for noted in self._tree.noted():
            self._record.add(noted)

    def _release(self) -> None:
        self._tree.close()
        if self._gpus is not None:
            self._gpus.close()
            self._gpus = None
