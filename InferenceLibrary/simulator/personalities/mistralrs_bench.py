"""What the bench programs of mistral.rs print. The time is truly spent, by the latencies that are configured."""

from __future__ import annotations

import sys
from time import perf_counter
from typing import TYPE_CHECKING

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.simulator.answers.engine import Engine
from InferenceLibrary.simulator.answers.latency import Latency
from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.answers.tokens import count_tokens
from InferenceLibrary.simulator.personalities.mistralrs_log import fail, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from InferenceLibrary.simulator.core.settings import Settings
    from InferenceLibrary.simulator.personalities.mistralrs_clap import Parsed
    from InferenceLibrary.simulator.personalities.mistralrs_model import LoadedModel

# Without latencies a run takes as long as this, so that rates are finite.
_LEAST = 0.001
_MODULE = "mistralrs::commands::bench"
_HIGHEST_TOKEN = 1850


def run_bench(parsed: Parsed, settings: Settings, model: LoadedModel) -> int:
    """Run the benchmark that the command line asks for; return the exit code."""
    if parsed.path[0] == "bench":
        vocabulary = model.info.vocabulary
        if vocabulary is not None and vocabulary <= _HIGHEST_TOKEN:
            # The bench asks with token ids of its own, whatever the model knows.
            return fail(f"index-select invalid index {_HIGHEST_TOKEN} with dim size {vocabulary}")
        return _bench(parsed, settings, model.model_id)
    if parsed.path[0] == "benchmark":
        return _benchmark(parsed, settings)
    return _old_bench(parsed, settings, model.model_id)


class _Meter:
    def __init__(self, settings: Settings) -> None:
        self._latency = Latency(settings)

    def prefill(self, tokens: int) -> float:
        """Return the seconds that a prompt of so many tokens took."""
        return _spend(self._latency.first(tokens, 1))

    def decode(self, tokens: int) -> float:
        """Return the seconds that so many tokens took."""
        return _spend(self._latency.gap(1) * tokens)


def _spend(seconds: float) -> float:
    begin = perf_counter()
    wait = max(_LEAST, seconds)
    wait_until(lambda: False, wait, first=wait, longest=wait)
    return perf_counter() - begin


def _spread(values: Sequence[float], digits: int) -> tuple[str, str, float]:
    """Return mean and standard deviation as text, and the mean."""
    mean = sum(values) / len(values)
    deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
    return f"{mean:.{digits}f}", f"{deviation:.{digits}f}", mean


def _bench(parsed: Parsed, settings: Settings, model_id: str) -> int:
    prompts, generated, depths = parsed["prompt-len"], parsed["gen-len"], parsed["depth"]
    if generated and 0 in depths:
        return fail("--depth must be greater than 0 when --gen-len is greater than 0")
    meter, rounds = _Meter(settings), parsed["iterations"]
    if parsed["warmup"]:
        log(f"Running {parsed['warmup']} warmup iteration(s)...", _MODULE)
        for _ in range(parsed["warmup"]):
            meter.prefill(32)
            meter.decode(16)
        log("Warmup complete.", _MODULE)
    rows: list[tuple[str, ...]] = [("Test", "T/s", "Latency")]
    log(f"Running {rounds} iteration(s) with prompt lengths {prompts}, {generated} generation tokens...", _MODULE)
    for prompt in filter(None, prompts):
        times = [meter.prefill(prompt) for _ in range(rounds)]
        if times:
            mean, deviation, _ = _spread([prompt / seconds for seconds in times], 1)
            latency = _spread([seconds * 1000 for seconds in times], 2)[0]
            rows.append((f"TTFT ({prompt} input tokens)", f"{mean} ± {deviation}", f"{latency} ms TTFT"))
    for depth in depths if generated else ():
        times = [meter.decode(generated) for _ in range(rounds)]
        if times:
            mean, deviation, rate = _spread([generated / seconds for seconds in times], 1)
            rows.append(
                (f"Decode ({generated} tokens @ d{depth})", f"{mean} ± {deviation}", f"{1000 / rate:.2f} ms TPOT")
            )
    head = f"\nBenchmark Results\n=================\n\nModel: {model_id}\nAdapter: base\nIterations: {rounds}\n\n"
    sys.stdout.write(f"{head}{_box_table(rows)}\n\n")
    return 0


def _old_bench(parsed: Parsed, settings: Settings, model_id: str) -> int:
    meter, rounds = _Meter(settings), parsed["repetitions"]
    log("Starting warmup run.", "mistralrs_bench")
    meter.decode(5)
    log("Finished warmup run.", "mistralrs_bench")
    log("Starting benchmarks.", "mistralrs_bench")
    for concurrency in parsed["concurrency"]:
        rows: list[tuple[str, ...]] = [("model", "backend", "test", "t/s", "ms/t", "concurrency", "throughput/s")]
        for name, count, measure in (("tg", parsed["n-gen"], meter.decode), ("pp", parsed["n-prompt"], meter.prefill)):
            times = [measure(count) for _ in range(rounds if count else 0)]
            if times:
                rate, rate_spread, mean = _spread([count / seconds for seconds in times], 3)
                each, each_spread, _ = _spread([seconds * 1000 / count for seconds in times], 3)
                spreads = (f"{rate}±{rate_spread}", f"{each}±{each_spread}")
                rows.append((model_id, "CPU", f"{name} {count}", *spreads, str(concurrency), f"{mean * concurrency:g}"))
        sys.stdout.write(f"{_plain_table(rows)}\n")
    return 0


def _benchmark(parsed: Parsed, settings: Settings) -> int:
    """The form that mistral.rs's testing guide expects; no released program prints it."""
    prompt, limit = parsed["prompt"], parsed["max-tokens"]
    count = count_tokens(prompt)
    ask = Ask(settings.model, [prompt], count, prompt, max_tokens=limit, ignore_eos=True)
    tokens = Engine(settings).generate(ask, prompt, 0, limit).count
    meter = _Meter(settings)
    first, rest = meter.prefill(count), meter.decode(tokens)
    sys.stdout.write(
        f"Prompt tokens: {count}\nGenerated tokens: {tokens}\nTime to first token: {first * 1000:.2f} ms\n"
        f"Total time: {first + rest:.2f} s\nTokens/sec: {tokens / (first + rest):.2f}\n"
    )
    return 0


def _widths(rows: list[tuple[str, ...]]) -> list[int]:
    return [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]


def _box_table(rows: list[tuple[str, ...]]) -> str:
    widths = _widths(rows)

    def rule(left: str, dash: str, cross: str, right: str) -> str:
        return left + cross.join(dash * (width + 2) for width in widths) + right

    lines = [
        "│" + "┆".join(f" {text:<{width}} " for text, width in zip(row, widths, strict=True)) + "│" for row in rows
    ]
    between = f"\n{rule('├', '╌', '┼', '┤')}\n".join(lines[1:])
    body = f"\n{rule('╞', '═', '╪', '╡')}\n{between}" if between else ""
    return f"{rule('┌', '─', '┬', '┐')}\n{lines[0]}{body}\n{rule('└', '─', '┴', '┘')}"


def _plain_table(rows: list[tuple[str, ...]]) -> str:
    widths = _widths(rows)
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = [
        "|" + "|".join(f" {text:<{width}} " for text, width in zip(row, widths, strict=True)) + "|" for row in rows
    ]
    return "\n".join([rule, *(f"{line}\n{rule}" for line in lines)])
