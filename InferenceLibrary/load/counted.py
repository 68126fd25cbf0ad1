"""The values of a figure in a load, counted: a hundred thousand requests with their tokens fit in a few megabytes."""

from __future__ import annotations

import bisect
import itertools
import math
import random
import statistics
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from InferenceLibrary.stats import Interval

_RESAMPLES = 1000
_MEANS = 400
"""Resamples of the mean, whose distribution is smooth."""
BLOCKS = 48
"""Groups of neighbours in time, which are resampled for the mean: what disturbs a request disturbs its neighbours."""


_DISTINCT = 100_000
"""Different values that are kept apart; of more the fifth digit is rounded."""
FEWEST = 40
"""Values or requests from which a drift is told."""


def coarser(counts: Counter[int]) -> Counter[int]:
    """Return counts of at most some hundred thousand different values, rounded to four digits where they are more."""
    if len(counts) <= _DISTINCT:
        return counts
    found = Counter[int]()
    for value, count in counts.items():
        found[round(value, 4 - len(str(abs(value))))] += count
    return found


class CountedValues:
    """Values as whole numbers of a small step, with how often each came; ascending.

    Args:
        counts: How often each number of steps came; not empty.
        step: What one step is, in the unit of the figure: 1e-6 for microseconds.
        blocks: Sum (in steps) and number of the values of each group of neighbours in time.
    """

    def __init__(self, counts: dict[int, int], step: float, blocks: Sequence[tuple[int, int]]) -> None:
        self._steps = array("q", sorted(counts))
        self._until = array("q", itertools.accumulate(counts[value] for value in self._steps))
        self._step = step
        self._blocks = [block for block in blocks if block[1]]
        self._sum = sum(value * count for value, count in counts.items())

    @staticmethod
    def of(values: Iterable[float], step: float = 1e-6) -> CountedValues:
        """Return the sample of some values, one or more, in the order of time."""
        numbers = [round(value / step) for value in values]
        edges = [len(numbers) * place // BLOCKS for place in range(BLOCKS + 1)]
        blocks = [(sum(numbers[low:high]), high - low) for low, high in itertools.pairwise(edges)]
        return CountedValues(Counter(numbers), step, blocks)

    def __len__(self) -> int:
        return self._until[-1]

    @property
    def mean(self) -> float:
        """Arithmetic mean, in the unit of the figure."""
        return self._sum / len(self) * self._step

    def percentile(self, rank: float) -> float:
        """Return a percentile (0 to 100), interpolated as `stats.percentile` does."""
        position = (len(self) - 1) * rank / 100
        lower = math.floor(position)
        low, high = self._at(lower), self._at(min(lower + 1, len(self) - 1))
        return (low + (high - low) * (position - lower)) * self._step

    def thinned(self, most: int) -> list[float]:
        """Return at most so many values that have the distribution of all: order statistics at even ranks."""
        count = len(self)
        if count <= most:
            return [self._at(place) * self._step for place in range(count)]
        return [self._at((2 * place + 1) * count // (2 * most)) * self._step for place in range(most)]

    @property
    def drift(self) -> float | None:
        """How much larger the values of the last quarter are than those of the first, as a share of these.

        Each quarter is the median of the means of its groups of neighbours, so one slow moment is not a drift. None
        where there are fewer than 40 values.
        """
        means = [total / count for total, count in self._blocks]
        quarter = len(means) // 4
        if len(self) < FEWEST or not quarter:
            return None
        first, last = statistics.median(means[:quarter]), statistics.median(means[-quarter:])
        return (last - first) / first if first else None

    def describe(self, seed: int = 0) -> Distribution:
        """Return what the sample looks like; the intervals are bootstrapped at 95 %, seeded."""
        count, mean = len(self), self._sum / len(self)
        before, spread = 0, 0.0
        for value, until in zip(self._steps, self._until, strict=True):
            spread += (until - before) * (value - mean) ** 2
            before = until
        draw = random.Random(seed)
        return Distribution(
            count=count,
            mean=self.mean,
            median=self.percentile(50),
            p90=self.percentile(90),
            p95=self.percentile(95),
            p99=self.percentile(99),
            minimum=self._steps[0] * self._step,
            maximum=self._steps[-1] * self._step,
            deviation=math.sqrt(spread / count) * self._step,
            mean_interval=self._mean_interval(draw),
            median_interval=self._interval(50, draw),
            p99_interval=self._interval(99, draw),
        )

    def _at(self, place: int) -> int:
        """The value at a place of the ascending order, from 0, in steps."""
        return self._steps[bisect.bisect_right(self._until, place)]

    def _interval(self, rank: float, draw: random.Random) -> Interval:
        """Bootstrap interval of a percentile (Efron and Tibshirani, 1993, chapter 13).

        Resamples are not drawn value by value: the k-th of n sorted draws with replacement is the value at the quantile
        Beta(k, n - k + 1), which costs the same for any n.
        """
        count = len(self)
        place = 1 + round((count - 1) * rank / 100)
        drawn = sorted(
            self._at(min(count - 1, int(draw.betavariate(place, count - place + 1) * count))) for _ in range(_RESAMPLES)
        )
        return self._between([value * self._step for value in drawn], self.percentile(rank))

    def _mean_interval(self, draw: random.Random) -> Interval:
        """Bootstrap interval of the mean over groups of neighbours.

        Kunsch, "The Jackknife and the Bootstrap for General Stationary Observations", 1989.
        """
        drawn = []
        for _ in range(_MEANS):
            chosen = draw.choices(self._blocks, k=len(self._blocks))
            sums, counts = zip(*chosen, strict=True)
            drawn.append(sum(sums) / sum(counts) * self._step)
        return self._between(sorted(drawn), self.mean)

    @staticmethod
    def _between(drawn: list[float], estimate: float) -> Interval:
        low, high = drawn[int(len(drawn) * 0.025)], drawn[int(len(drawn) * 0.975) - 1]
        return Interval(estimate, min(low, estimate), max(high, estimate), 0.95, 0.95)


@dataclass(frozen=True)
class Distribution:
    """A sample of a figure, in its unit."""

    count: int
    mean: float
    median: float
    p90: float
    p95: float
    p99: float
    minimum: float
    maximum: float
    deviation: float
    """Standard deviation; zero for one value."""
    mean_interval: Interval
    median_interval: Interval
    p99_interval: Interval

    def facts(self) -> dict[str, Any]:
        """As JSON takes it."""
        plain: dict[str, Any] = {
            one.name: getattr(self, one.name) for one in fields(self) if "interval" not in one.name
        }
        for name in ("mean", "median", "p99"):
            interval: Interval = getattr(self, f"{name}_interval")
            plain[f"{name}_95"] = [interval.low, interval.high]
        return plain
