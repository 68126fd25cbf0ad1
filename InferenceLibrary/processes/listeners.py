"""Who listens on a port: a server of somebody else that answers there must not be taken for ours. Linux."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from InferenceLibrary.processes import process_tree

_LISTENING = "0A"
_HOSTS = {
    "0100007F": "127.0.0.1",
    "00000000": "0.0.0.0",
    "0" * 32: "::",
    "00000000" + "00000000" + "00000000" + "01000000": "::1",
    "00000000" + "00000000" + "FFFF0000" + "0100007F": "127.0.0.1",
}
"""As /proc/net/tcp and tcp6 write addresses: words of four bytes in the order of a little-endian machine."""
_REACHED = {"127.0.0.1": ("127.0.0.1", "0.0.0.0", "::"), "::1": ("::1", "::")}
"""Which listeners get a connection to an address of this machine; a name such as `localhost` may reach all."""
_LINE = re.compile(rf"^ *\d+: ([0-9A-F]+):([0-9A-F]+) \S+ {_LISTENING} \S+ \S+ \S+ +(\d+) +\d+ (\d+) ", re.MULTILINE)


class ListeningSocket(NamedTuple):
    """A socket that listens on the loopback interface."""

    port: int
    host: str
    """`127.0.0.1`, `0.0.0.0`, `::1` or `::`."""
    inode: int
    user: int


def listeners(port: int, host: str | None = None, pid: int | str = "self") -> list[ListeningSocket]:
    """Return the sockets that listen on a port of the loopback interface, in the network of that process.

    Args:
        port: The port.
        host: Only those that get a connection to this address; all by default.
        pid: The process.
    """
    hosts = _REACHED.get(host or "", tuple(_HOSTS.values()))
    return [each for each in _all_listeners(pid) if each.port == port and each.host in hosts]


def _all_listeners(pid: int | str) -> list[ListeningSocket]:
    found = []
    for table in ("tcp", "tcp6"):
        try:
            text = Path(f"/proc/{pid}/net/{table}").read_text("ascii")
        except OSError:
            continue
        for address, port, user, inode in _LINE.findall(text):
            if address in _HOSTS:
                found.append(ListeningSocket(int(port, 16), _HOSTS[address], int(inode), int(user)))
    return found


def held_by(pids: Iterable[int]) -> list[tuple[ListeningSocket, int]]:
    """Return the listening sockets that processes hold, each with the process id of the first holder; Linux."""
    found: dict[int, tuple[ListeningSocket, int]] = {}
    for pid in pids if process_tree.on_linux() else ():
        held = _sockets(pid)
        for listener in _all_listeners(pid) if held else ():
            if held and listener.inode in held:
                found.setdefault(listener.inode, (listener, pid))
    return list(found.values())


def strangers(port: int, host: str, ours: Iterable[int]) -> list[str]:
    """Return who else listens where our server is asked, as text; nobody where that cannot be told.

    Args:
        port: The port on which our server was started.
        host: The address at which it is asked.
        ours: Process ids of the server and all that it started.
    """
    numbers = list(ours)
    if not process_tree.on_linux() or not numbers:
        return []
    others = {listener.inode: listener for listener in listeners(port, host, numbers[0])}
    readable = True
    for pid in numbers:
        held = _sockets(pid)
        readable = readable and held is not None
        for inode in held or ():
            others.pop(inode, None)
    found = []
    for entry in Path("/proc").iterdir() if others else ():
        if entry.name.isdigit() and int(entry.name) not in numbers:
            held = _sockets(int(entry.name)) or set()
            if held & others.keys():
                seen = process_tree.look(int(entry.name))
                found.append(f"{seen.name if seen else 'a process'} (pid {entry.name})")
                others = {inode: listener for inode, listener in others.items() if inode not in held}
    users = {listener.user for listener in others.values() if readable and listener.user != os.getuid()}
    return found + [f"a process of user {user}" for user in sorted(users)]


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
