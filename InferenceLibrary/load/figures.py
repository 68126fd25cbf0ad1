"""The figures that requests have, by name, and what a sample of them looks like."""

from __future__ import annotations

import difflib
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.measurement import Reduction, read_percentile
from InferenceLibrary.load.record import Record
from InferenceLibrary.stats import Interval, bootstrapped_mean, bootstrapped_percentile, percentile


class RequestFigure(NamedTuple):
    """One figure of requests."""

    title: str
    unit: str
    values: Callable[[Record], Sequence[float]]


def _one(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _token_latencies(record: Record) -> list[float]:
    if record.token_a_chunk:
        return list(record.gaps())
    return _one(1 / record.rate if record.rate else None)


FIGURES: dict[str, RequestFigure] = {
    "ttft": RequestFigure("time to first token", "s", lambda one: _one(one.first_token)),
    "ttst": RequestFigure("time to second token", "s", lambda one: _one(one.second_token)),
    "itl": RequestFigure("inter-token latency", "s", _token_latencies),
    "gap": RequestFigure("gap between chunks", "s", lambda one: list(one.gaps())),
    "tpot": RequestFigure("time per output token", "s", lambda one: _one(1 / one.rate if one.rate else None)),
    "latency": RequestFigure("end-to-end latency", "s", lambda one: [one.latency]),
    "scheduled_latency": RequestFigure(
        "end-to-end latency from the scheduled time", "s", lambda one: [one.ended - one.scheduled]
    ),
    "rate": RequestFigure("tokens per second of a request", "tokens/s", lambda one: _one(one.rate)),
    "server_rate": RequestFigure(
        "tokens per second by the server's word", "tokens/s", lambda one: _one(one.server_rate)
    ),
    "output_length": RequestFigure("output tokens of a request", "tokens", lambda one: _one(one.output_tokens or None)),
    "prompt_length": RequestFigure("prompt tokens of a request", "tokens", lambda one: _one(one.prompt_tokens)),
}
"""By name, as gates and files have it."""


def figure_of(name: str) -> RequestFigure:
    """Return a figure of requests by its name.

    Raises:
        MonitorError: There is no such figure.
    """
    found = FIGURES.get(name)
    if found is None:
        raise MonitorError(describe(f"Unknown figure '{name}'", expected=f"one of {', '.join(FIGURES)}"))
    return found


TOTALS = (
    *("requests", "failures", "error_rate", "requests_per_second", "tokens_per_second", "output_tokens"),
    *("concurrency", "held_back", "delivered", "repeated_ids"),
)
"""Figures of a load as a whole."""


def read_figure(name: str, totals: Iterable[str]) -> tuple[str, Reduction]:
    """Return the figure and the reduction that a name such as `ttft_p99` or `latency_mean` asks for.

    Raises:
        MonitorError: It is neither that nor one of `totals`; the message has the nearest name.
    """
    figure, _, at = name.rpartition("_")
    if figure not in FIGURES or not at:
        known = [*totals, *(f"{one}_{at}" for one in FIGURES for at in ("p50", "p90", "p95", "p99", "mean", "max"))]
        nearest = difflib.get_close_matches(name, known, 1)
        raise MonitorError(
            describe(
                f"Unknown figure '{name}'",
                expected=f"one of {', '.join(totals)}, or {', '.join(FIGURES)} with _p99, _mean, _max or the like",
                hint=f"did you mean '{nearest[0]}'?" if nearest else None,
            )
        )
    return figure, read_percentile(at)


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


def describe_values(values: Sequence[float], seed: int = 0) -> Distribution:
    """Return what a sample of one value or more looks like; the intervals are bootstrapped at 95 %, seeded."""
    ordered = sorted(values)
    mean = statistics.fmean(ordered)
    return Distribution(
        len(ordered),
        mean,
        percentile(ordered, 50),
        percentile(ordered, 90),
        percentile(ordered, 95),
        percentile(ordered, 99),
        ordered[0],
        ordered[-1],
        statistics.pstdev(ordered, mean) if len(ordered) < 10_000 else _deviation(ordered, mean),
        bootstrapped_mean(values, seed=seed),
        bootstrapped_percentile(ordered, 50, seed=seed),
        bootstrapped_percentile(ordered, 99, seed=seed),
    )


def _deviation(values: Sequence[float], mean: float) -> float:
    return float((sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5)
