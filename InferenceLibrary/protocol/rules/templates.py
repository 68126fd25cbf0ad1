"""Chunks known at sight: those that differ from one that was read whole in the text of their choice alone.

Nearly all chunks of a stream are the same bytes but for their text. When one was read and has its shape, what stands
before and after its text is kept. A later chunk that begins and ends so, with one text between them, is the same JSON
with another text, so it needs no reading.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from InferenceLibrary.protocol.rules.choices import ChoicesStream, ChoiceTrack, Constant
from InferenceLibrary.protocol.strict_json import read_json

_MOST = 4
"""So many templates are kept: choices of a stream take turns."""
_TRIES = 32
"""So often a template is made for nothing before it is given up: these chunks differ in more than their text."""
_PLACES = ("content", "reasoning_content", "reasoning", "text")
_decode = msgspec.json.Decoder(str).decode
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_PADDING = re.compile(r'"obfuscation": ?"')
_PROBE = "a text that no server sends"


class Templates:
    """What has been learnt from the chunks of one stream."""

    def __init__(self) -> None:
        self._known: list[_Template] = []
        self._tries = _TRIES

    def take(self, data: str) -> bool:
        """Take the data of an event if it is known at sight."""
        for template in self._known:
            if data.startswith(template.start) and data.endswith(template.end):
                text = data[template.skip : template.stop]
                if template.middle:
                    text, found, noise = text.partition(template.middle)
                    if not found or _read(noise) is None:
                        continue
                said = _read(text)
                if said and not template.track.finish.count:
                    self._tries = _TRIES
                    template.add(said)
                    return True
        return False

    def learn(self, view: ChoicesStream, data: str, chunk: dict[str, Any]) -> None:
        """Keep what stands around the text of a chunk that has its shape and was taken by the view."""
        choices = chunk["choices"]
        if self._tries <= 0 or len(choices) != 1 or chunk.get("usage") is not None:
            return
        choice = choices[0]
        if choice.get("finish_reason") is not None or choice.get("logprobs") is not None:
            return
        name = _only_text(_said(choice))
        if name is not None:
            self._tries -= 1
            template = _make(view, choice, data, name)
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


class _Template:
    """What stands around the text, and what one such chunk adds to the view."""

    __slots__ = ("_differ", "_joined", "_role", "_usage", "_view", "end", "middle", "skip", "start", "stop", "track")

    def __init__(self, view: ChoicesStream, track: ChoiceTrack, name: str, start: str, end: str) -> None:
        self.start = start
        self.middle, self.end = _split(end)
        """Between text and end may stand one more text that differs: what OpenAI pads its chunks with."""
        self.skip = len(start)
        self.stop = -len(self.end)
        self.track = track
        self._view = view
        self._joined = track.text if name in {"content", "text"} else track.reasoning
        self._role = False
        self._usage = False
        self._differ: list[Constant] = []
        """What is not as it was in the first chunk."""

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


def _split(end: str) -> tuple[str, str]:
    """What stands between the text and the padding, and after the padding; empty and all where there is none."""
    key = _PADDING.search(end)
    if key is None:
        return "", end
    padding, quote, rest = end[key.end() :].partition('"')
    if not quote or "\\" in padding:
        return "", end
    return end[: key.end()], quote + rest


def _make(view: ChoicesStream, choice: dict[str, Any], data: str, name: str) -> _Template | None:
    text = _said(choice)[name]
    key = f'"{name}":'
    start = data.find(key) + len(key)
    while data[start : start + 1] == " ":
        start += 1
    written = _TEXT.match(data, start)
    if written is None or _read(written[1]) != text:
        return None
    before, after = data[: start + 1], data[written.end() - 1 :]
    # The same chunk with another text must be read as that, and as nothing else.
    read = read_json(before + _PROBE + after)
    probed = read.value["choices"][0] if not read.problems else None
    if not isinstance(probed, dict) or probed != _with(choice, name):
        return None
    template = _Template(view, view.tracks[choice["index"]], name, before, after)
    template.says(probed, read.value)
    return template


def _with(choice: dict[str, Any], name: str) -> dict[str, Any]:
    if "delta" in choice:
        return {**choice, "delta": {**choice["delta"], name: _PROBE}}
    return {**choice, name: _PROBE}


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
