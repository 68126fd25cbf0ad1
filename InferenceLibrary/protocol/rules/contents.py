"""Rules of what is said: stop strings, formats."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.json_schema import schema_problem
from InferenceLibrary.protocol.rules.chats import BOTH, CHAT, REFERENCE
from InferenceLibrary.protocol.rules.choices import Choices
from InferenceLibrary.protocol.rules.completions import prompt_of
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import read_json, show

_PART = 2
"""A shorter part of a stop string at the end of a text is chance."""


@rule(
    "C20",
    Level.MUST,
    "A stop string does not stand in the text, nor does its beginning at the end.",
    source=f"{REFERENCE}: stop; llama.cpp's and MLC's tests",
    kinds=("whole", "beginning"),
    tolerated=("beginning",),
    view=Choices,
    apis=BOTH,
    needs=(Held.REQUEST,),
)
def find_c20(view: Choices, known: Known) -> Iterator[Found]:
    asked = view.asked
    if asked.keeps_stop:
        return
    for track in view.tracks.values() if asked.stops else ():
        text = track.text.text
        if asked.echo and view.api is Api.COMPLETIONS:
            text = text.removeprefix(prompt_of(view, track) or "")
        for stop in asked.stops:
            if stop in text:
                yield at(track.first, "whole", f"{show(stop)} in {show(text[max(0, text.index(stop) - 20) :])}")
            elif track.finish_reason == "stop" and (part := _beginning(stop, text)):
                yield at(track.first, "beginning", f"{show(part)} of {show(stop)} at the end of {show(text[-40:])}")


def _beginning(stop: str, text: str) -> str | None:
    """The first half of a stop string, or more of it, that ends a text."""
    for size in range(len(stop) - 1, max(_PART, (len(stop) + 1) // 2) - 1, -1):
        if text.endswith(stop[:size]):
            return stop[:size]
    return None


@rule(
    "N8",
    Level.MUST,
    "A text that was asked for in a format is JSON, and fits the schema.",
    source=f"{REFERENCE}: response_format",
    kinds=("not JSON", "not an object", "schema"),
    view=Choices,
    apis=CHAT,
    needs=(Held.REQUEST,),
    to_the_end=True,
)
def find_n8(view: Choices, known: Known) -> Iterator[Found]:
    given = view.asked.response_format
    if not isinstance(given, dict) or given.get("type") not in ("json_object", "json_schema"):
        return
    kind = given["type"]
    for track in view.tracks.values():
        if track.was_cut or track.calls or track.other_output:
            continue
        text = track.text.text
        read = read_json(text)
        if not read.readable or read.problems:
            yield at(track.first, "not JSON", f"{show(text)} in choice {track.index}")
        elif kind == "json_object" and not isinstance(read.value, dict):
            yield at(track.first, "not an object", f"{show(text)} in choice {track.index}")
        elif kind == "json_schema" and (problem := _misfit(given, read.value)):
            yield at(track.first, "schema", f"{show(text)} in choice {track.index}: {problem}")


def _misfit(given: dict[str, Any], value: Any) -> str | None:
    holder = given.get("json_schema")
    schema = holder.get("schema") if isinstance(holder, dict) else None
    try:
        return schema_problem(value, schema) if isinstance(schema, dict) else None
    except ValueError:
        # A schema that is none: that the server took it is not a matter of this text.
        return None
