"""Places of a request: what stands there, how errors name them, and where in the text they end."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from math import inf
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indexes that lead to a value."""

NOT_THERE: Any = object()
"""What stands at a key that an object does not have."""
_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n]*")


def values_at(data: Any, wanted: list[str], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield what stands at a place, with the path to it; `*` is each item."""
    if not wanted:
        yield path, data
    elif wanted[0] == "*":
        for number, item in enumerate(data if isinstance(data, list) else ()):
            yield from values_at(item, wanted[1:], (*path, number))
    elif wanted[0].lstrip("-").isdigit():
        index = int(wanted[0])
        if isinstance(data, list) and -len(data) <= index < len(data):
            yield from values_at(data[index], wanted[1:], (*path, index % len(data)))
    elif isinstance(data, dict):
        if wanted[0] in data:
            yield from values_at(data[wanted[0]], wanted[1:], (*path, wanted[0]))
        elif len(wanted) == 1:
            yield (*path, wanted[0]), NOT_THERE


def value_at(data: Any, path: Path) -> Any:
    """Return what stands at the end of a path."""
    for step in path:
        if isinstance(step, int):
            data = data[step] if isinstance(data, list) and step < len(data) else NOT_THERE
        else:
            data = data.get(step, NOT_THERE) if isinstance(data, dict) else NOT_THERE
    return data


def in_brackets(path: Path) -> str:
    """Return a path as `messages[0].role`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def item_of(path: Path) -> Path:
    """Return the path to the first item of a list that a path goes through, or the path itself."""
    number = next((place for place, step in enumerate(path) if isinstance(step, int)), len(path))
    return path[: number + 1]


def end_of(text: str, path: Path) -> int:
    """Return how many characters of a JSON text are read when its value at a path is; all of them where it has none."""
    found = _span(text, 0, path)
    return len(text.rstrip()) if found is None else found[1]


def after(text: str, path: Path) -> int:
    """Return how many characters a reader has read that goes on after a value to the end of its list or object."""
    place = _skip(text, end_of(text, path))
    if text[place : place + 1] in {"]", "}"}:
        return place + 1
    in_list = bool(path) and isinstance(path[-1], int)
    return _skip(text, place + 1) if in_list and text[place : place + 1] == "," else place


def path_to(text: str, offset: int) -> Path:
    """Return the path to the innermost value of a JSON text that an offset lies in; the text may break off there."""
    path: Path = ()
    place = _skip(text, 0)
    while text[place : place + 1] in {"[", "{"}:
        found = next((one for one in _members(text, place) if one[1] <= offset and not one[2] <= offset), None)
        if found is None:
            break
        path, place = (*path, found[0]), found[1]
    return path


def _members(text: str, place: int) -> Iterator[tuple[str | int, int, float]]:
    """Yield key or index, start and end of each member of the list or object at a place, as far as they are whole."""
    named = text[place] == "{"
    number, place = 0, _skip(text, place + 1)
    while text[place : place + 1] not in {"", "]", "}"}:
        key: str | int = number
        try:
            if named:
                key, place = _DECODER.raw_decode(text, place)
                place = _skip(text, _skip(text, place) + 1)
        except ValueError:
            return
        try:
            end = _DECODER.raw_decode(text, place)[1]
        except (ValueError, RecursionError):
            yield key, place, inf
            return
        yield key, place, end
        place = _skip(text, end)
        if text[place : place + 1] != ",":
            return
        place = _skip(text, place + 1)
        number += 1


def _skip(text: str, place: int) -> int:
    blank = _BLANK.match(text, place)
    return place if blank is None else blank.end()


def _span(text: str, place: int, path: Path) -> tuple[int, int] | None:
    """Return where the value at a path begins and ends, in the JSON value that begins at a place of the text."""
    place = _skip(text, place)
    if not path:
        try:
            return place, _DECODER.raw_decode(text, place)[1]
        except (ValueError, RecursionError):
            return None
    if text[place : place + 1] != ("[" if isinstance(path[0], int) else "{"):
        return None
    found = next((start for key, start, _ in _members(text, place) if key == path[0]), None)
    return None if found is None else _span(text, found, path[1:])
