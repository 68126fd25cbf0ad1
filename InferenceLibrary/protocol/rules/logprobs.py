"""Rules of log probabilities, in streams and whole answers alike."""

from __future__ import annotations

import re
from collections.abc import Iterator

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.chats import BOTH, REFERENCE
from InferenceLibrary.protocol.rules.choices import Choices, ChoiceTrack
from InferenceLibrary.protocol.rules.logprob_track import BYTES, LOGPROB, OTHER_BYTES, SHAPE, SUM, TOP, TWICE
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import show

_ENDS = re.compile(rb"(<[^<>\s]+>)+")
"""Tokens of models that end a turn or a text, as `<|im_end|>` and `</s>`: vLLM lists them, and they are not text."""
_SOURCE = f"{REFERENCE}: logprobs; llama.cpp's tests"


def _odd(view: Choices, *kinds: str) -> Iterator[Found]:
    for track in view.tracks.values() if not view.asked.own_logprobs else ():
        for place, (kind, got) in track.logprobs.odd:
            if kind in kinds:
                yield at(place, kind, got)


@rule(
    "C23",
    Level.SHOULD,
    "Each token has its text, a finite log probability that is not above zero, its bytes, and alternatives.",
    source=_SOURCE,
    kinds=(SHAPE, LOGPROB, BYTES, TOP),
    view=Choices,
    apis=BOTH,
)
def find_c23(view: Choices, known: Known) -> Iterator[Found]:
    return _odd(view, SHAPE, LOGPROB, BYTES, TOP)


@rule(
    "L1",
    Level.SHOULD,
    "Log probabilities that were asked for come with every choice that has text, with no more alternatives than asked.",
    source=_SOURCE,
    kinds=("missing", "too many alternatives"),
    view=Choices,
    apis=BOTH,
    needs=(Held.REQUEST,),
    to_the_end=True,
)
def find_l1(view: Choices, known: Known) -> Iterator[Found]:
    asked = view.asked
    most = asked.top if view.api is Api.CHAT else asked.logprobs
    wanted = asked.logprobs is True if view.api is Api.CHAT else type(asked.logprobs) is int
    for track in view.tracks.values():
        if wanted and track.text.count and not track.logprobs.count:
            yield at(track.first, "missing", f"none for choice {track.index}")
        # The token itself may stand beside the alternatives.
        if wanted and type(most) is int and track.logprobs.most > most + (view.api is Api.COMPLETIONS):
            got = f"{track.logprobs.most} in choice {track.index}, asked for were {most}"
            yield at(track.first, "too many alternatives", got)


@rule(
    "L2",
    Level.SHOULD,
    "The alternatives of a token are named once each, and their probabilities add up to at most one.",
    source=f"{_SOURCE}; they are probabilities of one draw",
    kinds=(TWICE, SUM),
    view=Choices,
    apis=BOTH,
)
def find_l2(view: Choices, known: Known) -> Iterator[Found]:
    return _odd(view, TWICE, SUM)


@rule(
    "L3",
    Level.MUST,
    "The bytes of a token are those of its text.",
    source=f"{REFERENCE}: logprobs.content.bytes",
    kinds=(OTHER_BYTES,),
    view=Choices,
    apis=BOTH,
)
def find_l3(view: Choices, known: Known) -> Iterator[Found]:
    return _odd(view, OTHER_BYTES)


@rule(
    "L4",
    Level.SHOULD,
    "The tokens join to the text, by their bytes where these are given.",
    source=f"{REFERENCE}: logprobs.content.bytes, which must be combined",
    kinds=("other text",),
    view=Choices,
    apis=BOTH,
    to_the_end=True,
)
def find_l4(view: Choices, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        if track.logprobs.count and track.logprobs.joinable and _comparable(view, track):
            joined, text = track.logprobs.joined, track.text.text
            said = text.encode("utf-8", "surrogatepass")
            cut = bool(view.asked.stops) or not view.asked.known
            more = joined[len(said) :] if joined.startswith(said) else None
            if more is None or (more and not cut and not _ENDS.fullmatch(more)):
                got = f"{show(joined.decode('utf-8', 'backslashreplace'))} where the text is {show(text)}"
                yield at(track.first, "other text", f"bytes that join to {got}")


def _comparable(view: Choices, track: ChoiceTrack) -> bool:
    """Whether the tokens are those of the text: not those of thoughts or tool calls too, nor written as numbers."""
    return not (track.reasoning.count or track.calls or track.other_output or view.asked.own_logprobs)
