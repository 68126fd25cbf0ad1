"""The one place that knows the package `tui-test`: a pseudo-terminal, an emulator, a recorder. Asynchronous, as it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import MissingExtraError, TerminalError, describe
from InferenceLibrary.terminal.screen import Cursor, Screen, signal_name

SCROLLBACK = 10_000
"""Rows that are kept of what has scrolled off the screen."""
RECORDING_LIMIT = 20_000_000
"""Bytes after which a recording is ended, so that a flood does not fill the disk."""
_SPAWN_LIMIT = 30.0
_GATE = 'read -r _ <"$1"; unset $2; shift 2; exec "$@"'
_SIZE = ("LINES", "COLUMNS")
"""Variables with the size of the terminal in which we run, if any. Many programs believe them more than their own."""


class Emulator:
    """One program in one terminal.

    Args:
        recording: File for the recording, asciicast v2.
        folder: A private folder for what is needed at the start.

    Raises:
        MissingExtraError: The package is not installed.
    """

    def __init__(self, recording: Path, folder: Path) -> None:
        try:
            from tui_test import TuiTest
        except ImportError:
            raise MissingExtraError("tui-test", "terminal", "A terminal") from None
        self._tui: Any = TuiTest.ephemeral("inference", profile={"scrollback": SCROLLBACK})
        self._recording = recording
        self._folder = folder
        self._spawn: asyncio.Future[Any] | None = None
        self.pid: int | None = None

    async def start(
        self,
        command: Sequence[str],
        columns: int,
        rows: int,
        env: Mapping[str, str],
        cwd: Path | None,
        told: Callable[[int], None],
    ) -> None:
        """Start the program, with the recording from its first byte on; `told` is called with its process id."""
        gate = self._make_gate()
        foreign = " ".join(name for name in _SIZE if name not in env) or "-v _"
        held = list(command) if gate is None else ["/bin/sh", "-c", _GATE, "sh", str(gate), foreign, *command]
        spawning = self._tui.run(*held, cols=columns, rows=rows, cwd=cwd and str(cwd), env=dict(env))
        # A cancelled spawn would go on unseen; shielded, it can be waited for and then ended.
        self._spawn = asyncio.ensure_future(spawning)
        with _translated(f"No terminal could be opened for '{command[0]}'"):
            started = await asyncio.shield(self._spawn)
        self.pid = started["shell_pid"]
        if self.pid is not None:
            told(self.pid)
        await self._record()
        if gate is not None:
            await self._open(gate, command[0])

    async def look(self) -> Screen:
        """Return what the terminal shows."""
        with _translated("The terminal cannot be looked at"):
            state = await self._tui.state()
        cursor = state.cursor
        return Screen(
            text=state.text,
            columns=state.cols,
            rows=state.rows,
            cursor=Cursor(cursor["x"], cursor["y"], cursor.get("visible", True)),
            exit_code=None if state.exit_signal else state.exited,
            exit_signal=signal_name(state.exit_signal) if state.exit_signal else None,
            alternate=state.modes.get("alternate_screen", False),
            title=state.title,
        )

    async def scrollback(self) -> str:
        """Return what has scrolled off the screen, and the screen."""
        with _translated("The terminal cannot be looked at"):
            return str(await self._tui.text(full=True))

    async def cells(self, columns: int, rows: int) -> list[Any]:
        """Return every cell of the screen, row by row: `char`, `fg`, `bg`, `bold` and so on, `x`, `y`."""
        with _translated("The terminal cannot be looked at"):
            return list(await self._tui.cells(0, 0, columns, rows))

    async def write(self, text: str) -> None:
        """Send text as it stands."""
        with _translated("Nothing can be typed"):
            await self._tui.write(text)

    async def press(self, names: Sequence[str]) -> None:
        """Press keys, named as `keys.key_name` does."""
        with _translated("No key can be pressed"):
            await self._tui.press(*names)

    async def click(self, column: int, row: int, button: str) -> None:
        """Click on a cell."""
        with _translated("Nothing can be clicked"):
            await self._tui.mouse.click(column, row, button=button)

    async def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size."""
        with _translated("The terminal cannot be resized"):
            await self._tui.resize(columns, rows)

    async def screenshot(self, path: Path) -> None:
        """Write the screen as a picture, in the format of the path's suffix."""
        with _translated("No picture can be taken"):
            await self._tui.screenshot(str(path))

    async def settle(self) -> None:
        """Know the process also of a start that was interrupted."""
        if self._spawn is not None and self.pid is None:
            done, _ = await asyncio.wait([self._spawn], timeout=_SPAWN_LIMIT)
            if done and self._spawn.exception() is None:
                self.pid = self._spawn.result()["shell_pid"]

    async def close(self) -> None:
        """Release the pseudo-terminal and end the recording."""
        with _translated("The terminal cannot be closed"):
            await self._tui.close()

    async def _record(self) -> None:
        self._recording.parent.mkdir(parents=True, exist_ok=True)
        with _translated("The terminal cannot be recorded"):
            await self._tui.start_recording(str(self._recording))
        self._bounding = asyncio.ensure_future(self._bound())

    async def _bound(self) -> None:
        while self._recording.stat().st_size < RECORDING_LIMIT:  # noqa: ASYNC110 - nothing tells when a file grows
            await asyncio.sleep(0.1)
        await self._tui.stop_recording()

    def _make_gate(self) -> Path | None:
        """Make the named pipe at which the program waits: a recording can begin only after its terminal."""
        if os.name != "posix":
            return None
        gate = self._folder / "gate"
        os.mkfifo(gate)
        return gate

    async def _open(self, gate: Path, program: str) -> None:
        end = time.monotonic() + _SPAWN_LIMIT
        while True:
            try:
                os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
                return
            except OSError as error:
                if error.errno != errno.ENXIO or time.monotonic() > end:
                    what = f"'{program}' could not be started in its terminal"
                    raise TerminalError(describe(what, got=error.strerror)) from None
            await asyncio.sleep(0.001)


@contextlib.contextmanager
def _translated(what: str) -> Iterator[None]:
    from tui_test.errors import TuiTestError

    try:
        yield
    except TuiTestError as error:
        raise TerminalError(describe(what, got=str(error).removeprefix("failed to open session: "))) from None
