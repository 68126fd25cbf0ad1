"""Statistics of measurements: percentiles, intervals without assumptions on the distribution, ratios.

Latencies are skewed and their samples are few, so nothing here assumes a normal distribution. Definitions:

- percentile: linear interpolation between the order statistics at rank `1 + (n - 1) * q / 100`, which is type 7 of
  Hyndman and Fan, "Sample Quantiles in Statistical Packages", The American Statistician 50 (1996), and the default of
  numpy, R and most load tools;
- interval of the median: between two order statistics; its confidence is a binomial sum and holds for every continuous
  distribution (Conover, "Practical Nonparametric Statistics", 3rd ed., section 3.2).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass


def percentile(values: Sequence[float], rank: float) -> float:
    """Return the percentile `rank` (0 to 100) of at least one value, by linear interpolation.

    Raises:
        ValueError: There is no value, one is not finite, or the rank is out of range.
    """
    if not 0 <= rank <= 100:
        raise ValueError(f"A percentile is between 0 and 100, got {rank:g}.")
    ordered = _ordered(values)
    position = (len(ordered) - 1) * rank / 100
    lower = math.floor(position)
    upper = min(lower + 1, len(ordered) - 1)
    low, high = ordered[lower], ordered[upper]
    # The clamp keeps rounding from leaving the two neighbours.
    return min(max(low + (high - low) * (position - lower), low), high)


def median(values: Sequence[float]) -> float:
    """Return the 50th percentile of at least one value."""
    return percentile(values, 50)


def mean(values: Sequence[float]) -> float:
    """Return the arithmetic mean of at least one value."""
    ordered = _ordered(values)
    return min(max(math.fsum(ordered) / len(ordered), ordered[0]), ordered[-1])


@dataclass(frozen=True)
class Interval:
    """A confidence interval.

    Args:
        estimate: The point estimate, inside the interval.
        low: Lower end.
        high: Upper end.
        confidence: Probability, at least, that such an interval covers the true value; 0 to 1.
        requested: Confidence that was asked for. Few samples cannot reach it: then `reached` is false.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    requested: float

    @property
    def reached(self) -> bool:
        """Whether the interval is as sure as was asked for."""
        return self.confidence >= self.requested

    def __str__(self) -> str:
        text = f"{self.estimate:.6g} [{self.low:.6g}, {self.high:.6g}] at {self.confidence:.1%}"
        return text if self.reached else f"{text} (too few samples for {self.requested:.0%})"


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the narrowest symmetric interval of order statistics that covers the median with this confidence.

    The number of samples below the true median is binomial (n, 1/2), whatever the distribution. With fewer than six
    samples no interval reaches 95 %: then the whole range is returned with the confidence that it has, for example 75 %
    for three samples.

    Raises:
        ValueError: There is no value, one is not finite, or the confidence is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence is between 0 and 1, got {confidence:g}.")
    ordered = _ordered(values)
    count = len(ordered)
    # `outside` of 2**count equally likely cases lie beyond an end. Integers: floats end at 1024 samples.
    ways, outside, skipped = 1, 1, 0
    coverage = _coverage(count, outside)
    while 2 * (skipped + 2) <= count:
        ways = ways * (count - skipped) // (skipped + 1)
        narrower = _coverage(count, outside + ways)
        if narrower < confidence:
            break
        outside += ways
        skipped += 1
        coverage = narrower
    return Interval(median(ordered), ordered[skipped], ordered[count - 1 - skipped], coverage, confidence)


def _coverage(count: int, outside: int) -> float:
    """Probability that the median lies inside, when `outside` cases of 2**count leave it beyond either end."""
    return max(0.0, 1 - 2 * (outside / (1 << count)))


