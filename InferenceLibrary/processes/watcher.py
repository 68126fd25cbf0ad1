"""The runner's end of the watcher: what must not outlive this process is told to a small program beside it.

One watcher serves all terminals and runs of a process. It is started with the first of them, which costs them nothing:
nobody waits for it. It ends with this process; when that is killed, it first ends everything that it was told of.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

from InferenceLibrary.processes.orphans import MARK, find

__all__ = ["MARK", "find", "hold", "release", "tell"]

_PROGRAM = "import sys; sys.path.insert(0, sys.argv[1]); import orphans; orphans.main()"
_FAREWELL = 2.0


class ProcessWatcher:
    """Keeps the program running while there is something to watch over."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.RLock()
        self._held: dict[str, list[bytes]] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def hold(self, mark: str, folder: Path) -> None:
        self._tell(mark, b"hold", mark.encode(), os.fsencode(folder))

    def tell(self, mark: str, pid: int, began: str) -> None:
        self._tell(mark, b"lead", mark.encode(), str(pid).encode(), began.encode())

    def release(self, mark: str) -> None:
        with self._lock:
            self._held.pop(mark, None)
            self._say(_line(b"release", mark.encode()))

    def end(self) -> None:
        """Let the program end, at the end of this process."""
        process, self._process = self._process, None
        if process is not None and self.owner == os.getpid():
            _dismiss(process)

    def _tell(self, mark: str, *words: bytes) -> None:
        line = _line(*words)
        with self._lock:
            self._held.setdefault(mark, []).append(line)
            if not self._say(line):
                self._start()
                for lines in self._held.values():
                    self._say(b"".join(lines))

    def _say(self, data: bytes) -> bool:
        """Whether somebody listens."""
        if self._process is None or self._process.stdin is None:
            return False
        try:
            self._process.stdin.write(data)
        except OSError:
            return False
        return True

    def _start(self) -> None:
        folder = Path(__file__).parent
        environment = {name: value for name, value in os.environ.items() if name != MARK}
        old = self._process
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _PROGRAM, str(folder), str(self.owner)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd="/",
            # Who ends the runner's group, or all that bears its runner's mark, must not end its watcher.
            env=environment,
            start_new_session=True,
        )
        if old is not None:
            _dismiss(old)


def _dismiss(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if process.stdin is not None:
            process.stdin.close()
        process.wait(_FAREWELL)


def _line(*words: bytes) -> bytes:
    return b"\0".join(words) + b"\0\n"


_watcher: ProcessWatcher | None = None


def _mine() -> ProcessWatcher:
    """The watcher of this process; a forked child needs its own."""
    global _watcher  # noqa: PLW0603 - one for all that this process starts
    if _watcher is None or _watcher.owner != os.getpid():
        _watcher = ProcessWatcher()
        atexit.register(_watcher.end)
    return _watcher


def hold(mark: str, folder: Path) -> None:
    """Something with this mark is about to be started, and uses this folder; both are to go when this process dies."""
    if os.name == "posix":
        _mine().hold(mark, folder)


def tell(mark: str, pid: int, began: str) -> None:
    """It was started, and leads a session."""
    if os.name == "posix":
        _mine().tell(mark, pid, began)


def release(mark: str) -> None:
    """It is gone."""
    if os.name == "posix":
        _mine().release(mark)
