"""Rules of users, from a Python file."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from InferenceLibrary.foreign_text import named
from InferenceLibrary.protocol.rules.rule import REGISTRY, Check, Found, Rule

_LOADED: dict[Path, list[str]] = {}
_MISTAKES = (ArithmeticError, AssertionError, AttributeError, LookupError, NameError, OSError, RuntimeError, TypeError,
             ValueError, SystemExit)  # fmt: skip
"""What code raises by mistake; not what the time limits of Robot Framework raise in it."""


def load(path: Path) -> list[Rule]:
    """Run a file that writes rules down; see `book.load_rules`."""
    place = path.resolve()
    former = {name: REGISTRY.pop(name) for name in _LOADED.pop(place, [])}
    before = dict(REGISTRY)
    try:
        runpy.run_path(str(place))
    except (Exception, SystemExit) as error:
        _restore(before, former)
        _LOADED[place] = list(former)
        raise ValueError(f"The rules of {path} could not be read: {named(error)}") from error
    added = [replace(rule, check=_told(rule, path)) for name, rule in REGISTRY.items() if name not in before]
    REGISTRY.update({rule.id: rule for rule in added})
    if not added:
        raise ValueError(f"Expected a file that writes rules down by '@rule(...)', got none in {path}.")
    _LOADED[place] = [rule.id for rule in added]
    return added


def _told(rule: Rule, path: Path) -> Check:
    """The function of a rule, whose own mistakes tell where they are: else they seem to be those of a call."""

    def check(*given: Any) -> Iterator[Found]:
        try:
            yield from rule.check(*given)
        except _MISTAKES as error:
            raise ValueError(f"Rule '{rule.id}' of {path} failed: {named(error)}") from error

    return check


def _restore(*parts: dict[str, Rule]) -> None:
    REGISTRY.clear()
    for part in parts:
        REGISTRY.update(part)
