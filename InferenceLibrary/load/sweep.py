"""Loads of rising size: where does a server stop to keep up?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.plan import LoadPlan, Rate, Users
from InferenceLibrary.load.result import LoadResult
from InferenceLibrary.load.run import run


@dataclass(frozen=True)
class SweepStep:
    """One load of a sweep."""

    level: float
    """Users, or requests a second."""
    result: LoadResult
    kept: bool
    """Whether it kept the limits."""


def sweep(
    plan: LoadPlan,
    levels: Sequence[float],
    keeps: Callable[[LoadResult], bool],
    told: Callable[[SweepStep], None] | None = None,
) -> list[SweepStep]:
    """Run a plan at rising levels until one does not keep the limits; return all steps.

    Args:
        plan: The load; its schedule is of users or of a rate.
        levels: Users, or requests a second, ascending.
        keeps: Whether a result keeps the limits; one that cannot be trusted does not.
        told: Called after each step.

    Raises:
        MonitorError: The levels do not rise, or the schedule has no level.
    """
    if not levels or sorted(set(levels)) != list(levels):
        raise MonitorError(describe("The levels of a sweep do not rise", got=", ".join(f"{one:g}" for one in levels)))
    steps: list[SweepStep] = []
    for level in levels:
        schedule = plan.schedule
        if isinstance(schedule, Users):
            result = run(replace(plan, schedule=replace(schedule, count=int(level))))
        elif isinstance(schedule, Rate):
            result = run(replace(plan, schedule=replace(schedule, rate=level)))
        else:
            raise MonitorError(describe("A trace has no level that could rise", expected="users or a rate"))
        step = SweepStep(level, result, not result.doubts and keeps(result))
        steps.append(step)
        if told is not None:
            told(step)
        if not step.kept:
            break
    return steps


def knee(steps: Sequence[SweepStep]) -> SweepStep | None:
    """Return the step that is farthest above the line from the first to the last throughput: the knee of the curve.

    After Satopaa and others, "Finding a Kneedle in a Haystack" (2011): both axes from 0 to 1, the largest difference.
    None with fewer than three steps, or where throughput does not rise.
    """
    if len(steps) < 3:
        return None
    levels = [step.level for step in steps]
    rates = [step.result.totals["requests_per_second"] for step in steps]
    wide, high = levels[-1] - levels[0], max(rates) - rates[0]
    if wide <= 0 or high <= 0:
        return None
    gains = [(rate - rates[0]) / high - (level - levels[0]) / wide for level, rate in zip(levels, rates, strict=True)]
    return steps[gains.index(max(gains))]
