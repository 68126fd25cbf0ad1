"""What a load asks: kinds of requests and their prompts. Plain data."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import MonitorError, describe
from InferenceLibrary.protocol.paths import CHAT

SLOT = "{prompt}"
"""Stands in the body of a kind where each request has its prompt."""
QUESTION = json.dumps({"role": "user", "content": SLOT})
"""The message of a chat that asks: what was said before stands in front of it."""
_TEXT = (
    "time year people way day man thing woman life child world school state family student group country "
    "problem hand part place case week company system program question work number night point home water "
    "room mother area money story fact month lot right study book eye job word business issue side kind "
    "head house service friend father power"
)
WORDS = tuple(_TEXT.split())
"""Common words, each a token or two in the vocabularies of the field."""


@dataclass(frozen=True)
class Kind:
    """One kind of request of a mix.

    Args:
        name: How results name it.
        path: Where it is sent.
        body: Body in JSON, with `"{prompt}"` where the prompt goes.
        weight: Share of the requests, relative to the weights of the other kinds.
        method: HTTP method.
        headers: Further headers.
        expect_prompt: Whether the answer must contain the prompt: a server that echoes shows that answers belong to
            their requests.
        prompts: What is asked by this kind; None: what the load asks.
    """

    name: str = "chat"
    path: str = CHAT
    body: str = ""
    weight: float = 1.0
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    expect_prompt: bool = False
    prompts: Prompts | None = None

    @property
    def holds_talks(self) -> bool:
        """Whether its body is a chat that earlier messages fit into."""
        return QUESTION in self.body

    @staticmethod
    def chat(
        *, model: str | None = None, max_tokens: int | None = None, stream: bool = True, system: str | None = None,
        extra: dict[str, Any] | None = None, name: str = "chat", weight: float = 1.0, expect_prompt: bool = False,
        prompts: Prompts | None = None,
    ) -> Kind:  # fmt: skip
        """Return a kind that chats, with usage asked for."""
        from InferenceLibrary.protocol.requests import HEADERS, Question, body_for

        question = Question(
            messages=[{"role": "user", "content": SLOT}],
            system=system,
            model=model,
            max_tokens=max_tokens,
            include_usage=stream,
            extra=extra,
        )
        body = json.dumps(body_for(CHAT, question, stream=stream))
        headers = tuple(HEADERS.get(CHAT, {}).items())
        return Kind(name, CHAT, body, weight, headers=headers, expect_prompt=expect_prompt, prompts=prompts)


@dataclass(frozen=True)
class Prompts:
    """What is asked. Each request has a prompt of its own unless `vary` is off: one prompt repeated measures a cache.

    Args:
        texts: Prompts, taken in turn; without any they are made of common words.
        tokens: Length of a made prompt in words: about as many tokens, with `counted_by` so many exactly. The usage of
            the answers counts what a chat adds as well.
        shared_prefix: So many words at the beginning are the same in all made prompts.
        vary: Whether a given text gets a few words of its own in front.
        seed: Of all random words.
        words: What prompts are made of.
        tokenizer: Who says that each of the words is one token; None: nobody, so lengths are rough.
    """

    texts: tuple[str, ...] = ()
    tokens: int = 32
    shared_prefix: int = 0
    vary: bool = True
    seed: int = 0
    words: tuple[str, ...] = WORDS
    tokenizer: Path | None = None

    def counted_by(self, path: Path) -> Prompts:
        """Return the same prompts with the length that a model's `tokenizer.json` counts, to the token.

        Raises:
            MonitorError: The tokenizer cannot be read, or has too few words of one token.
            MissingExtraError: The package tokenizers is not installed.
        """
        from InferenceLibrary.load.tokenizer import NamedTokenizer

        named = NamedTokenizer(path)
        words = named.words_of_one_token(self.words)
        found = replace(self, words=words, tokenizer=named.path)
        if not self.texts and (count := named.count(found.text(0))) != self.tokens:
            raise MonitorError(
                describe(
                    f"The tokenizer '{named.path}' joins words, so prompts of a length cannot be made",
                    expected=f"{self.tokens} tokens",
                    got=str(count),
                )
            )
        return found

    @staticmethod
    def from_file(path: Path, *, vary: bool = False, seed: int = 0) -> Prompts:
        """Read prompts: one a line, or JSON lines that are texts or objects with `prompt` or `text`.

        Raises:
            MonitorError: The file is missing, or a line is not a prompt.
        """
        try:
            lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeDecodeError) as error:
            raise MonitorError(describe(f"The prompts in '{path}' cannot be read", got=str(error))) from None
        found = [_prompt_of(line, path, number) for number, line in enumerate(lines, start=1)]
        if not found:
            raise MonitorError(describe(f"The file '{path}' has no prompts", expected="one a line"))
        return Prompts(tuple(found), vary=vary, seed=seed)

    @cached_property
    def _shared(self) -> list[str]:
        return random.Random(self.seed).choices(self.words, k=self.shared_prefix)

    def text(self, number: int) -> str:
        """Return the prompt of a request: the same for the same number and seed, whoever asks."""
        own = random.Random(self.seed * 1_000_003 + number)
        if self.texts:
            text = self.texts[number % len(self.texts)]
            return f"{' '.join(own.choices(self.words, k=4))}: {text}" if self.vary else text
        number_of_own = max(1, self.tokens - self.shared_prefix)
        return " ".join(
            [*self._shared, *(own if self.vary else random.Random(self.seed)).choices(self.words, k=number_of_own)]
        )


def _prompt_of(line: str, path: Path, number: int) -> str:
    if not line.lstrip().startswith(("{", '"')):
        return line
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if isinstance(value, dict):
        value = value.get("prompt", value.get("text"))
    if not isinstance(value, str):
        raise MonitorError(
            describe(
                f"Line {number} of '{path}' is not a prompt",
                expected='text, or JSON such as {"prompt": "..."}',
                got=line,
            )
        )
    return value
