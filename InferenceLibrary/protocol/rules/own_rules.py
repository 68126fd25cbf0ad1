"""Rules of users, from a Python file."""

from __future__ import annotations

import runpy
from pathlib import Path

from InferenceLibrary.protocol.rules.rule import REGISTRY, Rule

_LOADED: dict[Path, list[str]] = {}


def load(path: Path) -> list[Rule]:
    """Run a file that writes rules down; see `book.load_rules`."""
    place = path.resolve()
    former = {name: REGISTRY.pop(name) for name in _LOADED.pop(place, [])}
    before = dict(REGISTRY)
    try:
        runpy.run_path(str(place))
    except Exception as error:
        _restore(before, former)
        _LOADED[place] = list(former)
        raise ValueError(f"The rules of {path} could not be read: {type(error).__name__}: {error}") from error
    added = [rule for name, rule in REGISTRY.items() if name not in before]
    if not added:
        raise ValueError(f"Expected a file that writes rules down by '@rule(...)', got none in {path}.")
    _LOADED[place] = [rule.id for rule in added]
    return added


def _restore(*parts: dict[str, Rule]) -> None:
    REGISTRY.clear()
    for part in parts:
        REGISTRY.update(part)
