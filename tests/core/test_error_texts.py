"""The one shape of messages, and the tree of errors."""

from __future__ import annotations

import json

import pytest

from InferenceLibrary import errors
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure, InferenceError, MissingExtraError, describe
from InferenceLibrary.keywords.answers import AnswerKeywords
from InferenceLibrary.protocol.exchange import Exchange, Request


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


@pytest.mark.parametrize(
    ("path", "asked", "why"),
    [
        ("/v1/chat/completions", {}, ". Hint: ask for it with include_usage=True"),
        ("/v1/completions", {"stream_options": {"include_usage": False}}, ". Hint: ask for it with include_usage=True"),
        (
            "/v1/chat/completions",
            {"stream_options": {"include_usage": True}},
            ", although stream_options.include_usage asked for it",
        ),
        ("/v1/responses", {}, ""),
    ],
)
def test_the_hint_on_missing_usage_fits_the_call(path: str, asked: dict[str, object], why: str) -> None:
    request = Request("POST", f"http://host{path}", (), json.dumps(asked).encode())
    stream = Stream(Exchange(request, 200, (("content-type", "text/event-stream"),)))
    with pytest.raises(CheckFailure) as error:
        AnswerKeywords().usage_should_add_up(stream)
    assert str(error.value) == f"Usage: expected prompt, completion and total tokens, got none{why}."
