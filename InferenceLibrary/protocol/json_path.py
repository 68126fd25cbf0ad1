"""Places in JSON, named by a dotted path: `usage.completion_tokens`, `choices.0.delta`, `choices.-1`."""

from __future__ import annotations

from typing import Any


class JsonPlace:
    """What stands at a path, or where the path ends before."""

    __slots__ = ("missing", "value")

    def __init__(self, value: Any, missing: str | None = None) -> None:
        self.value = value
        self.missing = missing
        """What is not there, for a message: `'timings'`, or `'delta' in choices.0`; None when the value is there."""


def place_in(data: Any, path: str) -> JsonPlace:
    """Return what stands at a path. Where it holds null, that counts as not there: servers write one for the other.

    Raises:
        ValueError: The path is empty, or has an empty part.
    """
    parts = path.split(".")
    if not all(parts):
        raise ValueError(f"Expected a path such as usage.completion_tokens or choices.0.delta, got '{path}'.")
    here = data
    for number, part in enumerate(parts):
        try:
            here = here[int(part)] if isinstance(here, list) else here[part] if isinstance(here, dict) else None
        except (LookupError, ValueError):
            here = None
        if here is None:
            where = f" in {'.'.join(parts[:number])}" if number else ""
            return JsonPlace(None, f"'{part}'{where}")
    return JsonPlace(here)
