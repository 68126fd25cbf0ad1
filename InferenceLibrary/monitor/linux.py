"""What a process tree uses, from /proc: a tenth of what psutil costs, because files stay open and the tree is cached.

The tree is scanned once a second. It holds the descendants of the root and, when the root leads a session, the members
of that session, so a child that detached from its parent (a double fork) still counts. A process that was seen once
belongs to the tree as long as it lives. It is known by its number and its start time: numbers are used again.
"""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from InferenceLibrary.monitor.memory_record import MemorySample, ProcessUsage

_RESCAN = 1.0
"""Seconds between scans for new processes; more on a machine with thousands of them."""

_SHARE = 100
"""PSS is read so rarely that it takes at most 1/100 of the time (the kernel walks all pages and locks the process), and
so are the scans."""

_PAGE = resource.getpagesize()


_TICKS = os.sysconf("SC_CLK_TCK")


class _Stat(NamedTuple):
    parent: int
    session: int
    started: int
    ticks: int
    threads: int


@dataclass
class _Process:
    started: int
    statm: BinaryIO
    cpu_before: int
    """Clock ticks that it had used when it was seen first: not ours where it is the root."""
    cpu: int = 0
    threads: int = 1


class ProcTree:
    """Reads the memory of the process `pid` and all that came from it.

    Args:
        pid: The root.
        proc: Where procfs is mounted.
    """

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self._root = pid
        self._proc = proc
        self._known: dict[int, _Process] = {}
        self._next_scan = 0.0
        self._next_pss = 0.0
        self._ended_ticks = 0
        self._began = False

    def sample(self) -> MemorySample | None:
        """Return the memory now, None when the root is gone and nothing of its tree is left."""
        now = time.monotonic()
        used = None
        if scans := now >= self._next_scan:
            self._scan()
            self._next_scan = now + max(_RESCAN, _SHARE * (time.monotonic() - now))
        rss = 0
        for pid in list(self._known):
            pages = self._resident(pid)
            if pages is not None:
                rss += pages * _PAGE
        if not self._known:
            return None
        pss = uss = None
        if now >= self._next_pss:
            pss, uss = self._shares()
            self._next_pss = now + _SHARE * (time.monotonic() - now)
        if scans:
            used = self._usage(now)
        return MemorySample(time=now, processes=len(self._known), rss=rss, pss=pss, uss=uss, usage=used)

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

    def _scan(self) -> None:
        """Find new members and drop those that are gone."""
        seen: dict[int, _Stat] = {}
        for name in os.listdir(self._proc):  # noqa: PTH208 - ten times the speed of Path.iterdir, once a second
            if name.isdigit() and (facts := self._stat(int(name))) is not None:
                seen[int(name)] = facts
        for pid, process in list(self._known.items()):
            if pid not in seen or seen[pid].started != process.started:
                self._forget(pid)
            else:
                process.cpu, process.threads = seen[pid].ticks, seen[pid].threads
        members = set(self._known) | ({self._root} & set(seen))
        leads = self._root in seen and seen[self._root].session == self._root
        if leads:
            members |= {pid for pid, one in seen.items() if one.session == self._root}
        children: dict[int, list[int]] = {}
        for pid, one in seen.items():
            children.setdefault(one.parent, []).append(pid)
        waiting = list(members)
        while waiting:
            for child in children.get(waiting.pop(), ()):
                if child not in members:
                    members.add(child)
                    waiting.append(child)
        for pid in members - set(self._known):
            self._open(pid, seen[pid])
        self._began = True

    def _stat(self, pid: int) -> _Stat | None:
        """Return what the kernel says of a process; None when it is gone or ended (a zombie holds no memory)."""
        try:
            text = (self._proc / str(pid) / "stat").read_bytes()
        except OSError:
            return None
        # The name stands in parentheses and may hold spaces and parentheses itself: what counts follows the last one.
        fields = text[text.rindex(b")") + 2 :].split()
        if fields[0] in {b"Z", b"X"}:
            return None
        ticks = int(fields[11]) + int(fields[12])
        return _Stat(int(fields[1]), int(fields[3]), int(fields[19]), ticks, int(fields[17]))

    def _open(self, pid: int, found: _Stat) -> None:
        try:
            statm = open(self._proc / str(pid) / "statm", "rb", buffering=0)  # noqa: PTH123, SIM115 - kept open
        except OSError:
            return
        # What a process used before the watching began does not count; all of one that began later does.
        before = found.ticks if not self._began else 0
        self._known[pid] = _Process(found.started, statm, before, found.ticks, found.threads)

    def _usage(self, now: float) -> ProcessUsage:
        """What the tree uses beside memory, from the scan and from what only its owner may read."""
        ticks = self._ended_ticks + sum(one.cpu - one.cpu_before for one in self._known.values())
        handles = read = written = 0
        told = True
        for pid in self._known:
            place = self._proc / str(pid)
            try:
                handles += len(os.listdir(place / "fd"))  # noqa: PTH208 - as in the scan
                io = dict(line.split(b": ") for line in (place / "io").read_bytes().splitlines())
            except (FileNotFoundError, ProcessLookupError):
                continue  # ended since the scan
            except OSError:
                told = False  # another user's
                continue
            read += int(io[b"read_bytes"])
            written += int(io[b"write_bytes"])
        threads = sum(one.threads for one in self._known.values())
        if not told:
            return ProcessUsage(now, ticks / _TICKS, threads)
        return ProcessUsage(now, ticks / _TICKS, threads, handles, read, written)

    def _resident(self, pid: int) -> int | None:
        statm = self._known[pid].statm
        try:
            statm.seek(0)
            resident = int(statm.read().split()[1])
        except (OSError, IndexError):
            self._forget(pid)
            return None
        if resident == 0:  # ended and not yet reaped
            self._forget(pid)
            return None
        return resident

    def _shares(self) -> tuple[int | None, int | None]:
        """Return PSS and USS, None when a process does not let us look (another user's, or a kernel before 4.14).

        The file is opened anew: it stays bound to the memory that the process had at opening, before an exec.
        """
        pss = uss = 0
        for pid in self._known:
            try:
                text = (self._proc / str(pid) / "smaps_rollup").read_bytes()
            except ProcessLookupError:
                continue  # ended since its RSS was read
            except OSError:
                if (self._proc / str(pid)).exists():
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
        self._ended_ticks += process.cpu - process.cpu_before
        process.statm.close()
