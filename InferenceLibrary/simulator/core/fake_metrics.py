"""Metrics that are set, not counted: the values of `--fake-metrics`, as llm-d-inference-sim names and refuses them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite, pi, sin
from time import monotonic, time
from typing import Any, NamedTuple

import msgspec

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.simulator.core.durations import parse_duration
from InferenceLibrary.typed_yaml import parse_yaml

REASONS = ("cache_threshold", "length", "remote_decode", "stop", "tool_calls")
SHAPES = ("oscillate", "ramp", "rampreset", "squarewave")


class Adapters(msgspec.Struct):
    """The adapters of running and of waiting requests, with commas between, at a time since 1970."""

    running: str = ""
    waiting: str = ""
    timestamp: float = 0


class FakeMetrics(msgspec.Struct, rename="kebab"):
    """The values. Lists count what falls into each, from the first on; the rest of the buckets is empty."""

    running_requests: float | str = 0
    waiting_requests: float | str = 0
    kv_cache_usage: float | str = 0
    loras: list[Adapters | str] = []
    ttft_buckets_values: list[int] | None = None
    tpot_buckets_values: list[int] | None = None
    e2erl_buckets_values: list[int] | None = None
    queue_time_buckets_values: list[int] | None = None
    inf_time_buckets_values: list[int] | None = None
    prefill_time_buckets_values: list[int] | None = None
    decode_time_buckets_values: list[int] | None = None
    request_prompt_tokens: list[int] | None = None
    request_generation_tokens: list[int] | None = None
    request_params_max_tokens: list[int] | None = None
    request_max_generation_tokens: list[int] | None = None
    request_success_total: dict[str, int] | None = None
    total_prompt_tokens: int | None = None
    total_generation_tokens: int | None = None
    prefix_cache_hits: int | None = None
    prefix_cache_queries: int | None = None


def known_values(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values without those that have no key here."""
    known = {field.encode_name for field in msgspec.structs.fields(FakeMetrics)}
    return {name: value for name, value in values.items() if name in known}


class Curve(NamedTuple):
    """A value that changes with time: `ramp:0:10:5s` and its like."""

    shape: str
    start: float
    end: float
    period: float

    def at(self, seconds: float) -> float:
        """Return the value so long after the beginning."""
        share = seconds / self.period
        if self.shape == "oscillate":
            return (self.start + self.end) / 2 + (self.end - self.start) / 2 * sin(2 * pi * share)
        if self.shape == "squarewave":
            return self.start if share % 1 < 0.5 else self.end
        return self.start + (min(share, 1.0) if self.shape == "ramp" else share % 1) * (self.end - self.start)


BUCKETS = {
    "ttft_buckets_values": ("time_to_first_token_seconds",),
    "tpot_buckets_values": ("time_per_output_token_seconds", "inter_token_latency_seconds"),
    "e2erl_buckets_values": ("e2e_request_latency_seconds",),
    "queue_time_buckets_values": ("request_queue_time_seconds",),
    "inf_time_buckets_values": ("request_inference_time_seconds",),
    "prefill_time_buckets_values": ("request_prefill_time_seconds",),
    "decode_time_buckets_values": ("request_decode_time_seconds",),
    "request_prompt_tokens": ("request_prompt_tokens",),
    "request_generation_tokens": ("request_generation_tokens",),
    "request_params_max_tokens": ("request_params_max_tokens",),
    "request_max_generation_tokens": ("max_num_generation_tokens",),
}
"""By key the histograms that it fills."""
GAUGES = ("running_requests", "waiting_requests", "kv_cache_usage")


