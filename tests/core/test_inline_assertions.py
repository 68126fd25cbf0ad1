"""Inline assertions: every operator holds and fails, units are understood, messages can be read."""

from __future__ import annotations

from typing import Any

import pytest
from assertionengine import AssertionOperator

from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.assertions import check_number, check_text, show


@pytest.mark.parametrize(
    ("operator", "holds", "fails"),
    [
        ("==", ["200 ms", "0.2 s"], ["201 ms", "1 s"]),
        ("!=", ["201 ms"], ["0.2 s"]),
        ("<", ["201 ms", "1 min"], ["200 ms", "199 ms"]),
        ("<=", ["200 ms", "1 s"], ["199 ms"]),
        (">", ["199 ms", "0 s"], ["200 ms", "201 ms"]),
        (">=", ["200 ms", "1 ms"], ["201 ms"]),
    ],
)
def test_every_comparison_holds_and_fails(operator: str, holds: list[str], fails: list[str]) -> None:
    chosen = AssertionOperator[operator]
    for expected in holds:
        assert check_number(0.2, chosen, expected, "latency", "s") == 0.2
    for expected in fails:
        with pytest.raises(CheckFailure):
            check_number(0.2, chosen, expected, "latency", "s")


def test_without_an_operator_nothing_is_checked() -> None:
    assert check_number(0.2, None, "whatever", "latency", "s") == 0.2


@pytest.mark.parametrize(
    ("value", "operator", "expected", "unit", "message"),
    [
        (0.25, "<", "200 ms", "s", "Latency: expected < 200 ms, got 250 ms."),
        (2.5, "<=", "2 s", "s", "Latency: expected <= 2 s, got 2.5 s."),
        (3e9, "<", "2 GB", "B", "Latency: expected < 2 GB, got 3 GB."),
        (512, ">", "1 kB", "B", "Latency: expected > 1 kB, got 512 B."),
        (41.5, ">=", "42", "tokens/s", "Latency: expected >= 42 tokens/s, got 41.5 tokens/s."),
        (5, "==", 6, "", "Latency: expected == 6, got 5."),
        (0.20001, "<=", "200 ms", "s", "Latency: expected <= 0.2 s, got 0.20001 s."),
    ],
)
def test_a_failure_can_be_read(value: float, operator: str, expected: Any, unit: str, message: str) -> None:
    with pytest.raises(CheckFailure) as caught:
        check_number(value, AssertionOperator[operator], expected, "latency", unit)
    assert str(caught.value) == message


def test_a_message_of_the_test_replaces_ours() -> None:
    with pytest.raises(CheckFailure, match=r"^too slow$"):
        check_number(2, AssertionOperator["<"], 1, "latency", "s", "too slow")


def test_an_operator_may_be_text_from_python() -> None:
    assert check_number(1, "<", 2, "count") == 1  # type: ignore[arg-type]
    with pytest.raises(CheckFailure, match=r"Count: expected < 1, got 1\."):
        check_number(1, "<", 1, "count")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("operator", "holds", "fails"),
    [
        ("==", "Paris", "paris"),
        ("!=", "Rome", "Paris"),
        ("contains", "ari", "x"),
        ("not contains", "x", "ari"),
        ("matches", "^P.*s$", "^Q"),
        ("^=", "Par", "ris"),
        ("$=", "ris", "Par"),
    ],
)
def test_every_check_of_a_text_holds_and_fails(operator: str, holds: str, fails: str) -> None:
    chosen = AssertionOperator[operator]
    assert check_text("Paris", chosen, holds, "Text") == "Paris"
    with pytest.raises(AssertionError):
        check_text("Paris", chosen, fails, "Text")


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.1834, "s", "183 ms"),
        (2.0512, "s", "2.05 s"),
        (0, "s", "0 ms"),
        (-0.5, "s", "-500 ms"),
        (1.5e9, "B", "1.5 GB"),
        (2e6, "B", "2 MB"),
        (1000, "B", "1 kB"),
        (999, "B", "999 B"),
        (42, "tokens/s", "42 tokens/s"),
        (7, "", "7"),
    ],
)
def test_numbers_are_shown_for_people(value: float, unit: str, shown: str) -> None:
    assert show(value, unit) == shown
