"""What a process tree uses, from /proc: a tenth of what psutil costs, because files stay open and the tree is cached.

Ten times a second nothing is warm any more, neither in the kernel nor here, and each line costs ten times as much as in
a loop. So what comes so often is read only (`note`), and made into samples once a second, when the tree is looked over.

The tree holds the descendants of the root and, when the root leads a session, the members of that session, so a child
that detached from its parent (a double fork) still counts. A process that was seen once belongs to the tree as long as
it lives. It is known by its number and its start time: numbers are used again.
"""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from InferenceLibrary.monitor.memory_record import MemorySample, ProcessUsage
from InferenceLibrary.monitor.newcomers import Newcomers

_RESCAN = 1.0
"""Seconds between looks for new processes."""
_SHARE = 100
"""Such a look takes at most 1/100 of the time, whatever it costs."""
_PSS_MOVING, _PSS_STEADY = 1_000, 10_000
"""PSS is read so rarely that it takes at most so small a part of the time (the kernel walks all pages and locks the
process): while the memory changes, and while it does not."""
_MOVED = 64
"""RSS that differs by a 64th from what it was when PSS was read has changed."""
_KEPT_OPEN = 32
"""Processes whose files stay open; of more, they are opened for each look."""
_ENOUGH = 1024
"""Bytes that hold each of the files."""

_PAGE = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")


class _Stat(NamedTuple):
    parent: int
    session: int
    started: int
    ticks: int
    threads: int


class _ProcFile:
    """A file of a process, which stays open where that is asked for: then it stays that of this process."""

    __slots__ = ("_path", "fd")

    def __init__(self, path: str, *, kept: bool) -> None:
        self._path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC) if kept else -1

    def read(self) -> bytes:
        if self.fd >= 0:
            return os.pread(self.fd, _ENOUGH, 0)
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, _ENOUGH)
        finally:
            os.close(fd)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass
class _Process:
    place: str
    started: int
    statm: _ProcFile
    stat: _ProcFile
    io: _ProcFile | None
    """None where it is another user's."""
    cpu_before: int
    """Clock ticks that it had used when it was seen first: not ours where it is the root."""
    cpu: int = 0
    threads: int = 1
    session: int = 0

    def close(self) -> None:
        for file in (self.statm, self.stat, self.io):
            if file is not None:
                file.close()


