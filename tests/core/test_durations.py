"""Durations as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.durations import parse_duration
from InferenceLibrary.simulator.core.durations import parse_duration as parse_flag


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
        ("1m30s", 90),
        ("1 min 30 s", 90),
        ("1h2m3.5s", 3723.5),
        ("500us", 0.0005),
        ("500 µs", 0.0005),
        ("20 Microseconds", 0.00002),
        ("7ns", 7e-9),
        (".5s", 0.5),
        (3, 3),
        (0.25, 0.25),
        (0, 0),
    ],
)
def test_durations_are_read(text: str | float, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5",
        "ms",
        "-1s",
        "1s-2ms",
        "1s2",
        "1s, 2ms",
        "1.2.3s",
        "1 fortnight",
        "1s 1 fortnight",
        "٣s",
        "1e3s",
        "1,5s",
        True,
        -1,
        float("nan"),
        float("inf"),
    ],
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


_GO = st.tuples(
    st.from_regex(r"[0-9]{1,4}\.?[0-9]{0,3}|\.[0-9]{1,3}", fullmatch=True),
    st.sampled_from(["us", "µs", "ms", "s", "m", "h"]),
)


@given(st.lists(_GO, min_size=1, max_size=3))
def test_what_the_flags_of_the_simulator_take_is_taken_with_the_same_meaning(parts: list[tuple[str, str]]) -> None:
    text = "".join(number + unit for number, unit in parts)
    assert parse_duration(text) == pytest.approx(parse_flag(text), abs=1e-8)
