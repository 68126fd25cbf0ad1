"""A small process that outlives the runner by a moment, to remove its containers when it died without doing so.

It reads a pipe whose other end the runner alone holds. `done` ends it; the end of the pipe without that word means that
the runner has died, whatever the reason, and everything with the run's label is removed. It is started before the first
container is created and dismissed after the last one is gone, so that it never lives longer than there is something to
watch. The docker SDK is imported only when it has to act.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from InferenceLibrary.deadline import Deadline, pause
from InferenceLibrary.servers.owner import run_id, start_of

_ROUNDS_FOR = 2.0
"""Seconds after the runner's death in which the engine may still create what it had been asked for."""
_ROUND = 0.2
_FAREWELL = 2.0


class Watcher:
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
            "from InferenceLibrary.servers.container_watcher import main; main(sys.argv[1], sys.argv[2])"
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


WATCHER = Watcher()


def main(address: str, run: str) -> None:
    """The watcher's end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    commands: list[tuple[int, str]] = []
    for line in sys.stdin.buffer:
        words = line.decode().split()
        if words[0] == "done":
            return
        commands.append((int(words[1]), " ".join(words[2:])))
    for pid, started in commands:
        if started and start_of(pid) == started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
    _remove_all(address, run)


def _remove_all(address: str, run: str) -> None:
    from InferenceLibrary.servers.container_leftovers import remove_run
    from InferenceLibrary.servers.engine import Address, Engine, api_errors

    deadline = Deadline(_ROUNDS_FOR)
    while True:
        with contextlib.suppress(*api_errors()):
            remove_run(Engine(Address(address, "watcher")).client.api, run)
        if deadline.expired:
            return
        pause(_ROUND)