class ProcTree:
    """Reads the memory of the process `pid` and all that came from it.

    Args:
        pid: The root.
        proc: Where procfs is mounted.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._root = pid
        self._proc = str(proc)
        self._newcomers = Newcomers(self._proc)
        self._known: dict[int, _Process] = {}
        self._next_scan = 0.0
        self._next_pss = self._next_pss_moved = 0.0
        self._rss_at_pss = self._processes_at_pss = 0
        self._ended_ticks = 0
        self._began = False
        self._only = -1
        """The file with the memory of the tree, where it is one process."""
        self._noted: list[tuple[float, bytes]] = []

    def note(self) -> bool:
        """Read the memory now, for `noted`; false where a sample is to be taken in place of it."""
        now = time.monotonic()
        if self._only < 0 or now >= self._next_scan:
            return False
        try:
            text = os.pread(self._only, 64, 0)
        except OSError:
            return False
        if text[:2] == b"0 ":  # ended and not yet reaped
            return False
        self._noted.append((now, text))
        return True

    def noted(self) -> list[MemorySample]:
        """Return what was noted since the last time."""
        taken, self._noted = self._noted, []
        return [MemorySample(when, 1, int(text.split()[1]) * _PAGE) for when, text in taken]

    def sample(self) -> MemorySample | None:
        """Return the memory now, None when the root is gone and nothing of its tree is left."""
        now = time.monotonic()
        if scans := now >= self._next_scan:
            began = time.thread_time()
            self._scan()
            self._next_scan = now + max(_RESCAN, _SHARE * (time.thread_time() - began))
        rss = 0
        for pid in list(self._known):
            rss += self._resident(pid)
        if not self._known:
            return None
        pss = uss = None
        if now >= self._next_pss or (now >= self._next_pss_moved and self._has_moved(rss)):
            began = time.thread_time()
            pss, uss = self._shares()
            took = time.thread_time() - began
            self._next_pss, self._next_pss_moved = now + _PSS_STEADY * took, now + _PSS_MOVING * took
            self._rss_at_pss, self._processes_at_pss = rss, len(self._known)
        used = self._usage(now) if scans else None
        self._only = next(iter(self._known.values())).statm.fd if len(self._known) == 1 else -1
        return MemorySample(now, len(self._known), rss, pss, uss, None, used)

    def pids(self) -> list[int]:
        """Return the processes of the tree, as of the last sample."""
        return list(self._known)

    def measure_shares_next(self) -> None:
        """Make the next sample read all there is, whatever it costs: the last one of a series."""
        self._next_pss = self._next_scan = 0.0

    def close(self) -> None:
        """Close the files that are kept open."""
        for pid in list(self._known):
            self._forget(pid)
        self._newcomers.close()

    def _has_moved(self, rss: int) -> bool:
        """Whether there is another memory to be told of than when PSS was read."""
        return len(self._known) != self._processes_at_pss or _MOVED * abs(rss - self._rss_at_pss) > self._rss_at_pss

    def _scan(self) -> None:
        """Drop members that are gone, and find new ones."""
        for pid, process in list(self._known.items()):
            facts = self._facts(process.stat)
            if facts is None or facts.started != process.started:
                self._forget(pid)
            else:
                process.cpu, process.threads, process.session = facts.ticks, facts.threads, facts.session
        self._admit(self._newcomers.look())
        self._began = True

    def _admit(self, pids: Iterable[int]) -> None:
        """Take those of some processes into the tree that belong there."""
        seen: dict[int, _Stat] = {}
        for pid in pids:
            if pid not in self._known and (facts := self._stat(pid)) is not None:
                seen[pid] = facts
        members = {self._root} & set(seen)
        root = self._known.get(self._root) or seen.get(self._root)
        if root is not None and root.session == self._root:
            members |= {pid for pid, one in seen.items() if one.session == self._root}
        children: dict[int, list[int]] = {}
        for pid, one in seen.items():
            children.setdefault(one.parent, []).append(pid)
        waiting = [*self._known, *members]
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child not in members:
                    members.add(child)
                    waiting.append(child)
        for pid in members:
            if self._leads_threads(pid):
                self._open(pid, seen[pid])

    def _leads_threads(self, pid: int) -> bool:
        """Whether it is a process: a thread that does not lead its process looks the same elsewhere."""
        try:
            text = _read(f"{self._proc}/{pid}/status")
        except OSError:
            return False
        return f"\nTgid:\t{pid}\n".encode() in text

    def _stat(self, pid: int) -> _Stat | None:
        """Return what the kernel says of a process; None when it is gone or ended (a zombie holds no memory)."""
        return self._facts(_ProcFile(f"{self._proc}/{pid}/stat", kept=False))

    @staticmethod
    def _facts(stat: _ProcFile) -> _Stat | None:
        try:
            text = stat.read()
        except OSError:
            return None
        # The name stands in parentheses and may hold spaces and parentheses itself: what counts follows the last one.
        fields = text[text.rindex(b")") + 2 :].split()
        if fields[0] in {b"Z", b"X"}:
            return None
        ticks = int(fields[11]) + int(fields[12])
        return _Stat(int(fields[1]), int(fields[3]), int(fields[19]), ticks, int(fields[17]))

    def _open(self, pid: int, found: _Stat) -> None:
        place, kept = f"{self._proc}/{pid}", len(self._known) < _KEPT_OPEN
        try:
            statm, stat = _ProcFile(f"{place}/statm", kept=kept), _ProcFile(f"{place}/stat", kept=kept)
        except OSError:
            return
        try:
            io = _ProcFile(f"{place}/io", kept=kept)
        except OSError:
            io = None  # another user's
        # What a process used before the watching began does not count; all of one that began later does.
        before = found.ticks if not self._began else 0
        self._known[pid] = _Process(
            place, found.started, statm, stat, io, before, found.ticks, found.threads, found.session
        )

    def _usage(self, now: float) -> ProcessUsage:
        """What the tree uses beside memory, from the scan and from what only its owner may read."""
        ticks = self._ended_ticks
        threads = handles = read = written = 0
        told = True
        for process in self._known.values():
            ticks += process.cpu - process.cpu_before
            threads += process.threads
            if process.io is None:
                told = False
                continue
            try:
                handles += _open_files(f"{process.place}/fd")
                io = process.io.read().split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended since the scan
            except OSError:
                told = False  # another user's
                continue
            read += int(io[io.index(b"read_bytes:") + 1])
            written += int(io[io.index(b"write_bytes:") + 1])
        if not told:
            return ProcessUsage(now, ticks / _TICKS, threads)
        return ProcessUsage(now, ticks / _TICKS, threads, handles, read, written)

    def _resident(self, pid: int) -> int:
        """Return the bytes that a process has in memory; one that ended is forgotten, reaped or not."""
        try:
            resident = int(self._known[pid].statm.read().split()[1])
        except (OSError, IndexError):
            resident = 0
        if resident == 0:
            self._forget(pid)
        return resident * _PAGE

    def _shares(self) -> tuple[int | None, int | None]:
        """Return PSS and USS, None when a process does not let us look (another user's, or a kernel before 4.14).

        The file is opened anew: it stays bound to the memory that the process had at opening, before an exec.
        """
        pss = uss = 0
        for process in self._known.values():
            try:
                text = _read(f"{process.place}/smaps_rollup")
            except ProcessLookupError:
                continue  # ended since its RSS was read
            except OSError:
                if os.path.exists(process.place):  # noqa: PTH110 - as elsewhere here
                    return None, None
                continue
            for line in text.splitlines()[1:]:
                key, kilobytes = line.split()[:2]
                if key == b"Pss:":
                    pss += int(kilobytes) * 1024
                elif key.startswith(b"Private_"):
                    uss += int(kilobytes) * 1024
        return (pss, uss) if pss else (None, None)

    def _forget(self, pid: int) -> None:
        process = self._known.pop(pid)
        self._only = -1
        self._ended_ticks += process.cpu - process.cpu_before
        process.close()


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - half of the time of Path
        return file.read()


def _open_files(folder: str) -> int:
    """Return how many files a process has open: Linux 6.2 and later tell it as the size of their folder."""
    return os.stat(folder).st_size or len(os.listdir(folder))  # noqa: PTH116, PTH208 - half of the time of Path
