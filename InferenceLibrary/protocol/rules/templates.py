"""Chunks known at sight: those that differ from one that was read whole in the text of their choice, and little else.

Nearly all chunks of a stream are the same bytes but for their text. When one was read and has its shape, what stands
around its text is kept. A later chunk with the same around one text is the same JSON with another text, so it needs no
reading. After the text may stand more that differs: log probabilities, a padding, a usage. Such a gap is read by
itself: where it holds one value, the chunk is the same JSON with another value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from InferenceLibrary.protocol.rules.choices import ChoicesStream, ChoiceTrack, Constant, UsageSeen
from InferenceLibrary.protocol.rules.logprob_pattern import Taken, pattern_of
from InferenceLibrary.protocol.rules.views import Place
from InferenceLibrary.protocol.strict_json import has_keys, read_json

_MOST = 4
"""So many templates are kept: choices of a stream take turns."""
_TRIES = 32
"""So often a template is made for nothing before it is given up: these chunks differ in more than their text."""
_PADDING = "obfuscation"
_new = tuple.__new__
_PLACES = ("content", "reasoning_content", "reasoning", "text")
_decode = msgspec.json.Decoder(str).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PROBE = "a text that no server sends"


class Templates:
    """What has been learnt from the chunks of one stream."""

    def __init__(self) -> None:
        self._known: list[_Template] = []
        self._tries = _TRIES

    def take(self, data: str, number: int, start: int) -> bool:
        """Take the data of an event if it is known at sight: the event of this number, at this byte."""
        for template in self._known:
            if data.startswith(template.start) and data.endswith(template.end):
                text = data[template.skip : template.stop]
                values = None
                if template.gaps:
                    parts = template.parts(text)
                    if parts is None:
                        continue
                    text, values = parts
                said = _read(text)
                if said and not template.track.finish.count:
                    self._tries = _TRIES
                    template.add(said)
                    if values is not None:
                        for add, value in zip(template.adds, values, strict=True):
                            add(value, number, start)
                    return True
        return False

    def learn(self, view: ChoicesStream, data: str, chunk: dict[str, Any]) -> None:
        """Keep what stands around the text of a chunk that has its shape and was taken by the view."""
        choices = chunk["choices"]
        if self._tries <= 0 or len(choices) != 1:
            return
        choice = choices[0]
        if choice.get("finish_reason") is not None:
            return
        name = _only_text(_said(choice))
        if name is not None:
            self._tries -= 1
            template = _make(view, choice, chunk, data, name)
            if template is not None:
                self._known.insert(0, template)
                del self._known[_MOST:]


def _read(text: str) -> str | None:
    """What stands between two quotes, read as JSON reads it; None where that cannot be said, or is not one text."""
    # A printable text has no control characters, which JSON does not allow in a text.
    if '"' not in text and "\\" not in text and text.isprintable():
        return text
    try:
        return _decode(f'"{text}"')
    except ValueError:
        return None


class _Gap(NamedTuple):
    """What differs after the text."""

    key: str
    """`obfuscation`, what OpenAI pads its chunks with; `logprobs` or `usage`."""
    before: str
    """What stands between the text, or the gap before, and this one."""
    read: Callable[[str], Any]
    """Reads what stands there; None where it is not known at sight."""


class _Template:
    """What stands around the text, and what one such chunk adds to the view."""

    __slots__ = (
        "_differ", "_joined", "_role", "_usage", "_view", "adds", "end", "gaps", "skip", "start", "stop", "track",
    )  # fmt: skip

    def __init__(
        self, view: ChoicesStream, track: ChoiceTrack, name: str, start: str, gaps: list[_Gap], end: str
    ) -> None:
        self.start = start
        self.gaps = gaps
        adds: dict[str, Callable[[Any, int, int], None]] = {
            "logprobs": self._add_logprobs,
            "usage": self._add_usage,
            _PADDING: self._add_nothing,
        }
        self.adds = [adds[gap.key] for gap in gaps]
        """What adds the value of each gap, in a chunk of a number and at a byte, to the view."""
        self.end = end
        self.skip = len(start)
        self.stop = -len(self.end)
        self.track = track
        self._view = view
        self._joined = track.text if name in {"content", "text"} else track.reasoning
        self._role = False
        self._usage = False
        self._differ: list[Constant] = []
        """What is not as it was in the first chunk."""

    def parts(self, middle: str) -> tuple[str, list[Any]] | None:
        """Split what stands between start and end into the text, and the values of the gaps, which are read."""
        gaps = self.gaps
        text, found, rest = middle.partition(gaps[0].before)
        if len(gaps) == 1:
            value = gaps[0].read(rest) if found else None
            return None if value is None else (text, [value])
        values = []
        for number, gap in enumerate(gaps):
            part = rest
            if number + 1 < len(gaps):
                part, found, rest = rest.partition(gaps[number + 1].before)
            value = gap.read(part) if found else None
            if value is None:
                return None
            values.append(value)
        return text, values

    def _add_logprobs(self, taken: Taken, _number: int, _start: int) -> None:
        self.track.logprobs.take_sound(*taken)

    def _add_usage(self, usage: Any, number: int, start: int) -> None:
        self._view.usages.add(_new(Place, (number, start)), _new(UsageSeen, (usage, True, False)))

    def _add_nothing(self, _padding: str, _number: int, _start: int) -> None:
        """A padding says nothing."""

    def add(self, text: str) -> None:
        view, track = self._view, self.track
        view.objects += 1
        view.usage_missing.count += self._usage
        track.deltas += 1
        track.roles.count += self._role
        for constant in self._differ:
            constant.changes.count += 1
        self._joined.add(text)

    def says(self, choice: dict[str, Any], chunk: dict[str, Any]) -> None:
        """Note what else each such chunk says."""
        self._role = _said(choice).get("role") is not None
        self._usage = "usage" not in chunk
        view = self._view
        for name, constant in (("id", view.id), ("created", view.created), ("model", view.model)):
            if chunk[name] != constant.first:
                self._differ.append(constant)


def _make(view: ChoicesStream, choice: dict[str, Any], chunk: dict[str, Any], data: str, name: str) -> _Template | None:
    text = _said(choice)[name]
    start = _after_key(data, name, 0)
    written = _TEXT.match(data, start)
    if written is None or _read(written[1]) != text:
        return None
    before, place = data[: start + 1], written.end() - 1
    after = data[place:]
    gaps = []
    probe = f"{before}{_PROBE}"
    for where, end, key, read in sorted(_values(choice, chunk, data), key=lambda value: value[0]):
        if where < place:
            return None
        gaps.append(_Gap(key, data[place:where], read))
        probe += data[place:where] + ("" if key == _PADDING else "null")
        place, after = end, data[end:]
    # The same chunk with another text, and nothing in its gaps, must be read as that, and as nothing else.
    probed = read_json(probe + after)
    same = probed.value["choices"][0] if not probed.problems else None
    if not isinstance(same, dict) or same != _with(choice, name):
        return None
    template = _Template(view, view.tracks[choice["index"]], name, before, gaps, after)
    template.says(same, probed.value)
    return template


_scan = json.JSONDecoder().raw_decode


def _after_key(data: str, name: str, place: int) -> int:
    """Where the value of a key begins."""
    key = f'"{name}":'
    start = data.find(key, place) + len(key)
    while data[start : start + 1] == " ":
        start += 1
    return start


def _values(
    choice: dict[str, Any], chunk: dict[str, Any], data: str
) -> list[tuple[int, int, str, Callable[[str], Any]]]:
    """The values of a chunk that differ: where each begins and ends, its key, and its reader."""
    found: list[tuple[int, int, str, Callable[[str], Any]]] = []
    logprobs = choice.get("logprobs")
    pattern = pattern_of(logprobs) if isinstance(logprobs, dict) else None
    if pattern is not None:
        found.append((*_span(data, "logprobs"), "logprobs", pattern.take))
    if chunk.get("usage") is not None:
        found.append((*_span(data, "usage"), "usage", _usage))
    padding = chunk.get(_PADDING)
    if isinstance(padding, str):
        start, end = _span(data, _PADDING)
        found.append((start + 1, end - 1, _PADDING, _read))
    return found


def _span(data: str, name: str) -> tuple[int, int]:
    """Where the value of a key begins and ends, as far as the key is found."""
    start = _after_key(data, name, 0)
    try:
        return start, _scan(data, start)[1]
    except ValueError:
        return -1, -1


def _usage(text: str) -> dict[str, Any] | None:
    try:
        value = _object(text)
    except ValueError:
        return None
    # Counts alone, each key once; what has more in it is read as everything else.
    if has_keys(text, len(value)):
        return value
    read = read_json(text)
    return None if read.problems else value


def _with(choice: dict[str, Any], name: str) -> dict[str, Any]:
    """The choice with another text, and without log probabilities where it has some."""
    bare = {**choice, "logprobs": None} if choice.get("logprobs") is not None else choice
    if "delta" in choice:
        return {**bare, "delta": {**choice["delta"], name: _PROBE}}
    return {**bare, name: _PROBE}


def _said(choice: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = choice.get("delta", choice)
    return said


def _only_text(body: dict[str, Any]) -> str | None:
    """The name of the text of a delta that says one text, a role perhaps, and nothing else."""
    names = [name for name in _PLACES if body.get(name)]
    others = ("refusal", "audio", "function_call", "tool_calls")
    if len(names) != 1 or any(body.get(name) for name in others) or not isinstance(body[names[0]], str):
        return None
    return names[0]
