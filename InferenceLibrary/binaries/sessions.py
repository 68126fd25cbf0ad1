"""POSIX sessions: who is in one, and its end.

A program that is started in a session of its own can be found again with all that it started, also with background
jobs that have a process group of their own, which a signal to the program's group would miss. On Linux a mark in the
environment finds even those that left the session (daemons).
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from InferenceLibrary.deadline import wait_until

_MARK = "INFERENCE_LIBRARY_STARTED"
_GROUP = "process group"
_GRACE = 0.5
"""Seconds between the polite signal and the final one."""
_REAPED_WITHIN = 2.0
"""Seconds in which a killed process disappears; longer only in an uninterruptible system call."""


@dataclass(frozen=True)
class Member:
    """A living process of a session."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


def new_mark() -> dict[str, str]:
    """Return a variable for a program's environment by which all that it starts is found again."""
    return {_MARK: secrets.token_hex(8)}


def members(session: int, mark: Mapping[str, str] | None = None) -> list[Member]:
    """Return the living processes of a session, and those that bear the mark (zombies are dead).

    Linux is asked through /proc. Elsewhere only the leader's process group can be asked, and stands for all.
    """
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        return [Member(session, _GROUP)] if _group_lives(session) else []
    wanted = f"{_MARK}={mark[_MARK]}".encode() if mark else None
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
            # The name is in parentheses and may hold anything, parentheses too.
            name, _, rest = stat.partition("(")[2].rpartition(")")
            state, _parent, _group, of_session = rest.split()[:4]
            if state in {"Z", "X"}:
                continue
            if int(of_session) == session or (wanted and wanted in (entry / "environ").read_bytes().split(b"\0")):
                found.append(Member(int(entry.name), name))
        except OSError:  # it ended while we looked, or belongs to somebody else
            continue
    return found


def end_session(
    session: int,
    mark: Mapping[str, str] | None = None,
    *,
    polite: signal.Signals | None = signal.SIGTERM,
    grace: float = _GRACE,
) -> list[Member]:
    """End every process of a session: politely, then with SIGKILL; return what even that did not end.

    Args:
        session: Process id of the session's leader, which is the session's id.
        mark: The mark in their environment.
        polite: The first signal; None for SIGKILL at once.
        grace: Seconds that the polite signal is given.
    """
    if polite is not None and _signal(members(session, mark), polite):
        # A stopped process would not see the polite signal before it goes on.
        _signal(members(session, mark), signal.SIGCONT)
        wait_until(lambda: not members(session, mark), grace)
    wait_until(lambda: not _signal(members(session, mark), signal.SIGKILL), _REAPED_WITHIN)
    return members(session, mark)


def _signal(targets: list[Member], number: signal.Signals) -> bool:
    for member in targets:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if member.name == _GROUP:
                os.killpg(member.pid, number)
            else:
                os.kill(member.pid, number)
    return bool(targets)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
