"""What is answered: texts in modes random and echo, within limits and stop strings."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import time_ns
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import random_length, random_tokens, tokenize
from InferenceLibrary.simulator.core.draws import Draws

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.dataset import Dataset
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.settings import Settings


_APART = 0xD1B54A32D192ED03
"""Between the places of two answers in the sequence of draws: odd, and large, so that they do not overlap."""


@dataclass(slots=True)
class Output:
    """One generated answer. The tokens join to the text."""

    tokens: list[str]
    finish: str = "stop"
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    tool_tokens: int = 0
    stopped_by: str = ""  # the stop string that ended it
    end_tokens: int = 0  # tokens that say nothing: the end, where a server counts it
    thoughts: list[str] = field(default_factory=list)  # tokens of what is thought before the answer

    @property
    def text(self) -> str:
        return "".join(self.tokens)

    @property
    def count(self) -> int:
        """Output tokens, for the usage."""
        return len(self.thoughts) + len(self.tokens) + self.tool_tokens + self.end_tokens


class Engine:
    """Makes answers. Under a seed the same request gets the same text, however many run at once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._place = Draws(id(self), time_ns()).bits()
        self._dataset: Dataset | None = None
        if settings.dataset_path:
            from InferenceLibrary.simulator.answers.dataset import load_dataset

            self._dataset = load_dataset(settings.dataset_path, settings.dataset_table_name)

    def draws(self, ask: Ask, prompt: str, index: int) -> Draws:
        """Return the random source of one choice."""
        seed = self._settings.seed
        if seed is None and ask.seed is None and ask.temperature != 0:
            self._place += _APART
            return Draws.at(self._place + index * _APART)
        return Draws(seed, ask.seed, prompt, index)

    def generate(
        self, ask: Ask, prompt: str, index: int, limit: int, *, text: str | None = None, fills: bool = False
    ) -> Output:
        """Return the answer to one prompt.

        Args:
            ask: The request.
            prompt: The prompt; a request may hold several.
            index: Which of the `n` choices.
            limit: Most tokens, from the request or from what the context has left.
            text: The answer, when it is scripted.
            fills: Whether any answer that fills the limit of its request was ended by it, for there was no room for a
                token that ends it.
        """
        known = None if self._dataset is None else self._dataset.find(prompt) or self._dataset.find(ask.echo_text)
        if text is not None:
            tokens = tokenize(text)
        elif known is not None:
            tokens = known
        elif self._settings.mode == "echo":
            tokens = tokenize(ask.echo_text if len(ask.prompts) == 1 else prompt)
        else:
            draws = self.draws(ask, prompt, index)
            if ask.ignore_eos and ask.max_tokens is not None:
                length = limit
            else:
                length = random_length(draws, ask.max_tokens and limit, limit)
            tokens = random_tokens(draws, length)
        capped = len(tokens) > limit
        # A random answer that fills the limit was stopped by it, as upstream counts.
        fills = fills or (text is None and known is None and self._settings.mode == "random")
        full = fills and len(tokens) == limit and ask.max_tokens is not None
        output = Output(tokens[:limit] if capped else tokens, "length" if capped or full else "stop")
        if ask.stop:
            cut_at_stop(output, ask.stop)
        if ask.do_remote_decode:
            # Another server goes on from here: this one gives the first token only.
            output.tokens, output.finish = output.tokens[:1], "remote_decode"
        return output


def cut_at_stop(output: Output, stops: list[str]) -> None:
    """End the answer before the first stop string; no part of it stays."""
    text = output.text
    places = [(place, stop) for place, stop in ((text.find(stop), stop) for stop in stops) if place >= 0]
    if not places:
        return
    end, output.stopped_by = min(places)
    output.finish = "stop"
    kept, length = [], 0
    for token in output.tokens:
        if length + len(token) > end:
            if end > length:
                kept.append(token[: end - length])
            break
        kept.append(token)
        length += len(token)
    output.tokens = kept
