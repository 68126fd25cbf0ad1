"""Memory of a process tree with psutil, where there is no /proc."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from InferenceLibrary.errors import MissingExtraError
from InferenceLibrary.monitor.grid import Halt
from InferenceLibrary.monitor.memory_record import MemorySample, ProcessUsage

_RESCAN = 1.0
"""Seconds between walks of the tree, the dearest of all calls of psutil."""


class PsutilTree:
    """Reads the memory of the process `pid` and its descendants.

    Raises:
        MissingExtraError: psutil is not installed.
    """

    def __init__(self, pid: int) -> None:
        try:
            import psutil
        except ModuleNotFoundError as error:
            raise MissingExtraError("psutil", "performance", "Watching memory on this system") from error
        self._psutil: Any = psutil
        self._members: dict[int, Any] = {}
        self._next_scan = 0.0
        self._cpu: dict[int, float] = {}
        """CPU seconds of each process, those that ended included."""
        self._cpu_before: float | None = None
        with contextlib.suppress(psutil.NoSuchProcess):
            self._members[pid] = psutil.Process(pid)

    def follow(self, _stop: Halt, due: float, _interval: float) -> float:
        """Each look costs as much as a sample: take one."""
        return due

    def noted(self) -> list[MemorySample]:
        """Nothing is noted."""
        return []

    def sample(self) -> MemorySample | None:
        """Return the memory now, None when nothing of the tree is left."""
        now = time.monotonic()
        if scans := now >= self._next_scan:
            self._scan()
            self._next_scan = now + _RESCAN
        rss = pss = uss = 0
        has_pss = has_uss = True
        for pid, process in list(self._members.items()):
            try:
                basic = process.memory_info()
                full = self._full(process)
            except self._psutil.NoSuchProcess:  # ZombieProcess is one as well
                del self._members[pid]
                continue
            rss += basic.rss
            has_uss = has_uss and full is not None and hasattr(full, "uss")
            has_pss = has_pss and full is not None and hasattr(full, "pss")
            uss += full.uss if has_uss else 0
            pss += full.pss if has_pss else 0
        if not self._members:
            return None
        return MemorySample(
            now,
            len(self._members),
            rss,
            pss if has_pss and pss else None,
            uss if has_uss and uss else None,
            usage=self._usage(now) if scans else None,
        )

    def pids(self) -> list[int]:
        """Return the processes of the tree, as of the last sample."""
        return list(self._members)

    def measure_shares_next(self) -> None:
        """Every sample reads the memory that this system has; let the next one tell what is used beside it."""
        self._next_scan = 0.0

    def close(self) -> None:
        """Nothing is kept open."""

    def _usage(self, now: float) -> ProcessUsage:
        """What the tree uses beside memory; handles and disks where this system tells of them."""
        threads = 0
        handles: int | None = 0
        read: int | None = 0
        written: int | None = 0
        for pid, process in self._members.items():
            try:
                times = process.cpu_times()
                threads += process.num_threads()
                count = getattr(process, "num_fds", None) or process.num_handles
                handles = None if handles is None else handles + count()
                io = process.io_counters() if hasattr(process, "io_counters") else None
            except self._psutil.NoSuchProcess:
                continue
            except self._psutil.AccessDenied:
                handles = read = written = None
                continue
            self._cpu[pid] = times.user + times.system
            read = None if io is None or read is None else read + io.read_bytes
            written = None if io is None or written is None else written + io.write_bytes
        if self._cpu_before is None:
            self._cpu_before = sum(self._cpu.values())
        return ProcessUsage(now, sum(self._cpu.values()) - self._cpu_before, threads, handles, read, written)

    def _full(self, process: Any) -> Any:
        try:
            return process.memory_full_info()
        except self._psutil.AccessDenied:
            return None

    def _scan(self) -> None:
        for process in list(self._members.values()):
            try:
                for child in process.children(recursive=True):
                    self._members.setdefault(child.pid, child)
            except self._psutil.NoSuchProcess:
                continue
