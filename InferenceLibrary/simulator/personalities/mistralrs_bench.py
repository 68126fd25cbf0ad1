"""What the bench programs of mistral.rs print, from the configured latencies."""

from __future__ import annotations

from statistics import mean, stdev
from time import perf_counter
from typing import TYPE_CHECKING

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.simulator.latency import Latency

if TYPE_CHECKING:
    from collections.abc import Sequence

    from InferenceLibrary.simulator.settings import Settings

# Without latencies a run takes as long as this, so that rates are finite.
_LEAST = 0.001


def _measure(seconds: float) -> float:
    """Spend the time, and return what it really took."""
    begin = perf_counter()
    wait = max(_LEAST, seconds)
    wait_until(lambda: False, wait, first=wait, longest=wait)
    return perf_counter() - begin


def _times(settings: Settings, prompt: int, gen: int, rounds: int) -> tuple[list[float], list[float]]:
    latency = Latency(settings)
    prefill, decode = [], []
    for _ in range(max(1, rounds)):
        if prompt:
            prefill.append(_measure(latency.first(prompt, 1)))
        if gen:
            decode.append(_measure(latency.gap(1) * gen))
    return prefill, decode


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1f} ± {stdev(values) if len(values) > 1 else 0.0:.1f}"


def new_bench(settings: Settings, numbers: dict[str, int]) -> int:
    """Print the table of `mistralrs bench`."""
    prompt, gen, depth, rounds = (numbers[name] for name in ("prompt-len", "gen-len", "depth", "iterations"))
    _times(settings, prompt, gen, numbers["warmup"])
    prefill, decode = _times(settings, prompt, gen, rounds)
    rows = [("Test", "T/s", "Latency")]
    if prefill:
        rate = _spread([prompt / value for value in prefill])
        rows.append((f"Prefill ({prompt} tokens)", rate, f"{mean(prefill) * 1000:.2f} ms (prefill)"))
    if decode:
        rate = _spread([gen / value for value in decode])
        rows.append((f"Decode ({gen} tokens @ d{depth})", rate, f"{mean(decode) / gen * 1000:.2f} ms/T"))
    print("\nBenchmark Results\n=================\n")
    print(f"Model: {settings.model}\nIterations: {rounds}\n")
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    print("┌" + "┬".join("─" * (width + 2) for width in widths) + "┐")
    for place, row in enumerate(rows):
        print("│" + "│".join(f" {text:<{width}} " for text, width in zip(row, widths, strict=True)) + "│")
        if place == 0:
            print("├" + "┼".join("─" * (width + 2) for width in widths) + "┤")
    print("└" + "┴".join("─" * (width + 2) for width in widths) + "┘")
    return 0


def old_bench(settings: Settings, prompt: int, gen: int, rounds: int) -> int:
    """Print the table of `mistralrs-bench`."""
    prefill, decode = _times(settings, prompt, gen, rounds)
    rows = [("model", "backend", "test", "t/s", "ms/t", "concurrency", "throughput/s")]
    for name, count, times in ((f"pp {prompt}", prompt, prefill), (f"tg {gen}", gen, decode)):
        if times:
            rates = [count / value for value in times]
            per_token = [value / count * 1000 for value in times]
            cells = (_spread(rates).replace(" ± ", "±"), _spread(per_token).replace(" ± ", "±"))
            rows.append((settings.model, "CPU", name, *cells, "1", f"{mean(rates):.2f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    line = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    print(line)
    for row in rows:
        print("|" + "|".join(f" {text:<{width}} " for text, width in zip(row, widths, strict=True)) + "|")
        print(line)
    return 0
