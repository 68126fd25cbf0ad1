"""Numbers of foreign answers: an integer may be too large for a float."""

from __future__ import annotations

import pytest

from InferenceLibrary.protocol.rules.forms import is_number
from InferenceLibrary.protocol.rules.verdicts import Tally
from InferenceLibrary.protocol.vectors import is_finite


@pytest.mark.parametrize(
    ("number", "good"),
    [(1, True), (-2.5, True), (10**308, True), (10**400, False), (-(10**400), False), (float("nan"), False),
     (float("inf"), False)],
)  # fmt: skip
def test_what_is_beyond_a_float_is_not_finite(number: float, good: bool) -> None:
    assert is_finite([0.0, number]) is good
    assert is_number(number) is good


def test_a_broken_rule_is_news_once_for_each_server() -> None:
    tally = Tally()
    assert [tally.is_news("one", "F8"), tally.is_news("one", "F8"), tally.is_news("two", "F8")] == [True, False, True]
