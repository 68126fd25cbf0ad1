"""When tokens are sent: the timing model of llm-d-inference-sim, without its rounding to whole milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.draft import Gap
from InferenceLibrary.simulator.core.draws import Draws

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings


class Latency:
    """Times for one server; the settings may change while it runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._draws = Draws("latency", settings.seed)

    def load_factor(self, running: int) -> float:
        """Return how much slower everything is: 1 when alone, the full factor when all places are taken."""
        factor = self._settings.time_factor_under_load
        places = self._settings.max_num_seqs
        if factor == 1.0 or places < 2:
            return 1.0
        return 1.0 + (factor - 1.0) * (min(running, places) - 1) / (places - 1)

    def first(self, prompt_tokens: int, running: int, *, cached: int = 0, remote_prefill: bool = False) -> float:
        """Return the seconds to the first token."""
        settings = self._settings
        if remote_prefill:
            # Not slowed down by load: the work was done elsewhere, this is a transfer.
            if self._per_token(settings.kv_cache_transfer_latency):
                mean = settings.kv_cache_transfer_time_per_token * prompt_tokens
                return self.vary(mean, settings.kv_cache_transfer_time_std_dev)
            return self.vary(settings.kv_cache_transfer_latency, settings.kv_cache_transfer_latency_std_dev)
        if self._per_token(settings.time_to_first_token):
            mean = settings.prefill_overhead + settings.prefill_time_per_token * max(0, prompt_tokens - cached)
            if not mean:
                return 0.0
            return self.vary(mean, settings.prefill_time_std_dev) * self.load_factor(running)
        return self.vary(settings.time_to_first_token, settings.time_to_first_token_std_dev) * self.load_factor(running)

    def _per_token(self, constant: float) -> bool:
        calculator = self._settings.latency_calculator
        return calculator == "per-token" or (not calculator and constant == 0)

    def gap(self, running: int) -> float:
        """Return the seconds between tokens, before variation."""
        return self._settings.inter_token_latency * self.load_factor(running)

    def gaps(self, count: int, running: int) -> list[float] | float:
        """Return the waits before each of `count` tokens after the first; one number when they are all the same.

        Under `time_factor_under_load` they are gaps, which last as long as the load is when each begins.
        """
        mean, deviation = self.vary(self._settings.inter_token_latency, 0.0), self._settings.inter_token_latency_std_dev
        waits = [self.vary(mean, deviation) for _ in range(count)] if deviation else [mean] * count
        if self._settings.time_factor_under_load != 1.0 and mean:
            # Answers that come and go meanwhile change the pace.
            return [Gap(wait, self.load_factor(running)) for wait in waits]
        return waits if deviation else mean

    def vary(self, mean: float, deviation: float) -> float:
        """Return a time around a mean, at most 70 % away from it."""
        if not deviation:
            return mean
        return min(1.7 * mean, max(0.3 * mean, self._draws.normal(mean, deviation)))
