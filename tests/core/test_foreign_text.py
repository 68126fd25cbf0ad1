"""What comes from outside is made fit for XML, files and consoles, and otherwise left as it is."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from InferenceLibrary.errors import CheckFailure, RequestError
from InferenceLibrary.foreign_text import MESSAGE_LIMIT, joined_halves, limited, readable, shown

ANY = st.text(st.characters(codec=None, exclude_categories=()))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("smile \ud83d\ude00", "smile \U0001f600"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("\ud83d", "\ufffd"),
        ("a\ud83d\ud83d\ude00b", "a\ufffd\U0001f600b"),
        ("\udcff.yaml", "\ufffd.yaml"),
        ("\x1b[2J\x00\uffff\r\n", "\x1b[2J\x00\uffff\r\n"),
        ("plain é 漢 \U0001f600", "plain é 漢 \U0001f600"),
    ],
)
def test_what_is_handed_on_can_be_encoded_and_is_otherwise_as_it_came(text: str, expected: str) -> None:
    assert readable(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("a\0b\x7f\x85\x9b", r"a\x00b\x7f\x85\x9b"),
        ("tab\tline\nend\r\nalone\rend", "tab\tline\nend\nalone\\x0dend"),
        ("\ufeff{}", r"\ufeff{}"),
        ("\ufdd0 \ufffe \uffff \U0001fffe \U0010ffff", r"\ufdd0 \ufffe \uffff \U0001fffe \U0010ffff"),
        ("\u202eevil\u2066\u2028\u2029", r"\u202eevil\u2066\u2028\u2029"),
        ("\ud83d \ud83d\ude00 \ude00", "\\ud83d \U0001f600 \\ude00"),
        ("é 漢 \U0001f468\u200d\U0001f469 שלום ~", "é 漢 \U0001f468\u200d\U0001f469 שלום ~"),
    ],
)
def test_what_people_read_shows_what_cannot_be_seen(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(ANY)
@example("\ud83d\ude00")
def test_any_text_ends_as_one_that_files_and_xml_take(text: str) -> None:
    readable(text).encode()
    safe = shown(text)
    safe.encode()
    assert all(character in "\t\n" or ord(character) >= 0x20 for character in safe)
    assert shown(safe) == safe, "what has passed the door passes it unchanged"


@given(st.text())
def test_text_without_halves_is_handed_on_unchanged(text: str) -> None:
    assert readable(text) == text


@given(st.text(), st.data())
def test_halves_are_joined_wherever_a_text_of_utf_16_is_cut(text: str, data: st.DataObject) -> None:
    units = text.encode("utf-16-le")
    cut = 2 * data.draw(st.integers(0, len(units) // 2))
    parts = [part.decode("utf-16-le", "surrogatepass") for part in (units[:cut], units[cut:])]
    assert joined_halves("".join(parts)) == text


def test_a_text_is_cut_with_its_length_told() -> None:
    assert limited("x" * MESSAGE_LIMIT) == "x" * MESSAGE_LIMIT
    assert limited("xyz", 2) == "xy… (3 characters)"
    assert limited("xyz", 2, "the whole is in a.txt") == "xy… (3 characters; the whole is in a.txt)"


@pytest.mark.parametrize("kind", [RequestError, CheckFailure])
def test_an_error_can_be_printed(kind: type[Exception]) -> None:
    assert str(kind("got \ud83d\x1b[2J")) == r"got \ud83d\x1b[2J"
