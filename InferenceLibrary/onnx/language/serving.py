"""Many answers at once from one language model: they share each step, join when they come, and leave when they end.

The batch is one block of keys and values, aligned at its right end: a shorter past has hidden places before it. A new
answer runs its prompt alone, then joins; one that has ended, or whose client has left, is out at the next step.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.errors import InferenceError, ModelError
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.environment import gpu_inference
from InferenceLibrary.onnx.language.answer_text import AnswerText
from InferenceLibrary.onnx.language.model import Cache, LanguageModel, language_model
from InferenceLibrary.onnx.language.sampling import Sampler, Sampling, log_probabilities
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions


@dataclass(frozen=True)
class Token:
    """One token of an answer.

    Args:
        text: What it adds to the text; empty while a character is not whole, or a stop string may have begun.
        logprob: Natural logarithm of its probability; 0 when not asked for.
        raw: Its own bytes.
        top: The likeliest tokens: bytes and logarithm, best first.
    """

    text: str
    logprob: float = 0.0
    raw: bytes = b""
    top: tuple[tuple[bytes, float], ...] = ()


@dataclass
class BatchedAnswer:
    """An answer that is being generated. `news` is called from the engine's thread after each change.

    Args:
        prompt: Tokens of the prompt.
        sampling: How tokens are chosen.
        max_tokens: Most tokens.
        stops: Texts that end it.
        top_logprobs: How many of the likeliest tokens are told; None for no probabilities.
        ignore_eos: Whether it goes on after its end.
        news: Called after each token and at the end.
    """

    prompt: Sequence[int]
    sampling: Sampling
    max_tokens: int
    stops: Sequence[str] = ()
    top_logprobs: int | None = None
    ignore_eos: bool = False
    news: Callable[[], None] = lambda: None
    tokens: list[Token] = field(default_factory=list)
    finish: str = ""
    stopped_by: str = ""
    rest: str = ""
    """Text that came free at the end, without a token of its own."""
    error: InferenceError | None = None
    cancelled: bool = False

    @property
    def done(self) -> bool:
        return bool(self.finish) or self.error is not None

    def cancel(self) -> None:
        """Leave the batch before its next step."""
        self.cancelled = True


class _Row:
    """An answer in the batch."""

    def __init__(self, answer: BatchedAnswer, model: LanguageModel) -> None:
        self.answer = answer
        self.sampler = Sampler(answer.sampling)
        self.text = AnswerText(model.tokenizer, answer.stops)
        self.seen = 0
        self.token = 0


class Engine:
    """A thread that generates.

    Args:
        model: The language model; the engine closes it.
        places: Most answers in the batch; more wait in order.
    """

    def __init__(self, model: LanguageModel, places: int) -> None:
        self.model = model
        self.places = places
        self.steps = 0
        self.rows_computed = 0
        self.largest = 0
        self._np = packages.numpy("Serving a language model")
        self._waiting: deque[BatchedAnswer] = deque()
        self._rows: list[_Row] = []
        self._cache: Cache = {}
        self._mask: Any = None
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="onnx-engine", daemon=True)
        self._thread.start()

    @property
    def running(self) -> int:
        """Answers in the batch now."""
        return len(self._rows)

    def submit(self, answer: BatchedAnswer) -> None:
        """Have an answer generated.

        Raises:
            ModelError: It does not fit into the context, a number is out of range, or the engine is closed.
        """
        self.model.check_room(len(answer.prompt), answer.max_tokens)
        answer.sampling.check()
        with self._changed:
            if self._closing:
                raise ModelError("The engine is closed: no answer can be generated.")
            self._waiting.append(answer)
            self._changed.notify()

    def close(self) -> None:
        """End the thread after its present step and release the model."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self.model.model.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._rows or self._closing):
                    self._changed.wait()
                if self._closing:
                    return
            self._leave()
            self._join()
            if self._rows:
                self._step()

    def _leave(self) -> None:
        """Drop the rows of answers that have ended, failed or were cancelled."""
        kept = [place for place, row in enumerate(self._rows) if not (row.answer.done or row.answer.cancelled)]
        if len(kept) == len(self._rows):
            return
        self._rows = [self._rows[place] for place in kept]
        if not kept:
            self._cache, self._mask = {}, None
            return
        # Hidden places that no row needs any more go too.
        longest = max(row.seen for row in self._rows)
        self._mask = self._mask[kept][:, -longest:]
        self._cache = {name: value[kept][:, :, -longest:] for name, value in self._cache.items()}

    def _join(self) -> None:
        """Run the prompts of waiting answers, each alone, and add them to the batch."""
        while self._waiting and len(self._rows) < self.places and not self._closing:
            answer = self._waiting.popleft()
            if answer.cancelled:
                continue
            row = _Row(answer, self.model)
            count = len(answer.prompt)
            np = self._np
            try:
                logits, cache = self.model.step(
                    np.array([answer.prompt], np.int64),
                    np.ones((1, count), np.int64),
                    np.arange(count, dtype=np.int64)[None],
                    self.model.empty_cache(),
                )
                row.seen = count
                self._take(row, logits[0, -1])
            except InferenceError as error:
                self._fail(answer, error)
                continue
            if not answer.done:
                self._add(row, cache)

    def _add(self, row: _Row, cache: Cache) -> None:
        np = self._np
        self._rows.append(row)
        self.largest = max(self.largest, len(self._rows))
        if len(self._rows) == 1:
            self._cache, self._mask = cache, np.ones((1, row.seen), np.int64)
            return
        longest = max(self._mask.shape[1], row.seen)
        self._mask = np.concatenate(
            [_padded(np, self._mask, longest, 1), _padded(np, np.ones((1, row.seen), np.int64), longest, 1)]
        )
        self._cache = {
            name: np.concatenate([_padded(np, value, longest, 2), _padded(np, cache[name], longest, 2)])
            for name, value in self._cache.items()
        }

    def _step(self) -> None:
        """One token for each answer of the batch."""
        np, rows = self._np, self._rows
        self._mask = np.concatenate([self._mask, np.ones((len(rows), 1), np.int64)], axis=1)
        try:
            logits, self._cache = self.model.step(
                np.array([[row.token] for row in rows], np.int64),
                self._mask,
                np.array([[row.seen] for row in rows], np.int64),
                self._cache,
            )
        except InferenceError as error:
            for row in rows:
                self._fail(row.answer, error)
            return
        self.steps += 1
        self.rows_computed += len(rows)
        for place, row in enumerate(rows):
            row.seen += 1
            try:
                self._take(row, logits[place, -1])
            except InferenceError as error:
                self._fail(row.answer, error)

    def _take(self, row: _Row, logits: Any) -> None:
        """Choose the next token of an answer and tell of it."""
        answer = row.answer
        if answer.cancelled:
            return
        tokenizer = self.model.tokenizer
        token = row.sampler(logits)
        if token == tokenizer.eos and not answer.ignore_eos:
            answer.rest, answer.finish = row.text.finish(), "stop"
            answer.news()
            return
        text = row.text.push(token)
        raw = tokenizer.bytes_of(token)
        logprob, top = 0.0, []
        if answer.top_logprobs is not None:
            chances = log_probabilities(logits)
            logprob = float(chances[token])
            best = self._np.argsort(-chances, kind="stable")[: answer.top_logprobs]
            top = [(tokenizer.bytes_of(int(other)), float(chances[other])) for other in best]
        row.token = token
        answer.tokens.append(Token(text, logprob, raw, tuple(top)))
        if row.text.stopped_by:
            answer.stopped_by, answer.finish = row.text.stopped_by, "stop"
        elif len(answer.tokens) == answer.max_tokens:
            answer.rest, answer.finish = row.text.finish(), "length"
        answer.news()

    @staticmethod
    def _fail(answer: BatchedAnswer, error: InferenceError) -> None:
        answer.error = error
        answer.news()


