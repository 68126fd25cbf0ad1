"""What llm-d-inference-sim v0.10.2 counts: each prompt and each choice as a request, with its configured times."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from InferenceLibrary.simulator.core.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Turn


class Share(NamedTuple):
    """One prompt, or one choice of it, of a request."""

    prompt: int
    """Tokens of the prompt."""
    tokens: int
    """Tokens of the answer, as its usage counts them."""
    paced: int
    """Those of them that take their time: a call of a tool has more than its arguments."""
    finish: str


class LlmDMetrics(Metrics):
    """Counts what is planned: the times that were configured, or drawn, not those that passed."""

    def __init__(self, app: App) -> None:
        super().__init__(app)
        self.waits_only = True
        self._planned: dict[Turn, tuple[Sequence[Share], float, Sequence[float]]] = {}

    def plan(self, turn: Turn, shares: Sequence[Share], first: float, gaps: Sequence[float]) -> None:
        """Note what is counted at the end of a request: seconds to the first token, and between those after it."""
        self._planned[turn] = shares, first, gaps

    def note(self, turn: Turn) -> None:
        planned = self._planned.pop(turn, None)
        if planned is None or turn.outcome != "completed":
            return
        shares, first, gaps = planned
        for share in shares:
            self._note_share(turn, share, first, gaps[: max(0, share.paced - 1)])
        for histogram in self._histograms.values():
            histogram.trim()

    def _note_share(self, turn: Turn, share: Share, first: float, gaps: Sequence[float]) -> None:
        self._prompt_tokens += share.prompt
        self._tokens += share.tokens
        self._success[share.finish] = self._success.get(share.finish, 0) + 1
        queued = turn.started - turn.request.received
        values = {
            "e2e_request_latency_seconds": monotonic() - turn.request.received,
            "request_inference_time_seconds": monotonic() - turn.started,
            "request_prompt_tokens": share.prompt,
            "request_generation_tokens": share.tokens,
            "max_num_generation_tokens": share.tokens,
        }
        if queued > 0:
            values["request_queue_time_seconds"] = queued
        if turn.max_tokens is not None:
            values["request_params_max_tokens"] = turn.max_tokens
        if share.paced:
            times = turn.token_times or (turn.first_token,)
            values |= {
                "time_to_first_token_seconds": first,
                "request_prefill_time_seconds": max(0.0, turn.first_token - turn.started),
                "request_decode_time_seconds": times[-1] - times[0],
            }
        for name, value in values.items():
            self._histograms[name].note(value)
        self._histograms["inter_token_latency_seconds"].extend(gaps)
