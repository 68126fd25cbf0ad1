"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("200ms", 0.2),
        ("200 ms", 0.2),
        ("1 millisecond", 0.001),
        ("2s", 2),
        (" 2 Seconds ", 2),
        ("1.5 min", 90),
        ("1 minute", 60),
        ("2 minutes", 120),
        ("1h", 3600),
        ("2 hours", 7200),
        (3, 3),
        (0.25, 0.25),
        (0, 0),
    ],
)
def test_durations_are_read(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "5", "ms", "-1s", "1.s", "1s 2ms", "1 fortnight", "1e3s", "1,5s", True, -1, float("nan"), float("inf")]
)
def test_what_is_none_is_refused_with_an_example(text: str | float) -> None:
    with pytest.raises(ValueError, match=r"expected a duration"):
        parse_duration(text)


@given(st.text(max_size=20))
def test_no_text_makes_it_raise_anything_else(text: str) -> None:
    try:
        assert parse_duration(text) >= 0
    except ValueError as error:
        assert text in str(error)  # noqa: PT017 - not every text is refused
