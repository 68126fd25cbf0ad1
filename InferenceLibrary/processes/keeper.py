"""The keeper: the guard's parent, which does the guard's last work should the guard be killed. Linux.

It costs a fork and then sleeps. As a sub-reaper it inherits whatever descends from a guard that is gone, so that
nothing has to be searched for. When both are killed, what the guard wrote into its file is left to go by: see
`remains.py`.
"""

from __future__ import annotations

import os
import signal
import time

TYPE_CHECKING = False
if TYPE_CHECKING or __name__ != "keeper":
    from InferenceLibrary.processes import process_tree, tree_file, words
else:  # beside the guard on the path
    import process_tree  # type: ignore[import-not-found, no-redef]
    import tree_file  # type: ignore[import-not-found, no-redef]
    import words  # type: ignore[import-not-found, no-redef]

_ROUND = 0.02


def keep(guard: int, file: str) -> int:
    """Wait for the guard; when it did not end as it should, end what it guarded. Return an exit code."""
    # Who ends the guard politely may mean either of the two.
    signal.signal(signal.SIGTERM, lambda number, frame: _send(guard, signal.SIGTERM))
    status = _await(guard)
    if status == 0:
        return 0
    words.tell("guard ended", os.waitstatus_to_exitcode(status))
    left: dict[int, str] = {}
    while living := process_tree.descendants(os.getpid()):
        for seen in living:
            left[seen.pid] = seen.name
            _send(seen.pid, signal.SIGKILL)
        time.sleep(_ROUND)
        _reap()
    if file:
        tree_file.remove(file)
    words.tell("left", list(left.items()))
    words.tell("gone")
    return 1


def _await(guard: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == guard:
            return status


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return


def _send(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return
