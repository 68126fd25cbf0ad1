"""What runs behind a server that the library started: a process, a container, a compose project."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from InferenceLibrary.processes.process import Exit
from InferenceLibrary.redaction import Redactor


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
    def pid(self) -> int | None:
        """Process id as this machine sees it; None when it runs elsewhere, or is gone."""

    @property
    def exit_code(self) -> int | None:
        """Exit code, negative for a signal, None while it runs."""

    @property
    def exit(self) -> Exit | None:
        """How it truly ended, as far as that is told; None while it runs."""

    @property
    def running(self) -> bool: ...

    def how_it_ended(self) -> str | None:
        """Return `exit code 3` or `signal SIGSEGV`, None while it runs."""

    def log_text(self, start: int = 0) -> str:
        """Return its output from byte `start` on."""

    def log_tail(self, lines: int = 12) -> list[str]:
        """Return the last lines of its output, without escape sequences."""

    def stop(self, grace: float) -> bool:
        """End it: TERM, `grace` seconds, then KILL. Return whether TERM was enough."""

    def mask_log(self, redact: Redactor) -> None:
        """Take secrets out of its output, once nothing writes it any more."""
