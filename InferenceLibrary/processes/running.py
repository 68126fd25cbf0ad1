"""The register of what runs: a file a run, so that what a dead run left behind is found and ended, and only that.

A file holds lines of JSON: the run with its process id and start time, then each server as it starts and ends. It is
there only while a server lives. A number alone says little, since numbers are given again: every process is known by
its number and its start time.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from InferenceLibrary.deadline import Deadline, wait_until
from InferenceLibrary.processes import process_tree
from InferenceLibrary.processes.owner import machine, run_id
from InferenceLibrary.processes.process import MARK
from InferenceLibrary.processes.program import GuardedProgram
from InferenceLibrary.processes.runtime_dir import runtime_dir

_GUARD_PATIENCE = 2.0
"""Seconds that the guard of a dead run has to finish its work."""
_KILL_BUDGET = 5.0


class Identity(NamedTuple):
    """A process that is not taken for a later one of the same number."""

    pid: int
    started: str

    @property
    def lives(self) -> bool:
        seen = process_tree.look(self.pid)
        return seen is not None and seen.lives and seen.started == self.started


class Entry(NamedTuple):
    """A server in the register."""

    number: int
    name: str
    url: str
    log: str
    guard: Identity
    server: Identity
    since: float
    """Seconds since the epoch."""
    kept: bool = False
    """Whether it is to outlive its run."""

    @property
    def lives(self) -> bool:
        return self.server.lives or self.guard.lives


class Run(NamedTuple):
    """What the register holds of one run."""

    path: Path
    id: str
    runner: Identity
    machine: str
    servers: tuple[Entry, ...]

    @property
    def lives(self) -> bool:
        """Whether the runner lives; what runs on another machine counts as living, since it cannot be looked at."""
        return self.machine != machine() or self.runner.lives


class Register:
    """Writes the file of this run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._alive: set[int] = set()
        self._path: Path | None = None
        self._pid = 0

    def expect(self) -> tuple[int, str]:
        """A server is about to start: return its number and the mark that its processes bear."""
        number = next(self._numbers)
        self._alive.add(number)
        if self._path is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._path = runtime_dir("runs") / f"{os.getpid()}-{run_id()[:12]}.jsonl"
        if not self._path.exists():
            own = process_tree.look(os.getpid())
            self._write("run", id=run_id(), runner=[os.getpid(), own.started if own else ""], machine=machine())
        return number, f"{run_id()}.{number}."

    def started(self, number: int, name: str, process: GuardedProgram) -> None:
        """The server was started."""
        self._write(
            "server",
            number=number,
            name=name,
            url="",
            log=str(process.log_path),
            guard=identify(process.guard_pid),
            server=identify(process.pid),
            since=time.time(),
        )

    def reached(self, number: int, url: str) -> None:
        """The server is ready there."""
        self._write("url", number=number, url=url)

    def moved(self, number: int, process: GuardedProgram) -> None:
        """Another process is the server now."""
        self._write("moved", number=number, server=identify(process.pid))

    def kept(self, number: int) -> None:
        """The server is to outlive the run: it stays in the file."""
        self._write("kept", number=number)

    def ended(self, number: int) -> None:
        """Nothing of the server lives any more."""
        if number not in self._alive:
            return
        self._alive.discard(number)
        if self._alive:
            self._write("ended", number=number)
        elif self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self, kind: str, **facts: Any) -> None:
        assert self._path is not None
        line = json.dumps({"kind": kind, **facts}) + "\n"
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)


REGISTER = Register()
"""That of this process."""


def identify(pid: int) -> Identity:
    """Return a process with its start time."""
    seen = process_tree.look(pid)
    return Identity(pid, seen.started if seen else "")


def runs() -> list[Run]:
    """Return all runs in the register, this one too."""
    found = []
    for path in sorted(runtime_dir("runs").glob("*.jsonl")):
        run = _read(path)
        if run is not None:
            found.append(run)
    return found


def end_leftovers() -> list[str]:
    """End what dead runs left behind and forget them; return what was ended, as text.

    Servers that were kept on purpose live on.
    """
    ended: list[str] = []
    for run in runs():
        if _before_a_reboot(run):
            run.path.unlink(missing_ok=True)
        if run.lives:
            continue
        mine = [server for server in run.servers if not server.kept]
        wait_until(lambda mine=mine: not any(server.guard.lives for server in mine), _GUARD_PATIENCE)  # type: ignore[misc]
        kept = len(mine) < len(run.servers)
        ended += _end(mine, [mark_of(run, server) for server in mine] if kept else [f"{MARK}={run.id}."])
        if not any(server.kept and server.lives for server in run.servers):
            run.path.unlink(missing_ok=True)
    return ended


def _before_a_reboot(run: Run) -> bool:
    """Whether it ran on this machine before it was last started: nothing of it can live."""
    host, _, boot = run.machine.rpartition(":")
    own_host, _, own_boot = machine().rpartition(":")
    return host == own_host and boot != own_boot and bool(boot and own_boot)


def end_server(run: Run, server: Entry, grace: float = 10.0) -> bool:
    """End one server of any run by hand; return whether nothing of it lives any more."""
    if server.guard.lives:
        # The guard ends the whole tree when it is told to end.
        _signal(server.guard, signal.SIGTERM)
        wait_until(lambda: not server.lives, grace)
    _end([server], [mark_of(run, server)])
    return not server.lives


def mark_of(run: Run, server: Entry) -> str:
    """Return the entry in the environment of all that a server started."""
    return f"{MARK}={run.id}.{server.number}."


def _end(servers: Iterable[Entry], marks: Iterable[str]) -> list[str]:
    """Kill the processes of these servers, and those that bear these marks, as far as they live."""
    ended: dict[int, str] = {}
    deadline = Deadline(_KILL_BUDGET)
    known = list(servers)
    wanted = list(marks)

    def clean() -> bool:
        left: dict[int, process_tree.ProcessInfo] = {}
        for identity in [each for server in known for each in (server.server, server.guard)]:
            found = process_tree.look(identity.pid)
            if found is not None and identity.lives:
                left[found.pid] = found
        left |= {bearer.pid: bearer for mark in wanted for bearer in process_tree.bearers(mark)}
        for pid, seen in left.items():
            ended[pid] = f"{seen.name} (pid {pid})"
            _signal(Identity(pid, seen.started), signal.SIGKILL)
        return not left

    wait_until(clean, deadline, first=0.01)
    return list(ended.values())


def _signal(identity: Identity, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(identity.pid, number)


def _read(path: Path) -> Run | None:
    """Read one file; None when it is none of ours, or gone. Its last line may be cut, where a run died writing it."""
    run: Run | None = None
    servers: dict[int, Entry] = {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return None
    for line in lines:
        try:
            facts = json.loads(line)
            match facts.pop("kind"):
                case "run":
                    run = Run(path, facts["id"], Identity(*facts["runner"]), facts["machine"], ())
                case "server":
                    facts["guard"], facts["server"] = Identity(*facts["guard"]), Identity(*facts["server"])
                    servers[facts["number"]] = Entry(**facts)
                case "url":
                    servers[facts["number"]] = servers[facts["number"]]._replace(url=facts["url"])
                case "moved":
                    moved = Identity(*facts["server"])
                    servers[facts["number"]] = servers[facts["number"]]._replace(server=moved)
                case "kept":
                    servers[facts["number"]] = servers[facts["number"]]._replace(kept=True)
                case "ended":
                    del servers[facts["number"]]
        except (ValueError, KeyError, TypeError):
            continue
    return None if run is None else run._replace(servers=tuple(servers.values()))
