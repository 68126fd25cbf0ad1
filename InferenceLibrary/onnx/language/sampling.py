"""From logits to a token: greedy, or by chance under temperature, top-k, top-p and a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen.

    Args:
        temperature: 0 is greedy; above it logits are divided by it.
        top_p: The smallest set of tokens whose probabilities sum to this is drawn from; 0 to 1.
        top_k: Only so many of the likeliest tokens are drawn from; 0 for all.
        seed: The same seed gives the same tokens; None for another answer each time.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    seed: int | None = None

    def check(self) -> None:
        """Refuse what cannot be sampled from.

        Raises:
            ModelError: A number is out of range.
        """
        if not (math.isfinite(self.temperature) and self.temperature >= 0):
            raise ModelError(describe("temperature cannot be used", expected="0 or more", got=f"{self.temperature:g}"))
        if not 0 < self.top_p <= 1:
            raise ModelError(describe("top_p cannot be used", expected="above 0, at most 1", got=f"{self.top_p:g}"))
        if self.top_k < 0:
            raise ModelError(describe("top_k cannot be used", expected="0 or more", got=str(self.top_k)))
        if self.seed is not None and self.seed < 0:
            raise ModelError(describe("seed cannot be used", expected="0 or more", got=str(self.seed)))


class Sampler:
    """Chooses the tokens of one answer; what it drew before is part of its state."""

    def __init__(self, sampling: Sampling) -> None:
        sampling.check()
        np = packages.numpy("Sampling")
        self._np = np
        self._how = sampling
        self._draw = np.random.default_rng(sampling.seed)

    def __call__(self, logits: Any) -> int:
        """Return the token for a row of logits.

        Raises:
            ModelError: A logit is NaN.
        """
        np, how = self._np, self._how
        highest = int(logits.argmax())
        if np.isnan(logits[highest]):  # the argmax of numpy is the first NaN, if there is one
            raise ModelError(f"The model gave NaN for token {highest}: no token can be chosen.")
        if how.temperature == 0:
            return highest
        scaled = logits.astype(np.float64) / how.temperature
        chances = np.exp(scaled - scaled.max())
        if how.top_k and how.top_k < len(chances):
            chances[np.argsort(-chances, kind="stable")[how.top_k :]] = 0
        chances /= chances.sum()
        if how.top_p < 1:
            order = np.argsort(-chances, kind="stable")
            # The token that crosses the bar is still drawn from.
            above = np.cumsum(chances[order]) - chances[order] >= how.top_p
            chances[order[above]] = 0
            chances /= chances.sum()
        edge = self._draw.random()
        return int(min(np.searchsorted(np.cumsum(chances), edge, side="right"), np.flatnonzero(chances)[-1]))


def log_probabilities(logits: Any) -> Any:
    """Return the natural logarithm of each token's probability, before temperature and cuts."""
    np = packages.numpy("Sampling")
    wide = logits.astype(np.float64)
    wide -= wide.max()
    return wide - np.log(np.exp(wide).sum())
