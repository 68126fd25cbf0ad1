"""A token's text with the log probability that a model gave it."""

from __future__ import annotations

from typing import Any

from InferenceLibrary.simulator.core.inference import InferredToken


class Scored(str):
    """What a token adds to the text; the token itself may be bytes of a character that is not whole yet."""

    __slots__ = ("logprob", "raw", "top")

    logprob: float
    raw: bytes
    top: tuple[tuple[bytes, float], ...]

    @classmethod
    def of(cls, token: InferredToken, rest: str = "") -> Scored:
        """Return the text of a token, `rest` after it."""
        made = cls(token.text + rest)
        made.logprob, made.raw, made.top = token.logprob, token.raw, token.top
        return made

    def entry(self, top: int) -> dict[str, Any]:
        """Return its log probabilities as the OpenAI API shows them."""
        return {**_entry(self.raw, self.logprob), "top_logprobs": [_entry(*other) for other in self.top[:top]]}


def _entry(raw: bytes, logprob: float) -> dict[str, Any]:
    return {"token": raw.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(raw)}
