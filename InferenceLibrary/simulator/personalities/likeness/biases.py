"""Tokens that a request forbids by a bias, and what is said in their place."""

from __future__ import annotations

from itertools import cycle
from typing import Any

from InferenceLibrary.simulator.answers.tokens import CORPUS, Vocabulary, tokenize

_NEVER = -100.0
"""The bias from which on a token is never chosen, as OpenAI's reference has it."""


def forbidden_tokens(bias: Any, vocabulary: Vocabulary) -> frozenset[str]:
    """Return the tokens that a `logit_bias` rules out.

    It is an object of ids or texts to biases, or a list of pairs of them, as llama.cpp takes it too; false in place of
    a number rules out as well. Ids that this server has not given have no text, and rule out nothing.
    """
    pairs = list(bias.items()) if isinstance(bias, dict) else bias if isinstance(bias, list) else []
    found: set[str] = set()
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or not _rules_out(pair[1]):
            continue
        name = pair[0]
        if isinstance(name, str) and not name.isdigit():
            found.update(tokenize(name))
            continue
        try:
            found.add(vocabulary.text([int(name)]))
        except (KeyError, TypeError, ValueError):
            continue
    return frozenset(found)


def _rules_out(value: Any) -> bool:
    if isinstance(value, bool):
        return not value
    return isinstance(value, int | float) and value <= _NEVER


def without(tokens: list[str], forbidden: frozenset[str]) -> list[str]:
    """Return the tokens, others in place of those that are forbidden; none where no token may be said."""
    if not forbidden.intersection(tokens):
        return tokens
    others = [token for token in CORPUS if token not in forbidden]
    if not others:
        return []
    following = cycle(others)
    return [next(following) if token in forbidden else token for token in tokens]
