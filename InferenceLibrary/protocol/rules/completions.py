"""Rules of text completions."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.chats import (
    COMPLETIONS,
    NO_REASON_KEY,
    REFERENCE,
    WIRE,
    choices_asked_for,
    misfits,
    no_choice,
)
from InferenceLibrary.protocol.rules.choices import Choices, ChoicesAnswer, ChoiceTrack
from InferenceLibrary.protocol.rules.logprob_track import OFFSET
from InferenceLibrary.protocol.rules.rule import Found, Known, Level, rule
from InferenceLibrary.protocol.rules.shape import MISSING, NULL, TYPE, VALUE
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import show

_SHAPE = (MISSING, NULL, TYPE)


@rule(
    "X1",
    Level.MUST,
    "A completion, and each chunk of one, has id, object text_completion, created, model and choices.",
    source=f"{REFERENCE}: The completion object",
    kinds=(*_SHAPE, VALUE, "no choice"),
    view=Choices,
    apis=COMPLETIONS,
)
def find_x1(view: Choices, known: Known) -> Iterator[Found]:
    yield from misfits(view, ("", "id", "object", "created", "model", "choices"))
    if isinstance(view, ChoicesAnswer):
        yield from no_choice(view)


@rule(
    "X2",
    Level.MUST,
    "Each choice of a completion has a text, an index, and the key finish_reason.",
    source=f"{REFERENCE}: The completion object; {WIRE}; LiteLLM and transformers leave the key finish_reason out",
    kinds=(*_SHAPE, NO_REASON_KEY),
    tolerated=(NO_REASON_KEY,),
    view=Choices,
    apis=COMPLETIONS,
)
def find_x2(view: Choices, known: Known) -> Iterator[Found]:
    return misfits(view, ("choices[]", "choices[].text", "choices[].index", "choices[].finish_reason"))


@rule(
    "X4",
    Level.MUST,
    "With k prompts and n choices of each there are k times n choices, with indices from 0 on.",
    source=f"{REFERENCE}: prompt, n; {WIRE}: two by two give 0 to 3",
    kinds=("too few", "too many", "index"),
    view=Choices,
    apis=COMPLETIONS,
    needs=(Held.REQUEST,),
)
def find_x4(view: Choices, known: Known) -> Iterator[Found]:
    return choices_asked_for(view)


@rule(
    "X5",
    Level.SHOULD,
    "With echo the text starts with its prompt, and text_offset does not fall.",
    source=f"{REFERENCE}: echo, text_offset; vLLM's tests",
    kinds=("no prompt", OFFSET),
    view=Choices,
    apis=COMPLETIONS,
    needs=(Held.REQUEST,),
)
def find_x5(view: Choices, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        prompt = prompt_of(view, track) if view.asked.echo else None
        text = track.text.text
        if prompt and not (text.startswith(prompt) or (not view.ran_to_its_end and prompt.startswith(text))):
            yield at(track.first, "no prompt", f"{show(text)} for the prompt {show(prompt)}")
        for place, (kind, got) in track.logprobs.odd:
            if kind == OFFSET:
                yield at(place, OFFSET, got)


def prompt_of(view: Choices, track: ChoiceTrack) -> str | None:
    """The prompt of a choice: index is prompt times n plus the number of the choice; None where it is not a text."""
    number = track.index // (view.asked.n or 1)
    return view.asked.prompts[number] if 0 <= number < len(view.asked.prompts) else None
