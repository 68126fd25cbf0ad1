"""A mark that a process cannot lose: the value of a resource limit that limits nothing. Linux.

A daemon leaves its session, clears its environment and loses its parents; its limits it keeps: they come with fork(2)
and stay over execve(2), setsid(2) and a change of user, and only root can raise one again. RLIMIT_RTTIME is the one
that nobody misses: it bounds, in microseconds, how long a real-time process may compute without a pause, and is not
set by default. A value of 146,000 years bounds nothing, so the rest of its bits tell whose the process is. Everybody
may read it, also of processes of another user.

Where the limit is set already, it stays as it is and there is no mark: also in a run within a run, unless that is
root's. The other traces are left then: see `orphans.py` and `remains.py`.
"""

from __future__ import annotations

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
if TYPE_CHECKING or __name__ != "limit_marks":
    from InferenceLibrary.processes import process_tree
else:  # beside the guard or the watcher on the path
    import process_tree  # type: ignore[import-not-found, no-redef]

_BASE = 1 << 62
_NUMBERS = 20
"""Bits for the number of what a run started; those above tell the run."""
_RUNS = 40
_LINE = b"Max realtime timeout"


def value_of(mark: str) -> int:
    """Return the limit for a mark `RUN.NUMBER.`, or one without a number."""
    run, _, rest = mark.partition(".")
    number = rest.rstrip(".")
    told = 0
    for byte in run.encode():
        told = (told * 257 + byte) % ((1 << _RUNS) - 87)  # a prime: every letter counts
    return _BASE | told << _NUMBERS | (int(number) + 1 if number.isdigit() else 0) % (1 << _NUMBERS)


def put_on(pid: int, mark: str) -> bool:
    """Mark a process, 0 for this one, and all that it will start; return whether it bears the mark now."""
    if not (process_tree.on_linux() and hasattr(resource, "prlimit")):
        return False
    value = value_of(mark)
    try:
        resource.prlimit(pid, resource.RLIMIT_RTTIME, (value, value))
    except (OSError, ValueError, OverflowError):  # it has ended, has a lower limit, or the machine has 32 bits
        return False
    return True


def put_on_tree(root: int, mark: str) -> None:
    """Mark a process that runs already, and what it has started so far."""
    value, tried = value_of(mark), {root}
    put_on(root, mark)
    while True:
        # What a marked process starts is marked, so this ends.
        found = {seen.pid for seen in process_tree.below(root) or () if seen.pid not in tried}
        unmarked = [pid for pid in found if value not in _limits_of(pid)]
        if not unmarked:
            return
        for pid in unmarked:
            put_on(pid, mark)
        tried.update(unmarked)


def bearers(mark: str, among: Iterable[int]) -> list[int]:
    """Return who of these bears a mark; `RUN.` with nothing after the dot is that of all that a run started."""
    wanted = value_of(mark)
    bits = _NUMBERS if mark.partition(".")[1:] == (".", "") else 0
    return [pid for pid in among if any(limit >> bits == wanted >> bits for limit in _limits_of(pid))]


def _limits_of(pid: int) -> list[int]:
    """Both values of the limit of a process; none where it is not set or cannot be read."""
    try:
        with open(f"/proc/{pid}/limits", "rb") as file:  # noqa: PTH123 - pathlib would cost the programs its import
            text = file.read()
    except OSError:
        return []
    start = text.find(_LINE)
    fields = text[start + len(_LINE) :].split(None, 2)[:2] if start >= 0 else []
    return [int(field) for field in fields if field.isdigit()]
