"""What is left of a server whose guard is gone: found by several traces, since each can be missing, and ended.

The traces: the numbers and start times that the guard wrote down, the mark in the environment and, on Linux, that in a
limit which no process loses (`limit_marks.py`), the server's log where it is open for writing, and descent from those.
Where that limit cannot be set, one thing is out of reach: a process born within the tenth of a second after the guard's
last look, that has cleared its environment and closed its output.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes import limit_marks, process_tree, tree_file
from InferenceLibrary.processes.process_tree import ProcessInfo

_KILL_BUDGET = 5.0


class Identity(NamedTuple):
    """A process that is not taken for a later one of the same number."""

    pid: int
    started: str

    @property
    def lives(self) -> bool:
        seen = process_tree.look(self.pid)
        return seen is not None and seen.lives and seen.started == self.started


def identify(pid: int) -> Identity:
    """Return a process with its start time."""
    seen = process_tree.look(pid)
    return Identity(pid, seen.started if seen else "")


class Traces(NamedTuple):
    """By what the processes of a server, or of several, are known."""

    known: tuple[Identity, ...] = ()
    tree_files: tuple[Path, ...] = ()
    """Those of their guards."""
    marks: tuple[str, ...] = ()
    """How the entry in their environment begins."""
    logs: tuple[Path, ...] = ()
    """Files that they write to, and nobody else."""
    strangers: frozenset[int] = frozenset()
    """Process ids that are not theirs, even if they write to a file of that name."""


class Ended(NamedTuple):
    """What became of the remains, each as text: `sleep (pid 4711)`."""

    ended: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    """What could not be ended, and why."""


def find_remains(traces: Traces) -> list[ProcessInfo]:
    """Return the living processes that leave one of these traces, parents before their children."""
    everyone = process_tree.everyone()
    identities = {(each.pid, each.started) for each in traces.known}
    for path in traces.tree_files:
        identities.update(tree_file.read(str(path)))
    found = {pid: seen for pid, seen in everyone.items() if seen.lives and (pid, seen.started) in identities}
    for mark in traces.marks:
        found |= {seen.pid: seen for seen in process_tree.bearers(mark)}
        others = [pid for pid, seen in everyone.items() if seen.lives and pid not in found]
        found |= {pid: everyone[pid] for pid in limit_marks.bearers(mark.partition("=")[2], others)}
    for pid in process_tree.writers(str(path) for path in traces.logs):
        seen = everyone.get(pid)
        if seen is not None and seen.lives and pid not in traces.strangers:
            found[pid] = seen
    for pid in list(found):
        found |= {below.pid: below for below in process_tree.descendants(pid, everyone)}
    found.pop(os.getpid(), None)
    return list(found.values())


def end_remains(traces: Traces, budget: float = _KILL_BUDGET) -> Ended:
    """Kill what leaves one of these traces; return what was ended, and what still lives after `budget` seconds."""
    met: dict[int, ProcessInfo] = {}
    refused: dict[int, str] = {}
    living: set[int] = set()

    def gone() -> bool:
        found = find_remains(traces)
        living.clear()
        living.update(seen.pid for seen in found)
        met.update({seen.pid: seen for seen in found})
        refused.update(kill(found))
        return not found or living <= refused.keys()

    wait_until(gone, budget, first=0.01)
    text = {pid: f"{seen.name} (pid {pid})" for pid, seen in met.items()}
    ended = tuple(line for pid, line in text.items() if pid not in living)
    failed = tuple(f"{text[pid]}: {refused.get(pid, f'it survived KILL for {budget:g} s')}" for pid in sorted(living))
    return Ended(ended, failed)


def kill(processes: Iterable[ProcessInfo]) -> dict[int, str]:
    """Send KILL; return those that are not ours to end, with the reason."""
    refused = {}
    for seen in processes:
        try:
            os.kill(seen.pid, signal.SIGKILL)
        except ProcessLookupError:  # it has ended meanwhile
            continue
        except PermissionError:
            refused[seen.pid] = "it belongs to another user"
    return refused
