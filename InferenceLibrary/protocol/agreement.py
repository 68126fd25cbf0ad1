"""Whether two answers say the same, and how sure a pass rate is: checks that know that models sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from InferenceLibrary.protocol.pieces import TokenLogprob, ToolCall


class Difference(NamedTuple):
    """Where two texts part."""

    at: int
    """Character offset, from 0."""
    first: str
    second: str
    margin: float | None
    """How much likelier the token there was than its best rival (natural logarithm); None when not known."""

    def __str__(self) -> str:
        return f"at character {self.at}: '{self.first}' and '{self.second}'"


def first_difference(
    first: str, second: str, logprobs: Sequence[TokenLogprob] = (), others: Sequence[TokenLogprob] = ()
) -> Difference | None:
    """Return where two texts part, None when they are equal.

    The margin is the smaller one of the two answers' at that token: a small one means that either token could have been
    chosen, for rounding differs from batch to batch.
    """
    if first == second:
        return None
    at = next((place for place, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), None)
    at = min(len(first), len(second)) if at is None else at
    margins = [margin for items in (logprobs, others) if (margin := _margin_at(items, at)) is not None]
    return Difference(at, first[at : at + 20], second[at : at + 20], min(margins) if margins else None)


def calls_said(calls: Sequence[ToolCall]) -> list[tuple[str | None, Any]]:
    """Return names and arguments of tool calls for a comparison: decoded where they are JSON, else as they came.

    None, which decoding gives for what is not JSON, would make all of those equal.
    """
    return [(call.name, call.arguments if call.input is None else (call.input,)) for call in calls]


def _margin_at(items: Sequence[TokenLogprob], offset: int) -> float | None:
    end = 0
    for item in items:
        end += len(item.token)
        if end > offset:
            return item.margin
    return None


def wilson_interval(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the ends of the confidence interval of a rate (Wilson's score interval; by default 95 %).

    Raises:
        ValueError: There was no trial.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"Expected 0 to {trials} successes of at least one trial, got {successes}.")
    rate, square = successes / trials, z * z
    middle = (rate + square / (2 * trials)) / (1 + square / trials)
    half = z / (1 + square / trials) * math.sqrt(rate * (1 - rate) / trials + square / (4 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)
