"""The screen against the tokens that were sent: what is right passes in every size, every mistake is named."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from machine import patience

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import TerminalError
from InferenceLibrary.terminal.chat import ChatStyle, ChatTerminal
from InferenceLibrary.terminal.screen import display_width
from InferenceLibrary.terminal.truth import Sent, difference, read_truth, screen_difference

LIAR = Path(__file__).parent / "programs" / "liar.py"
CLIENT = Path(__file__).parents[2] / "resources" / "chat_client.py"
HARD = "日本語テキスト, ünïcödé e\u0301a\u0308 👍🏽 👩‍👩‍👧‍👦 🇩🇪 한국어 ❤️ and plain words that go on and on. "
"""Wide characters, combining marks, joined emoji, flags."""


def sent(text: str, outcome: str = "completed") -> Sent:
    words = text.split(" ")
    return Sent((words[0], *(f" {word}" for word in words[1:])), outcome)


def laid_out(text: str, columns: int) -> list[str]:
    """Lay a text out as a terminal does that gives each character its own cells."""
    rows = []
    for line in text.split("\n"):
        row, used = "", 0
        for character in line:
            width = display_width(character)
            if used + width > columns:
                rows.append(row.rstrip(" "))
                row, used = "", 0
            row, used = row + character, used + width
        rows.append(row.rstrip(" "))
    return rows


FOX = sent("The quick brown fox jumps over the lazy dog")


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("The quick brown jumps over the lazy dog", "token 4 of 9 (' fox') is lost"),
        ("The quick brown fox fox jumps over the lazy dog", "token 4 of 9 (' fox') is doubled"),
        ("The quick brown jumps fox over the lazy dog", "token 4 of 9 (' fox') and the next one (' jumps') are swap"),
        ("quick brown fox jumps over the lazy dog", "token 1 of 9 ('The') is lost"),
        ("The quick brown fox jumps over the lazy", "token 9 of 9 (' dog') is lost"),
        ("The quick brown fox", "the end is lost, at token 5 of 9 (' jumps'), after 'The quick brown fox'"),
        ("The quick brown fox jumps over the lazy dog. x", "'. x' stands behind what was sent"),
        ("The quick brown cat sits", "'cat sits' stands in place of 'fox jumps over the la...', at token 4 of 9"),
        ("", "the end is lost, at token 1 of 9"),
    ],
)
def test_mistakes_are_named(shown: str, words: str) -> None:
    assert words in (difference(shown, FOX) or "")


def test_the_same_text_is_no_difference_and_an_interrupted_one_may_end_early() -> None:
    assert difference(FOX.text, FOX) is None
    assert difference("The quick bro", FOX, interrupted=True) is None
    assert difference("The quick bra", FOX, interrupted=True) is not None
    assert difference("", Sent((), "completed")) is None
    assert difference("x", Sent((), "completed")) == "'x' stands behind what was sent"


ALPHABET = st.text(st.sampled_from("ab c\n日本e\u0301👍 한"), min_size=1, max_size=60)


@given(ALPHABET, st.integers(2, 30))
def test_a_text_that_the_edge_breaks_is_found_in_every_width(text: str, columns: int) -> None:
    answer = Sent(tuple(text), "completed")
    rows = ["> what?", *laid_out(answer.text, columns), "", "Stats:"]
    assert screen_difference(rows, columns, answer, question="what?") is None


@given(ALPHABET, st.integers(4, 30), st.data())
def test_a_changed_row_is_not_found(text: str, columns: int, data: st.DataObject) -> None:
    answer = Sent(tuple(text), "completed")
    rows = laid_out(answer.text, columns)
    filled = [row for row, shown in enumerate(rows) if shown.strip()]
    if not filled:
        return
    row = data.draw(st.sampled_from(filled))
    at = data.draw(st.integers(0, len(rows[row]) - 1).filter(lambda at: not rows[row][at].isspace()))
    rows[row] = rows[row][:at] + "X" + rows[row][at + 1 :]
    assert screen_difference(["> what?", *rows], columns, answer, question="what?") is not None


def test_a_row_that_ends_before_the_edge_is_told() -> None:
    rows = ["The quick brown", " fox jumps over the lazy dog"]
    assert "the row is broken before the edge" in (screen_difference(rows, 40, FOX) or "")
    assert screen_difference(rows, 15, FOX) is not None  # the second row is longer than the screen
    assert screen_difference(["The quick brown", " fox jumps over", " the lazy dog"], 15, FOX) is None


def test_the_question_is_not_taken_for_its_echo() -> None:
    echo = sent("say it again")
    assert screen_difference(["> say it again", "say it again", "> "], 40, echo, question="say it again") is None
    assert screen_difference(["> say it again", "", "> "], 40, echo, question="say it again") is not None


def test_programs_that_break_lines_themselves() -> None:
    rows = ["│ The quick brown │", "│ fox jumps over  │", "│ the lazy dog    │"]
    assert screen_difference(rows, 19, FOX, words=True) is None
    assert screen_difference([*rows[:1], *rows[2:]], 19, FOX, words=True) is not None
    assert screen_difference([rows[0], rows[2], rows[1]], 19, FOX, words=True) is not None
    split = ["│ The quick bro   │", "│ wn fox jumps    │", "│ over the lazy dog│"]
    assert screen_difference(split, 19, FOX, words=True) == "the word 'brown' is broken over two rows"


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(TerminalError, match=r"cannot be read: got No such file .* option truth_file"):
        read_truth(tmp_path / "none")
    (tmp_path / "x").write_text("hello\n")
    with pytest.raises(TerminalError, match="is not a truth file: expected JSON objects"):
        read_truth(tmp_path / "x")
    (tmp_path / "half").write_text(json.dumps({"texts": ["a"], "outcome": "completed"}) + '\n{"tex')
    assert [found.tokens for found in read_truth(tmp_path / "half")] == [("a",)]


@pytest.fixture
def open_chat() -> Iterator[Callable[..., ChatTerminal]]:
    pytest.importorskip("tui_test")
    opened: list[ChatTerminal] = []

    def begin(command: list[str], answer_end: str, **options: Any) -> ChatTerminal:
        style = ChatStyle(answer_end=answer_end, quit_command="/exit")
        opened.append(ChatTerminal(command, style, **options))
        return opened[-1]

    yield begin
    for terminal in opened:
        terminal.close()


def compare(terminal: ChatTerminal, text: str | None, truth: Path, question: str) -> str | None:
    """Compare with the last record; where the terminal redraws, in its own time."""
    found: list[str | None] = []

    def equal() -> bool:
        record = read_truth(truth)[-1]
        rows = terminal.scrollback().split("\n")
        trouble = None if text is None else difference(text, record)
        trouble = trouble or screen_difference(rows, terminal.screen().columns, record, question=question)
        found[:] = [trouble]
        return trouble is None

    wait_until(equal, patience(2.0))
    return found[0]


@pytest.mark.parametrize("columns", [200, 37, 24, 13, 7, 2])
def test_what_the_simulators_chat_shows_is_what_it_sent(
    open_chat: Callable[..., ChatTerminal], tmp_path: Path, columns: int
) -> None:
    truth = tmp_path / "truth.jsonl"
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "-i", "--mode", "echo", "--truth-file", str(truth)]
    terminal = open_chat(command, "^Stats:", columns=columns, rows=12)
    question = (HARD * 2).strip()
    answer = terminal.ask(question)
    assert compare(terminal, answer.text, truth, question) is None


def test_after_the_window_was_resized(open_chat: Callable[..., ChatTerminal], tmp_path: Path) -> None:
    truth = tmp_path / "truth.jsonl"
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "-i", "--mode", "echo", "--truth-file", str(truth)]
    terminal = open_chat(command, "^Stats:", columns=60, rows=12)
    question = (HARD * 3).strip()
    answer = terminal.ask(question)
    for columns, rows in ((41, 10), (23, 8), (90, 20), (11, 6), (33, 9)):
        terminal.resize(columns, rows)
        assert compare(terminal, answer.text, truth, question) is None


def test_the_client_of_the_api_shows_what_the_server_sent(
    open_chat: Callable[..., ChatTerminal], tmp_path: Path
) -> None:
    from InferenceLibrary.processes.process import ServerProcess

    truth = tmp_path / "truth.jsonl"
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--mode", "echo"]
    server = ServerProcess([*command, "--truth-file", str(truth), "--inter-token-latency", "20ms"], tmp_path / "log")
    try:
        assert wait_until(lambda: "listening on" in server.log_text(), 60)
        url = re.findall(r"listening on (\S+)", server.log_text())[0]
        terminal = open_chat([sys.executable, str(CLIENT), url], r"^\[\d+ pieces\]", columns=24, rows=12)
        question = HARD.strip()
        answer = terminal.ask(question)
        assert compare(terminal, answer.text, truth, question) is None
        stopped = terminal.ask((HARD * 6).strip(), interrupt_after=50)
        assert stopped.interrupted
        assert wait_until(lambda: len(read_truth(truth)) == 2, 60)
        assert difference(stopped.text, read_truth(truth)[-1], interrupted=True) is None
        assert len(stopped.text) < len(HARD * 5)
    finally:
        server.stop(1.0)


def test_while_the_window_is_resized(open_chat: Callable[..., ChatTerminal], tmp_path: Path) -> None:
    """The answer comes while the terminal gets narrower and wider; it is compared at the last width.

    Without wide characters: tui-test 0.1.1 loses the one before the cursor when it is resized just then.
    """
    truth = tmp_path / "truth.jsonl"
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "-i", "--mode", "echo", "--truth-file", str(truth)]
    terminal = open_chat([*command, "--inter-token-latency", "10ms"], "^Stats:", columns=60, rows=12)
    question = ("The quick brown fox, ünïcödé e\u0301a\u0308, and plain words that go on and on. " * 4).strip()
    terminal._type_question(question)
    terminal.press_keys("Enter")
    sizes = iter([(41, 10), (23, 8), (90, 20), (11, 6), (33, 9)])
    count = 0

    def over() -> bool:
        nonlocal count
        size = next(sizes, None)
        if size is not None:
            terminal.resize(*size)
            count += 1
        return "Stats:" in terminal.scrollback()

    assert wait_until(over, 30, first=0.05, longest=0.05)
    assert count > 3
    terminal.wait_for_prompt(timeout=10)
    assert compare(terminal, None, truth, question) is None


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("honest", None),
        ("lost", "token 5 of 16 (' jumps') is lost"),
        ("doubled", "token 5 of 16 (' jumps') is doubled"),
        ("swapped", "token 5 of 16 (' jumps') and the next one (' over') are swapped"),
        ("cut", "the end is lost, at token 15 of 16 (' it')"),
        ("extra", "' And more.' stands behind what was sent"),
        ("broken", "stands in place of ' jumps over"),
        ("other", "stands in place of 's over the lazy dog"),
        ("wiped", "on the screen"),
    ],
)
def test_a_client_that_does_not_show_what_it_was_sent(
    open_chat: Callable[..., ChatTerminal], tmp_path: Path, kind: str, words: str | None
) -> None:
    truth = tmp_path / "truth.jsonl"
    terminal = open_chat([sys.executable, str(LIAR), str(truth), kind], r"^\[end\]", columns=60)
    answer = terminal.ask("tell me")
    found = compare(terminal, answer.text, truth, "tell me")
    assert found is None if words is None else words in (found or ""), found


def test_what_is_typed_is_no_answer_where_the_recording_comes_late(
    open_chat: Callable[..., ChatTerminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = tmp_path / "truth.jsonl"
    terminal = open_chat([sys.executable, str(LIAR), str(truth), "honest"], r"^\[end\]", columns=60)
    read, late = terminal.output.read, time.monotonic() + 1.5
    monkeypatch.setattr(terminal.output, "read", lambda: read() if time.monotonic() > late else [])
    answer = terminal.ask("tell me")
    assert compare(terminal, answer.text, truth, "tell me") is None


def test_what_is_typed_is_no_answer_where_all_comes_late(
    open_chat: Callable[..., ChatTerminal], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = tmp_path / "truth.jsonl"
    terminal = open_chat([sys.executable, str(LIAR), str(truth), "honest"], r"^\[end\]", columns=60)
    type_text = terminal.type_text
    monkeypatch.setattr(terminal, "type_text", lambda text: Timer(1.5, type_text, [text]).start())
    answer = terminal.ask("tell me")
    assert compare(terminal, answer.text, truth, "tell me") is None