class Fake:
    """What `--fake-metrics` set, and what was changed since.

    Args:
        values: What `--fake-metrics` holds; a JSON text, or its object.
        limits: Upper limits of the buckets of each histogram.
        step: Seconds for which a function keeps its value; 0 for none.

    Raises:
        ValueError: A key is unknown, or a value is wrong; one line that names it.
    """

    def __init__(self, values: str | dict[str, Any], limits: Mapping[str, Sequence[float]], step: float = 0) -> None:
        self._limits = limits
        self._step = step
        self.given: dict[str, Any] = {}
        """The values by their keys."""
        self._begun = monotonic()
        self.values = FakeMetrics()
        self.loras: list[Adapters] = []
        self.curves: dict[str, Curve] = {}
        self.update(json.loads(values) if isinstance(values, str) else values)

    def update(self, changes: dict[str, Any]) -> None:
        """Take other values; what is not named stays.

        Raises:
            ValueError: A key is unknown, or a value is wrong; one line that names it.
        """
        given = {**self.given, **changes}
        try:
            values = parse_yaml(json.dumps(given), "fake metrics", FakeMetrics)
            loras = [
                parse_yaml(one, "fake metrics: loras", Adapters) if isinstance(one, str) else one
                for one in values.loras
            ]
        except InferenceError as error:
            # A JSON text stands on one line: its number says nothing.
            raise ValueError(str(error).splitlines()[0].replace("fake metrics:1: key ", "fake metrics: ")) from None
        curves = {name: _curve(name, getattr(values, name)) for name in GAUGES}
        self._check(values)
        self.given, self.values, self.loras = given, values, loras or [Adapters(timestamp=int(time()))]
        self.curves = {name: curve for name, curve in curves.items() if curve is not None}

    def gauge(self, name: str) -> float:
        """Return the present value of a gauge: a whole number of requests, a share of the cache."""
        if name in self.curves:
            passed = monotonic() - self._begun
            value = self.curves[name].at(passed - passed % self._step if self._step > 0 else passed)
        else:
            value = getattr(self.values, name)
        return float(value) if name == "kv_cache_usage" else int(value)

    def _check(self, values: FakeMetrics) -> None:
        for name, histograms in BUCKETS.items():
            counts, most = getattr(values, name) or [], len(self._limits[histograms[0]]) + 1
            if len(counts) > most:
                raise ValueError(f"fake metrics: {_key(name)}: expected at most {most} counts, got {len(counts)}")
            if any(count < 0 for count in counts):
                raise ValueError(f"fake metrics: {_key(name)}: expected counts of 0 or more, got {counts}")
        for reason, count in (values.request_success_total or {}).items():
            if reason not in REASONS:
                raise ValueError(f"fake metrics: request-success-total: '{reason}' is none of {', '.join(REASONS)}")
            if count < 0:
                raise ValueError(f"fake metrics: request-success-total: expected 0 or more for {reason}, got {count}")
        for name in ("total_prompt_tokens", "total_generation_tokens", "prefix_cache_hits", "prefix_cache_queries"):
            if (getattr(values, name) or 0) < 0:
                raise ValueError(f"fake metrics: {_key(name)}: expected 0 or more, got {getattr(values, name)}")
        hits, queries = values.prefix_cache_hits, values.prefix_cache_queries
        if (hits is None) != (queries is None) or (hits or 0) > (queries or 0):
            raise ValueError(
                "fake metrics: prefix-cache-hits and prefix-cache-queries: expected both, and no more hits than queries"
            )


def _key(name: str) -> str:
    return name.replace("_", "-")


def _curve(name: str, value: float | str) -> Curve | None:
    """Return the function of a gauge; None for a number."""
    most = 1 if name == "kv_cache_usage" else float("inf")
    levels = [value]
    curve = None
    if isinstance(value, str):
        curve = _read_curve(name, value)
        levels = [curve.start, curve.end]
    if not all(isinstance(level, float | int) and isfinite(level) and 0 <= level <= most for level in levels):
        between = "between 0 and 1" if most == 1 else "0 or more"
        raise ValueError(f"fake metrics: {_key(name)}: expected {between}, got {value}")
    return curve


def _read_curve(name: str, text: str) -> Curve:
    shape, *numbers = text.split(":")
    try:
        start, end, period = numbers
        curve = Curve(shape, float(start), float(end), parse_duration(period))
    except ValueError:
        raise ValueError(
            f"fake metrics: {_key(name)}: expected a number or FUNCTION:START:END:PERIOD such as ramp:0:10:5s, "
            f"got '{text}'"
        ) from None
    if shape not in SHAPES:
        raise ValueError(f"fake metrics: {_key(name)}: '{shape}' is none of the functions {', '.join(SHAPES)}")
    if curve.period <= 0:
        raise ValueError(f"fake metrics: {_key(name)}: expected a period above 0, got '{text}'")
    return curve
