"""Counted samples are what the lists of their values are, and their intervals cover what they shall."""

from __future__ import annotations

import random
import statistics
from array import array
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from InferenceLibrary.load.counted import CountedValues, coarser
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.load.tally import LoadTally
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


def test_very_many_different_values_are_rounded_at_the_fifth_digit() -> None:
    few = Counter({123_456: 2, 7: 1})
    assert coarser(few) is few
    many = coarser(Counter({1_000_000 + place: 1 for place in range(150_000)} | {5: 3}))
    assert many.total() == 150_003
    assert len(many) == 152
    assert many[5] == 3
    assert 999 <= many[1_001_000] <= 1001


@pytest.mark.parametrize(
    ("values", "drift"),
    [
        ([1.0] * 39, None),
        ([1.0] * 400, 0.0),
        ([1.0] * 200 + [1.5] * 200, 0.5),
        ([1.0] * 399 + [1000.0], 0.0),
        ([2.0 - place / 400 for place in range(400)], -0.4),
    ],
)
def test_a_drift_is_the_rise_from_the_first_quarter_to_the_last(values: list[float], drift: float | None) -> None:
    assert CountedValues.of(values).drift == pytest.approx(drift, abs=0.01)


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
    found = LoadTally([lumps])
    assert found.sample("itl").percentile(50) == pytest.approx(0.01)  # type: ignore[union-attr]
    assert found.sample("gap").percentile(50) == pytest.approx(0.05)  # type: ignore[union-attr]
    lumps.rate = None
    assert LoadTally([lumps]).sample("itl") is None
    single = Record(
        0, "chat", 0.0, 0.0, 0.3, status=200, first_token=0.05, rate=100.0, micros=micros, token_a_chunk=True
    )
    lumps.rate = 100.0
    mixed = LoadTally([single, lumps, single]).sample("itl")
    assert mixed is not None
    assert mixed.thinned(3) == pytest.approx([0.01, 0.05, 0.05])
