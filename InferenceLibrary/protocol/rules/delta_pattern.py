"""Deltas known at sight: the events of a run differ in a text, and in a number that rises by one.

What an event says is then read without JSON, which is what makes a stream of a million deltas quick to judge. A pattern
takes only what could not be read otherwise; anything else goes the ordinary way.
"""

from __future__ import annotations

from typing import Any

from InferenceLibrary.protocol.sse import Event
from InferenceLibrary.protocol.strict_json import read_json

_PROBE = "probe of a pattern"


class DeltaPattern:
    """What stands around the text and the number of an event. Made by `pattern_of`."""

    __slots__ = ("_end", "_middle", "_name", "_number_first", "_numbered", "_start")

    def __init__(self, name: str, start: str, middle: str, end: str, *, numbered: bool, number_first: bool) -> None:
        self._name = name
        self._start = start
        self._middle = middle
        self._end = end
        self._numbered = numbered
        self._number_first = number_first

    def text_of(self, event: Event, number: int) -> str | None:
        """Return the text of an event that has this number, None where it is not such an event."""
        if event.event != self._name:
            return None
        start, end = self._start, self._end
        if self._numbered:
            if self._number_first:
                start = f"{start}{number}{self._middle}"
            else:
                end = f"{self._middle}{number}{end}"
        data = event.data
        length = len(data) - len(end)
        if length < len(start) or not data.startswith(start) or not data.endswith(end):
            return None
        text = data[len(start) : length]
        return text if '"' not in text and "\\" not in text and text.isprintable() else None

    def written(self, number: int, text: str) -> str:
        """The data of an event with this number and text."""
        if not self._numbered:
            return f"{self._start}{text}{self._end}"
        first, second = (number, text) if self._number_first else (text, number)
        return f"{self._start}{first}{self._middle}{second}{self._end}"


def pattern_of(
    event: Event, said: Any, key: str, text: str, number_key: str | None, number: int
) -> DeltaPattern | None:
    """Return the pattern of an event; None where it has none.

    Args:
        event: A delta.
        said: A function that takes a text and a number, and returns what the event would say with these.
        key: The key of the text.
        text: The text.
        number_key: The key of the number; None without one.
        number: The number.
    """
    data = event.data
    place = _value_place(data, key, f'"{text}"')
    if place is None:
        return None
    texts = (place + 1, place + 1 + len(text))
    if number_key is None:
        pattern = DeltaPattern(event.event, data[: texts[0]], "", data[texts[1] :], numbered=False, number_first=False)
    else:
        digits = str(number)
        place = _value_place(data, number_key, digits)
        if place is None:
            return None
        first, second = sorted((texts, (place, place + len(digits))))
        pattern = DeltaPattern(
            event.event,
            data[: first[0]],
            data[first[1] : second[0]],
            data[second[1] :],
            numbered=True,
            number_first=first is not texts,
        )
    # The same event with another text and number must be read as that, and as nothing else.
    read = read_json(pattern.written(number + 1, _PROBE))
    return pattern if not read.problems and read.value == said(_PROBE, number + 1) else None


def _value_place(data: str, key: str, value: str) -> int | None:
    """Where the value of a key begins, when the key stands there once and has this value."""
    name = f'"{key}":'
    if data.count(name) != 1:
        return None
    place = data.index(name) + len(name)
    while data[place : place + 1] == " ":
        place += 1
    return place if data.startswith(value, place) else None
