"""HTTP statuses that a call may be answered with."""

from __future__ import annotations

import json
from collections.abc import Sequence

_WANTED = "a status such as 404, a class such as 4xx, several such as 400,422, any, or failure"


def _is_status(word: str) -> bool:
    # By hand: constants are made when the library is imported, where compiling a pattern costs more than all of them.
    rest = word[1:]
    return len(word) == 3 and word[0] in "12345" and (rest == "xx" or (rest.isascii() and rest.isdigit()))


class Statuses:
    """A set of HTTP statuses, or that a call fails in whatever way.

    Args:
        words: Statuses (`404`) and classes of them (`4xx`), or one of `any` and `failure`.

    Raises:
        ValueError: There is no word, or another one.
    """

    def __init__(self, *words: str | int) -> None:
        self._words = tuple(str(word).strip().lower() for word in words)
        self.failure = self._words == ("failure",)
        """The call must fail: be refused, get no answer or one that is unusable, or break off."""
        self._any = self._words == ("any",)
        if not self._words or not (self._any or self.failure or all(map(_is_status, self._words))):
            given = ",".join(self._words)
            raise ValueError(f"Expected {_WANTED}, got '{given}'." if given else f"Expected {_WANTED}, got nothing.")

    def __contains__(self, status: object) -> bool:
        if not isinstance(status, int) or self.failure:
            return False
        return self._any or str(status) in self._words or f"{status // 100}xx" in self._words

    def __str__(self) -> str:
        return " or ".join(self._words)

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Statuses) and set(self._words) == set(other._words)

    def __hash__(self) -> int:
        return hash(frozenset(self._words))


def is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


OK = Statuses(200)
ANY = Statuses("any")
REFUSED = Statuses(400, 413, 415, 422)
"""What a wrong body is refused with: 404 and 405 tell of a missing route, 401 and 403 of a key, none of the body."""


def read_statuses(value: Statuses | str | int | Sequence[str | int]) -> Statuses:
    """Read statuses: a number, a text with one or several, a list, or the JSON text of one.

    Raises:
        ValueError: It says something else.
    """
    if isinstance(value, Statuses):
        return value
    if isinstance(value, str):
        text = value.strip()
        value = json.loads(text) if text.startswith("[") else [word for word in text.split(",") if word.strip()]
    return Statuses(*([value] if isinstance(value, str | int) else value))
