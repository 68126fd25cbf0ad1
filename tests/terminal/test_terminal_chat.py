"""Chats in a terminal: the answer is all that the program said, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from InferenceLibrary.errors import ProfileError, TerminalError
from InferenceLibrary.terminal import chat as chat_module
from InferenceLibrary.terminal.chat import ChatStyle, ChatTerminal
from InferenceLibrary.terminal.screen import Cursor, Screen

Chat = Callable[..., ChatTerminal]


def test_an_answer_its_times_and_its_statistics(chat: Chat) -> None:
    terminal = chat()
    answer = terminal.ask("what is up?")
    assert answer.text == "You asked: what is up?"
    assert answer.statistics == "Stats:\n7 tokens"
    assert answer.time_to_first_token is not None
    assert 0 <= answer.time_to_first_token <= answer.elapsed
    assert str(answer).startswith("'You asked: what is up?' after ")
    assert terminal.leave().exit_code == 0


def test_answers_follow_each_other(chat: Chat) -> None:
    terminal = chat()
    assert [terminal.ask(f"number {n}").text for n in range(3)] == [f"You asked: number {n}" for n in range(3)]


def test_a_program_that_shows_nothing_of_what_is_typed_is_waited_for_once(
    chat: Chat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_module, "_FIRST_SIGN", 3.0)
    terminal = chat("unseen")
    times = []
    for number in range(2):
        began = time.monotonic()
        assert terminal.ask(f"number {number}").text == f"You asked: number {number}"
        times.append(time.monotonic() - began)
    assert times[0] > times[1]


@pytest.mark.parametrize("columns", [200, 20, 7])
def test_wide_text_is_exact_in_wide_and_narrow_terminals(chat: Chat, columns: int) -> None:
    expected = ("日本語 👩‍👩‍👧‍👦 ünïcödé e\u0301 " * 4).strip()
    assert chat("wide", columns=columns, rows=10).ask("x").text == expected


def test_control_characters_and_spinners_are_not_text(chat: Chat) -> None:
    assert chat("control").ask("x").text == "abred"
    assert chat("spinner").ask("x").text == "done"


def test_what_looks_like_a_prompt_does_not_end_an_answer(chat: Chat) -> None:
    expected = "quoted:\n> not a prompt\n> nor this"
    assert chat("prompts").ask("x").text == expected


def test_without_a_mark_the_next_prompt_ends_an_answer(chat: Chat) -> None:
    answer = chat("bare", ChatStyle()).ask("x")
    assert (answer.text, answer.statistics) == ("You asked: x", "")


def test_several_lines_are_typed_where_the_program_can_continue_one(chat: Chat) -> None:
    assert chat().ask("one\ntwo").text == "You asked: one\ntwo"
    with pytest.raises(TerminalError, match="expected one line, got 2 lines"):
        chat(style=ChatStyle(answer_end="^Stats:")).ask("one\ntwo")


def test_an_interrupted_answer_leaves_the_program_at_its_prompt(chat: Chat) -> None:
    terminal = chat("slow")
    answer = terminal.ask("x", interrupt_after=15)
    assert answer.interrupted
    assert answer.text.startswith("word0 word1 word2")
    assert "word199" not in answer.text
    assert "^C" not in answer.text
    assert terminal.leave(keys=True).exit_code == 0


def test_an_answer_that_does_not_end_is_told(chat: Chat) -> None:
    with pytest.raises(TerminalError, match=r"The answer did not end .* expected its end within 0.5 s, got no text"):
        chat("silent").ask("x", timeout=0.5)
    with pytest.raises(TerminalError, match=r"got \d+ characters without an end") as error:
        chat("slow").ask("x", timeout=0.5)
    assert "│word0 word1" in str(error.value)


def test_a_program_that_dies_while_it_answers_is_told_at_once(chat: Chat) -> None:
    with pytest.raises(TerminalError, match="The program ended while it answered") as error:
        chat("dies").ask("x", timeout=1000)
    assert "the program ended with exit code 1" in str(error.value)
    assert "│out of memory" in str(error.value)


def test_a_program_that_never_shows_a_prompt_is_told_and_ended(chat: Chat) -> None:
    wanted = r"No prompt came .* expected /\^> / at the end of the cursor's line within 0.5 s"
    with pytest.raises(TerminalError, match=wanted) as error:
        chat("promptless", timeout=0.5)
    assert "Hint: the pattern is found nowhere on the screen; give the program's own prompt" in str(error.value)
    assert "│loading for ever" in str(error.value)


def test_a_program_that_dies_at_once_is_told(chat: Chat) -> None:
    with pytest.raises(TerminalError, match="the program ended with exit code 1") as error:
        chat("crash", timeout=1000)
    assert "│no model" in str(error.value)


def test_a_style_with_a_broken_pattern_is_refused() -> None:
    with pytest.raises(ProfileError, match="Chat style: 'prompt' is not a regular expression"):
        ChatStyle(prompt="(")


@pytest.mark.parametrize("prompt", ["", " "])
def test_an_empty_prompt_is_refused(prompt: str) -> None:
    with pytest.raises(ProfileError, match="Chat style: the prompt is empty: expected a pattern such as 'you>'"):
        ChatStyle(prompt=prompt)


@pytest.mark.parametrize(
    ("prompt", "line", "waits"),
    [
        ("you>", "you> ", True),
        ("you>", "you>", True),
        ("you>", "[model] you>   ", True),
        ("you>", "you> hello", False),
        ("^you>", "[model] you> ", False),
        ("^> ", "> ", True),
        ("^> ", ">", False),
        ("^> ", "a > ", False),
        ("a|b", "b", True),
        ("a|b", "a c", False),
    ],
)
def test_a_prompt_is_searched_at_the_end_of_the_line(prompt: str, line: str, waits: bool) -> None:
    assert ChatStyle(prompt=prompt).waits_at(line) is waits


@pytest.mark.parametrize(
    ("text", "cursor", "reason"),
    [
        ("you> hello", Cursor(10, 0), "after it the line goes on with ' hello'"),
        ("you> \nloading", Cursor(7, 1), "it stands in row 1, and the cursor in row 2"),
        ("you>", Cursor(1, 0), "the cursor stands before its end"),
        ("hi\nYou> ", Cursor(5, 1), "it is written 'You>' in row 2: upper and lower case differ"),
        ("loading", Cursor(7, 0), None),
    ],
)
def test_a_prompt_that_nearly_matches_is_explained(text: str, cursor: Cursor, reason: str | None) -> None:
    assert ChatStyle(prompt="you> ").near_miss(Screen(text, 80, 24, cursor)) == reason
