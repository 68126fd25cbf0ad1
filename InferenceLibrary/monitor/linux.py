"""What a process tree uses, from /proc: a tenth of what psutil costs, because files stay open and the tree is cached.

Ten times a second nothing is warm any more, neither in the kernel nor here, and each line costs ten times as much as in
a loop. So what comes so often is read only (`follow`), and made into samples where somebody asks or the tree changes.

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
from typing import Any, NamedTuple

from InferenceLibrary.monitor.grid import Halt, following
from InferenceLibrary.monitor.memory_record import MemorySample, ProcessUsage
from InferenceLibrary.monitor.newcomers import Newcomers

_RESCAN = 1.0
"""Seconds between looks for new processes, and at what is used beside memory."""
_SAMPLED = 30.0
"""Seconds between samples of a tree that does not change."""
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

_ENDED = ord("0")
"""Begins the memory of a process that ended and is not reaped yet."""

_PAGE = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")


class _Stat(NamedTuple):
    parent: int
    session: int
    started: int
    ticks: int
    threads: int
    state: bytes


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
    fds: int
    """The folder of its open files; below 0 where it is not kept open."""
    cpu_before: int
    """Clock ticks that it had used when it was seen first: not ours where it is the root."""
    cpu: int = 0
    threads: int = 1
    session: int = 0

    def close(self) -> None:
        for file in (self.statm, self.stat, self.io):
            if file is not None:
                file.close()
        if self.fds >= 0:
            os.close(self.fds)
            self.fds = -1

    def open_files(self) -> int:
        """Return how many files it has open: Linux 6.2 and later tell it as the size of their folder."""
        told = os.fstat(self.fds) if self.fds >= 0 else os.stat(f"{self.place}/fd")  # noqa: PTH116 - half of the time
        return told.st_size or len(os.listdir(f"{self.place}/fd"))  # noqa: PTH208 - half of the time of Path


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
        self._only: _Process | None = None
        """The tree, where it is one process."""
        self._next_sample = 0.0
        self._noted: list[Any] = []
        """Times and the memory at each, in turns: neither is the garbage collector's."""
        self._noted_usage: dict[float, tuple[_Process, bytes, bytes | None, int]] = {}
        """By the time: what was read of a process, and how many files it had open."""

    def follow(self, stop: Halt, due: float, interval: float) -> float:
        """Note the memory at each time of a grid, until `stop` is set or a sample is to be taken; return its time.

        What is used beside memory is noted once a second. A sample is taken when something began, ended or changed,
        else twice a minute.
        """
        process = self._only
        if process is None or process.statm.fd < 0:
            return due
        # All that is looked up is looked up before: see above.
        fd, add, sleep, clock, pread = process.statm.fd, self._noted.append, stop.sleep, time.monotonic, os.pread
        wait, next_scan = due - clock(), self._next_scan
        try:
            while not (wait > 0 and sleep(True, wait)):
                now = clock()
                text = pread(fd, 64, 0)
                if text[0] == _ENDED:
                    break
                if now >= next_scan:
                    if not self._note_usage(process, now, text):
                        break
                    next_scan = self._next_scan
                add(now)
                add(text)
                due += interval
                wait = due - now
                if wait <= 0:
                    due = following(due, interval)
                    wait = due - now
        except OSError:
            return due
        return due

    def _note_usage(self, process: _Process, now: float, statm: bytes) -> bool:
        """Note what the one process uses beside memory; false where a sample is to be taken."""
        if now >= self._next_sample:
            return False
        if now >= self._next_pss_moved and self._has_moved(int(statm.split()[1]) * _PAGE):
            return False
        rest = _RESCAN
        if pids := self._newcomers.look():
            self._admit(pids)
            if len(self._known) > 1:
                return False
            rest = max(rest, _SHARE * (time.monotonic() - now))
        # The files are kept open: `follow`.
        stat, io = os.pread(process.stat.fd, _ENOUGH, 0), process.io
        if io is None:
            self._noted_usage[now] = process, stat, None, 0
        else:
            self._noted_usage[now] = process, stat, os.pread(io.fd, _ENOUGH, 0), process.open_files()
        self._next_scan = now + rest
        return True

    def noted(self) -> list[MemorySample]:
        """Return what was noted since the last time; before the next sample is taken."""
        taken = self._noted[: len(self._noted) & ~1]
        del self._noted[: len(taken)]
        return [
            MemorySample(when, 1, int(text.split()[1]) * _PAGE, usage=self._used_at(when))
            for when, text in zip(taken[::2], taken[1::2], strict=True)
        ]

    def _used_at(self, when: float) -> ProcessUsage | None:
        """Return what was used beside memory then, where that was noted."""
        noted = self._noted_usage.pop(when, None)
        if noted is None:
            return None
        process, stat, io, handles = noted
        facts = self._facts_in(stat)
        process.cpu, process.threads = facts.ticks, facts.threads
        cpu = (self._ended_ticks + process.cpu - process.cpu_before) / _TICKS
        return ProcessUsage(when, cpu, facts.threads, *(() if io is None else (handles, *_disk(io))))

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
        self._only = next(iter(self._known.values())) if len(self._known) == 1 else None
        self._next_sample = now + _SAMPLED
        return MemorySample(now, len(self._known), rss, pss, uss, None, used)

    def pids(self) -> list[int]:
        """Return the processes of the tree, as of the last sample."""
        return list(self._known)

    def measure_shares_next(self) -> None:
        """Make the next sample read all there is, whatever it costs: the last one of a series."""
        self._next_pss = self._next_scan = self._next_sample = 0.0

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

    @classmethod
    def _facts(cls, stat: _ProcFile) -> _Stat | None:
        try:
            text = stat.read()
        except OSError:
            return None
        facts = cls._facts_in(text)
        return None if facts.state in {b"Z", b"X"} else facts

    @staticmethod
    def _facts_in(text: bytes) -> _Stat:
        # The name stands in parentheses and may hold spaces and parentheses itself: what counts follows the last one.
        fields = text[text.rindex(b")") + 2 :].split()
        ticks = int(fields[11]) + int(fields[12])
        return _Stat(int(fields[1]), int(fields[3]), int(fields[19]), ticks, int(fields[17]), fields[0])

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
        try:
            fds = os.open(f"{place}/fd", os.O_RDONLY | os.O_CLOEXEC) if kept else -1
        except OSError:
            fds = -1
        # What a process used before the watching began does not count; all of one that began later does.
        before = found.ticks if not self._began else 0
        self._known[pid] = _Process(
            place, found.started, statm, stat, io, fds, before, found.ticks, found.threads, found.session
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
                handles += process.open_files()
                disk = _disk(process.io.read())
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended since the scan
            except OSError:
                told = False  # another user's
                continue
            read, written = read + disk[0], written + disk[1]
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
        self._only = None
        self._ended_ticks += process.cpu - process.cpu_before
        process.close()


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - half of the time of Path
        return file.read()


def _disk(io: bytes) -> tuple[int, int]:
    """Return the bytes that a process read from disks and wrote to them."""
    words = io.split()
    return int(words[words.index(b"read_bytes:") + 1]), int(words[words.index(b"write_bytes:") + 1])
