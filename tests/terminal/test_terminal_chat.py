"""Chats in a terminal: the answer is all that the program said, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from InferenceLibrary.errors import ProfileError, TerminalError
from InferenceLibrary.terminal.chat import ChatStyle, ChatTerminal

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
    with pytest.raises(TerminalError, match=r"No prompt came .* expected /> / within 0.5 s") as error:
        chat("promptless", timeout=0.5)
    assert "│loading for ever" in str(error.value)


def test_a_program_that_dies_at_once_is_told(chat: Chat) -> None:
    with pytest.raises(TerminalError, match="the program ended with exit code 1") as error:
        chat("crash", timeout=1000)
    assert "│no model" in str(error.value)


def test_a_style_with_a_broken_pattern_is_refused() -> None:
    with pytest.raises(ProfileError, match="Chat style: 'prompt' is no regular expression"):
        ChatStyle(prompt="(")
