"""The values that a look at a terminal gives: widths, wrapping, matching, the frame in errors."""

from __future__ import annotations

import pytest

from InferenceLibrary.terminal.screen import Cursor, Screen, display_width, signal_name, unwrap


def screen(text: str, columns: int = 10, rows: int = 5, **more: object) -> Screen:
    return Screen(text, columns, rows, Cursor(0, 0), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本", 4), ("é", 1), ("e\u0301", 1), ("👍", 2), ("👩‍👩‍👧‍👦", 2), ("a\u200bb", 2), ("", 0)],
)
def test_width_in_cells(text: str, width: int) -> None:
    assert display_width(text) == width


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        ("0123456789\nabc", "0123456789abc"),
        ("012345678\nabc", "012345678\nabc"),
        ("0123456789\n", "0123456789\n"),
        ("012345678\n日本", "012345678日本"),
        ("日本語日本\n語", "日本語日本語"),
        ("0123456789\n0123456789\nab", "01234567890123456789ab"),
    ],
)
def test_rows_that_the_edge_broke_are_joined(rows: str, lines: str) -> None:
    assert unwrap(rows, 10) == lines


def test_a_text_is_found_across_the_edge_and_by_regular_expression() -> None:
    shown = screen("the answer\n is 42\n> ")
    assert shown.contains("answer is 42")
    assert shown.contains("^> $", regexp=True)
    assert not shown.contains("^is", regexp=True)


def test_the_frame_shows_the_size_the_cursor_and_what_is_blank() -> None:
    assert screen("one\ntwo").framed() == [
        "┌────────── 10 x 5, cursor at column 0, row 0",
        "│one",
        "│two",
        "│ (3 blank rows)",
        "└──────────",
    ]


def test_states() -> None:
    assert screen("").state == "the program runs"
    assert screen("", exit_code=3).state == "the program ended with exit code 3"
    assert screen("", exit_signal="SIGINT").state == "the program was ended by SIGINT"


def test_signals_have_their_names() -> None:
    assert signal_name("Interrupt") == "SIGINT"
    assert signal_name("something else") == "something else"