def ratio_of_medians(values: Sequence[float], baseline: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return median(values) / median(baseline) for two independent samples of positive numbers.

    Each median gets an interval at confidence `(1 + confidence) / 2`; by Bonferroni's inequality the quotient of their
    ends covers the true ratio with at least `confidence`. Conservative, and free of assumptions.

    Raises:
        ValueError: A sample is empty or has a number that is not positive and finite.
    """
    _require_positive(values, "values")
    _require_positive(baseline, "baseline")
    each = (1 + confidence) / 2
    upper = median_interval(values, each)
    lower = median_interval(baseline, each)
    covered = max(0.0, upper.confidence + lower.confidence - 1)
    return Interval(
        upper.estimate / lower.estimate, upper.low / lower.high, upper.high / lower.low, covered, confidence
    )


def paired_ratio(values: Sequence[float], baseline: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the median of `values[i] / baseline[i]` for rounds that were measured in turn.

    Interleaved rounds share the disturbances of the machine, so their ratios vary less than either side.

    Raises:
        ValueError: The samples differ in length, are empty, or have a number that is not positive and finite.
    """
    if len(values) != len(baseline):
        raise ValueError(f"Pairs need samples of one length, got {len(values)} and {len(baseline)}.")
    _require_positive(values, "values")
    _require_positive(baseline, "baseline")
    return median_interval([value / base for value, base in zip(values, baseline, strict=True)], confidence)


@dataclass(frozen=True)
class Summary:
    """What a sample looks like: its size, ends, middle and tail, in the unit of the values."""

    count: int
    minimum: float
    p50: float
    p90: float
    p99: float
    maximum: float
    mean: float


def summarize(values: Sequence[float]) -> Summary:
    """Return the summary of at least one value.

    Raises:
        ValueError: There is no value or one is not finite.
    """
    ordered = _ordered(values)
    return Summary(
        count=len(ordered),
        minimum=ordered[0],
        p50=percentile(ordered, 50),
        p90=percentile(ordered, 90),
        p99=percentile(ordered, 99),
        maximum=ordered[-1],
        mean=mean(ordered),
    )


def _ordered(values: Sequence[float]) -> list[float]:
    ordered = sorted(values)
    if not ordered:
        raise ValueError("Statistics need at least one value, got none.")
    if not all(map(math.isfinite, ordered)):
        raise ValueError(f"Statistics need finite values, got {next(v for v in values if not math.isfinite(v))}.")
    return ordered


def _require_positive(values: Sequence[float], name: str) -> None:
    if not all(value > 0 for value in values):
        raise ValueError(f"A ratio needs positive numbers, got {min(values):g} in the {name}.")


_RESAMPLES = 1000


def bootstrapped_ratio(
    values: Sequence[float], baseline: Sequence[float], rank: float, confidence: float = 0.95, *, seed: int = 0
) -> Interval:
    """Return the ratio of one percentile of two independent samples of positive numbers, with its bootstrap interval
    (Efron and Tibshirani, 1993, chapter 13).

    Resamples are not drawn value by value: the k-th of n sorted draws with replacement is the value at the quantile
    Beta(k, n - k + 1), which costs the same for any n.

    Raises:
        ValueError: A sample is empty or has a number that is not positive and finite.
    """
    _require_positive(values, "values")
    _require_positive(baseline, "baseline")
    upper, lower = _ordered(values), _ordered(baseline)
    draw = random.Random(seed)
    pairs = zip(_percentiles_of_resamples(upper, rank, draw), _percentiles_of_resamples(lower, rank, draw), strict=True)
    drawn = sorted(above / below for above, below in pairs)
    return _between(drawn, percentile(upper, rank) / percentile(lower, rank), confidence)


def _percentiles_of_resamples(ordered: list[float], rank: float, draw: random.Random) -> list[float]:
    if not 0 <= rank <= 100:
        raise ValueError(f"A percentile is between 0 and 100, got {rank:g}.")
    count = len(ordered)
    place = 1 + round((count - 1) * rank / 100)
    return [ordered[min(count - 1, int(draw.betavariate(place, count - place + 1) * count))] for _ in range(_RESAMPLES)]


def _between(drawn: list[float], estimate: float, confidence: float) -> Interval:
    """The interval that holds the middle of what resamples gave."""
    if not 0 < confidence < 1:
        raise ValueError(f"A confidence is between 0 and 1, got {confidence:g}.")
    outside = 100 * (1 - confidence) / 2
    low, high = percentile(drawn, outside), percentile(drawn, 100 - outside)
    return Interval(estimate, min(low, estimate), max(high, estimate), confidence, confidence)
