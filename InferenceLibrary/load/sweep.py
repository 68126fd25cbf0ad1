"""Loads of rising size: where does a server stop to keep up?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.plan import LoadPlan, Rate, Users
from InferenceLibrary.load.result import LoadResult
from InferenceLibrary.load.run import run

_BEND = 0.05
"""A curve that is nowhere farther above its chord, as a share of its height, is straight: chance bends it so."""


@dataclass(frozen=True)
class SweepStep:
    """One load of a sweep."""

    level: float
    """Users, or requests a second."""
    result: LoadResult
    kept: bool
    """Whether it kept the limits."""

    def figure(self, name: str) -> float | None:
        """Return a figure of the load by its name; None where it does not have it."""
        if name not in self.result.totals and name.rpartition("_")[0] not in self.result.figures:
            return None
        return self.result.get(name)

    def figures(self) -> dict[str, float | None]:
        """Return what is told of each load, in SI units."""
        return {name: self.figure(name) for name in ("tokens_per_second", "ttft_p50", "ttft_p99", "latency_p99")}


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
        step = _step(plan.seeded(plan.seed + len(steps)), level, keeps)
        steps.append(step)
        if told is not None:
            told(step)
        if not step.kept:
            break
    return steps


@dataclass(frozen=True)
class MaxLoad:
    """The largest load that keeps limits, and how it was found.

    Args:
        unit: `users` or `requests/s`.
        steps: All loads that were run, ascending.
        most: The largest load that the search was allowed.
    """

    unit: str
    steps: tuple[SweepStep, ...]
    most: float

    @property
    def best(self) -> SweepStep | None:
        """The largest load that kept the limits below the first that did not; None: not even the smallest did."""
        kept = itertools.takewhile(lambda step: step.kept, self.steps)
        return max(kept, key=lambda step: step.level, default=None)

    @property
    def level(self) -> float:
        """That load; zero where no load kept the limits."""
        return self.best.level if self.best else 0.0

    @property
    def broken(self) -> SweepStep | None:
        """The smallest load that did not keep the limits; None: the search ended before one was found."""
        return next((step for step in self.steps if not step.kept), None)

    @property
    def doubt(self) -> str | None:
        """Why the server may hold more than was found: this client was the bottleneck, or the search ended."""
        broken = self.broken
        if broken is None:
            return f"the search ended at {self.most:g} {self.unit}, which kept the limits"
        if broken.result.doubts:
            return f"this client was the bottleneck at {broken.level:g} {self.unit}: {broken.result.doubts[0]}"
        return None

    def facts(self, name: str) -> dict[str, Any]:
        """As JSON takes it: the level that was found, and some figures of each load, in SI units.

        Args:
            name: The server's name.
        """
        return {
            "kind": "inference-sweep",
            "schema": 1,
            "name": name,
            "unit": self.unit,
            "level": self.level,
            "doubt": self.doubt,
            "steps": [{"level": step.level, "kept": step.kept, **step.figures()} for step in self.steps],
        }

    def __str__(self) -> str:
        found = f"{self.level:g} {self.unit} keep the limits"
        if self.broken is not None:
            found += f", {self.broken.level:g} do not"
        return f"{found}; {self.doubt}" if self.doubt else found


def find_max(
    plan: LoadPlan,
    first: float,
    most: float,
    keeps: Callable[[LoadResult], bool],
    *,
    precision: float = 0.1,
    told: Callable[[SweepStep], None] | None = None,
) -> MaxLoad:
    """Double a load until it breaks the limits, then halve the interval until it is narrow enough.

    Args:
        plan: The load; its schedule is of users or of a rate.
        first: Users, or requests a second, to begin with.
        most: The largest load that is tried.
        keeps: Whether a result keeps the limits; one that cannot be trusted does not.
        precision: Width of the interval between the loads that keep and break the limits, relative to the first.
        told: Called after each load.

    Raises:
        MonitorError: The schedule has no level, or the numbers cannot be used.
    """
    if not 0 < first <= most or not 0 < precision <= 1:
        raise MonitorError(
            describe(
                "The largest load cannot be searched for",
                expected="a first load above zero and up to the largest, a precision of 0 to 1",
                got=f"{first:g}, {most:g} and {precision:g}",
            )
        )
    whole = isinstance(plan.schedule, Users)
    steps: list[SweepStep] = []
    seeds = itertools.count(plan.seed)

    def kept(level: float) -> bool:
        step = _step(plan.seeded(next(seeds)), level, keeps)
        if step.result.doubts:
            # Once more: the machine may have been busy with other work.
            step = _step(plan.seeded(next(seeds)), level, keeps)
        steps.append(step)
        if told is not None:
            told(step)
        return step.kept

    low, high, level = 0.0, None, first
    while high is None and low < most:
        if kept(level):
            low, level = level, min(level * 2, most)
        else:
            high = level
    while high is not None and low and high - low > max(precision * low, 1 if whole else 0):
        level = math.floor((low + high) / 2) if whole else (low + high) / 2
        if kept(level):
            low = level
        else:
            high = level
    return MaxLoad("users" if whole else "requests/s", tuple(sorted(steps, key=lambda step: step.level)), most)


def _step(plan: LoadPlan, level: float, keeps: Callable[[LoadResult], bool]) -> SweepStep:
    """Run one load. Each has a seed of its own: prompts that an earlier one had would measure the server's cache."""
    schedule = plan.schedule
    if isinstance(schedule, Users):
        result = run(replace(plan, schedule=replace(schedule, count=int(level))))
    elif isinstance(schedule, Rate):
        result = run(replace(plan, schedule=replace(schedule, rate=level)))
    else:
        raise MonitorError(describe("A trace has no level that could rise", expected="users or a rate"))
    return SweepStep(level, result, not result.doubts and keeps(result))


def knee(steps: Sequence[SweepStep]) -> SweepStep | None:
    """Return the step that is farthest above the line from the first to the last throughput: the knee of the curve.

    After Satopaa and others, "Finding a Kneedle in a Haystack" (2011): both axes from 0 to 1, the largest difference.
    None with fewer than three steps, or where throughput does not rise above that line: it has not bent yet.
    """
    if len(steps) < 3:
        return None
    levels = [step.level for step in steps]
    rates = [step.result.totals["requests_per_second"] for step in steps]
    wide, high = levels[-1] - levels[0], max(rates) - rates[0]
    if wide <= 0 or high <= 0:
        return None
    gains = [(rate - rates[0]) / high - (level - levels[0]) / wide for level, rate in zip(levels, rates, strict=True)]
    most = max(gains)
    return steps[gains.index(most)] if most > _BEND else None
