"""Programs in a terminal: driven, looked at, and ended whatever they do."""

from __future__ import annotations

import asyncio
import re
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alarm import Interruption, interruption
from machine import patience

from InferenceLibrary.errors import MissingExtraError, ProgramError, TerminalError
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.terminal import emulator, session

Start = Callable[..., session.Terminal]
Lives = Callable[[int], bool]
LONG = 120.0
"""Seconds that what must come may take on a busy machine."""


def test_python_is_typed_at_and_leaves_with_its_code(start: Start) -> None:
    terminal = start(sys.executable, "-q")
    terminal.wait_for_text(">>>", timeout=LONG)
    terminal.type_text("6 * 7\n")
    terminal.wait_for_text("^42$", regexp=True, timeout=LONG)
    terminal.type_text("exit(3)")
    terminal.press_keys("Enter")
    assert terminal.wait_exit(timeout=LONG).exit_code == 3


def test_a_signal_ends_a_program(start: Start) -> None:
    terminal = start("cat")
    terminal.press_keys("Ctrl+C")
    screen = terminal.wait_exit(timeout=LONG)
    assert (screen.exit_code, screen.exit_signal) == (None, "SIGINT")


def test_keys_reach_the_program(start: Start) -> None:
    reads = "import sys, tty; tty.setraw(0); print('ready', end='\\r\\n', flush=True)\n"
    terminal = start(sys.executable, "-c", f"{reads}while 1: print(ascii(sys.stdin.read(1)), end='\\r\\n', flush=True)")
    terminal.wait_for_text("ready", timeout=LONG)
    for key, shown in (("Tab", r"'\t'"), ("Escape", r"'\x1b'"), ("Ctrl+A", r"'\x01'"), ("Backspace", r"'\x7f'")):
        terminal.press_keys(key)
        terminal.wait_for_text(shown, timeout=LONG)


def test_a_text_may_be_found_in_what_has_scrolled_off(start: Start) -> None:
    terminal = start("sh", "-c", "seq 1000 2000; cat", rows=10)
    terminal.wait_for_text("2000", timeout=LONG)
    assert not terminal.screen().contains("1000")
    terminal.wait_for_text("1000", timeout=LONG, scrollback=True)
    assert terminal.scrollback_contains("^1500$", regexp=True)


def test_a_text_that_does_not_come_is_told_with_the_screen_and_the_last_keys(start: Start) -> None:
    terminal = start("sh", "-c", "echo hello; cat")
    terminal.wait_for_text("hello", timeout=LONG)
    terminal.type_text("abc")
    terminal.press_keys("Enter")
    with pytest.raises(TerminalError) as error:
        terminal.wait_for_text("goodbye", timeout=0.3)
    first, *rest = str(error.value).splitlines()
    assert "(terminal 'sh'): expected 'goodbye' within 0.3 s, got this screen after " in first
    assert first.endswith("; the program runs.")
    assert "    │hello" in rest
    assert rest[-1] == "    Last keys: typed 'abc'; Enter"
    assert "hello" in error.value.screen


def test_a_program_that_ends_is_not_waited_for(start: Start) -> None:
    terminal = start("sh", "-c", "echo bye; exit 7")
    with pytest.raises(TerminalError, match=r"; the program ended with exit code 7\.") as error:
        terminal.wait_for_text("never", timeout=1000)
    assert "│bye" in str(error.value)
    with pytest.raises(TerminalError, match=r"'x' cannot be typed .* expected a running program, got its end"):
        terminal.type_text("x")


def test_a_screen_that_goes_on_changing_is_not_stable(start: Start) -> None:
    clock = "import time\nfor n in range(100_000): print(n, end='\\r', flush=True); time.sleep(0.02)"
    terminal = start(sys.executable, "-c", clock)
    terminal.wait_for_text("1", timeout=LONG)
    # On a busy machine or disk the program itself may stand still for a while.
    still = round(patience(3))
    with pytest.raises(
        TerminalError, match=rf"expected no change for {still} s, within {still + 1} s, got \d+ changes"
    ):
        terminal.wait_stable(timeout=still + 1, quiet=still)


