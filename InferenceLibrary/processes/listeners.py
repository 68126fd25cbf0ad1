"""Who listens on a port: a server of somebody else that answers there must not be taken for ours. Linux."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from InferenceLibrary.processes import process_tree

_LISTENING = "0A"
_REACHED_BY_LOOPBACK = {
    "0100007F",  # 127.0.0.1
    "00000000",  # 0.0.0.0
    "0" * 32,  # ::
    "00000000" + "00000000" + "00000000" + "01000000",  # ::1
    "00000000" + "00000000" + "FFFF0000" + "0100007F",  # ::ffff:127.0.0.1
}
"""As /proc/net/tcp and tcp6 write addresses: words of four bytes in the order of a little-endian machine."""


class ListeningSocket(NamedTuple):
    """A socket that listens."""

    inode: int
    user: int


def listeners(port: int, pid: int | str = "self") -> list[ListeningSocket]:
    """Return the sockets that listen on a port of the loopback interface, in the network of that process."""
    return [listener for number, listener in _all_listeners(pid) if number == port]


def _all_listeners(pid: int | str) -> list[tuple[int, ListeningSocket]]:
    found = []
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if fields[3] == _LISTENING and address in _REACHED_BY_LOOPBACK:
                found.append((int(number, 16), ListeningSocket(int(fields[9]), int(fields[7]))))
    return found


def ports_of(pids: Iterable[int]) -> dict[int, int]:
    """Return the ports of the loopback interface on which processes listen, with their process ids; Linux."""
    found: dict[int, int] = {}
    for pid in pids if process_tree.on_linux() else ():
        held = _sockets(pid)
        for port, listener in _all_listeners(pid) if held else ():
            if held and listener.inode in held:
                found.setdefault(port, pid)
    return found


def foreign_holder(port: int, ours: Iterable[int]) -> str | None:
    """Return who else listens on the port, as text; None when it is one of `ours`, nobody, or cannot be told.

    Args:
        port: The port on which our server was started.
        ours: Process ids of the server and all that it started.
    """
    numbers = list(ours)
    if not process_tree.on_linux() or not numbers:
        return None
    found = listeners(port, numbers[0])
    if not found:
        return None
    wanted = {listener.inode for listener in found}
    readable = True
    for pid in numbers:
        held = _sockets(pid)
        if held is None:
            readable = False
        elif held & wanted:
            return None
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) not in numbers:
            held = _sockets(int(entry.name))
            if held and held & wanted:
                seen = process_tree.look(int(entry.name))
                return f"{seen.name if seen else 'a process'} (pid {entry.name})"
    if readable and all(listener.user != os.getuid() for listener in found):
        return f"a process of user {found[0].user}"
    return None


def _sockets(pid: int) -> set[int] | None:
    """Return the inodes of the sockets that a process holds; None when we may not look."""
    found = set()
    try:
        for entry in os.scandir(f"/proc/{pid}/fd"):
            try:
                target = os.readlink(entry.path)  # noqa: PTH115 - asked for every file of every process
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(int(target[8:-1]))
    except FileNotFoundError:
        return set()
    except OSError:
        return None
    return found
