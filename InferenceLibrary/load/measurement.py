"""The figures of a measurement: one number per generation, then percentiles over the generations."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.load.generation import Generation, shown_time
from InferenceLibrary.stats import Interval, mean, median_interval, percentile

Figure = Literal[
    "tokens per second",
    "time to first token",
    "time to second token",
    "inter-token latency",
    "gap between chunks",
    "time per output token",
    "end-to-end latency",
]

_RANK = re.compile(r"p?(\d{1,3}(?:\.\d+)?)", re.IGNORECASE)


@dataclass
class Measurement:
    """Generations that were measured one after the other.

    Args:
        name: What was measured: the server's name.
        model: The model that was asked for, if known.
        generations: One per iteration, in order; warm-up is not among them.
        warmup: Number of generations before them that were thrown away.
    """

    name: str
    generations: list[Generation] = field(default_factory=list)
    model: str | None = None
    warmup: int = 0

    def as_json(self) -> str:
        """Return the figures of all generations as JSON: times in seconds, `null` where there is no rate."""
        found = {
            "format": "rfinference-measurement",
            "version": 1,
            "name": self.name,
            "model": self.model,
            "warmup": self.warmup,
            "generations": [
                {
                    "ttft": item.time_to_first_token,
                    "elapsed": item.elapsed,
                    "output_tokens": item.output_tokens,
                    "tokens_per_second": item.tokens_per_second,
                    "token_source": item.token_source,
                    "gaps": item.gaps,
                }
                for item in self.generations
            ],
        }
        return json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    def values(self, figure: Figure) -> list[float]:
        """Return the values of a figure: one per generation, but one per gap for latencies between tokens and chunks.

        Where a chunk holds several tokens, the inter-token latency is one value per generation: TPOT.

        Raises:
            MonitorError: There is no generation, or none (or only some) of them has this figure.
        """
        if not self.generations:
            raise MonitorError(
                describe(f"The measurement of '{self.name}' is empty", expected="generations", got="none")
            )
        if figure == "time to first token":
            return [item.time_to_first_token for item in self.generations]
        if figure == "end-to-end latency":
            return [item.elapsed for item in self.generations]
        if figure == "gap between chunks":
            return self._some(figure, [item.gaps for item in self.generations])
        if figure == "inter-token latency":
            return self._some(figure, [item.token_latencies for item in self.generations])
        if figure == "time to second token":
            second = [item.time_to_second_token for item in self.generations]
            return self._some(figure, [[] if value is None else [value] for value in second])
        for number, item in enumerate(self.generations, start=1):
            if item.rate.value is None:
                raise self._lacks(
                    figure, "two or more tokens whose times are known", f"{item.rate.reason} (iteration {number})"
                )
        rates = [rate for item in self.generations if (rate := item.rate.value) is not None]
        return rates if figure == "tokens per second" else [1 / rate for rate in rates]

    def _some(self, figure: Figure, values: list[list[float]]) -> list[float]:
        found = [value for part in values for value in part]
        if not found:
            raise self._lacks(figure, "two or more chunks with output", "one in each generation")
        return found

    def get(self, figure: Figure, at: str = "p50") -> float:
        """Return a figure over all generations, in SI units.

        Args:
            figure: Which one.
            at: A percentile such as `p50` or `p99.9`, or `mean`, `min`, `max`.

        Raises:
            MonitorError: The measurement lacks the figure, or `at` is none of these.
        """
        reduce = read_percentile(at)
        return reduce(self.values(figure))

    def interval(self, figure: Figure, confidence: float = 0.95) -> Interval:
        """Return the median of a figure with its distribution-free confidence interval."""
        return median_interval(self.values(figure), confidence)

    @property
    def output_tokens(self) -> int:
        """Output tokens of all generations."""
        return sum(item.output_tokens for item in self.generations)

    @property
    def token_sources(self) -> tuple[str, ...]:
        """Who counted the tokens: `usage`, `chunks` or both."""
        return tuple(sorted({item.token_source for item in self.generations}))

    @property
    def counted(self) -> str:
        """Who counted the tokens, in words."""
        return "counted by the server" if self.token_sources == ("usage",) else "counted by chunks: no usage reported"

    @property
    def cached_share(self) -> float | None:
        """Share of all prompts that came from a cache; None where the server says nothing of it."""
        known = [item for item in self.generations if item.details.cached_tokens is not None and item.prompt_tokens]
        prompt = sum(item.prompt_tokens or 0 for item in known)
        return sum(item.details.cached_tokens or 0 for item in known) / prompt if prompt else None

    def close(self) -> None:
        """Nothing is kept open; the measurement is forgotten with its owner."""

    def _lacks(self, figure: Figure, expected: str, got: str) -> MonitorError:
        return MonitorError(describe(f"The measurement of '{self.name}' has no {figure}", expected=expected, got=got))

    def __str__(self) -> str:
        count = len(self.generations)
        if count == 0:
            return f"{self.name}: nothing measured"
        rates = [known for item in self.generations if (known := item.tokens_per_second) is not None]
        speed = f"{percentile(rates, 50):.4g} tokens/s" if rates else "no rate"
        first, whole = self.get("time to first token"), self.get("end-to-end latency")
        warm = f"; warm: {self.cached_share:.0%} of the prompts came from a cache" if self.cached_share else ""
        return (
            f"{self.name}: {count} generation{'s' if count > 1 else ''}, {self.output_tokens} tokens ({self.counted}); "
            f"medians: first token after {shown_time(first)}, {speed}, whole answer in {shown_time(whole)}{warm}"
        )

    __repr__ = __str__


class Reduction:
    """Turns values into one: a percentile, the mean or an end."""

    def __init__(self, name: str, rank: float | None) -> None:
        self.name = name
        self.rank = rank
        """Percentile; None for the mean."""

    def __call__(self, values: Sequence[float]) -> float:
        return mean(values) if self.rank is None else percentile(values, self.rank)


def read_percentile(text: str) -> Reduction:
    """Return what `p50`, `p99.9`, `median`, `mean`, `min` or `max` means.

    Raises:
        MonitorError: It means nothing.
    """
    word = text.strip().lower()
    named: dict[str, float | None] = {"mean": None, "min": 0.0, "max": 100.0, "median": 50.0}
    if word in named:
        return Reduction(word, named[word])
    match = _RANK.fullmatch(word)
    if match is None or float(match.group(1)) > 100:
        raise MonitorError(
            describe("Unknown percentile", expected="p50, p99.9 or the like, median, mean, min or max", got=f"'{text}'")
        )
    return Reduction(f"p{match.group(1)}", float(match.group(1)))
