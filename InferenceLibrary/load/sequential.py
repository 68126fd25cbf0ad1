"""The simplest load: one generation after the other, the first few thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.generation import Generation, RecordedStream, read_generation
from InferenceLibrary.load.measurement import Measurement

PROGRESS_EVERY = 5.0
"""Seconds between lines about a measurement that lasts."""


def measure_generation(
    generate: Callable[[], RecordedStream],
    *,
    name: str,
    iterations: int,
    warmup: int = 0,
    model: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Measurement:
    """Call `generate` again and again and return what its streams say.

    Args:
        generate: Sends one request and returns its recorded stream; raises when the stream breaks.
        name: Name of what is measured.
        iterations: Number of generations that count, at least 1.
        warmup: Number of generations before them: the first ones meet cold caches.
        model: The model that is asked for.
        progress: Takes the lines that are to be seen while one waits for a long measurement.

    Raises:
        MonitorError: A number is out of range, or a generation had no output.
    """
    if iterations < 1:
        raise MonitorError(describe("A measurement needs iterations", expected="1 or more", got=str(iterations)))
    if warmup < 0:
        raise MonitorError(describe("The warm-up of a measurement is wrong", expected="0 or more", got=str(warmup)))
    measurement = Measurement(name=name, model=model, warmup=warmup)
    began = told = time.monotonic()
    for number in range(1 - warmup, iterations + 1):
        generation = _generate_once(generate, name, number, iterations)
        if number > 0:
            measurement.generations.append(generation)
        now = time.monotonic()
        if number < iterations and now - told >= PROGRESS_EVERY:
            told = now
            done = f"{number} of {iterations} generations" if number > 0 else "the warm-up"
            progress(f"Measuring '{name}': {done} after {now - began:.0f} s")
    return measurement


def _generate_once(generate: Callable[[], RecordedStream], name: str, number: int, iterations: int) -> Generation:
    started = time.monotonic()
    stream = generate()
    generation = read_generation(stream, started)
    if generation is None:
        which = f"Iteration {number} of {iterations}" if number > 0 else "A warm-up"
        raise MonitorError(
            describe(
                f"{which} of the measurement of '{name}' generated nothing",
                expected="at least one token",
                got=f"a stream without output (finish reason: {stream.finish_reason or 'none'})",
                after=stream.elapsed,
            )
        )
    return generation
