"""Who descends from whom, among the processes of this machine.

The guard uses this too, and it starts with every server: so the module imports nothing but `os`, and neither `typing`
nor the package around it. Linux is asked through /proc; elsewhere `ps` is run.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ENDED = "ZX"
"""States of processes that have ended: a zombie waits for its parent only."""


class ProcessInfo:
    """One process as it was seen."""

    __slots__ = ("group", "name", "parent", "pid", "started", "state")

    def __init__(self, pid: int, parent: int, group: int, state: str, started: str, name: str) -> None:
        self.pid = pid
        self.parent = parent
        self.group = group
        self.state = state
        self.started = started
        """When it started, in the words of the system: tells it from a later process of the same number."""
        self.name = name

    @property
    def lives(self) -> bool:
        return self.state[:1] not in ENDED


def on_linux() -> bool:
    """Whether /proc tells about processes."""
    return os.path.exists("/proc/self/stat")  # noqa: PTH110 - pathlib would cost the guard its import


def look(pid: int) -> ProcessInfo | None:
    """Return one process, None when there is none of that number."""
    if on_linux():
        return _read(pid)
    return _from_ps(f"-p {int(pid)}").get(pid)


def everyone(portable: bool = False) -> dict[int, ProcessInfo]:
    """Return all processes by number."""
    if portable or not on_linux():
        return _from_ps("-A")
    found = {}
    for entry in os.listdir("/proc"):  # noqa: PTH208 - see above
        if entry.isdigit():
            seen = _read(int(entry))
            if seen is not None:
                found[seen.pid] = seen
    return found


def descendants(root: int, among: dict[int, ProcessInfo] | None = None) -> list[ProcessInfo]:
    """Return the living processes below `root`, parents before their children, `root` excluded."""
    among = everyone() if among is None else among
    children: dict[int, list[ProcessInfo]] = {}
    for seen in among.values():
        children.setdefault(seen.parent, []).append(seen)
    found: list[ProcessInfo] = []
    waiting = [root]
    visited = set()
    while waiting:
        parent = waiting.pop(0)
        if parent in visited:
            continue
        visited.add(parent)
        for child in children.get(parent, []):
            waiting.append(child.pid)
            if child.lives:
                found.append(child)
    return found


def below(root: int) -> list[ProcessInfo] | None:
    """Return what `descendants` does, for a small part of its price; None where the system keeps no lists of children.

    Such a list may lack a child when another one ends while it is read (proc_pid_children(5)).
    """
    found: list[ProcessInfo] = []
    waiting = [root]
    while waiting:
        parent = waiting.pop(0)
        try:
            threads = os.listdir(f"/proc/{parent}/task")  # noqa: PTH208
        except OSError:  # it has ended
            continue
        for thread in threads:
            try:
                with open(f"/proc/{parent}/task/{thread}/children", encoding="ascii") as file:  # noqa: PTH123
                    children = file.read().split()
            except OSError:
                if parent == root and thread == str(root):
                    return None
                continue
            for child in children:
                seen = _read(int(child))
                waiting.append(int(child))
                if seen is not None and seen.lives:
                    found.append(seen)
    return found


def bearers(mark: str) -> list[ProcessInfo]:
    """Return the living processes with an entry in their environment that begins with `mark`."""
    if os.name == "nt":
        return []
    if not on_linux():
        everyone_else = _from_ps("-A")
        # macOS and the BSDs differ in the letter; where neither is known nothing is found.
        with os.popen("LC_ALL=C ps -A -E -ww -o pid= -o command= 2>/dev/null") as output:
            lines = [line.split() for line in output]
        numbers = [int(line[0]) for line in lines if any(word.startswith(mark) for word in line[1:])]
        return [everyone_else[number] for number in numbers if number in everyone_else]
    wanted = mark.encode()
    found = []
    for number in os.listdir("/proc"):  # noqa: PTH208
        if not number.isdigit():
            continue
        try:
            with open(f"/proc/{number}/environ", "rb") as file:  # noqa: PTH123
                environment = file.read()
        except OSError:  # it ended, or belongs to somebody else
            continue
        if wanted in environment and any(entry.startswith(wanted) for entry in environment.split(b"\0")):
            seen = _read(int(number))
            if seen is not None and seen.lives:
                found.append(seen)
    return found


def births() -> str:
    """Return what changes whenever a process or thread is born, for the price of one small file; empty elsewhere."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:  # noqa: PTH123
            return file.read().rpartition(" ")[2]
    except OSError:
        return ""


def writers(paths: Iterable[str]) -> list[int]:
    """Return the numbers of the processes that hold one of these files open for writing. Linux; elsewhere none."""
    wanted = set(paths)
    found = []
    for number in os.listdir("/proc") if wanted and on_linux() else ():  # noqa: PTH208
        if number.isdigit() and _writes(number, wanted):
            found.append(int(number))
    return found


def _writes(number: str, paths: set[str]) -> bool:
    try:
        descriptors = os.listdir(f"/proc/{number}/fd")  # noqa: PTH208
    except OSError:  # it ended, or belongs to somebody else
        return False
    for descriptor in descriptors:
        try:
            if os.readlink(f"/proc/{number}/fd/{descriptor}") not in paths:  # noqa: PTH115
                continue
            with open(f"/proc/{number}/fdinfo/{descriptor}", encoding="ascii") as file:  # noqa: PTH123
                flags = int(dict(line.split(":", 1) for line in file if ":" in line)["flags"], 8)
        except OSError:
            continue
        if flags & os.O_ACCMODE != os.O_RDONLY:
            return True
    return False


def _read(pid: int) -> ProcessInfo | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    # The name stands in parentheses and may hold anything, parentheses too (proc_pid_stat(5)).
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    if len(fields) < 20:
        return None
    return ProcessInfo(pid, int(fields[1]), int(fields[2]), fields[0], fields[19], name)


def _from_ps(which: str) -> dict[int, ProcessInfo]:
    """`lstart` is a date of five words, in macOS, the BSDs and procps alike. Windows has job objects in its place."""
    if os.name == "nt":
        return {}
    with os.popen(f"LC_ALL=C ps {which} -o pid= -o ppid= -o pgid= -o stat= -o lstart= -o comm=") as output:
        lines = output.read().splitlines()
    found = {}
    for line in lines:
        fields = line.split(None, 9)
        if len(fields) == 10 and fields[0].isdigit():
            pid, parent, group = int(fields[0]), int(fields[1]), int(fields[2])
            found[pid] = ProcessInfo(pid, parent, group, fields[3], " ".join(fields[4:9]), os.path.basename(fields[9]))  # noqa: PTH119
    return found
