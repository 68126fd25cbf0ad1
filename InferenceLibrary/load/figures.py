"""The figures that requests have, by name, and what a sample of them looks like."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.measurement import Reduction, read_percentile
from InferenceLibrary.load.record import Record


class RequestFigure(NamedTuple):
    """One figure of requests."""

    title: str
    unit: str
    values: Callable[[Record], Sequence[float]]
    """Of one request, in the unit."""

    @property
    def step(self) -> float:
        """How exactly values are kept: a microsecond, a thousandth of a token a second, a token."""
        return {"s": 1e-6, "tokens/s": 1e-3}.get(self.unit, 1.0)


def _one(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _gaps(record: Record) -> list[float]:
    return list(record.gaps())


def _token_latencies(record: Record) -> list[float]:
    if record.token_a_chunk:
        return list(record.gaps())
    return _one(1 / record.rate if record.rate else None)


FIGURES: dict[str, RequestFigure] = {
    "ttft": RequestFigure("time to first token", "s", lambda one: _one(one.first_token)),
    "ttft_text": RequestFigure("time to first text", "s", lambda one: _one(one.first_text)),
    "ttft_reasoning": RequestFigure("time to first reasoning", "s", lambda one: _one(one.first_reasoning)),
    "ttft_tool_call": RequestFigure("time to first tool call", "s", lambda one: _one(one.first_tool_call)),
    "ttst": RequestFigure("time to second token", "s", lambda one: _one(one.second_token)),
    "itl": RequestFigure("inter-token latency", "s", _token_latencies),
    "gap": RequestFigure("gap between chunks", "s", _gaps),
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
        MonitorError: The figure does not exist.
    """
    found = FIGURES.get(name)
    if found is None:
        raise MonitorError(describe(f"Unknown figure '{name}'", expected=f"one of {', '.join(FIGURES)}"))
    return found


TOTALS = (
    *("requests", "failures", "error_rate", "requests_per_second", "tokens_per_second", "output_tokens"),
    *("concurrency", "held_back", "delivered", "repeated_ids", "error_rate_drift"),
)
"""Figures of a load as a whole."""


DRIFT = "drift"
"""In place of a percentile: how much a figure rose from the first quarter of a load to the last, as a share."""


def read_figure(name: str, totals: Iterable[str]) -> tuple[str, Reduction | None]:
    """Return the figure and the reduction that a name such as `ttft_p99` or `latency_mean` asks for; None for a drift.

    Raises:
        MonitorError: It is neither that nor one of `totals`; the message has the nearest name.
    """
    figure, _, at = name.rpartition("_")
    if figure not in FIGURES or not at:
        known = [
            *totals,
            *(f"{one}_{at}" for one in FIGURES for at in ("p50", "p90", "p95", "p99", "mean", "max", DRIFT)),
        ]
        nearest = difflib.get_close_matches(name, known, 1)
        raise MonitorError(
            describe(
                f"Unknown figure '{name}'",
                expected=f"one of {', '.join(totals)}, or {', '.join(FIGURES)} with _p99, _mean, _drift or the like",
                hint=f"did you mean '{nearest[0]}'?" if nearest else None,
            )
        )
    return figure, None if at == DRIFT else read_percentile(at)
