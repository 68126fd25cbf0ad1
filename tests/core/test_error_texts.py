"""The one shape of messages, and the tree of errors."""

from __future__ import annotations

import pytest

from InferenceLibrary import errors
from InferenceLibrary.errors import CheckFailure, InferenceError, MissingExtraError, describe


def test_a_message_says_everything_in_its_first_line() -> None:
    text = describe(
        "Server 'x' is not ready",
        expected="200 on GET /health",
        got="status 503",
        after=1.234,
        state="process 7 runs",
        hint="wait\n longer.",
        detail=("Last lines", ["one", "two"]),
    )
    assert text.splitlines() == [
        "Server 'x' is not ready: expected 200 on GET /health, got status 503 after 1.23 s; process 7 runs. "
        "Hint: wait longer.",
        "Last lines:",
        "    one",
        "    two",
    ]


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "It failed."),
        ({"got": "a\nb"}, "It failed: got a b."),
        ({"expected": "x"}, "It failed: expected x."),
        ({"after": 0.0}, "It failed after 0.00 s."),
        ({"detail": ("Log", [])}, "It failed.\nLog:"),
    ],
)
def test_what_is_not_known_is_left_out(facts: dict, text: str) -> None:  # type: ignore[type-arg]
    assert describe("It failed", **facts) == text


def test_every_error_of_the_library_is_an_inference_error_shown_without_its_name() -> None:
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) >= 12
    for kind in found:
        assert kind.ROBOT_SUPPRESS_NAME, kind
        assert issubclass(kind, InferenceError) or kind is CheckFailure


def test_a_check_is_a_failure_and_no_error() -> None:
    assert issubclass(CheckFailure, AssertionError)
    assert not issubclass(CheckFailure, InferenceError)


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtraError("tui-test", "terminal", "Start Terminal")
    assert str(error) == (
        "Start Terminal needs the package 'tui-test', which is not installed. Hint: pip install tui-test"
    )
    assert (error.package, error.extra) == ("tui-test", "terminal")
