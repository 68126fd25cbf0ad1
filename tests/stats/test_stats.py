"""The statistics against independent references: numpy, the standard library, and exhaustive enumeration."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.stats import (
    Interval,
    mean,
    median,
    median_interval,
    paired_ratio,
    percentile,
    ratio_of_medians,
    summarize,
)

numbers = st.floats(min_value=-1e9, max_value=1e9)
samples = st.lists(numbers, min_size=1, max_size=60)
positive_samples = st.lists(st.floats(min_value=1e-6, max_value=1e6), min_size=1, max_size=40)
ranks = st.floats(min_value=0, max_value=100)


@given(samples, ranks)
def test_percentile_is_that_of_numpy(values: list[float], rank: float) -> None:
    spread = max(abs(value) for value in values)
    assert percentile(values, rank) == pytest.approx(float(np.percentile(values, rank)), rel=1e-9, abs=1e-12 * spread)


@given(samples, ranks, ranks)
def test_percentile_rises_with_its_rank_and_stays_in_range(values: list[float], one: float, other: float) -> None:
    low, high = sorted([one, other])
    assert min(values) <= percentile(values, low) <= percentile(values, high) + 1e-6 * max(map(abs, values))
    assert percentile(values, 0) == min(values)
    assert percentile(values, 100) == max(values)


@given(samples)
def test_median_and_mean_are_those_of_the_standard_library(values: list[float]) -> None:
    assert median(values) == pytest.approx(statistics.median(values), rel=1e-9, abs=1e-6)
    assert mean(values) == pytest.approx(statistics.fmean(values), rel=1e-9, abs=1e-6)
    assert min(values) <= mean(values) <= max(values)


@given(samples, st.randoms())
def test_order_of_the_values_does_not_matter(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert median_interval(shuffled) == median_interval(values)
    assert summarize(shuffled) == summarize(values)


@pytest.mark.parametrize("count", range(1, 13))
@pytest.mark.parametrize("confidence", [0.5, 0.8, 0.95])
def test_confidence_of_the_median_interval_is_exact(count: int, confidence: float) -> None:
    """Each sample is below or above the true median with equal chance: try all cases and count the covered ones."""
    interval = median_interval(list(range(count)), confidence)
    low, high = int(interval.low), int(interval.high)
    covered = sum(low < sum(below) <= high for below in itertools.product([0, 1], repeat=count))
    assert interval.confidence == pytest.approx(covered / 2**count)
    assert interval.reached or (low, high) == (0, count - 1), "falls short although wider was possible"
    if low + 1 < high - 1:  # the next narrower interval would not do
        narrower = sum(low + 1 < sum(below) <= high - 1 for below in itertools.product([0, 1], repeat=count))
        assert narrower / 2**count < confidence or not interval.reached


def test_known_median_intervals() -> None:
    # Table values: six samples are the least for 95 %; of 20 samples the 6th to the 15th cover with 95.86 %.
    assert not median_interval(range(5)).reached
    assert median_interval(range(6)).reached
    twenty = median_interval(range(1, 21))
    assert (twenty.low, twenty.high) == (6, 15)
    assert twenty.confidence == pytest.approx(0.9586, abs=1e-4)
    assert median_interval([3.0, 1.0, 2.0]) == Interval(2.0, 1.0, 3.0, 0.75, 0.95)


def test_many_samples_do_not_overflow() -> None:
    interval = median_interval([float(value) for value in range(5001)])
    assert interval.reached
    assert interval.low < 2500 < interval.high
    assert interval.high - interval.low < 200


@given(positive_samples, st.floats(min_value=0.01, max_value=100))
def test_ratio_of_a_scaled_sample_is_the_scale(values: list[float], factor: float) -> None:
    scaled = [value * factor for value in values]
    assert paired_ratio(scaled, values).estimate == pytest.approx(factor)
    ratio = ratio_of_medians(scaled, values)
    assert ratio.estimate == pytest.approx(factor)
    assert ratio.low <= ratio.estimate * (1 + 1e-9)
    assert ratio.high >= ratio.estimate * (1 - 1e-9)


def test_ratio_interval_excludes_one_only_when_samples_are_apart() -> None:
    slow = [2.0 + index / 100 for index in range(12)]
    fast = [1.0 + index / 100 for index in range(12)]
    apart = ratio_of_medians(slow, fast)
    assert apart.reached
    assert 1.7 < apart.low < apart.high < 2.2
    same = ratio_of_medians(fast, fast)
    assert same.low < 1 < same.high


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: percentile([], 50), "at least one value"),
        (lambda: percentile([1.0], 101), "between 0 and 100"),
        (lambda: percentile([1.0, math.nan], 50), "finite"),
        (lambda: median([math.inf]), "finite"),
        (lambda: mean([]), "at least one value"),
        (lambda: summarize([]), "at least one value"),
        (lambda: median_interval([], 0.95), "at least one value"),
        (lambda: median_interval([1.0], 1.0), "between 0 and 1"),
        (lambda: paired_ratio([1.0], [1.0, 2.0]), "one length"),
        (lambda: ratio_of_medians([1.0], [0.0]), "positive"),
        (lambda: ratio_of_medians([1.0], []), "at least one value"),
    ],
)
def test_unfit_samples_are_refused(call: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        call()  # type: ignore[operator]


def test_interval_says_when_samples_were_too_few() -> None:
    assert str(median_interval([1.0, 2.0, 3.0])) == "2 [1, 3] at 75.0% (too few samples for 95%)"
    assert "too few" not in str(median_interval([float(value) for value in range(8)]))
