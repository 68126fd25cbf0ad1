"""Programs that nobody wrote for this library, and one that redraws all the time as `htop` does."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from machine import patience

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import TerminalError
from InferenceLibrary.terminal.session import Terminal

Start = Callable[..., Terminal]
LONG = 120.0
REDRAW = Path(__file__).parent / "programs" / "redraw.py"


def inverse(terminal: Terminal, text: str) -> set[bool]:
    """Whether the cells of a text are drawn inverse: both while it is being drawn."""
    return {bool(cell.inverse) for cell in terminal.cells_of(text)}


def test_pythons_own_prompt(start: Start) -> None:
    """Blocks of several lines, history by the arrow, a traceback, an interrupted loop, the end of input."""
    terminal = start(sys.executable, "-q", env={"PYTHON_BASIC_REPL": "1", "PYTHONSTARTUP": ""}, columns=60, rows=16)
    terminal.wait_for_text("^>>>", regexp=True, timeout=LONG)
    terminal.type_text("for n in range(3):\n    print('row', n)\n\n")
    terminal.wait_for_text("row 0\nrow 1\nrow 2\n>>>", timeout=LONG)
    terminal.type_text("1 / 0\n")
    terminal.wait_for_text("ZeroDivisionError: division by zero", timeout=LONG)
    terminal.type_text("print('first' + ' line')\n")
    terminal.wait_for_text("^first line$", regexp=True, timeout=LONG)
    # An interrupt that comes as a program begins to read may be lost: it comes to a loop that runs.
    terminal.type_text("exec(\"print('goes' + ' on')\\nwhile True: pass\")\n")
    terminal.wait_for_text("^goes on$", regexp=True, timeout=LONG)
    terminal.press_keys("Ctrl+C")
    terminal.wait_for_text("KeyboardInterrupt", timeout=LONG)
    terminal.wait_for_text("^>>>$", regexp=True, timeout=LONG)
    terminal.type_text("'日本語' * 2\n")
    terminal.wait_for_text("'日本語日本語'", timeout=LONG)
    terminal.press_keys("Ctrl+D")
    assert terminal.wait_exit(timeout=LONG).exit_code == 0


def test_a_program_that_redraws_all_the_time(start: Start) -> None:
    pytest.importorskip("curses")
    terminal = start(sys.executable, str(REDRAW), columns=60, rows=16)
    assert terminal.wait_for_text("60 x 16, chosen 0", timeout=LONG).alternate
    # On a busy machine or disk the program itself may stand still for a while.
    still = patience(3)
    with pytest.raises(TerminalError, match="The screen did not become stable"):
        terminal.wait_stable(timeout=still + 1, quiet=still)
    terminal.press_keys("Down", "Down")
    terminal.wait_for_text("chosen 2", timeout=LONG)
    # A screen may be seen while it is being drawn: its lower rows come later.
    assert wait_until(lambda: inverse(terminal, "process-1") == {False}, LONG)
    assert wait_until(lambda: inverse(terminal, "process-2") == {True}, LONG)
    assert {cell.fg for cell in terminal.cells_of("CPU")} == {2}
    terminal.resize(40, 9)
    screen = terminal.wait_for_text("(?s)40 x 9, chosen 2\n.*process-5 日本$", regexp=True, timeout=LONG)
    assert "process-6" not in screen.text
    terminal.press_keys("q")
    screen = terminal.wait_exit(timeout=LONG)
    assert (screen.exit_code, screen.alternate) == (0, False)
    assert "process" not in screen.text


@pytest.mark.skipif(shutil.which("top") is None, reason="top is not installed")
@pytest.mark.skipif(sys.platform != "linux", reason="top of procps")
def test_top(start: Start) -> None:
    terminal = start("top", "-d", "0.2", columns=90, rows=20)
    terminal.wait_for_text("PID USER", timeout=LONG)
    assert terminal.cells_of("PID")[0].inverse
    terminal.press_keys("q")
    assert terminal.wait_exit(timeout=LONG).exit_code == 0
