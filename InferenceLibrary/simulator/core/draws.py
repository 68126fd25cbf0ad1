"""Repeatable draws: small, fast, and the same on every Python, which `random` does not promise for texts."""

from __future__ import annotations

import math
from zlib import crc32

_MASK = (1 << 64) - 1


class Draws:
    """A splitmix64 generator, seeded with any parts."""

    __slots__ = ("_spare", "_state")

    def __init__(self, *parts: object) -> None:
        text = "\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass")
        self._state = crc32(text) | (crc32(text, 0x9E3779B9) << 32)
        self._spare: float | None = None

    @classmethod
    def at(cls, place: int) -> Draws:
        """Return a generator that begins at a place of the one sequence: for draws that need not be the same again."""
        made = cls.__new__(cls)
        made._state, made._spare = place & _MASK, None
        return made

    def bits(self) -> int:
        """Return 64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        value = self._state
        value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
        return value ^ (value >> 31)

    def below(self, limit: int) -> int:
        """Return a whole number from 0 to `limit` - 1."""
        return self.bits() % limit

    def between(self, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def uniform(self) -> float:
        """Return a number from 0 (included) to 1 (excluded)."""
        return (self.bits() >> 11) / (1 << 53)

    def percent(self, chance: float) -> bool:
        """Return true in `chance` of 100 cases."""
        return self.uniform() * 100 < chance

    def normal(self, mean: float, deviation: float) -> float:
        """Return a number from the normal distribution (Box and Muller)."""
        if self._spare is not None:
            value, self._spare = self._spare, None
        else:
            radius = math.sqrt(-2 * math.log(1 - self.uniform()))
            angle = 2 * math.pi * self.uniform()
            value, self._spare = radius * math.cos(angle), radius * math.sin(angle)
        return mean + deviation * value
