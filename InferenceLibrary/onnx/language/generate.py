"""One answer of a language model: token by token, with a cache, until it ends, is stopped, or is full."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.language.answer_text import AnswerText
from InferenceLibrary.onnx.language.model import Cache, LanguageModel
from InferenceLibrary.onnx.language.sampling import Sampler, Sampling, log_probabilities


@dataclass
class GeneratedText:
    """What a language model generated.

    Args:
        model: Its name.
        prompt_tokens: Number of tokens of the prompt.
        tokens: The tokens of the answer; the one that ends it is not among them.
        text: Their text, without the stop string.
        finish_reason: `stop` when the model or a stop string ended it, `length` when max_tokens did.
        stopped_by: The stop string; empty for none.
        times: Seconds from the begin to each token.
        logprobs: Natural logarithm of the probability of each token, when asked for.
    """

    model: str
    prompt_tokens: int
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    finish_reason: str = "length"
    stopped_by: str = ""
    times: list[float] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)

    @property
    def time_to_first_token(self) -> float | None:
        """Seconds; None when there is no token."""
        return self.times[0] if self.times else None

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens after the first by the time after it; None for fewer than two."""
        if len(self.times) < 2 or self.times[-1] <= self.times[0]:
            return None
        return (len(self.times) - 1) / (self.times[-1] - self.times[0])

    def __str__(self) -> str:
        rate = f", {self.tokens_per_second:.4g} tokens/s" if self.tokens_per_second else ""
        first = f", first after {self.times[0] * 1000:.3g} ms" if self.times else ""
        return f"{self.model}: {len(self.tokens)} tokens ({self.finish_reason}){first}{rate}: {self.text!r}"

    __repr__ = __str__


def generate(
    model: LanguageModel,
    prompt: Sequence[int],
    sampling: Sampling | None = None,
    *,
    max_tokens: int = 64,
    stops: Sequence[str] = (),
    logprobs: bool = False,
    ignore_eos: bool = False,
    timeout: float = 60.0,
    on_text: Callable[[str], None] | None = None,
) -> GeneratedText:
    """Generate one answer.

    Args:
        model: The language model.
        prompt: Its tokens.
        sampling: How tokens are chosen; greedy by default.
        max_tokens: Most tokens of the answer.
        stops: Texts that end it; no part of them is in the text.
        logprobs: Whether the probability of each token is kept.
        ignore_eos: Whether it goes on after the token that ends it, up to `max_tokens`.
        timeout: Seconds; then it is cancelled within one step.
        on_text: Called with each new part of the text, from another thread.

    Raises:
        ModelError: Prompt and answer do not fit, the model failed, or time passed.
    """
    model.check_room(len(prompt), max_tokens)
    sampler = Sampler(sampling or Sampling())
    options = packages.onnxruntime("Generating").RunOptions()
    found = GeneratedText(model.name, len(prompt))
    cancelled = False

    def compute() -> None:
        np = packages.numpy("Generating")
        text = AnswerText(model.tokenizer, stops)
        eos = None if ignore_eos else model.tokenizer.eos
        total = len(prompt) + max_tokens
        mask = np.ones((1, total), np.int64)
        places = np.arange(total, dtype=np.int64)[None]
        new, seen = np.array([prompt], np.int64), 0
        cache: Cache = model.empty_cache()
        started = time.perf_counter()
        while not cancelled:
            end = seen + new.shape[1]
            logits, cache = model.step(new, mask[:, :end], places[:, seen:end], cache, options)
            row = logits[0, -1]
            token = sampler(row)
            if token == eos:
                found.finish_reason = "stop"
                break
            found.tokens.append(token)
            found.times.append(time.perf_counter() - started)
            if logprobs:
                found.logprobs.append(float(log_probabilities(row)[token]))
            part = text.push(token)
            if on_text is not None and part:
                on_text(part)
            if text.stopped_by:
                found.finish_reason, found.stopped_by = "stop", text.stopped_by
                break
            if len(found.tokens) == max_tokens:
                break
            new, seen = np.array([[token]], np.int64), end
        part = text.finish()
        if on_text is not None and part:
            on_text(part)
        found.text = text.text

    def cancel() -> None:
        nonlocal cancelled
        cancelled = True
        options.terminate = True

    try:
        model.model.native(compute, timeout, cancel)
    except TimeoutError:
        raise ModelError(
            describe(
                f"'{model.name}' did not finish its answer",
                expected=f"at most {max_tokens} tokens within {timeout:g} s",
                got=f"{len(found.tokens)} tokens",
            )
        ) from None
    return found


def generate_plainly(model: LanguageModel, prompt: Sequence[int], count: int) -> list[int]:
    """Return `count` greedy tokens by the barest loop there is: the yardstick of the other one."""
    import numpy as np

    session = model.model.session
    names = [item.name for item in session.get_inputs()][3:]
    cache: list[Any] = [model.empty_cache()[name] for name in names]
    new, seen, found = np.array([prompt], np.int64), 0, []
    for _ in range(count):
        end = seen + new.shape[1]
        feed = {
            "input_ids": new,
            "attention_mask": np.ones((1, end), np.int64),
            "position_ids": np.arange(seen, end, dtype=np.int64)[None],
        }
        logits, *cache = session.run(None, feed | dict(zip(names, cache, strict=True)))
        token = int(logits[0, -1].argmax())
        found.append(token)
        new, seen = np.array([[token]], np.int64), end
    return found
