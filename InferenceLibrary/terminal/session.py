"""One program in one terminal: a real pseudo-terminal and a real emulator, of the package `tui-test`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ProgramError, TerminalError, describe
from InferenceLibrary.processes.find import check_directory, find_program
from InferenceLibrary.processes.launch import refuse_unspeakable
from InferenceLibrary.processes.sessions import ProcessSession
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.terminal.emulator import Emulator
from InferenceLibrary.terminal.keys import key_name
from InferenceLibrary.terminal.loop import LoopThread
from InferenceLibrary.terminal.recording import RecordingReader, redact_recording
from InferenceLibrary.terminal.screen import Cursor, Screen, contains, masked

_FIRST_PAUSE, _LONGEST_PAUSE = 0.002, 0.02
_DRAIN = 0.2
"""Seconds that the last output of an ended program may take to reach the screen."""
_ACTIONS = 12


class Terminal:
    """A program in a terminal of its own. Every method may be interrupted; `close` ends all that was started.

    Args:
        command: The program and its arguments.
        columns: Width in cells.
        rows: Height in cells.
        env: Variables set beside ours.
        cwd: The program's working directory.
        recording: Where the recording (asciicast v2) is kept; None keeps none after `close`.
        redactor: Masks secrets in errors and in the recording.

    Raises:
        MissingExtraError: The package `tui-test` is not installed.
        ProgramError: The program cannot be run.
        TerminalError: The terminal could not be opened.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        recording: Path | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        if not (1 <= columns <= 1000 and 1 <= rows <= 1000):
            raise TerminalError(
                describe(
                    "The terminal has no usable size", expected="1 to 1000 columns and rows", got=f"{columns} x {rows}"
                )
            )
        self.command = tuple(command)
        self.redactor = redactor or Redactor()
        self.redactor.learn(self.command[1:], env)
        self.actions: deque[str] = deque(maxlen=_ACTIONS)
        self._last = Screen("", columns, rows, Cursor(0, 0))
        self._closed = False
        self.pictured = False
        """Whether a picture of the screen was taken during the present test."""
        check_directory(cwd)
        program = find_program(command[0] if command else "", env={**os.environ, **(env or {})}, cwd=cwd)
        refuse_unspeakable(self.command, env or {}, ProgramError)
        self.name = program.name
        self._folder = tempfile.TemporaryDirectory(prefix="inference-terminal-", ignore_cleanup_errors=True)
        self.recording = recording or Path(self._folder.name) / "recording.cast"
        self._session = ProcessSession(Path(self._folder.name))
        try:
            self._emulator = Emulator(self.recording, Path(self._folder.name))
        except BaseException:
            self._session.release()
            self._folder.cleanup()
            raise
        self._loop = LoopThread(f"terminal-{self.name}")
        try:
            words = [str(program), *self.command[1:]]
            variables = {**(env or {}), **self._session.environment}
            self._loop.call(self._emulator.start(words, columns, rows, variables, cwd, self._session.lead))
        except BaseException:
            self.close()
            raise
        self.output = RecordingReader(self.recording)

    # What is done to the program ---------------------------------------------------------------------------------

    def type_text(self, text: str) -> None:
        """Type text as it stands; a line feed in it is the Enter key."""
        self._must_run(f"'{self._short(text)}' cannot be typed")
        self.actions.append(f"typed '{self._short(text)}'")
        self._loop.call(self._emulator.write(text.replace("\r\n", "\n").replace("\n", "\r")))

    def press_keys(self, *keys: str) -> None:
        """Press keys, one after the other: `Ctrl+C`, `Enter`, `Up`, `q`."""
        names = [key_name(key) for key in keys]
        self._must_run(f"{', '.join(names)} cannot be pressed")
        self.actions.append(" ".join(names))
        self._loop.call(self._emulator.press(names))

    def click(self, column: int, row: int, *, button: str = "left") -> None:
        """Click on a cell; the top left one is column 0, row 0."""
        self._must_run(f"Column {column}, row {row} cannot be clicked")
        if not (0 <= column < self._last.columns and 0 <= row < self._last.rows):
            size = f"{self._last.columns} x {self._last.rows}"
            raise self.error(
                "The click is off the screen", expected=f"a cell of {size}", got=f"column {column}, row {row}"
            )
        self.actions.append(f"{button} click at column {column}, row {row}")
        self._loop.call(self._emulator.click(column, row, button))

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size; the program is told (SIGWINCH)."""
        if not (1 <= columns <= 1000 and 1 <= rows <= 1000):
            raise self.error(
                "The terminal cannot get that size", expected="1 to 1000 columns and rows", got=f"{columns} x {rows}"
            )
        self.actions.append(f"resized to {columns} x {rows}")
        self._loop.call(self._emulator.resize(columns, rows))

    # What is seen of it -------------------------------------------------------------------------------------------

    def screen(self) -> Screen:
        """Return what the terminal shows now; after `close`, what it showed last."""
        return self._last if self._closed else self._loop.call(self._look())

    def scrollback(self) -> str:
        """Return what has scrolled off the screen, and the screen."""
        return self._last.text if self._closed else self._loop.call(self._emulator.scrollback())

    def shown(self, screen: Screen | None = None, *, scrollback: bool = False) -> str:
        """Return the text of the screen, or of one that was seen before, with secrets masked."""
        screen = screen or self.screen()
        return masked(self.scrollback() if scrollback else screen.text, screen.columns, self.redactor)

    def cells_of(self, text: str) -> list[Any]:
        """Return the cells of every place where a text stands within one row; blanks in it are left out."""
        self._must_be_open("no cell can be looked at")
        screen, cells = self._loop.call(self._look_at_cells())
        found: list[Any] = []
        for row in range(screen.rows):
            line = cells[row * screen.columns : (row + 1) * screen.columns]
            # A cell may hold several code points, and none for the second half of a wide character.
            places = [cell for cell in line for _ in cell.char]
            joined = "".join(cell.char for cell in line)
            start = joined.find(text)
            while start >= 0:
                found += [cell for cell in places[start : start + len(text)] if cell.char.strip()]
                start = joined.find(text, start + 1)
        return found

    def scrollback_contains(self, wanted: str, *, regexp: bool = False) -> bool:
        """Whether a text is on the screen or in what has scrolled off it."""
        return contains(self.scrollback(), self._last.columns, wanted, regexp=regexp)

    def screenshot(self, path: Path) -> Path:
        """Write the screen as an SVG picture."""
        self._must_be_open("no picture can be taken")
        self._loop.call(self._emulator.screenshot(path))
        picture = path.read_text(encoding="utf-8")
        # Its texts are those of the rows, in a piece for each colour.
        texts = [text.span() for text in re.finditer(r"(?<=>)[^<]+", picture)]
        places = [place for begin, end in texts for place in range(begin, end)]
        path.write_text(self.redactor.within(picture, places), encoding="utf-8")
        return path

    def wait_for_text(self, wanted: str, *, timeout: float, regexp: bool = False, scrollback: bool = False) -> Screen:
        """Wait until a text is on the screen and return the screen.

        Args:
            wanted: The text, or a regular expression with `regexp`.
            timeout: Seconds to wait.
            regexp: Whether `wanted` is a regular expression.
            scrollback: Whether what has scrolled off counts too.

        Raises:
            TerminalError: It did not come in time, or the program ended without showing it.
        """
        self._must_be_open(f"nothing can be awaited: '{self._short(wanted)}'")

        async def check(screen: Screen) -> bool:
            if screen.contains(wanted, regexp=regexp):
                return True
            if not scrollback:
                return False
            text = await self._emulator.scrollback()
            return contains(text, screen.columns, wanted, regexp=regexp)

        started = time.monotonic()
        screen, found = self._loop.call(self._watch(check, timeout))
        if not found:
            raise self.error(
                f"The text did not appear {'on the screen or above it' if scrollback else 'on the screen'}",
                expected=f"{'/' + wanted + '/' if regexp else repr(wanted)} within {timeout:g} s",
                got="this screen",
                after=time.monotonic() - started,
                screen=screen,
            )
        return screen

    def wait_stable(self, *, timeout: float, quiet: float = 0.1) -> Screen:
        """Wait until the screen has not changed for `quiet` seconds and return it.

        Raises:
            TerminalError: It went on changing.
        """
        self._must_be_open("it cannot become stable")
        last: list[Screen] = []
        since = started = time.monotonic()
        changes = 0

        async def check(screen: Screen) -> bool:
            nonlocal since, changes
            now = time.monotonic()
            if not last or (screen.text, screen.cursor) != (last[0].text, last[0].cursor):
                changes += bool(last)
                last[:] = [screen]
                since = now
            return now - since >= quiet

        screen, found = self._loop.call(self._watch(check, timeout, give_up_at_end=False))
        if not found:
            raise self.error(
                "The screen did not become stable",
                expected=f"no change for {quiet:g} s, within {timeout:g} s",
                got=f"{changes} changes",
                after=time.monotonic() - started,
                screen=screen,
            )
        return screen

    def wait_exit(self, *, timeout: float) -> Screen:
        """Wait until the program has ended and return the screen, with exit code or signal.

        Raises:
            TerminalError: It still runs.
        """
        if self._closed:
            return self._last
        started = time.monotonic()

        async def check(screen: Screen) -> bool:
            return screen.ended

        screen, found = self._loop.call(self._watch(check, timeout))
        if not found:
            raise self.error(
                "The program did not end",
                expected=f"its end within {timeout:g} s",
                got="a running program",
                after=time.monotonic() - started,
                screen=screen,
            )
        return screen

    @property
    def pid(self) -> int | None:
        """The program's process id; None when it could not be started."""
        return self._emulator.pid

    @property
    def closed(self) -> bool:
        """Whether the terminal has been closed."""
        return self._closed

    # Its end ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Hang up, then end whatever is left of the program and its children. A second call does nothing."""
        if self._closed:
            return
        try:
            with contextlib.suppress(TerminalError):
                self._loop.call(self._settle())
        finally:
            self._closed = True
            if os.name == "posix":
                self._session.end(polite=signal.SIGHUP, grace=0.3)
            self._session.release()
            with contextlib.suppress(TerminalError):
                self._loop.call(self._emulator.close())
            self._loop.close()
            redact_recording(self.recording, self.redactor)
            self._folder.cleanup()

    # Inside the loop ----------------------------------------------------------------------------------------------

    async def _look(self) -> Screen:
        self._last = await self._emulator.look()
        return self._last

    async def _look_at_cells(self) -> tuple[Screen, list[Any]]:
        screen = await self._look()
        return screen, await self._emulator.cells(screen.columns, screen.rows)

    async def _watch(
        self, check: Callable[[Screen], Any], budget: float, *, give_up_at_end: bool = True
    ) -> tuple[Screen, bool]:
        """Look until `check` holds, the budget is spent, or the program has ended and all its output is shown."""
        end = time.monotonic() + budget
        pause = _FIRST_PAUSE
        while True:
            screen = await self._look()
            if await check(screen):
                return screen, True
            now = time.monotonic()
            if screen.ended and give_up_at_end:
                end = min(end, now + _DRAIN)
                give_up_at_end = False
            if now >= end:
                return screen, False
            await asyncio.sleep(min(pause, end - now))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    async def _settle(self) -> None:
        """See the last screen, and know the process of a start that was interrupted."""
        await self._emulator.settle()
        if self.pid is not None:
            await self._look()

    # Errors -------------------------------------------------------------------------------------------------------

    def error(
        self,
        what: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        after: float | None = None,
        hint: str | None = None,
        screen: Screen | None = None,
    ) -> TerminalError:
        """Return an error that shows the program's state, the last keys and the screen."""
        return TerminalError(
            self.failure_text(what, expected=expected, got=got, after=after, hint=hint, screen=screen),
            screen=self._safe(screen or self._last).text,
        )

    def failure_text(
        self,
        what: str,
        *,
        expected: str | None = None,
        got: str | None = None,
        after: float | None = None,
        hint: str | None = None,
        screen: Screen | None = None,
    ) -> str:
        """Return the text of an error or a failed check, with the screen below it."""
        screen = self._safe(screen or self._last)
        text = describe(
            f"{what} (terminal '{self.name}')",
            expected=expected,
            got=got,
            after=after,
            state=screen.state,
            hint=hint,
            detail=("Screen", [*screen.framed(), f"Last keys: {'; '.join(self.actions) or 'none'}"]),
        )
        return self.redactor(text)

    def _must_be_open(self, consequence: str) -> None:
        if self._closed:
            raise self.error(f"The terminal is closed, {consequence}", hint="Start Terminal opens another")

    def _must_run(self, consequence: str) -> None:
        self._must_be_open(consequence)
        screen = self._loop.call(self._look())
        if screen.ended:
            raise self.error(consequence, expected="a running program", got="its end", screen=screen)

    def _short(self, text: str) -> str:
        """A text for a message. Masked first: half a secret would not be known as one."""
        text = self.redactor(text)
        shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
        return shown if len(shown) <= 60 else f"{shown[:57]}..."

    def _safe(self, screen: Screen) -> Screen:
        """The screen with secrets masked, also those that its edge breaks."""
        return replace(screen, text=self.shown(screen))
