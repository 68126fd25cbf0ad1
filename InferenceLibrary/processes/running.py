"""The register of what runs: a file a run, so that what a dead run left behind is found and ended, and only that.

A file holds lines of JSON: the run with its process id and start time, then each server as it starts and ends. It is
there only while a server lives. A number alone says little, since numbers are given again: every process is known by
its number and its start time.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import ServerError, describe
from InferenceLibrary.processes import process_tree, tree_file
from InferenceLibrary.processes.owner import folder, machine, run_id
from InferenceLibrary.processes.process import MARK
from InferenceLibrary.processes.program import GuardedProgram
from InferenceLibrary.processes.remains import Ended, Identity, Traces, end_remains, identify
from InferenceLibrary.processes.runtime_dir import runtime_dir

_GUARD_PATIENCE = 2.0
"""Seconds that the guard of a dead run has to finish its work."""


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
    folder: str = ""
    """From where it was started."""

    @property
    def lives(self) -> bool:
        """Whether the runner lives; what runs on another machine counts as living, since it cannot be looked at."""
        return self.machine != machine() or self.runner.lives

    def tree_files(self, number: int | None = None) -> list[Path]:
        """Return the files of guards, of all of its servers or of one."""
        return sorted(self.path.parent.glob(f"{self.path.stem}.{'*' if number is None else number}.tree"))


class Expected(NamedTuple):
    """What a server that is about to start is known by."""

    number: int
    mark: str
    """Value of the variable that its processes bear."""
    tree_file: Path
    """Where its guard writes down whom it guards."""


class Register:
    """Writes the file of this run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._alive: set[int] = set()
        self._path: Path | None = None
        self._pid = 0

    def expect(self) -> Expected:
        """A server is about to start: return what it is to be known by.

        Raises:
            ServerError: The file cannot be written.
        """
        number = next(self._numbers)
        if self._path is None or self._pid != os.getpid():
            self._pid = os.getpid()
            self._path = runtime_dir("runs") / f"{os.getpid()}-{run_id()[:12]}.jsonl"
        if not self._path.exists():
            own = process_tree.look(os.getpid())
            runner = [os.getpid(), own.started if own else ""]
            try:
                self._write("run", id=run_id(), runner=runner, machine=machine(), folder=folder())
            except BaseException:
                # Without this line whole, the others would say nothing.
                self._path.unlink(missing_ok=True)
                raise
        self._alive.add(number)
        return Expected(number, f"{run_id()}.{number}.", self._path.with_name(f"{self._path.stem}.{number}.tree"))

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
        if self._path is not None:
            tree_file.remove(str(self._path.with_name(f"{self._path.stem}.{number}.tree")))
        if self._alive:
            self._write("ended", number=number)
        elif self._path is not None:
            self._path.unlink(missing_ok=True)

    def _write(self, kind: str, **facts: Any) -> None:
        assert self._path is not None
        line = json.dumps({"kind": kind, **facts}) + "\n"
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                if os.write(descriptor, line.encode()) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ServerError(
                describe(
                    f"The register of running servers, '{self._path}', cannot be written",
                    got=error.strerror,
                    hint="make room on its disk, or name another folder with the variable XDG_RUNTIME_DIR.",
                )
            ) from None


REGISTER = Register()
"""That of this process."""


def runs() -> list[Run]:
    """Return all runs in the register, this one too."""
    found = []
    for path in sorted(runtime_dir("runs").glob("*.jsonl")):
        run = _read(path)
        if run is not None:
            found.append(run)
    return found


def end_leftovers() -> Ended:
    """End what dead runs left behind and forget them, but for what could not be ended; tell of both.

    Servers that were kept on purpose live on.
    """
    ended: list[str] = []
    failed: list[str] = []
    found = runs()
    ours = _of_living_servers(found)
    for run in found:
        if _before_a_reboot(run):
            _forget(run)
            continue
        if run.lives:
            continue
        kept = [server for server in run.servers if server.kept and server.lives]
        mine = [server for server in run.servers if server not in kept]
        wait_until(lambda mine=mine: not any(server.guard.lives for server in mine), _GUARD_PATIENCE)  # type: ignore[misc]
        numbers = {server.number for server in kept}
        became = end_remains(
            Traces(
                tuple(each for server in mine for each in (server.server, server.guard)),
                # A run that died while a server started has a file of its guard, and no entry of it.
                tuple(path for path in run.tree_files() if int(path.suffixes[-2][1:]) not in numbers),
                tuple(mark_of(run, server) for server in mine) if kept else (f"{MARK}={run.id}.",),
                tuple(Path(server.log) for server in mine),
                ours,
            )
        )
        # Who works in another checkout, or finds their leftovers ended, is told whose they were.
        whose = f" of a run in {run.folder}" if run.folder not in {"", folder()} else ""
        ended += [f"{line}{whose}" for line in became.ended]
        failed += [f"{line}{whose}" for line in became.failed]
        if not kept and not became.failed:
            _forget(run)
    return Ended(tuple(ended), tuple(failed))


def _of_living_servers(found: Iterable[Run]) -> frozenset[int]:
    """Return the processes of servers that somebody answers for: a file of a log may be written anew by such a one."""
    everyone = process_tree.everyone()
    wanted = [server for run in found for server in run.servers if run.lives or server.kept]
    guards = [server.guard.pid for server in wanted if server.guard.lives]
    below = {seen.pid for guard in guards for seen in process_tree.descendants(guard, everyone)}
    return frozenset(below | {*guards})


def _forget(run: Run) -> None:
    for path in run.tree_files():
        tree_file.remove(str(path))
    run.path.unlink(missing_ok=True)


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
    files = tuple(run.tree_files(server.number))
    became = end_remains(Traces((server.server, server.guard), files, (mark_of(run, server),), (Path(server.log),)))
    for path in files if not became.failed else ():
        tree_file.remove(str(path))
    return not became.failed


def mark_of(run: Run, server: Entry) -> str:
    """Return the entry in the environment of all that a server started."""
    return f"{MARK}={run.id}.{server.number}."


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
                    run = Run(
                        path, facts["id"], Identity(*facts["runner"]), facts["machine"], (), facts.get("folder", "")
                    )
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
