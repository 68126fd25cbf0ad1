"""Counted samples are what the lists of their values are, and their intervals cover what they shall."""

from __future__ import annotations

import random
import statistics
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from InferenceLibrary.load.counted import CountedValues, counted
from InferenceLibrary.load.figures import FIGURES
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.stats import percentile


def drawn(count: int, seed: int) -> list[float]:
    draw = random.Random(seed)
    return [draw.lognormvariate(0, 0.2) for _ in range(count)]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 50_000), min_size=1, max_size=300), st.floats(0, 100))
def test_a_sample_has_the_percentiles_of_its_values(micros: list[int], rank: float) -> None:
    values = [value / 1e6 for value in micros]
    found = CountedValues.of(values)
    assert len(found) == len(values)
    assert found.percentile(rank) == pytest.approx(percentile(values, rank), abs=1e-9)
    assert found.mean == pytest.approx(statistics.fmean(values), abs=1e-9)
    assert found.thinned(len(values)) == pytest.approx(sorted(values), abs=1e-9)
    whole = found.describe()
    assert whole.deviation == pytest.approx(statistics.pstdev(values), abs=1e-9)
    assert (whole.minimum, whole.maximum) == pytest.approx((min(values), max(values)), abs=1e-9)
    for interval in (whole.mean_interval, whole.median_interval, whole.p99_interval):
        assert interval.low <= interval.estimate <= interval.high


def test_a_sample_is_described() -> None:
    found = CountedValues.of([1.0, 2.0, 3.0, 4.0]).describe()
    assert (found.count, found.mean, found.median) == pytest.approx((4, 2.5, 2.5))
    assert found.deviation == pytest.approx(1.1180, abs=1e-4)
    assert found.facts()["median_95"][0] >= 1


def test_intervals_cover_what_they_shall() -> None:
    covered = 0
    for seed in range(60):
        interval = CountedValues.of(drawn(100, seed)).describe(seed).median_interval
        covered += interval.low <= 1 <= interval.high
    assert covered >= 51
    means = CountedValues.of(drawn(5000, 4)).describe().mean_interval
    assert means.low < 1.0202 < means.high
    assert means.high - means.low < 0.03


def test_neighbours_that_depend_on_each_other_widen_the_interval_of_the_mean() -> None:
    slow = [1.0 + (place // 500) % 2 for place in range(5000)]
    mixed = random.Random(1).sample(slow, len(slow))
    wide, narrow = (CountedValues.of(one).describe().mean_interval for one in (slow, mixed))
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


def test_series_are_counted_together() -> None:
    found = counted([array("I", [1, 2, 3]), (), array("I", [3])], 1e-6)
    assert found is not None
    assert len(found) == 4
    assert found.thinned(4) == pytest.approx([1e-6, 2e-6, 3e-6, 3e-6])
    assert len(found.thinned(2)) == 2
    assert counted([(), ()], 1e-6) is None


def test_a_hundred_thousand_requests_are_summarised_in_counts() -> None:
    """What is kept depends on how different the values are, not on how many there are."""
    micros = array("I", range(50_000, 50_000 + 16 * 10_000, 10_000)).tobytes()
    one = Record(0, "chat", 0.0, 0.0, 0.3, status=200, first_token=0.05, rate=100.0, micros=micros, token_a_chunk=True)
    facts = WorkerFacts(1.0, 10.0, [0.0001], [0.0001], 1, [], 0, 0, None, 1)
    found = LoadResult(LoadPlan("http://x", Users(1)), 0.0, [one] * 100_000, [facts], {}, 0.0)
    assert found.distributions["itl"].count == 1_500_000
    assert found.distributions["itl"].p99 == pytest.approx(0.01)
    assert found.sample("itl") is found.sample("gap"), "the same values are counted once"
    assert len(found.summary()["samples"]["itl"]) == 5000


def test_chunks_of_several_tokens_are_not_tokens() -> None:
    micros = array("I", [50_000, 100_000]).tobytes()
    lumps = Record(0, "chat", 0.0, 0.0, 0.3, status=200, first_token=0.05, rate=100.0, micros=micros)
    assert FIGURES["itl"].sample([lumps]).percentile(50) == pytest.approx(0.01)  # type: ignore[union-attr]
    assert FIGURES["gap"].sample([lumps]).percentile(50) == pytest.approx(0.05)  # type: ignore[union-attr]
    lumps.rate = None
    assert FIGURES["itl"].sample([lumps]) is None
