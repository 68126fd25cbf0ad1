"""Was it faster before? The distributions of two loads, compared with a stated confidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.figures import FIGURES, figure_of
from InferenceLibrary.stats import Interval, bootstrapped_ratio, paired_ratio, percentile

Judged = Literal["better", "same", "worse", "cannot tell"]
ROUNDS = 6
"""So many pairs it takes for an interval at 95 % that assumes nothing."""
_HIGHER_IS_BETTER = {"rate", "server_rate"}
_USUAL = ("ttft", "latency", "rate")
_CHANCE = 0.025


class Comparison(NamedTuple):
    """One figure of two loads.

    The test: the ratio of the percentiles with its bootstrap interval at 95 %. `worse` and `better`: the whole interval
    lies beyond the tolerance. `same`: all of it lies within. Else the samples cannot tell.
    """

    figure: str
    rank: float
    ratio: Interval
    """Now over before."""
    tolerance: float
    counts: tuple[int, int]
    """Values now and before."""
    verdict: Judged
    visible: float
    """The smallest relative change beyond the tolerance that these samples would have shown."""

    def __str__(self) -> str:
        title = f"{FIGURES[self.figure].title} p{self.rank:g}"
        if math.isinf(self.ratio.high):
            return (
                f"{title}: cannot tell; {self.ratio.estimate:.4g} times as before, {self.counts[0]} values for "
                f"{self.counts[1]} where each needs {needed(self.rank)}"
            )
        return (
            f"{title}: {self.verdict}; {self.ratio.estimate:.4g} times as before [{self.ratio.low:.4g}, "
            f"{self.ratio.high:.4g}] at {self.ratio.confidence:.0%}, {self.tolerance:.3g} tolerated, a change of "
            f"{self.visible:.1%} would have been seen; {self.counts[0]} values for {self.counts[1]}"
        )


def compare_values(
    figure: str,
    now: Sequence[float],
    before: Sequence[float],
    *,
    rank: float = 50,
    tolerance: float = 0.1,
    seed: int = 0,
) -> Comparison:
    """Compare one percentile of two samples of positive numbers.

    Raises:
        MonitorError: A sample is empty, the tolerance is not a share of 0 to 1, or the rank is not from 0 to 100.
    """
    _check(tolerance, rank)
    if not now or not before or min(*now, *before) <= 0:
        raise MonitorError(
            describe(
                f"The {FIGURES[figure].title} of two loads cannot be compared",
                expected="positive values in both",
                got=f"{len(now)} and {len(before)}",
            )
        )
    ratio = bootstrapped_ratio(now, before, rank, seed=seed)
    if min(len(now), len(before)) < needed(rank):
        # A bootstrap of few values does not know what lies beyond them: its interval would be too narrow.
        ratio = Interval(ratio.estimate, 0.0, math.inf, ratio.requested, ratio.requested)
    return _judged(figure, rank, ratio, tolerance, (len(now), len(before)))


def compare_rounds(
    figure: str, now: Sequence[Sequence[float]], before: Sequence[Sequence[float]], *, rank: float = 50,
    tolerance: float = 0.1,
) -> Comparison:  # fmt: skip
    """Compare one percentile of two servers that were measured in turns.

    The test: the median of the ratios of the rounds with its interval of order statistics, which assumes nothing on
    the distribution; values within a round depend on each other, rounds do not. Six rounds reach 95 %.

    Args:
        figure: Name of the figure.
        now: The values of one server, round by round.
        before: Those of the other one.
        rank: Which percentile of each round.
        tolerance: Share by which they may differ.

    Raises:
        MonitorError: There are fewer than six rounds, or a round has no positive value.
    """
    _check(tolerance, rank)
    if len(now) != len(before) or len(now) < ROUNDS:
        raise MonitorError(
            describe("Two servers cannot be compared", expected=f"{ROUNDS} rounds or more", got=str(len(now)))
        )
    if not all(one and min(one) > 0 for one in (*now, *before)):
        raise MonitorError(
            describe(
                f"The {FIGURES[figure].title} of two servers cannot be compared",
                expected="positive values in every round",
                got=f"{sum(not one or min(one) <= 0 for one in (*now, *before))} rounds without",
            )
        )
    ratio = paired_ratio([percentile(one, rank) for one in now], [percentile(one, rank) for one in before])
    return _judged(figure, rank, ratio, tolerance, (sum(map(len, now)), sum(map(len, before))))


def needed(rank: float) -> int:
    """Return how many values it takes to say anything on a percentile at 95 %: with fewer, all may lie on one side."""
    share = max(rank, 100 - rank) / 100
    return math.ceil(math.log(0.025) / math.log(share)) if share < 1 else 2


def _judged(figure: str, rank: float, ratio: Interval, tolerance: float, counts: tuple[int, int]) -> Comparison:
    low, high = ratio.low, ratio.high
    verdict: Judged = "cannot tell"
    if low > 1 + tolerance:
        verdict = "better" if figure in _HIGHER_IS_BETTER else "worse"
    elif high < 1 - tolerance:
        verdict = "worse" if figure in _HIGHER_IS_BETTER else "better"
    elif low >= 1 - tolerance and high <= 1 + tolerance:
        verdict = "same"
    width = max(ratio.estimate - low, high - ratio.estimate) / ratio.estimate
    return Comparison(figure, rank, ratio, tolerance, counts, verdict, tolerance + width)


def _check(tolerance: float, rank: float) -> None:
    if not 0 <= tolerance < 1:
        raise MonitorError(describe("tolerance cannot be used", expected="a share of 0 to 1", got=f"{tolerance:g}"))
    if not 0 <= rank <= 100:
        raise MonitorError(describe("percentile cannot be used", expected="0 to 100", got=f"{rank:g}"))


def compare_summaries(
    now: Mapping[str, Any], before: Mapping[str, Any], *, tolerance: float = 0.1, rank: float = 50,
    figures: Sequence[str] | None = None,
) -> list[Comparison]:  # fmt: skip
    """Compare two summaries (`LoadResult.summary`, `read_summary`) figure by figure.

    Args:
        now: The load that is judged.
        before: The earlier one.
        tolerance: Share by which a figure may differ.
        rank: Which percentile.
        figures: Which figures; None: those of `ttft`, `latency` and `rate` that the earlier load has.

    Raises:
        MonitorError: A figure does not exist, one of the loads does not have it, or there is none.
    """
    names = figures if figures is not None else [name for name in _USUAL if name in before["samples"]]
    for name in names:
        title = figure_of(name).title
        lacking = [which for which, one in (("load", now), ("baseline", before)) if name not in one["samples"]]
        if lacking:
            # Left out in silence, a figure that a server has lost would pass.
            raise MonitorError(
                describe(
                    f"The {title} of two loads cannot be compared",
                    expected="both to have it",
                    got=f"none in the {' and none in the '.join(lacking)}",
                )
            )
    if not names:
        got = ", ".join(before["samples"]) or "none"
        raise MonitorError(describe("Two loads have no figure to compare", expected=", ".join(_USUAL), got=got))
    return [
        compare_values(name, now["samples"][name], before["samples"][name], rank=rank, tolerance=tolerance)
        for name in names
    ]


def more_failures(now: Mapping[str, Any], before: Mapping[str, Any]) -> str | None:
    """Return how many requests failed in two loads where more do now than chance explains; None else.

    The test: Fisher's exact one, one-sided at 97.5 %. The times of a comparison are those of requests that succeeded.
    """
    (failed, asked), (failed_before, asked_before) = (
        (int(one["totals"]["failures"]), int(one["totals"]["requests"])) for one in (now, before)
    )
    if failed * asked_before <= failed_before * asked:
        return None
    both = failed + failed_before
    chance = math.fsum(
        math.exp(_log_ways(asked, hit) + _log_ways(asked_before, both - hit) - _log_ways(asked + asked_before, both))
        for hit in range(failed, min(both, asked) + 1)
        if both - hit <= asked_before
    )
    return f"{failed} of {asked} for {failed_before} of {asked_before}" if chance <= _CHANCE else None


def _log_ways(count: int, chosen: int) -> float:
    return math.lgamma(count + 1) - math.lgamma(chosen + 1) - math.lgamma(count - chosen + 1)


def other_machine(now: Mapping[str, Any], before: Mapping[str, Any]) -> list[str]:
    """Return in what the machines of two summaries differ, one line each."""
    return [
        f"{key} {now['machine'].get(key)} for {was}"
        for key, was in before["machine"].items()
        if now["machine"].get(key) != was
    ]
