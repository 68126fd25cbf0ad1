"""Keywords for programs in a terminal: start them, type, press keys, end them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from robot.api.deco import keyword

from InferenceLibrary.keywords.shared.arguments import plain, plain_mapping
from InferenceLibrary.keywords.shared.terminal_base import TerminalGroup, check_exit
from InferenceLibrary.types import JsonObject

_TEN_SECONDS = timedelta(seconds=10)


class TerminalKeywords(TerminalGroup):
    """Programs in a real pseudo-terminal, driven as a person drives them."""

    @keyword(tags=["terminal"])
    def start_terminal(
        self,
        *command: Any,
        columns: int = 80,
        rows: int = 24,
        environment: JsonObject | None = None,
        cwd: Path | None = None,
        alias: str | None = None,
    ) -> Any:
        """Start a program in a terminal of its own, which becomes the current one.

        It is closed with the test or suite that started it; the program and all that it started end with it. What
        happens in it is recorded (asciicast, for `asciinema play`) in a file beside the log.

        Args:
            command: The program and its arguments.
            columns: Width of the screen in cells.
            rows: Height of the screen in cells.
            environment: Variables set beside those of this process, as a JSON object.
            cwd: The program's working directory.
            alias: A name for the `terminal` argument of other keywords.

        Returns:
            The terminal, for the `terminal` argument of other keywords.

        Raises:
            MissingExtraError: The extra `terminal` is not installed.
            ProgramError: The program cannot be run.

        ```robotframework
        *** Test Cases ***
        Python Calculates
            Start Terminal    python    -q
            Wait Until Terminal Contains    >>>
            Type In Terminal    6 * 7
            Press Terminal Keys    Enter
            Wait Until Terminal Contains    42
        ```
        """
        from InferenceLibrary.terminal.session import Terminal

        words = tuple(plain(self.context, part) for part in command)
        recording = self.context.artifact("terminals", Path(words[0]).name if words else "terminal", "cast")
        terminal = Terminal(
            words,
            columns=columns,
            rows=rows,
            env=plain_mapping(self.context, environment),
            cwd=cwd,
            recording=recording,
            redactor=self.context.redactor,
        )
        return self._register(terminal, alias)

    @keyword(tags=["terminal"])
    def type_in_terminal(self, text: Any, *, terminal: Any = None) -> None:
        """Type text, as it stands: names of keys are text too.

        Args:
            text: The text. A Secret is typed and masked wherever the library writes. A line feed is the Enter key.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: The program has ended.

        ```robotframework
        *** Test Cases ***
        Cat Echoes
            Start Terminal    cat
            Type In Terminal    hello
            Wait Until Terminal Contains    hello
        ```
        """
        shell = self._terminal(terminal)
        words = plain(self.context, text)
        with self._evidence(shell):
            shell.type_text(words)
        self.log.info(f"Typed {words!r}.")

    @keyword(tags=["terminal"])
    def press_terminal_keys(self, *keys: str, terminal: Any = None) -> None:
        """Press keys, one after the other.

        Args:
            keys: Single characters, or Enter, Tab, Space, Escape, Backspace, Delete, Insert, Up, Down, Left, Right,
                Home, End, PageUp, PageDown, F1 to F12; with Ctrl, Alt, Shift before them: `Ctrl+C`, `Shift+Tab`.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: The key does not exist, or the program has ended.

        ```robotframework
        *** Test Cases ***
        Control C Ends Cat
            Start Terminal    cat
            Press Terminal Keys    h    i    Enter    Ctrl+C
            Terminal Should Have Exited    signal=SIGINT
        ```
        """
        shell = self._terminal(terminal)
        with self._evidence(shell):
            shell.press_keys(*keys)
        self.log.info(f"Pressed {', '.join(keys)}.")

    @keyword(tags=["terminal"])
    def click_in_terminal(
        self, column: int, row: int, *, button: Literal["left", "middle", "right"] = "left", terminal: Any = None
    ) -> None:
        """Click on a cell of the screen with the mouse.

        Args:
            column: The cell's column; the leftmost is 0.
            row: The cell's row; the topmost is 0.
            button: Which button.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: The cell is off the screen, or the program has ended.

        ```robotframework
        *** Test Cases ***
        A Click Off The Screen Is Refused
            Start Terminal    cat    columns=40    rows=10
            Run Keyword And Expect Error    The click is off the screen*    Click In Terminal    40    0
        ```
        """
        shell = self._terminal(terminal)
        with self._evidence(shell):
            shell.click(column, row, button=button)
        self.log.info(f"Clicked at column {column}, row {row}.")

    @keyword(tags=["terminal"])
    def click_on_terminal_text(
        self, text: str, *, button: Literal["left", "middle", "right"] = "left", terminal: Any = None
    ) -> None:
        """Click on a text on the screen with the mouse: on its first character, at the first place where it stands.

        Args:
            text: The text, within one row.
            button: Which button.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: It is not on the screen, or the program has ended.

        ```robotframework
        *** Test Cases ***
        A Text That Is Not There Cannot Be Clicked
            Start Terminal    cat
            Run Keyword And Expect Error    The text cannot be clicked*    Click On Terminal Text    Save
        ```
        """
        shell = self._terminal(terminal)
        with self._evidence(shell):
            cells = shell.cells_of(text)
            if not cells:
                raise shell.error("The text cannot be clicked", expected=f"'{text}' on the screen", got="this screen")
            shell.click(cells[0].x, cells[0].y, button=button)
        self.log.info(f"Clicked on '{text}' at column {cells[0].x}, row {cells[0].y}.")

    @keyword(tags=["terminal"])
    def resize_terminal(self, columns: int, rows: int, *, terminal: Any = None) -> None:
        """Give the terminal another size, as a person drags a window. The program is told.

        Args:
            columns: New width in cells.
            rows: New height in cells.
            terminal: Alias, handle or object of a terminal; by default the current one.

        ```robotframework
        *** Test Cases ***
        A Narrow Window
            Start Terminal    python    -q
            Resize Terminal    40    10
            Wait Until Terminal Is Stable
        ```
        """
        self._terminal(terminal).resize(columns, rows)
        self.log.info(f"The terminal has {columns} columns and {rows} rows.")

    @keyword(tags=["terminal"])
    def take_terminal_screenshot(self, name: str = "screen", *, terminal: Any = None) -> str:
        """Draw the screen into an SVG file beside the log, show it in the log, and return the file's path.

        Args:
            name: Part of the file's name.
            terminal: Alias, handle or object of a terminal; by default the current one.

        ```robotframework
        *** Test Cases ***
        A Picture For The Log
            Start Terminal    python    -q
            Wait Until Terminal Contains    >>>
            Take Terminal Screenshot    prompt
        ```
        """
        return str(self._picture(self._terminal(terminal), name))

    @keyword(tags=["terminal", "assertion"])
    def terminal_should_have_exited(
        self,
        exit_code: int | None = None,
        *,
        signal: str | None = None,
        within: timedelta = _TEN_SECONDS,
        terminal: Any = None,
    ) -> None:
        """Wait until the program has ended, and check how.

        Args:
            exit_code: The exit code that is right; 0 unless a signal is named.
            signal: In place of an exit code: the name of the signal that must have ended it, such as `SIGINT`.
            within: How long to wait for its end.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: It still runs.
            CheckFailure: It ended otherwise.

        ```robotframework
        *** Test Cases ***
        Python Leaves With The Code It Is Given
            Start Terminal    python    -q
            Wait Until Terminal Contains    >>>
            Type In Terminal    exit(3)
            Press Terminal Keys    Enter
            Terminal Should Have Exited    3
        ```
        """
        shell = self._terminal(terminal)
        with self._evidence(shell):
            screen = shell.wait_exit(timeout=within.total_seconds())
            check_exit(shell, screen, 0 if exit_code is None and signal is None else exit_code, signal)
        self.log.info(f"{screen.state[:1].upper()}{screen.state[1:]}.")

    @keyword(tags=["terminal"])
    def stop_terminal(self, *, terminal: Any = None) -> None:
        """Close a terminal: hang up, then end whatever is left of the program and its children.

        Args:
            terminal: Alias, handle or object of a terminal; by default the current one.

        ```robotframework
        *** Test Cases ***
        Closing Ends The Program
            Start Terminal    cat    alias=cat
            Stop Terminal    terminal=cat
        ```
        """
        shell = self.context.terminals.close(terminal)
        self.log.info(
            f"Terminal '{shell.name}' is closed; {shell.screen().state.replace('the program runs', 'it ran')}."
        )
