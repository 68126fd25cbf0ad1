"""/metrics with the names of vLLM: counters and histograms of what was truly served, or what `--fake-metrics` set."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from math import inf
from operator import sub
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.exposition import Family, Sample

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.fake_metrics import Fake
    from InferenceLibrary.simulator.core.turn import Turn

_SECONDS = (
    0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0,
    1920.0, 7680.0,
)  # fmt: skip
_FIRST = (
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    160.0, 640.0, 2560.0,
)  # fmt: skip
_GAPS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)

_HISTOGRAMS = {
    "e2e_request_latency_seconds": ("Time of a request from arrival to end.", _SECONDS),
    "request_queue_time_seconds": ("Time a request waited for a place.", _SECONDS),
    "request_inference_time_seconds": ("Time of a request from its place to its end.", _SECONDS),
    "request_prefill_time_seconds": ("Time from the place to the first token.", _SECONDS),
    "request_decode_time_seconds": ("Time from the first token to the last.", _SECONDS),
    "time_to_first_token_seconds": ("Time from arrival to the first token.", _FIRST),
    "time_per_output_token_seconds": ("Time between tokens.", _GAPS),
    "inter_token_latency_seconds": ("Time between tokens.", _GAPS),
    "request_time_per_output_token_seconds": ("Mean time between the tokens of a request.", _GAPS),
    "request_prompt_tokens": ("Prompt tokens of a request.", ()),
    "request_generation_tokens": ("Output tokens of a request.", ()),
    "request_params_max_tokens": ("The max_tokens parameter of a request.", ()),
    "max_num_generation_tokens": ("Most output tokens of a choice.", ()),
}
"""By name what each says, and its limits; those of tokens go up to the context of the model."""

_OF_REQUESTS = (
    "e2e_request_latency_seconds",
    "request_queue_time_seconds",
    "request_inference_time_seconds",
    "request_prompt_tokens",
    "request_generation_tokens",
    "max_num_generation_tokens",
    "request_params_max_tokens",
    "time_to_first_token_seconds",
    "request_prefill_time_seconds",
)
"""Those of which each request has a value, whatever its tokens."""

_GAUGES = {
    "num_requests_running": "Requests at work.",
    "num_requests_waiting": "Requests that wait for a place.",
    "kv_cache_usage_perc": "Share of the cache that is in use, from 0 to 1.",
}
_COUNTERS = {
    "prompt_tokens_total": "Prompt tokens of all requests.",
    "generation_tokens_total": "Output tokens of all requests.",
    "prefix_cache_hits_total": "Prompt tokens that were found in the cache.",
    "prefix_cache_queries_total": "Prompt tokens that were looked for in the cache.",
}


def limits_of_histograms(context: int) -> dict[str, tuple[float, ...]]:
    """Return the upper limits of the buckets of each histogram, for a model with a context of so many tokens."""
    steps = [digit * 10.0**power for power in range(len(str(context))) for digit in (1, 2, 5)]
    tokens = tuple(step for step in steps if step <= context)
    return {name: limits or tokens for name, (_, limits) in _HISTOGRAMS.items()}


_MOST_WAITING = 4096
_TRIMMED_EACH = 1024


class Histogram:
    """Counts by upper limit. Values that came one by one are counted together, sorted: when they are many, or shown."""

    __slots__ = ("_counts", "_limits", "_sum", "_total", "_waiting", "note")

    def __init__(self, limits: tuple[float, ...]) -> None:
        self._limits = limits
        self._counts = [0] * (len(limits) + 1)
        self._sum = 0.0
        self._total = 0
        self._waiting: list[float] = []
        self.note = self._waiting.append
        """Count a value. Who calls it often calls `trim` now and then."""

    def add(self, value: float, times: int = 1) -> None:
        """Count a value so many times."""
        self._counts[bisect_left(self._limits, value)] += times
        self._sum += value * times
        self._total += times

    def extend(self, values: Iterable[float]) -> None:
        """Count many values."""
        self._waiting.extend(values)
        self.trim()

    def trim(self) -> None:
        """Count the values that wait, where they are many."""
        if len(self._waiting) > _MOST_WAITING:
            self._count()

    def _count(self) -> None:
        values = self._waiting
        self._sum += sum(values)
        self._total += len(values)
        if values and max(values) <= self._limits[0]:
            # As most times of a fast server are.
            self._counts[0] += len(values)
            values.clear()
            return
        values.sort()
        below = 0
        for place, limit in enumerate(self._limits):
            upto = bisect_right(values, limit, below)
            self._counts[place] += upto - below
            below = upto
        self._counts[-1] += len(values) - below
        values.clear()

    @property
    def total(self) -> int:
        """How many values were counted."""
        return self._total + len(self._waiting)

    @property
    def sum(self) -> float:
        """The sum of all values."""
        self._count()
        return self._sum

    def samples(self, labels: dict[str, str]) -> list[Sample]:
        """Return its buckets, its sum and its count."""
        self._count()
        found, running = [], 0
        for limit, count in zip((*self._limits, inf), self._counts, strict=True):
            running += count
            found.append(Sample(labels, running, "_bucket", limit))
        return [*found, Sample(labels, self._sum, "_sum"), Sample(labels, self._total, "_count")]


class Metrics:
    """Listens to the ends of requests. Tokens count as sent, also those of requests that were cancelled."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._labels = {"model_name": app.settings.names[0]}
        self._limits = limits_of_histograms(app.settings.max_model_len)
        self._histograms = {name: Histogram(limits) for name, limits in self._limits.items()}
        self._noting = tuple(self._histograms[name].note for name in _OF_REQUESTS)
        self._gaps, self._spans, self._means = (
            self._histograms[name]
            for name in (
                "inter_token_latency_seconds",
                "request_decode_time_seconds",
                "request_time_per_output_token_seconds",
            )
        )
        self._noted = 0
        self._success: dict[str, int] = {}
        self._prompt_tokens = self._tokens = 0
        self.cache_hits = 0
        """Prompt tokens that were found in the cache."""
        self.waits_only = False
        """Whether the time in the queue counts for requests alone that had to wait."""
        self._adapters = {("", ""): int(time())}
        self.fake: Fake | None = None
        if app.settings.fake_metrics:
            self.set_fake(app.settings.fake_metrics)
        app.on_ended.append(self.note)

    def set_fake(self, values: str | dict[str, Any]) -> None:
        """Show these values from now on; those that were set before and are not named stay.

        Raises:
            ValueError: A key is unknown, or a value is wrong; one line that names it.
        """
        from InferenceLibrary.simulator.core.fake_metrics import Fake

        if self.fake is None:
            self.fake = Fake(values, self._limits, self._app.settings.fake_metrics_refresh_interval)
        elif isinstance(values, dict):
            self.fake.update(values)

    def note_adapters(self, running: str, waiting: str) -> None:
        """Note which adapters run and wait from now on, with commas between."""
        self._adapters[running, waiting] = int(time())

    def note(self, turn: Turn) -> None:
        """Count a request that is over."""
        if not turn.counted or not turn.id or turn.outcome == "failed":
            return
        self._prompt_tokens += turn.prompt_tokens
        self._tokens += turn.tokens
        whole, queue, inference, prompt, generation, most, asked, first, prefill = self._noting
        received, started, now = turn.request.received, turn.started, monotonic()
        if turn.outcome == "completed":
            reason = turn.finish_reason or "stop"
            self._success[reason] = self._success.get(reason, 0) + 1
            whole(now - received)
            if started > received or not self.waits_only:
                queue(started - received)
            inference(now - started)
            prompt(turn.prompt_tokens)
            generation(turn.tokens)
            most(turn.tokens)
            if turn.max_tokens is not None:
                asked(turn.max_tokens)
        if turn.first_token:
            first(turn.first_token - received)
            prefill(turn.first_token - started)
            times = turn.token_times
            if times is not None and len(times) > 1:
                self._note_gaps(times)
        self._noted += 1
        if self._noted % _TRIMMED_EACH == 0:
            for histogram in self._histograms.values():
                histogram.trim()

    def _note_gaps(self, times: Sequence[float]) -> None:
        span, count = times[-1] - times[0], len(times) - 1
        self._spans.note(span)
        self._means.note(span / count)
        if span == 0.0:
            self._gaps.add(0.0, count)
        else:
            self._gaps.extend(map(sub, times[1:], times))

    def families(self, *, seen: bool = False) -> list[Family]:
        """Return all metrics, in vLLM's order.

        Args:
            seen: Only what has been counted at least once, of counters and histograms.
        """
        cache = {
            "block_size": str(self._app.settings.block_size),
            "num_gpu_blocks": str(self._app.settings.kv_cache_size),
        }
        found = self._counted(seen) if self.fake is None else self._set(self.fake)
        return [*found, Family("cache_config_info", "gauge", "The size of the cache.", [Sample(cache, 1)])]

    def _counted(self, seen: bool) -> list[Family]:
        """The metrics of what was truly served."""
        app = self._app
        capacity = max(1, app.settings.max_num_seqs * app.settings.max_model_len)
        used = sum(
            item.current.prompt_tokens + item.current.tokens
            for item in app.connections
            if item.current is not None and item.current.counted
        )
        values: dict[str, float] = {
            "num_requests_running": app.running,
            "num_requests_waiting": len(app.waiting),
            "kv_cache_usage_perc": min(1.0, used / capacity),
            "prompt_tokens_total": self._prompt_tokens,
            "generation_tokens_total": self._tokens,
        }
        if not seen or app.settings.enable_kvcache:
            values |= {"prefix_cache_hits_total": self.cache_hits, "prefix_cache_queries_total": self._prompt_tokens}
        reasons = self._success if seen else dict.fromkeys(("length", "stop", "tool_calls"), 0) | self._success
        self._histograms["time_per_output_token_seconds"] = self._histograms["inter_token_latency_seconds"]
        return [
            *(self._single(name, value) for name, value in values.items() if value or not seen or name in _GAUGES),
            self._adapters_info(self._adapters.items()),
            self._successes(reasons),
            *(self._histogram(name, one) for name, one in self._histograms.items() if one.total or not seen),
        ]

    def _set(self, fake: Fake) -> list[Family]:
        """The metrics that were set in place of those of what was served."""
        from InferenceLibrary.simulator.core.fake_metrics import BUCKETS, GAUGES, REASONS

        values = fake.values
        found = [self._single(name, fake.gauge(key)) for name, key in zip(_GAUGES, GAUGES, strict=True)]
        filled: dict[str, Histogram] = {}
        for key, names in BUCKETS.items():
            counts = getattr(values, key)
            for name in names if counts is not None else ():
                limits = self._limits[name]
                filled[name] = Histogram(limits)
                for limit, count in zip((*limits, limits[-1] + 1), counts, strict=False):
                    filled[name].add(limit, count)
        totals = {
            "prompt_tokens_total": (values.total_prompt_tokens, filled.get("request_prompt_tokens")),
            "generation_tokens_total": (values.total_generation_tokens, filled.get("request_generation_tokens")),
        }
        for name, (given, histogram) in totals.items():
            total = int(histogram.sum) if given is None and histogram is not None else given
            if total is not None:
                found.append(self._single(name, total))
        if values.prefix_cache_hits is not None and values.prefix_cache_queries is not None:
            found.append(self._single("prefix_cache_hits_total", values.prefix_cache_hits))
            found.append(self._single("prefix_cache_queries_total", values.prefix_cache_queries))
        if values.request_success_total is not None:
            found.append(self._successes(dict.fromkeys(REASONS, 0) | values.request_success_total))
        found.append(self._adapters_info(((one.running, one.waiting), one.timestamp) for one in fake.loras))
        return [*found, *(self._histogram(name, one) for name, one in filled.items())]

    def _single(self, name: str, value: float) -> Family:
        text = _GAUGES.get(name) or _COUNTERS[name]
        return Family(name, "gauge" if name in _GAUGES else "counter", text, [Sample(self._labels, value)])

    def _histogram(self, name: str, counted: Histogram) -> Family:
        return Family(name, "histogram", _HISTOGRAMS[name][0], counted.samples(self._labels))

    def _successes(self, reasons: dict[str, int]) -> Family:
        samples = [Sample({**self._labels, "finish_reason": reason}, reasons[reason]) for reason in sorted(reasons)]
        return Family("request_success_total", "counter", "Requests that were answered to their end.", samples)

    def _adapters_info(self, states: Iterable[tuple[tuple[str, str], float]]) -> Family:
        most = str(self._app.settings.max_loras)
        samples = [
            Sample({"max_lora": most, "running_lora_adapters": running, "waiting_lora_adapters": waiting}, when)
            for (running, waiting), when in sorted(states)
        ]
        text = "When these adapters ran and waited last, in seconds since 1970."
        return Family("lora_requests_info", "gauge", text, samples)
