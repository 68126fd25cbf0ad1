"""A small process that outlives the runner by a moment, to remove its containers when it died without doing so.

It reads a pipe whose other end the runner alone holds. `done` ends it; the end of the pipe without that word means that
the runner has died, whatever the reason, and everything with the run's label is removed. It is started before the first
container is created and dismissed after the last one is gone, so that it never lives longer than there is something to
watch. The docker SDK is imported only when it has to act.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from InferenceLibrary.deadline import Deadline, pause
from InferenceLibrary.processes.groups import end_group
from InferenceLibrary.processes.owner import run_id, start_of

_QUIET = 2.0
"""Seconds without a find after which nothing more is expected of what the engine had been asked for."""
_LONGEST = 60.0
"""Seconds after which it is left to the next run: a busy engine may hold a volume while it creates its container."""
_ROUND = 0.2
_FAREWELL = 2.0


class ContainerWatcher:
    """The runner's end. One for all containers of this process."""

    def __init__(self) -> None:
        self._held = 0
        self._process: subprocess.Popen[bytes] | None = None

    def hold(self, address: str) -> None:
        """Something is about to be started at this engine; the watcher stands from now on."""
        self._held += 1
        if self._process is not None and self._process.poll() is None:
            return
        root = str(Path(__file__).resolve().parents[2])
        code = (
            f"import sys; sys.path.append({root!r}); "
            "from InferenceLibrary.containers.watcher import main; main(sys.argv[1], sys.argv[2])"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", code, address, run_id()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A group of its own: who kills the runner's group must not kill its watcher.
            start_new_session=True,
        )

    def tell(self, pid: int) -> None:
        """Name a command of ours that must not go on when the runner dies; it leads a process group."""
        self._say(f"end {pid} {start_of(pid)}\n".encode())

    def keep(self, name: str) -> None:
        """A container or project that bears the label of what is kept is to live on when the runner dies."""
        self._say(f"kept {name}\n".encode())

    def remove(self, project: str) -> bool:
        """Remove a compose project now, beside the runner; return whether it will be done."""
        if self._process is None or self._process.poll() is not None:
            return False
        self._say(f"remove {project}\n".encode())
        return True

    def release(self) -> None:
        """What `hold` announced is gone. With the last one the watcher ends."""
        self._held -= 1
        if self._held > 0 or self._process is None:
            return
        self._say(b"done\n")
        process, self._process = self._process, None
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_FAREWELL)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _say(self, word: bytes) -> None:
        if self._process is None or self._process.stdin is None:
            return
        # It may have been killed by hand; then the labels serve at the next start.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(word)
            self._process.stdin.flush()


WATCHER = ContainerWatcher()


def main(address: str, run: str) -> None:
    """The watcher's end."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    from InferenceLibrary.containers.leftovers import remove_project, remove_run

    commands: list[tuple[int, str]] = []
    kept: set[str] = set()
    for line in sys.stdin.buffer:
        match line.decode().split():
            case ["end", pid, *started]:
                commands.append((int(pid), " ".join(started)))
            case ["kept", name]:
                kept.add(name)
            case ["remove", project]:
                # Beside the loop, which must see the runner's death at once.
                threading.Thread(target=_remove, args=(address, partial(remove_project, project=project))).start()
            case _:
                return
    for number, start in commands:
        if start and start_of(number) == start:
            end_group(number)
    _remove(address, lambda api: remove_run(api, run, kept))


def _remove(address: str, once: Callable[[Any], object]) -> None:
    """Look again and again until `once` has found nothing for a while."""
    from InferenceLibrary.containers.engine import ContainerEngine, EngineAddress, api_errors

    deadline, quiet = Deadline(_LONGEST), Deadline(_QUIET)
    while not deadline.expired:
        with contextlib.suppress(*api_errors()):
            if once(ContainerEngine(EngineAddress(address, "watcher")).client.api):
                quiet = Deadline(_QUIET)
        if quiet.expired:
            return
        pause(_ROUND)