def _padded(np: Any, values: Any, length: int, axis: int) -> Any:
    """Put hidden places before the past."""
    missing = length - values.shape[axis]
    if not missing:
        return values
    edges = [(0, 0)] * values.ndim
    edges[axis] = (missing, 0)
    return np.pad(values, edges)


def serve_model(path: str, *, places: int, device: str = "auto", threads: int | None = None) -> tuple[Engine, str]:
    """Load a language model and start an engine for it; return both, the second a word on where it computes.

    Args:
        path: The .onnx file.
        places: Most answers at once.
        device: `cpu`, `cuda`, or `auto` for CUDA where it can be used.
        threads: Threads within one operator; None leaves it to onnxruntime.

    Raises:
        ModelError: The file is not a language model, or CUDA was asked for and did not start.
        MissingExtraError: onnxruntime or numpy is not installed.
    """
    found = gpu_inference() if device == "auto" else None
    on_gpu = device == "cuda" or (found is not None and found.available)
    options = LoadOptions(
        providers="CUDA,CPU" if on_gpu else "CPU",
        # TF32 has ten bits of mantissa: answers would differ from those of the CPU.
        provider_options={"CUDA": {"use_tf32": 0}} if on_gpu else {},
        threads=threads,
    )
    model = load_model(path, options)
    where = model.shown_providers
    if found is not None and found.reason and not on_gpu:
        where += f" ({found.reason.partition(' Hint:')[0].rstrip('.')})"
    return Engine(language_model(model), places), where
