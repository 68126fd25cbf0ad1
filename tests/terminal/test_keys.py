"""Names of keys: one spelling, and none that would be typed letter by letter."""

from __future__ import annotations

import pytest

from InferenceLibrary.errors import TerminalError
from InferenceLibrary.terminal.keys import _OTHER_NAMES, key_name


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("enter", "Enter"),
        ("Return", "Enter"),
        ("ctrl+c", "Ctrl+c"),
        ("Control+Shift+up", "Ctrl+Shift+Up"),
        ("esc", "Escape"),
        ("Del", "Delete"),
        ("ins", "Insert"),
        ("Option+x", "Alt+x"),
        ("F12", "F12"),
        ("q", "q"),
        ("+", "+"),
        ("Ctrl++", "Ctrl++"),
        ("日", "日"),
    ],
)
def test_spelling(given: str, name: str) -> None:
    assert key_name(given) == name


@pytest.mark.parametrize("wrong", ["Etner", "Ctrl+", "Hyperr+x", "F13", "hello", ""])
def test_no_such_key(wrong: str) -> None:
    with pytest.raises(TerminalError, match="There is no key"):
        key_name(wrong)


def test_a_near_name_is_offered() -> None:
    with pytest.raises(TerminalError, match=r"Did you mean Enter\?"):
        key_name("Etner")


def test_every_other_name_has_a_row_here() -> None:
    """A wrong alias presses another key without a word."""
    rows = {"return": "Enter", "esc": "Escape", "del": "Delete", "ins": "Insert", "control": "Ctrl", "option": "Alt"}
    assert rows == _OTHER_NAMES
