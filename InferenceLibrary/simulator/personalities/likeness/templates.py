"""Fill the templates of a dialect with the values of an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draws import Draws

_WITHIN = re.compile(r"\$\{([^}]*)\}")
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class _Absent:
    """A value that is not there."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


class Names(dict[str, Any]):
    """The values that a template may name; ids are made when they are asked for."""

    def __init__(self, draws: Draws, *known: Mapping[str, Any], **more: Any) -> None:
        super().__init__()
        for one in known:
            self.update(one)
        self.update(more)
        self.draws = draws

    def __missing__(self, name: str) -> Any:
        made = _MADE.get(name)
        return ABSENT if made is None else made(self.draws)

    def plus(self, **more: Any) -> Names:
        """Return these names and more."""
        return Names(self.draws, self, more)


def _hex(count: int) -> Callable[[Draws], str]:
    return lambda draws: "".join("0123456789abcdef"[draws.below(16)] for _ in range(count))


def _letters(count: int) -> Callable[[Draws], str]:
    return lambda draws: "".join(_LETTERS[draws.below(len(_LETTERS))] for _ in range(count))


def _uuid(draws: Draws) -> str:
    text = _hex(32)(draws)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


_MADE: dict[str, Callable[[Draws], Any]] = {
    **{f"hex{count}": _hex(count) for count in (8, 16, 24, 32)},
    **{f"letters{count}": _letters(count) for count in (24, 32)},
    "req_hex32": lambda draws: f"req_{_hex(32)(draws)}",
    "uuid": _uuid,
    "number": lambda draws: draws.below(1000),
    "number6": lambda draws: draws.below(1_000_000),
    "now": lambda _: time(),
}


def fill(template: Any, names: Names) -> Any:
    """Return the JSON value; a key or an item that is not there is left out."""
    if isinstance(template, str):
        return _text(template, names)
    if isinstance(template, dict):
        pairs = ((key, fill(value, names)) for key, value in template.items())
        return {key: value for key, value in pairs if value is not ABSENT}
    if isinstance(template, list):
        return [value for value in (fill(one, names) for one in template) if value is not ABSENT]
    return template


def filled(template: Any, names: Names) -> Any:
    """Return the JSON value, null where nothing is there."""
    value = fill(template, names)
    return None if value is ABSENT else value


def _text(template: str, names: Names) -> Any:
    if template.startswith("$") and not template.startswith("${"):
        name, otherwise, default = template[1:].partition("|")
        value = names[name]
        if value is not ABSENT:
            return value
        return json.loads(default) if otherwise else ABSENT
    if "${" in template:
        return _WITHIN.sub(lambda found: _first(found[1], names), template)
    return template


def _first(words: str, names: Names) -> str:
    """Return the first of some names that is there."""
    for word in words.split("|"):
        value = names[word]
        if value is not ABSENT:
            return str(value)
    return ""
