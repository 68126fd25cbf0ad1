"""Memory of a process tree with psutil, where there is no /proc."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from InferenceLibrary.errors import MissingExtraError
from InferenceLibrary.monitor.memory_record import MemorySample

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
        with contextlib.suppress(psutil.NoSuchProcess):
            self._members[pid] = psutil.Process(pid)

    def sample(self) -> MemorySample | None:
        """Return the memory now, None when nothing of the tree is left."""
        now = time.monotonic()
        if now >= self._next_scan:
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
            now, len(self._members), rss, pss if has_pss and pss else None, uss if has_uss and uss else None
        )

    def pids(self) -> list[int]:
        """Return the processes of the tree, as of the last sample."""
        return list(self._members)

    def measure_shares_next(self) -> None:
        """Every sample reads what this system has."""

    def close(self) -> None:
        """Nothing is kept open."""

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
