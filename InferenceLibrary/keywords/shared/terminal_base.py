"""What the classes of terminal keywords share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.errors import CheckFailure, TerminalError
from InferenceLibrary.keywords.shared.base import KeywordGroup

if TYPE_CHECKING:
    from InferenceLibrary.terminal.screen import Screen
    from InferenceLibrary.terminal.session import Terminal


class TerminalGroup(KeywordGroup):
    """Finds terminals, and leaves evidence of what fails in them."""

    def _terminal(self, ref: Any) -> Terminal:
        return self.context.terminals.get(ref)

    def _register(self, terminal: Terminal, alias: str | None) -> Terminal:
        self.context.terminals.add(terminal, alias)
        shown = " ".join(self.context.redactor.argv(list(terminal.command)))
        self.log.info(f"Terminal '{terminal.name}' runs {shown} (process {terminal.pid}).")
        self.log.file("Recording", terminal.recording)
        return terminal

    def _picture(self, shell: Terminal, name: str) -> Path:
        path = shell.screenshot(self.context.artifact("terminals", name, "svg"))
        shell.pictured = True
        self.log.picture(f"Terminal '{shell.name}'", path)
        return path

    @contextlib.contextmanager
    def _evidence(self, shell: Terminal) -> Iterator[None]:
        """A failure leaves a picture of the screen and a link to the recording in the log."""
        try:
            yield
        except (TerminalError, CheckFailure):
            if not shell.closed:
                self._picture(shell, "failure")
            self.log.file("Recording", shell.recording)
            raise


def check_exit(shell: Terminal, screen: Screen, exit_code: int | None, signal: str | None = None) -> None:
    """Check how a program in a terminal has ended.

    Raises:
        CheckFailure: It ended otherwise.
    """
    if (screen.exit_code, screen.exit_signal) != (exit_code, signal):
        raise CheckFailure(
            shell.failure_text(
                "The program ended otherwise",
                expected=f"signal {signal}" if signal else f"exit code {exit_code}",
                got=f"signal {screen.exit_signal}" if screen.exit_signal else f"exit code {screen.exit_code}",
                screen=screen,
            )
        )
