"""Choices of tools: what texts and objects become in a request."""

from __future__ import annotations

from typing import Any

import pytest

from InferenceLibrary.protocol.paths import CHAT, MESSAGES
from InferenceLibrary.protocol.requests import Question, body_for
from InferenceLibrary.types import to_tool_choice

ASKED: dict[str, Any] = {"type": "function", "function": {"name": "weather"}}


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("auto", "auto"),
        ("weather", ASKED),
        ('{"type": "function", "function": {"name": "weather"}}', ASKED),
        (ASKED, ASKED),
        (' {"type": "allowed_tools"}', {"type": "allowed_tools"}),
    ],
)
def test_a_tool_choice_is_a_name_or_an_object(given: Any, sent: Any) -> None:
    assert body_for(CHAT, Question(tool_choice=to_tool_choice(given)))["tool_choice"] == sent


def test_an_object_is_sent_as_it_is_to_any_api() -> None:
    choice = '{"type": "any", "disable_parallel_tool_use": true}'
    body = body_for(MESSAGES, Question(tool_choice=to_tool_choice(choice)))
    assert body["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}


@pytest.mark.parametrize(("given", "told"), [("", "an empty text"), (" ", "an empty text"), ('{"type": ', "JSON")])
def test_a_tool_choice_that_is_neither_is_refused(given: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        to_tool_choice(given)