def test_a_program_that_does_not_end_is_told(start: Start) -> None:
    with pytest.raises(TerminalError, match=r"The program did not end .* expected its end within 0.2 s"):
        start("cat").wait_exit(timeout=0.2)


def test_resizing_is_told_to_the_program(start: Start) -> None:
    terminal = start("sh", "-c", "trap 'stty size' WINCH; stty size; while :; do sleep 0.05; done", columns=50, rows=9)
    terminal.wait_for_text("9 50", timeout=LONG)
    terminal.resize(70, 12)
    screen = terminal.wait_for_text("12 70", timeout=LONG)
    assert (screen.columns, screen.rows) == (70, 12)


def test_the_size_of_our_own_terminal_is_not_handed_on(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "132")
    monkeypatch.setenv("LINES", "50")
    terminal = start("sh", "-c", 'echo "<$COLUMNS> <$LINES>"; cat')
    terminal.wait_for_text("<> <>", timeout=LONG)
    terminal = start("sh", "-c", 'echo "<$COLUMNS> <$LINES>"; cat', env={"COLUMNS": "33", "LINES": "7"})
    terminal.wait_for_text("<33> <7>", timeout=LONG)


def test_wide_characters_emoji_and_combining_marks(start: Start) -> None:
    text = "日本語👩‍👩‍👧‍👦e\u0301 ünïcödé"
    terminal = start("cat")
    terminal.type_text(text)
    assert terminal.wait_for_text(text, timeout=LONG).contains(text)


def test_each_line_ending_is_enter_once(start: Start) -> None:
    terminal = start("cat", "-E")
    terminal.type_text("one\r\ntwo\n")
    screen = terminal.wait_for_text("two$", timeout=LONG)
    assert [line for line in screen.text.splitlines() if line.endswith("$")] == ["one$", "two$"]


def test_a_terminal_of_one_cell(start: Start, tmp_path: Path) -> None:
    terminal = start("sh", "-c", "echo hi; cat", columns=1, rows=1)
    terminal.wait_for_text("h\ni", timeout=LONG, scrollback=True)
    assert terminal.screenshot(tmp_path / "one.svg").read_text().startswith("<svg")
    with pytest.raises(TerminalError, match="expected 'x'"):
        terminal.wait_for_text("x", timeout=0.1)


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (5000, 5)])
def test_a_size_that_no_terminal_has(size: tuple[int, int]) -> None:
    with pytest.raises(TerminalError, match="no usable size: expected 1 to 1000 columns and rows"):
        session.Terminal(["cat"], columns=size[0], rows=size[1])


def test_questions_to_the_terminal_are_answered(start: Start) -> None:
    ask = "import sys, tty; tty.setcbreak(0); sys.stdout.write('\\x1b[6n'); sys.stdout.flush()\n"
    terminal = start(sys.executable, "-c", f"{ask}print(ascii(sys.stdin.read(6))); sys.stdin.read(1)")
    terminal.wait_for_text(r"'\x1b[1;1R'", timeout=LONG)


def test_binary_garbage_is_shown_and_survived(start: Start) -> None:
    garbage = "import os; os.write(1, bytes(range(256)) * 200); os.write(1, b'\\x1bc\\r\\nDONE'); input()"
    terminal = start(sys.executable, "-c", garbage)
    terminal.wait_for_text("DONE", timeout=LONG)


