"""`rfinference servers`: lists what runs on this machine, and stops it by hand."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from InferenceLibrary.containers.engine import ContainerEngine
from InferenceLibrary.containers.standing import Standing, all_standing, end_standing, open_engine
from InferenceLibrary.foreign_text import on_one_line
from InferenceLibrary.processes.owner import is_here
from InferenceLibrary.processes.running import Entry, Run, end_leftovers, end_server, runs


def list_servers() -> int:
    """Print a line for each server of this user; return the exit code."""
    rows = [("ID", "NAME", "URL", "STATE", "RUNS FOR", "BEGAN IN", "LOG")]
    for run, server in _processes():
        state = "kept" if server.kept else f"of run {run.runner.pid}" if run.lives else "left behind"
        rows.append(
            (str(server.server.pid), server.name, server.url, state, _age(server.since), run.folder, server.log)
        )
    with _engine() as engine:
        for one in all_standing(engine) if engine else []:
            age = _age(one.since) if one.since else "-"
            began = one.folder or "-"
            rows.append((one.name, one.image or one.kind, one.url, one.state, age, began, f"of the {one.kind}"))
    if len(rows) == 1:
        print("No server runs.")
        return 0
    lines = [[on_one_line(text) for text in row] for row in rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows[0]))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    return 0


def stop_one(wanted: str) -> int:
    """Stop one by its process id, or its name at the container engine; return the exit code."""
    found = _processes()
    chosen = [(run, server) for run, server in found if wanted in {str(server.server.pid), str(server.guard.pid)}]
    if chosen:
        return 1 if _end_processes(chosen) else 0
    with _engine() as engine:
        standing = all_standing(engine) if engine else []
        picked = [one for one in standing if wanted == one.name]
        if not picked:
            known = ", ".join([str(server.server.pid) for _, server in found] + [one.name for one in standing])
            what = f"process id {wanted}" if wanted.isdigit() else f"name '{wanted}'"
            print(
                f"rfinference: no server with {what}: {f'expected one of {known}' if known else 'no server runs'}",
                file=sys.stderr,
            )
            return 1
        return 1 if _end_containers(engine, picked) else 0


def stop_all(*, here: bool = False) -> int:
    """Stop all that no living run owns; return the exit code.

    Args:
        here: Only those of runs that began in the working directory or below it.
    """
    chosen = [
        (run, server)
        for run, server in _processes()
        if (server.kept or not run.lives) and (not here or is_here(run.folder))
    ]
    failed = _end_processes(chosen)
    with _engine() as engine:
        standing = all_standing(engine) if engine else []
        picked = [one for one in standing if one.ownerless and (not here or is_here(one.folder))]
        failed += _end_containers(engine, picked)
    done = bool(chosen or picked)
    if not here:
        remains = end_leftovers()
        for line in remains.ended:
            print(f"Ended {line}")
        for line in remains.failed:
            print(f"Could not end {line}")
        failed += len(remains.failed)
        done = done or bool(remains.ended or remains.failed)
    if not done:
        print("Nothing to stop.")
    return 1 if failed else 0


def _processes() -> list[tuple[Run, Entry]]:
    return [(run, server) for run in runs() for server in run.servers if server.lives]


def _end_processes(chosen: list[tuple[Run, Entry]]) -> int:
    """End them; return how many could not be ended."""
    failed = 0
    for run, server in chosen:
        gone = end_server(run, server)
        failed += not gone
        print(f"{'Stopped' if gone else 'Could not stop'} {on_one_line(server.name)} (pid {server.server.pid})")
    return failed


def _end_containers(engine: ContainerEngine | None, picked: list[Standing]) -> int:
    """End them; return how many could not be ended."""
    failed = 0
    for one in picked:
        assert engine is not None
        gone = end_standing(engine, one)
        failed += not gone
        print(f"{'Stopped' if gone else 'Could not stop'} {one.kind} {one.name}")
    return failed


@contextmanager
def _engine() -> Iterator[ContainerEngine | None]:
    """The container engine, None and a word about it where there is none: that is not an error here."""
    engine, reason = open_engine()
    if engine is None:
        print(f"Containers are not looked at: {reason}", file=sys.stderr)
    try:
        yield engine
    finally:
        if engine is not None:
            engine.close()


def _age(since: float) -> str:
    seconds = max(0, int(time.time() - since))
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
