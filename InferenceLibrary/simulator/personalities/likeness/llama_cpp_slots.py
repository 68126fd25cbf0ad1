"""The slots of llama.cpp's server: which of them takes a request, and how much of its prompt is known there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_MOST_KEPT = 64
"""Prompts that are kept in memory besides those of the slots."""


@dataclass(slots=True)
class Slot:
    """One place in which an answer is made; it keeps the tokens of the last one."""

    number: int
    tokens: list[str] = field(default_factory=list)
    used: int = 0
    busy: int = 0
    asked: dict[str, Any] | None = None


class Slots:
    """All slots of a server.

    Args:
        count: How many there are.
        keeps: Whether what a slot forgets is kept in memory, where a later request finds it (`--cache-ram`).
    """

    def __init__(self, count: int, *, keeps: bool) -> None:
        self.all = [Slot(number) for number in range(count)]
        self._keeps = keeps
        self._kept: list[list[str]] = []
        self._files: dict[str, list[str]] = {}
        self.tasks = 0
        self.known_total = 0
        """How many tokens of all prompts were known."""

    def take(self, tokens: list[str], wanted: Any = None, *, cached: bool = True) -> tuple[Slot, int]:
        """Return the slot for a prompt, and how many of its tokens are known there: never all of them.

        Args:
            tokens: Those of the prompt.
            wanted: The number of the slot that the request asks for; another value lets the server choose.
            cached: Whether the request wants known tokens to be used.
        """
        self.tasks += 1
        slot = self._choose(tokens, wanted)
        known = slot.tokens
        if self._keeps:
            better = max(self._kept, key=lambda one: _common(one, tokens), default=[])
            if _common(better, tokens) > _common(known, tokens):
                known = better
            if slot.tokens and _common(slot.tokens, tokens) < len(slot.tokens):
                others = [one for one in self._kept if one != slot.tokens]
                self._kept = [*others[-_MOST_KEPT + 1 :], slot.tokens]
        count = min(_common(known, tokens), max(0, len(tokens) - 1)) if cached else 0
        self.known_total += count
        slot.used, slot.tokens = self.tasks, list(tokens)
        return slot, count

    def _choose(self, tokens: list[str], wanted: Any) -> Slot:
        if type(wanted) is int and 0 <= wanted < len(self.all):
            return self.all[wanted]
        free = [slot for slot in self.all if not slot.busy] or self.all
        best = max(free, key=lambda slot: _common(slot.tokens, tokens))
        if 2 * _common(best.tokens, tokens) > len(tokens):
            return best
        return min(free, key=lambda slot: slot.used)

    def note(self, data: dict[str, Any]) -> None:
        """Note a request that generates nothing, but takes a slot."""
        self.tasks += 1
        slot = min(self.all, key=lambda one: one.used)
        slot.used, slot.asked = self.tasks, data

    def save(self, number: int, name: str) -> int:
        """Keep what a slot knows under a name; return how many tokens."""
        self._files[name] = list(self._slot(number).tokens)
        return len(self._files[name])

    def restore(self, number: int, name: str) -> int | None:
        """Let a slot know what was kept under a name; return how many tokens, None where nothing was."""
        if name not in self._files:
            return None
        self._slot(number).tokens = list(self._files[name])
        return len(self._files[name])

    def erase(self, number: int) -> int:
        """Let a slot forget; return how many tokens it knew."""
        slot = self._slot(number)
        count, slot.tokens = len(slot.tokens), []
        return count

    def _slot(self, number: int) -> Slot:
        return self.all[number] if number < len(self.all) else self.all[0]


def _common(known: list[str], tokens: list[str]) -> int:
    """Return how many tokens both begin with."""
    count = 0
    for one, other in zip(known, tokens, strict=False):
        if one != other:
            break
        count += 1
    return count
