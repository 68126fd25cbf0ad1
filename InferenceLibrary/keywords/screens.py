"""Keywords for what a terminal shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.errors import CheckFailure, TerminalError, describe, refuse_empty
from InferenceLibrary.keywords.shared.assertions import check_text
from InferenceLibrary.keywords.shared.terminal_base import TerminalGroup

if TYPE_CHECKING:
    from InferenceLibrary.text_search import TextSearch

_TEN_SECONDS = timedelta(seconds=10)


class ScreenKeywords(TerminalGroup):
    """The screen of a terminal: waited for, read, checked."""

    @keyword(tags=["terminal", "wait"])
    def wait_until_terminal_contains(
        self,
        text: str | None = None,
        *,
        matching: str | None = None,
        ignore_case: bool = False,
        scrollback: bool = False,
        within: timedelta = _TEN_SECONDS,
        terminal: Any = None,
    ) -> None:
        """Wait until a text is on the screen.

        A text that the edge of the screen breaks is found as well. When the program ends without having shown it, the
        keyword fails at once.

        Args:
            text: The text, as it stands.
            matching: Regular expression in its place; `^` and `$` stand for the ends of a line.
            ignore_case: Whether upper and lower case are the same.
            scrollback: Whether what has scrolled off the screen counts too.
            within: How long to wait.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: It did not come; with the screen, the last keys and how the program ended.
            CheckFailure: The text is empty.

        ```robotframework
        *** Test Cases ***
        Python Shows Its Prompt
            Start Terminal    python    -q
            Wait Until Terminal Contains    matching=^>>>    within=10 s
        ```
        """
        from InferenceLibrary.text_search import TextSearch

        shell = self._terminal(terminal)
        wanted = TextSearch("the screen", text, matching, ignore_case)
        with self._evidence(shell):
            shell.wait_for_text(
                wanted.text if wanted.is_literal else wanted.pattern,
                timeout=within.total_seconds(),
                regexp=not wanted.is_literal,
                scrollback=scrollback,
            )
        self.log.info(f"{wanted} is on the screen.")

    @keyword(tags=["terminal", "wait"])
    def wait_until_terminal_is_stable(
        self, *, quiet: timedelta = timedelta(milliseconds=100), within: timedelta = _TEN_SECONDS, terminal: Any = None
    ) -> str:
        """Wait until the screen has not changed for a while, and return its text.

        Args:
            quiet: How long nothing may change.
            within: How long to wait for that.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: It went on changing.

        ```robotframework
        *** Test Cases ***
        Python Comes To Rest
            Start Terminal    python    -q
            Wait Until Terminal Is Stable    quiet=200 ms
        ```
        """
        shell = self._terminal(terminal)
        with self._evidence(shell):
            screen = shell.wait_stable(timeout=within.total_seconds(), quiet=quiet.total_seconds())
        text = shell.shown(screen)
        self._show(replace(screen, text=text).framed())
        return text

    @keyword(tags=["terminal", "assertion"])
    def terminal_should_contain(
        self,
        text: str | None = None,
        *,
        matching: str | None = None,
        ignore_case: bool = False,
        scrollback: bool = False,
        terminal: Any = None,
    ) -> None:
        """Check that a text is on the screen now. [Wait Until Terminal Contains] waits for it.

        Args:
            text: The text, as it stands.
            matching: Regular expression in its place; `^` and `$` stand for the ends of a line.
            ignore_case: Whether upper and lower case are the same.
            scrollback: Whether what has scrolled off the screen counts too.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            CheckFailure: It is not there, with the screen; or it is empty.

        ```robotframework
        *** Test Cases ***
        The Prompt Is There
            Start Terminal    python    -q
            Wait Until Terminal Contains    >>>
            Terminal Should Contain    >>>
        ```
        """
        from InferenceLibrary.text_search import TextSearch

        self._check_screen(TextSearch("the screen", text, matching, ignore_case), scrollback, terminal, there=True)

    @keyword(tags=["terminal", "assertion"])
    def terminal_should_not_contain(
        self,
        text: str | None = None,
        *,
        matching: str | None = None,
        ignore_case: bool = False,
        scrollback: bool = False,
        terminal: Any = None,
    ) -> None:
        """Check that a text is not on the screen now.

        Args:
            text: The text, as it stands.
            matching: Regular expression in its place; `^` and `$` stand for the ends of a line.
            ignore_case: Whether upper and lower case are the same.
            scrollback: Whether what has scrolled off the screen counts too.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            CheckFailure: It is there, with the screen; or it is empty.

        ```robotframework
        *** Test Cases ***
        No Error Is There
            Start Terminal    python    -q
            Wait Until Terminal Contains    >>>
            Terminal Should Not Contain    Traceback
        ```
        """
        from InferenceLibrary.text_search import TextSearch

        self._check_screen(TextSearch("the screen", text, matching, ignore_case), scrollback, terminal, there=False)

    @keyword(tags=["terminal", "getter"])
    def get_terminal_screen(
        self,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        scrollback: bool = False,
        terminal: Any = None,
    ) -> Any:
        """Return the text on the screen, row by row, without blanks at the ends of rows.

        Args:
            assertion_operator: An inline assertion, such as `contains`.
            assertion_expected: Its other side.
            message: Replaces the text of the failure.
            scrollback: Whether what has scrolled off the screen comes first.
            terminal: Alias, handle or object of a terminal; by default the current one.

        ```robotframework
        *** Test Cases ***
        The Screen Is Read
            Start Terminal    python    -q
            Wait Until Terminal Contains    >>>
            Get Terminal Screen    contains    >>>
        ```
        """
        shell = self._terminal(terminal)
        text = shell.shown(scrollback=scrollback)
        self._show(text.splitlines())
        return check_text(text, assertion_operator, assertion_expected, "Screen", message)

    @keyword(tags=["terminal", "getter"])
    def get_terminal_line(
        self,
        row: int,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
        *,
        terminal: Any = None,
    ) -> Any:
        """Return one row of the screen, without blanks at its end.

        Args:
            row: The topmost row is 0; -1 is the last one that is not blank.
            assertion_operator: An inline assertion, such as `==`.
            assertion_expected: Its other side.
            message: Replaces the text of the failure.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            TerminalError: The screen has no such row.

        ```robotframework
        *** Test Cases ***
        The First Row Is Read
            Start Terminal    python    -q
            Wait Until Terminal Contains    >>>
            Get Terminal Line    0    ==    >>>
        ```
        """
        shell = self._terminal(terminal)
        screen = shell.screen()
        lines = shell.shown(screen).split("\n")
        if not -len(lines) <= row < screen.rows:
            raise shell.error(
                "There is no such row", expected=f"{-len(lines)} to {screen.rows - 1}", got=str(row), screen=screen
            )
        line = lines[row] if row < len(lines) else ""
        return check_text(line, assertion_operator, assertion_expected, f"Row {row}", message)

    @keyword(tags=["terminal", "getter"])
    def get_terminal_cursor(self, *, terminal: Any = None) -> Any:
        """Return where the cursor is.

        Args:
            terminal: Alias, handle or object of a terminal; by default the current one.

        Returns:
            An object with `column`, `row` (the top left cell is 0, 0) and `visible`.

        ```robotframework
        *** Test Cases ***
        The Cursor Follows
            Start Terminal    cat
            Type In Terminal    abc
            Wait Until Terminal Contains    abc
            ${cursor} =    Get Terminal Cursor
            Should Be Equal As Integers    ${cursor.column}    3
        ```
        """
        return self._terminal(terminal).screen().cursor

    @keyword(tags=["terminal", "assertion"])
    def terminal_text_should_have_style(
        self,
        text: str,
        *,
        bold: bool | None = None,
        dim: bool | None = None,
        italic: bool | None = None,
        underline: bool | None = None,
        inverse: bool | None = None,
        foreground: str | None = None,
        background: str | None = None,
        terminal: Any = None,
    ) -> None:
        """Check how a text on the screen is drawn, at every place where it stands.

        Args:
            text: The text, within one row.
            bold: Whether it is bold.
            dim: Whether it is dim.
            italic: Whether it is italic.
            underline: Whether it is underlined.
            inverse: Whether its colours are swapped.
            foreground: Its colour: `default`, a palette number (`1` is red), or `#rrggbb`.
            background: The colour behind it.
            terminal: Alias, handle or object of a terminal; by default the current one.

        Raises:
            CheckFailure: It is drawn otherwise, is not on the screen, or is empty.

        ```robotframework
        *** Test Cases ***
        Red Is Red
            Start Terminal    python    -c    print("\\\\x1b[1;31mred\\\\x1b[0m"); input()
            Wait Until Terminal Contains    red
            Terminal Text Should Have Style    red    bold=yes    foreground=1
        ```
        """
        shell = self._terminal(terminal)
        wanted = {
            name: value
            for name, value in {
                "bold": bold, "dim": dim, "italic": italic, "underline": underline, "inverse": inverse,
                "fg": foreground and foreground.lower(), "bg": background and background.lower(),
            }.items()
            if value is not None
        }  # fmt: skip
        if not wanted:
            raise TerminalError(
                describe("No style is named", expected="bold=yes, foreground=1 or the like", got="none")
            )
        refuse_empty("the screen", text.strip())
        found = shell.cells_of(text)
        if not found:
            raise CheckFailure(
                shell.failure_text("The text is not on the screen", expected=f"'{text}'", got="this screen")
            )
        for cell in found:
            for name, value in wanted.items():
                got = getattr(cell, name)
                if (str(got).lower() if name in {"fg", "bg"} else got) != value:
                    label = {"fg": "foreground", "bg": "background"}.get(name, name)
                    raise CheckFailure(
                        shell.failure_text(
                            f"The text '{text}' is drawn otherwise",
                            expected=f"{label} {value}",
                            got=f"{label} {got} at column {cell.x}, row {cell.y}",
                        )
                    )
        self.log.info(f"'{text}' is drawn so at {len(found)} cells: {wanted}.")

    def _check_screen(self, wanted: TextSearch, scrollback: bool, ref: Any, *, there: bool) -> None:
        shell = self._terminal(ref)
        screen = shell.screen()
        text, regexp = (wanted.text, False) if wanted.is_literal else (wanted.pattern, True)
        found = screen.contains(text, regexp=regexp) or (scrollback and shell.scrollback_contains(text, regexp=regexp))
        if found != there:
            with self._evidence(shell):
                raise CheckFailure(
                    shell.failure_text(
                        "The text is not on the screen" if there else "The text is on the screen",
                        expected=f"{'' if there else 'no '}{wanted}",
                        got="this screen",
                        screen=screen,
                    )
                )
        self.log.info(f"{wanted} is {'on' if there else 'not on'} the screen.")

    def _show(self, lines: list[str]) -> None:
        self.log.text("Screen", "\n".join(lines))
