"""The watcher: a small program that ends what a runner has started in terminals and by itself, when the runner dies.

It is started beside the runner, so it is kept small: it imports some modules of the standard library and
`process_tree.py` of the servers, not the package. The runner holds one end of a pipe, the watcher the other as its
standard input. Lines are words, each ended by a null byte: `hold MARK FOLDER`, `lead MARK PID BEGAN`, `release MARK`.
When the runner's end closes, whatever is held then is ended: HUP and TERM, a grace, KILL; folders are removed.

What is ended is found by its session, where its environment can be read by its mark, by descent, and on Linux by a
limit that no process loses (`limit_marks.py`); from time to time the watcher looks who descends from what is held, and
remembers it. Out of reach is only what has lost all of these between two looks. Where that limit cannot be set, that is
a daemon that left its session, cleared its environment and forked twice within a tenth of a second; where it can, one
that did so in the instant between the start of its program and its mark. Programs in terminals are marked before they
run.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING or __name__ != "orphans":
    from InferenceLibrary.processes import limit_marks, process_tree
else:  # as the program: beside it on the path
    import limit_marks  # type: ignore[import-not-found, no-redef]
    import process_tree  # type: ignore[import-not-found, no-redef]

MARK = "INFERENCE_LIBRARY_STARTED"
"""Variable in the environment of what is started."""

_GRACE = 0.5
"""Seconds between the polite signals and KILL."""
_BUDGET = 10.0
"""Seconds of KILL: what is in an uninterruptible system call may take long to end."""
_ROUND = 0.02
_LOOK = 1.0
"""Seconds between looks at the runner where its end is not told."""
_LOOK_BELOW = 0.1
"""Seconds between looks at what is held: made only when a process was born since the last one, where that is told."""
_LOOK_SHARE = 0.01
"""Part of the time that these looks may take, at most."""


def find(marks: list[str], leaders: dict[int, str]) -> list[process_tree.ProcessInfo]:
    """Return the living processes that bear one of the marks, are in the session of one of the leaders, or descend from
    one of these.

    Args:
        marks: Values of the variable.
        leaders: Process ids of leaders and when they were started, in the words of the system. A leader that was
            started at another time is another process with the number of one that is gone.
    """
    everyone = process_tree.everyone()
    sessions = {
        pid for pid, began in leaders.items() if pid and (pid not in everyone or everyone[pid].started in {began, ""})
    }
    marked: set[int] = set()
    for mark in marks:
        marked |= {seen.pid for seen in process_tree.bearers(f"{MARK}={mark}")}
    found = {}
    for pid, seen in everyone.items():
        if seen.lives and (pid in marked or (sessions and _session_of(pid) in sessions)):
            found[pid] = seen
    first = min((int(began) for began in leaders.values() if began.isdigit()), default=None)
    if process_tree.on_linux() and first is not None:
        # Nobody older bears the mark.
        younger = [pid for pid, seen in everyone.items() if seen.lives and int(seen.started) >= first]
        for mark in marks:
            found |= {pid: everyone[pid] for pid in limit_marks.bearers(mark, younger)}
    return _with_descendants(found, everyone)


def _with_descendants(
    found: dict[int, process_tree.ProcessInfo], everyone: dict[int, process_tree.ProcessInfo]
) -> list[process_tree.ProcessInfo]:
    for pid in list(found):
        for seen in process_tree.descendants(pid, everyone):
            found[seen.pid] = seen
    found.pop(os.getpid(), None)
    return list(found.values())


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:  # it ended while we looked, or belongs to somebody else
        return 0


class WatchedPrograms:
    """What is to be ended when the runner dies."""

    def __init__(self) -> None:
        self.folders: dict[str, str] = {}
        self.leaders: dict[str, tuple[int, str]] = {}
        self.known: dict[str, dict[int, str]] = {}
        """Who was seen of each, and when it was started."""
        self.births = ""
        self.next_look = 0.0
        self._text = b""

    def listen(self) -> bool:
        """Obey what the runner has said; return whether its end is open."""
        while True:
            try:
                data = os.read(0, 65536)
            except BlockingIOError:
                return True
            if not data:
                return False
            # A null byte stands before the line feed that ends a line: a folder's name may hold a line feed alone.
            *lines, self._text = (self._text + data).split(b"\0\n")
            for line in lines:
                self._obey(line)

    def _obey(self, line: bytes) -> None:
        word, mark, *rest = [os.fsdecode(part) for part in line.split(b"\0")]
        if word == "hold":
            self.folders[mark] = rest[0]
        elif word == "lead":
            self.leaders[mark] = int(rest[0]), rest[1]
            self.births = ""
        elif word == "release":
            self.folders.pop(mark, None)
            self.leaders.pop(mark, None)
            self.known.pop(mark, None)

    def patience(self, told: bool) -> float | None:
        """Return how many milliseconds may pass until something is to be done; None: any number."""
        rounds = [] if told else [_LOOK]
        if self.leaders:
            rounds.append(max(self.next_look - time.monotonic(), 0.0))
        return min(rounds) * 1000 + 1 if rounds else None

    def look(self) -> None:
        """Remember who descends from what is held: it can lose session, environment and parents later."""
        began = time.monotonic()
        if not self.leaders or began < self.next_look:
            return
        births = process_tree.births()
        if not births or births != self.births:
            self.births = births
            everyone = process_tree.everyone()
            for mark, leader in self.leaders.items():
                known = _still(dict([leader, *self.known.get(mark, {}).items()]), everyone)
                self.known[mark] = {seen.pid: seen.started for seen in _with_descendants(known, everyone)}
        now = time.monotonic()
        self.next_look = now + max(_LOOK_BELOW, (now - began) / _LOOK_SHARE)

    def living(self) -> list[int]:
        found = {seen.pid: seen for seen in find(list(self.folders), dict(self.leaders.values()))}
        everyone = process_tree.everyone()
        for known in self.known.values():
            found.update(_still(known, everyone))
        return [seen.pid for seen in _with_descendants(found, everyone)]

    def end(self) -> None:
        """End it all."""
        if not self.folders:
            return
        self.next_look, self.births = 0.0, ""
        self.look()  # while parents still tell whose children they are
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
            _send(self.living(), number)
        end = time.monotonic() + _GRACE
        while self.living() and time.monotonic() < end:
            time.sleep(_ROUND)
        end = time.monotonic() + _BUDGET
        while _send(self.living(), signal.SIGKILL) and time.monotonic() < end:
            time.sleep(_ROUND)
        for folder in self.folders.values():
            _remove(folder)


def _still(known: dict[int, str], everyone: dict[int, process_tree.ProcessInfo]) -> dict[int, process_tree.ProcessInfo]:
    """Those that live, and are not later processes of the same number."""
    alive = {pid: everyone[pid] for pid, started in known.items() if pid in everyone and everyone[pid].lives}
    return {pid: seen for pid, seen in alive.items() if seen.started == known[pid]}


def _send(pids: list[int], number: int) -> bool:
    for pid in pids:
        try:
            os.kill(pid, number)
        except OSError:  # it has ended, or is not ours to end
            continue
    return bool(pids)


def _remove(folder: str) -> None:
    """Remove a folder of files."""
    try:
        for name in os.listdir(folder):  # noqa: PTH208 - pathlib would cost the program its import
            os.unlink(f"{folder}/{name}")  # noqa: PTH108
        os.rmdir(folder)  # noqa: PTH106
    except OSError:
        return


def main() -> None:
    """Listen until the runner is gone, then end what it has left."""
    runner = int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    held = WatchedPrograms()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    # A forked child of the runner may keep the pipe open.
    told = False
    if hasattr(os, "pidfd_open"):
        try:
            poll.register(os.pidfd_open(runner), select.POLLIN)
            told = True
        except ProcessLookupError:
            runner = 0
        except OSError:
            told = False
    os.set_blocking(0, False)
    listening = True
    while listening and os.getppid() == runner:
        poll.poll(held.patience(told))
        listening = held.listen()
        held.look()
    held.listen()  # what the runner said last
    held.end()
