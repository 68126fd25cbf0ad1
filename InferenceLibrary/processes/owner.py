"""Who started a container: labels by which it is found when its owner has died."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from urllib.parse import quote, unquote

from InferenceLibrary.processes.process_tree import look

LABEL = "inferencelibrary"
RUN_LABEL = f"{LABEL}.run"
"""An id of the process that started it; nothing without this label is ever touched."""
KEPT_LABEL = f"{LABEL}.kept"
"""On what is to outlive its run: the name of the container or compose project."""
PID_LABEL = f"{LABEL}.pid"
_STARTED_LABEL = f"{LABEL}.started"
MACHINE_LABEL = f"{LABEL}.machine"
_FOLDER_LABEL = f"{LABEL}.folder"


@cache
def _run_of(pid: int) -> str:
    return uuid.uuid4().hex


def run_id() -> str:
    """Return the id of this process; a forked child has another."""
    return _run_of(os.getpid())


def labels(kept: str = "") -> dict[str, str]:
    """Return the labels of what this process starts; `kept` names what is to outlive it."""
    return {
        **({KEPT_LABEL: kept} if kept else {}),
        RUN_LABEL: run_id(),
        PID_LABEL: str(os.getpid()),
        _STARTED_LABEL: start_of(os.getpid()),
        MACHINE_LABEL: machine(),
        # Quoted, for compose reads dollar signs.
        _FOLDER_LABEL: quote(folder()),
    }


def folder() -> str:
    """Return the folder from which this process runs; empty where that is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def folder_of(found: Mapping[str, str]) -> str:
    """Return the folder from which something with these labels was started; empty where they do not tell it."""
    return unquote(found.get(_FOLDER_LABEL, ""))


def is_here(started: str) -> bool:
    """Whether a folder from which a run was started is that of this process, or below it."""
    here = folder()
    return bool(here and started) and Path(started).is_relative_to(here)


def is_orphan(found: Mapping[str, str]) -> bool:
    """Whether something with these labels was left behind: its owner has died and did not mean to keep it."""
    return KEPT_LABEL not in found and has_lost_its_owner(found)


def has_lost_its_owner(found: Mapping[str, str]) -> bool:
    """Whether something with these labels was started on this machine, by a process that is gone.

    What another machine started at the same engine is left alone: its owner cannot be looked for from here.
    """
    pid = found.get(PID_LABEL, "")
    if RUN_LABEL not in found or not pid.isdigit() or found.get(MACHINE_LABEL) != machine():
        return False
    return start_of(int(pid)) != found.get(_STARTED_LABEL)


def machine() -> str:
    """Return what tells this machine, since its last boot, from others. A container is a machine of its own here.

    One that has the network of its host has its name too, and yet other numbers of processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        boot = numbers = ""
    return f"{socket.gethostname()}:{''.join(filter(str.isdigit, numbers))}:{boot[:13]}"


def start_of(pid: int) -> str:
    """Return when a process was started, in the words of the system; empty when there is none, or only a zombie."""
    seen = look(pid)
    return seen.started if seen is not None and seen.lives else ""
