"""/metrics with the names of vLLM: counters and histograms of what was truly served, in the format of Prometheus."""

from __future__ import annotations

import json
from bisect import bisect_left
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Turn

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SECONDS = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0)
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_GAPS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_COUNTS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0)

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
    "request_prompt_tokens": ("Prompt tokens of a request.", _COUNTS),
    "request_generation_tokens": ("Output tokens of a request.", _COUNTS),
    "request_params_max_tokens": ("The max_tokens parameter of a request.", _COUNTS),
    "max_num_generation_tokens": ("Most output tokens of a choice.", _COUNTS),
}


class Histogram:
    """Counts by upper limit."""

    __slots__ = ("counts", "limits", "sum", "total")

    def __init__(self, limits: tuple[float, ...]) -> None:
        self.limits = limits
        self.counts = [0] * (len(limits) + 1)
        self.sum = 0.0
        self.total = 0

    def add(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.limits, value)] += times
        self.sum += value * times
        self.total += times

    def lines(self, name: str, labels: str) -> list[str]:
        lines, running = [], 0
        for limit, count in zip((*map(str, self.limits), "+Inf"), self.counts, strict=True):
            running += count
            lines.append(f'{name}_bucket{{{labels},le="{limit}"}} {running}')
        return [*lines, f"{name}_sum{{{labels}}} {self.sum:.9g}", f"{name}_count{{{labels}}} {self.total}"]


class Metrics:
    """Listens to the ends of requests. Tokens count as sent, also those of requests that were cancelled."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._labels = f'model_name="{_escaped(app.settings.names[0])}"'
        self._histograms = {name: Histogram(limits) for name, (_, limits) in _HISTOGRAMS.items()}
        self._success: dict[str, int] = {}
        self._prompt_tokens = self._tokens = 0
        self.fake: dict[str, Any] = json.loads(app.settings.fake_metrics) if app.settings.fake_metrics else {}
        app.on_ended.append(self.note)

    def note(self, turn: Turn) -> None:
        """Count a request that is over."""
        if not turn.counted or not turn.id or turn.outcome == "failed":
            return
        self._prompt_tokens += turn.prompt_tokens
        self._tokens += turn.tokens
        found = self._histograms
        received, now = turn.request.received, monotonic()
        if turn.outcome == "completed":
            reason = turn.finish_reason or "stop"
            self._success[reason] = self._success.get(reason, 0) + 1
            found["e2e_request_latency_seconds"].add(now - received)
            found["request_queue_time_seconds"].add(turn.started - received)
            found["request_inference_time_seconds"].add(now - turn.started)
            found["request_prompt_tokens"].add(turn.prompt_tokens)
            found["request_generation_tokens"].add(turn.tokens)
            found["max_num_generation_tokens"].add(turn.tokens)
            if turn.max_tokens is not None:
                found["request_params_max_tokens"].add(turn.max_tokens)
        if not turn.first_token:
            return
        found["time_to_first_token_seconds"].add(turn.first_token - received)
        found["request_prefill_time_seconds"].add(turn.first_token - turn.started)
        times = turn.token_times
        if times is not None and len(times) > 1:
            span = times[-1] - times[0]
            found["request_decode_time_seconds"].add(span)
            found["request_time_per_output_token_seconds"].add(span / (len(times) - 1))
            gaps = found["inter_token_latency_seconds"]
            if span == 0.0:
                gaps.add(0.0, len(times) - 1)
            else:
                earlier = times[0]
                for later in times[1:]:
                    gaps.add(later - earlier)
                    earlier = later

    def text(self, loras: list[str], running_loras: list[str], waiting_loras: list[str]) -> bytes:
        """Return the metrics in the text format."""
        app, labels = self._app, self._labels
        self._histograms["time_per_output_token_seconds"] = self._histograms["inter_token_latency_seconds"]
        capacity = max(1, app.settings.max_num_seqs * app.settings.max_model_len)
        used = sum(
            item.current.prompt_tokens + item.current.tokens
            for item in app.connections
            if item.current is not None and item.current.counted
        )
        gauges = {
            "num_requests_running": app.running,
            "num_requests_waiting": len(app.waiting),
            "kv_cache_usage_perc": min(1.0, used / capacity),
        }
        counters = {
            "prompt_tokens_total": self._prompt_tokens,
            "generation_tokens_total": self._tokens,
            "prefix_cache_hits_total": 0,
            "prefix_cache_queries_total": self._prompt_tokens,
        }
        lines: list[str] = []
        for name, value in gauges.items():
            shown = self.fake.get(name.replace("num_requests_", "") + "-requests", self.fake.get(name, value))
            lines += [f"# TYPE vllm:{name} gauge", f"vllm:{name}{{{labels}}} {shown}"]
        lines += ["# TYPE vllm:lora_requests_info gauge"]
        lora_labels = (
            f'max_lora="{app.settings.max_loras}",running_lora_adapters="{_escaped(",".join(running_loras))}",'
            f'waiting_lora_adapters="{_escaped(",".join(waiting_loras))}"'
        )
        lines += [f"vllm:lora_requests_info{{{lora_labels}}} {len(loras)}", "# TYPE vllm:cache_config_info gauge"]
        cache = f'block_size="{app.settings.block_size}",num_gpu_blocks="{app.settings.kv_cache_size}"'
        lines += [f"vllm:cache_config_info{{{cache}}} 1", "# TYPE vllm:request_success_total counter"]
        for reason in sorted({"stop", "length", "tool_calls", *self._success}):
            count = self._success.get(reason, 0)
            lines.append(f'vllm:request_success_total{{{labels},finish_reason="{reason}"}} {count}')
        for name, value in counters.items():
            lines += [f"# TYPE vllm:{name} counter", f"vllm:{name}{{{labels}}} {value}"]
        for name, (text, _) in _HISTOGRAMS.items():
            lines += [f"# HELP vllm:{name} {text}", f"# TYPE vllm:{name} histogram"]
            lines += self._histograms[name].lines(f"vllm:{name}", labels)
        return ("\n".join(lines) + "\n").encode()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
