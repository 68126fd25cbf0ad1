"""What runs behind a server that the library started: a process, a container, a compose project."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from InferenceLibrary.redaction import Redactor


class Exit(NamedTuple):
    """How a process truly ended, as the kernel told its parent."""

    code: int
    """Exit code, negative for a signal."""
    core_dumped: bool = False
    max_rss: int = 0
    """Peak of resident memory in bytes."""
    user: float = 0.0
    """Seconds of processor time in the program."""
    system: float = 0.0
    """Seconds of processor time in the kernel."""
    lifetime: float = 0.0
    """Seconds from its start to its end."""

    def __str__(self) -> str:
        if self.code >= 0:
            return f"exit code {self.code}"
        core = " (core dumped)" if self.core_dumped else ""
        try:
            return f"signal {signal.Signals(-self.code).name}{core}"
        except ValueError:
            return f"signal {-self.code}{core}"


class Orphan(NamedTuple):
    """A process that outlived the server that had started it."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


class Program(Protocol):
    """The life of a server, whatever it runs in. Its output is in one file."""

    @property
    def log_path(self) -> Path: ...

    @property
    def kind(self) -> str:
        """`process` or `container`, for messages."""

    @property
    def label(self) -> str:
        """Kind and number: `process 4711`, `container 3f2a9c41b7d0`."""

    @property
    def known_as(self) -> str:
        """What `rfinference servers stop` calls it: a process id, the name of a container or project."""

    @property
    def pid(self) -> int | None:
        """Process id as this machine sees it; None when it runs elsewhere, or is gone."""

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""

    @property
    def exit(self) -> Exit | None:
        """How it truly ended, as far as that is told; None while it runs."""

    @property
    def orphans(self) -> Sequence[Orphan] | None:
        """What it had started and did not take along when it ended; None where that cannot be told."""

    @property
    def running(self) -> bool: ...

    def pids(self) -> list[int]:
        """Return the living processes of the server, where this machine tells; none where it does not."""

    def how_it_ended(self) -> str | None:
        """Return `exit code 3` or `signal SIGSEGV`, None while it runs."""

    def settle(self) -> None:
        """After its end, wait until what it left behind is known and ended."""

    def log_size(self) -> int:
        """Return how many bytes it has written."""

    def log_text(self, start: int = 0) -> str:
        """Return its output from byte `start` on."""

    def log_tail(self, lines: int = 12) -> list[str]:
        """Return the last lines of its output, without escape sequences."""

    def mask_log(self, redact: Redactor) -> None:
        """Take secrets out of its output, once nothing writes it any more."""

    def stop(self, grace: float) -> bool:
        """End it: its stop signal, `grace` seconds, then KILL. Return whether the signal was enough.

        Raises:
            ServerError: Something of it still runs.
        """

    def kill(self, *, leave_children: bool = False) -> None:
        """End it and all that it started by KILL, at once.

        Args:
            leave_children: Whether only the server's own process is killed, as by a crash: what it leaves behind is
                told by `orphans` before it is ended.

        Raises:
            ServerError: Something of it still runs, or its children cannot be left.
        """

    def pause(self) -> None:
        """Stop it and all that it started in their tracks.

        Raises:
            ServerError: The system cannot do it.
        """

    def resume(self) -> None:
        """Let it go on after `pause`.

        Raises:
            ServerError: The system cannot do it.
        """

    def let_go(self) -> None:
        """Let it live on after this process."""


class GuardedProgram(Program, Protocol):
    """A process on this machine that ends when its guard or this process does."""

    on_event: Callable[[str], None]
    """Told what happens to it meanwhile, such as another process that is the server now."""

    @property
    def pid(self) -> int: ...

    @property
    def guard_pid(self) -> int:
        """Process id of whoever ends it when this process dies."""
