"""What a program has started: found again, and ended.

A program that is started in a session of its own can be found again with all that it started, also with background
jobs that have a process group of their own, which a signal to the program's group would miss. On Linux and macOS a mark
in the environment finds even those that left the session (daemons), and on Linux a limit those that have cleared their
environment too. Should this process die, the watcher ends them.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import signal
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes import limit_marks, process_tree, watcher

_GRACE = 0.5
"""Seconds between the polite signal and the final one."""
_REAPED_WITHIN = 2.0
"""Seconds in which a killed process disappears; longer only in an uninterruptible system call."""
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Member:
    """A living process of a session."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


class ProcessSession:
    """A program that is about to be started, and all that it starts. It is watched over from now on.

    Args:
        folder: What is to be removed when this process dies.
    """

    def __init__(self, folder: Path) -> None:
        self._mark = f"{_run_of(os.getpid())}.{next(_numbers)}."
        self._leader = 0
        self._began = ""
        watcher.hold(self._mark, folder)

    @property
    def environment(self) -> dict[str, str]:
        """Variables for the program, by which all that it starts is found again."""
        return {watcher.MARK: self._mark}

    def lead(self, pid: int) -> None:
        """Tell the program's process, which leads the session."""
        seen = process_tree.look(pid)
        self._leader, self._began = pid, seen.started if seen is not None else ""
        limit_marks.put_on_tree(pid, self._mark)
        watcher.tell(self._mark, pid, self._began)

    def members(self) -> list[Member]:
        """Return its living processes; a zombie is dead."""
        found = watcher.find([self._mark], {self._leader: self._began})
        return [Member(seen.pid, seen.name) for seen in found]

    def end(self, *, polite: signal.Signals | None = signal.SIGTERM, grace: float = _GRACE) -> list[Member]:
        """End every process: politely, then with SIGKILL; return what even that did not end.

        Args:
            polite: The first signal; None for SIGKILL at once.
            grace: Seconds that the polite signal is given.
        """
        if polite is not None and _signal(self.members(), polite):
            # A stopped process would not see the polite signal before it goes on.
            _signal(self.members(), signal.SIGCONT)
            wait_until(lambda: not self.members(), grace)
        wait_until(lambda: not _signal(self.members(), signal.SIGKILL), _REAPED_WITHIN)
        return self.members()

    def release(self) -> None:
        """Watch over it no longer."""
        watcher.release(self._mark)


@cache
def _run_of(pid: int) -> str:
    """A name for all that one process starts; a forked child has another."""
    return secrets.token_hex(8)


def _signal(targets: list[Member], number: signal.Signals) -> bool:
    for member in targets:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member.pid, number)
    return bool(targets)