def test_a_flood_is_consumed_in_bounded_memory_and_recorded_in_part(start: Start, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flood = "yes 'some line of text that is forty characters' | head -c 100000000; echo; echo FLOOD OVER; cat"
    terminal = start("sh", "-c", flood, recording=tmp_path / "flood.cast")
    terminal.wait_for_text("FLOOD OVER", timeout=300)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert grown < 100_000_000
    assert (tmp_path / "flood.cast").stat().st_size < 100_000_000


def test_closing_ends_a_program_that_ignores_hang_up_and_its_children(
    start: Start, lives: Lives, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    ignore = "trap '' HUP TERM INT"
    children = (
        f"sleep 100 & echo $! > {pids}; setsid sh -c 'echo $$ >> {pids}; exec sleep 100' & "
        f"while [ $(wc -l < {pids}) -lt 2 ]; do sleep 0.01; done; echo up; cat"
    )
    terminal = start("sh", "-c", f"{ignore}; {children}")
    terminal.wait_for_text("up", timeout=LONG)
    started = [int(line) for line in pids.read_text().split()]
    assert len(started) == 2
    assert all(map(lives, started))
    terminal.close()
    assert terminal.pid is not None
    assert not any(map(lives, [terminal.pid, *started]))
    terminal.close()
    with pytest.raises(TerminalError, match="The terminal is closed"):
        terminal.press_keys("q")
    assert "up" in terminal.screen().text


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Raise an exception in the main thread soon, from a signal handler, as a time limit does."""

    with interruption() as soon:
        yield lambda: soon(0.2)


@pytest.mark.parametrize(
    ("wait", "wanted"), [("wait_for_text", {"wanted": "never"}), ("wait_stable", {"quiet": 500}), ("wait_exit", {})]
)
def test_an_interruption_ends_a_wait_and_not_the_program(
    start: Start, lives: Lives, interrupt: Callable[[], None], wait: str, wanted: dict[str, Any]
) -> None:
    terminal = start("sh", "-c", "while :; do date +%N; sleep 0.01; done")
    interrupt()
    with pytest.raises(Interruption):
        getattr(terminal, wait)(**wanted, timeout=1000)
    assert terminal.pid is not None
    assert lives(terminal.pid)
    assert not terminal.screen().ended


def test_an_interrupted_start_leaves_no_program(
    tmp_path: Path, lives: Lives, interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"

    async def take_long(self: emulator.Emulator) -> None:
        pids.write_text(str(self.pid))
        interrupt()
        await asyncio.sleep(1000)

    monkeypatch.setattr(emulator.Emulator, "_record", take_long)
    with pytest.raises(Interruption):
        session.Terminal(["sleep", "100"])
    assert not lives(int(pids.read_text()))


def test_a_start_that_is_interrupted_before_the_process_is_known_leaves_none(
    lives: Lives, interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_test import TuiTest

    started: list[int] = []
    run = TuiTest.run

    async def run_slowly(self: TuiTest, *arguments: str, **options: object) -> object:
        result = await run(self, *arguments, **options)  # type: ignore[arg-type]
        started.append(result["shell_pid"] or 0)
        await asyncio.sleep(0.5)
        return result

    monkeypatch.setattr(TuiTest, "run", run_slowly)
    interrupt()
    with pytest.raises(Interruption):
        session.Terminal(["sleep", "100"])
    assert len(started) == 1
    assert not lives(started[0])


def test_the_recording_is_kept_and_secrets_are_masked_in_all_that_is_written(start: Start, tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.add("hunter22")
    terminal = start("sh", "-c", "echo the key is hunter22; cat", recording=tmp_path / "x.cast", redactor=redactor)
    terminal.wait_for_text("key is", timeout=LONG)
    picture = terminal.screenshot(tmp_path / "x.svg")
    with pytest.raises(TerminalError) as error:
        terminal.wait_for_text("never", timeout=0.1)
    terminal.close()
    for text in (picture.read_text(), (tmp_path / "x.cast").read_text(), str(error.value), error.value.screen):
        assert "the key is" in text.replace("\xa0", " ")
        assert "hunter22" not in text


def test_a_secret_that_the_edge_of_the_screen_breaks_is_masked_too(start: Start, tmp_path: Path) -> None:
    redactor = Redactor()
    redactor.add("hunter22")
    terminal = start("sh", "-c", "echo the key: hunter22; cat", columns=12, redactor=redactor)
    terminal.wait_for_text("hunter22", timeout=LONG)
    picture = terminal.screenshot(tmp_path / "x.svg").read_text()
    with pytest.raises(TerminalError) as error:
        terminal.wait_for_text("never", timeout=0.1)
    assert "│the key: ***" in str(error.value)
    assert "hunt" not in str(error.value)
    assert ">the key: ***</text>" in picture
    assert "ter22" not in picture


def test_one_secret_whole_hides_no_other_that_is_broken(start: Start, tmp_path: Path) -> None:
    """By the edge of the screen, or by a colour."""
    redactor = Redactor()
    redactor.add("hunter22")
    script = r"printf 'hunter22\nthe key: hunter22\nhun\033[31mter22\033[0m.\nseen'; cat"
    cast = tmp_path / "x.cast"
    terminal = start("sh", "-c", script, columns=12, redactor=redactor, recording=cast)
    terminal.wait_for_text("seen", timeout=LONG)
    picture = terminal.screenshot(tmp_path / "x.svg").read_text()
    with pytest.raises(TerminalError) as error:
        terminal.wait_for_text("never", timeout=0.1)
    assert (
        terminal.shown() == terminal.shown(scrollback=True) == error.value.screen == "***\nthe key: ***\n\n***.\nseen"
    )
    terminal.close()
    for text in (str(error.value), picture, cast.read_text()):
        assert text.count("***") == 3
        assert not re.search("hun|ter22", text)


def test_a_long_secret_is_masked_before_it_is_cut(start: Start) -> None:
    redactor = Redactor()
    redactor.add("s3cret" * 20)
    terminal = start("cat", redactor=redactor)
    terminal.type_text("s3cret" * 20)
    assert list(terminal.actions) == ["typed '***'"]


def test_a_screenshot_is_small(start: Start, tmp_path: Path) -> None:
    terminal = start("sh", "-c", "seq 1 100; cat", columns=100, rows=30)
    terminal.wait_for_text("100", timeout=LONG)
    assert terminal.screenshot(tmp_path / "x.svg").stat().st_size < 20_000


def test_styles_and_colours_are_in_the_cells(start: Start) -> None:
    terminal = start("sh", "-c", r"printf 'a\033[1;31mred\033[0mb'; cat")
    terminal.wait_for_text("aredb", timeout=LONG)
    assert [(cell.char, cell.bold, cell.fg) for cell in terminal.cells_of("red")] == [
        ("r", True, 1),
        ("e", True, 1),
        ("d", True, 1),
    ]
    assert not terminal.cells_of("a")[0].bold
    assert terminal.cells_of("nowhere") == []


def test_clicks_reach_a_program_that_asks_for_them(start: Start) -> None:
    code = "import sys, tty; tty.setraw(0); print('\\x1b[?1000h\\x1b[?1006h', end='ready', flush=True)\n"
    terminal = start(sys.executable, "-c", f"{code}print(ascii(sys.stdin.read(9))); sys.stdin.read(100)")
    terminal.wait_for_text("ready", timeout=LONG)
    terminal.click(4, 2)
    terminal.wait_for_text("[<0;5;3M", timeout=LONG)
    with pytest.raises(TerminalError, match=r"The click is off the screen .* expected a cell of 80 x 24"):
        terminal.click(80, 0)


def test_a_program_that_is_missing_is_told() -> None:
    with pytest.raises(ProgramError, match="Program 'no-such-program' does not exist"):
        session.Terminal(["no-such-program"])


@pytest.mark.parametrize(("text", "what"), [("a\0b", "a null byte"), ("a\ud83d", "half of a surrogate pair")])
def test_what_no_system_hands_over_is_told(text: str, what: str) -> None:
    with pytest.raises(ProgramError, match=rf"^'cat' cannot be started: .*, got {what} in argument 2\.$"):
        session.Terminal(["cat", "-", text])
    with pytest.raises(ProgramError, match=rf"^'cat' cannot be started: .*, got {what} in the variable 'A'\.$"):
        session.Terminal(["cat"], env={"A": text})


def test_a_working_directory_that_is_none_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="The working directory cannot be used: expected a directory"):
        session.Terminal(["cat"], cwd=tmp_path / "none")


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tui_test", None)
    with pytest.raises(MissingExtraError, match=r"Hint: pip install .*tui-test"):
        session.Terminal(["cat"])
