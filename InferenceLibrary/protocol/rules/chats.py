"""Rules of chats and completions: chunks and choices, ids, roles, finish reasons."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.choices import Choices, ChoicesAnswer, ChoicesStream, Constant
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.shape import MISSING, NULL, TYPE, VALUE, Misfit
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import show

CHAT = (Api.CHAT,)
COMPLETIONS = (Api.COMPLETIONS,)
BOTH = (Api.CHAT, Api.COMPLETIONS)
REFERENCE = "OpenAI API reference (openai-openapi), read 2026-11"
WIRE = "recorded answers of OpenAI (envoyproxy/ai-gateway), read 2026-11"
_SHAPE = (MISSING, NULL, TYPE)
_TOP = ("", "id", "object", "created", "model", "choices")
_CHOICE = ("choices[]", "choices[].index", "choices[].finish_reason", "choices[].text")
NO_REASON_KEY = "no key finish_reason"


def misfits(view: Choices, places: tuple[str, ...]) -> Iterator[Found]:
    """Keys at these places that are missing, null, or of another type or value."""
    for place, misfit in view.misfits:
        if misfit.required and misfit.path in places:
            without_key = view.streamed and misfit.kind == MISSING and misfit.path == "choices[].finish_reason"
            yield at(place, NO_REASON_KEY if without_key else misfit.kind, str(misfit))


@rule(
    "C1",
    Level.MUST,
    "Each chunk of a chat has id, object, created, model and choices.",
    source=f"{REFERENCE}: The chat completion chunk object",
    kinds=(*_SHAPE, VALUE),
    view=ChoicesStream,
    apis=CHAT,
)
def find_c1(view: ChoicesStream, known: Known) -> Iterator[Found]:
    return misfits(view, _TOP)


@rule(
    "C2",
    Level.MUST,
    "The id is not empty, and the same in all chunks.",
    source=f"{REFERENCE}; {WIRE}",
    kinds=("empty", "changes"),
    view=Choices,
    apis=BOTH,
)
def find_c2(view: Choices, known: Known) -> Iterator[Found]:
    return _constant(view.id)


@rule(
    "C3",
    Level.SHOULD,
    "The time of creation is the same in all chunks.",
    source=f"{REFERENCE}; {WIRE}; llama.cpp, Ollama and transformers change it, and clients tolerate that",
    kinds=("changes",),
    view=ChoicesStream,
    apis=BOTH,
)
def find_c3(view: ChoicesStream, known: Known) -> Iterator[Found]:
    return _changes(view.created, ("changes",))


@rule(
    "C4",
    Level.MUST,
    "The model is not empty, and the same in all chunks.",
    source=f"{WIRE}; it may be a longer name than the one that was asked for",
    kinds=("empty", "changes"),
    view=Choices,
    apis=BOTH,
)
def find_c4(view: Choices, known: Known) -> Iterator[Found]:
    return _constant(view.model)


def _constant(seen: Constant) -> Iterator[Found]:
    if seen.seen and seen.first == "":
        yield at(seen.place, "empty", "an empty text")
    yield from _changes(seen, ("changes", "empty"))


def _changes(seen: Constant, kinds: tuple[str, ...]) -> Iterator[Found]:
    """The first change of each kind."""
    many = f", in {seen.changes.count} chunks" if seen.changes.count > 1 else ""
    told: set[str] = set()
    for place, value in seen.changes:
        kind = "empty" if value == "" and "empty" in kinds else "changes"
        if kind not in told:
            told.add(kind)
            yield at(place, kind, "an empty text" if value == "" else f"{show(value)} after {show(seen.first)}{many}")


@rule(
    "C5",
    Level.MUST,
    "Each choice of a chunk has an index, a delta, and the key finish_reason.",
    source=f"{REFERENCE}: The chat completion chunk object; LiteLLM and transformers leave the key finish_reason out",
    kinds=(*_SHAPE, NO_REASON_KEY),
    tolerated=(NO_REASON_KEY,),
    view=ChoicesStream,
    apis=CHAT,
)
def find_c5(view: ChoicesStream, known: Known) -> Iterator[Found]:
    return misfits(view, (*_CHOICE, "choices[].delta"))


@rule(
    "C6",
    Level.MUST,
    "The first delta of each choice has the role assistant.",
    source=f"{WIRE}; {REFERENCE}",
    kinds=("missing", "late", "other role"),
    view=ChoicesStream,
    apis=CHAT,
)
def find_c6(view: ChoicesStream, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        if not track.roles:
            yield at(track.first, "missing", f"no role in {track.deltas} deltas of choice {track.index}")
        elif not track.role_first:
            yield at(track.roles.kept[0][0], "late", f"the role of choice {track.index} after its first delta")
        other = next(((place, role) for place, role in track.roles if role != "assistant"), None)
        if other is not None:
            yield at(other[0], "other role", show(other[1]))


@rule(
    "C7",
    Level.SHOULD,
    "The role stands in the first delta of a choice only.",
    source=f"{WIRE}; Ollama and mistral.rs repeat it, and clients tolerate that",
    kinds=("again",),
    view=ChoicesStream,
    apis=CHAT,
)
def find_c7(view: ChoicesStream, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        if track.roles.count > 1:
            # Chunks that were known at sight are counted without their places.
            place = track.roles.kept[:2][-1][0] if track.roles.kept else track.first
            yield at(place, "again", f"the role of choice {track.index} {track.roles.count} times")


_REASONS = {
    Api.CHAT: ("stop", "length", "tool_calls", "content_filter", "function_call"),
    Api.COMPLETIONS: ("stop", "length", "content_filter"),
}


@rule(
    "C9",
    Level.MUST,
    "Each choice has exactly one finish reason, one of those of the reference.",
    source=f"{REFERENCE}: finish_reason",
    kinds=("missing", "twice", "empty", "unknown"),
    view=Choices,
    apis=BOTH,
)
def find_c9(view: Choices, known: Known) -> Iterator[Found]:
    allowed = _REASONS[view.api]
    for track in view.tracks.values():
        if not track.finish and view.ran_to_its_end:
            yield Found("missing", f"none for choice {track.index}")
        for place, reason in track.finish.kept[1:]:
            yield at(place, "twice", f"{show(reason)} for choice {track.index} again")
        for place, reason in track.finish.kept[:1]:
            if reason == "":
                yield at(place, "empty", f"an empty text for choice {track.index}")
            elif reason not in allowed:
                yield at(place, "unknown", f"{show(reason)} for choice {track.index}")


@rule(
    "C10",
    Level.SHOULD,
    "The finish reason of a chat comes with an empty delta of its own.",
    source=f"{WIRE}: three of three streams; vLLM sends it with the last text",
    kinds=("with text",),
    view=ChoicesStream,
    apis=CHAT,
)
def find_c10(view: ChoicesStream, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        for place, said in track.finish_with_text.kept[:1]:
            yield at(place, "with text", f"{show(said)} beside the finish reason of choice {track.index}")


@rule(
    "C11",
    Level.MUST,
    "After its finish reason a choice says nothing more.",
    source=WIRE,
    kinds=("more",),
    view=ChoicesStream,
    apis=BOTH,
)
def find_c11(view: ChoicesStream, known: Known) -> Iterator[Found]:
    for track in view.tracks.values():
        for place, said in track.after_finish:
            yield at(place, "more", f"{show(said)} of choice {track.index}")


@rule(
    "C24",
    Level.MUST,
    "A stream has at least one choice.",
    source=REFERENCE,
    kinds=("none",),
    view=ChoicesStream,
    apis=BOTH,
    to_the_end=True,
)
def find_c24(view: ChoicesStream, known: Known) -> Iterator[Found]:
    if not view.tracks:
        yield Found("none", f"{view.events.count} events without one")


@rule(
    "N1",
    Level.MUST,
    "A whole chat has id, object, created, model, choices and usage.",
    source=f"{REFERENCE}: The chat completion object",
    kinds=(*_SHAPE, VALUE, "no choice"),
    view=ChoicesAnswer,
    apis=CHAT,
)
def find_n1(view: ChoicesAnswer, known: Known) -> Iterator[Found]:
    yield from misfits(view, (*_TOP, "usage"))
    yield from no_choice(view)


def no_choice(view: ChoicesAnswer) -> Iterator[Found]:
    """An empty list of choices."""
    if isinstance(view.value, dict) and view.value.get("choices") == []:
        yield Found("no choice", "an empty list")


@rule(
    "N2",
    Level.MUST,
    "A chat has as many choices as were asked for, with indices from 0 on.",
    source=f"{REFERENCE}: n",
    kinds=("too few", "too many", "index"),
    view=Choices,
    apis=CHAT,
    needs=(Held.REQUEST,),
)
def find_n2(view: Choices, known: Known) -> Iterator[Found]:
    return choices_asked_for(view)


def choices_asked_for(view: Choices) -> Iterator[Found]:
    """Too few choices, too many, or indices other than 0 to the number that was asked for."""
    asked = view.asked.choices
    if not view.asked.known or asked is None:
        return
    wrong = [(index, track) for index, track in view.tracks.items() if not 0 <= index < asked]
    for index, track in wrong[:10]:
        yield at(track.first, "index", f"the index {index} where {asked} were asked for")
    right = len(view.tracks) - len(wrong)
    if right < asked and view.tracks and view.ran_to_its_end:
        yield Found("too few", f"{right} of {asked}")
    if isinstance(view, ChoicesAnswer) and isinstance(view.value, dict):
        given = view.value.get("choices")
        if isinstance(given, list) and len(given) > max(asked, len(view.tracks)):
            yield Found("too many", f"{len(given)} choices of {len(view.tracks)} indices where {asked} were asked for")


@rule(
    "N3",
    Level.MUST,
    "Each choice of a whole chat has an index, a message, and a finish reason.",
    source=f"{REFERENCE}: The chat completion object; logprobs may be absent ({WIRE})",
    kinds=_SHAPE,
    view=ChoicesAnswer,
    apis=CHAT,
)
def find_n3(view: ChoicesAnswer, known: Known) -> Iterator[Found]:
    return misfits(view, (*_CHOICE, "choices[].message"))


@rule(
    "N4",
    Level.MUST,
    "A message has the role assistant and a content, null only beside tool calls, a refusal or audio.",
    source=f"{REFERENCE}: The chat completion object; {WIRE}",
    kinds=(*_SHAPE, "other role", "content is null"),
    view=ChoicesAnswer,
    apis=CHAT,
)
def find_n4(view: ChoicesAnswer, known: Known) -> Iterator[Found]:
    for place, misfit in view.misfits:
        if misfit.path == "choices[].message.role" or _is_content(misfit):
            yield at(place, misfit.kind, str(misfit))
    for track in view.tracks.values():
        message = track.message
        if message is None:
            continue
        role = message.get("role")
        if isinstance(role, str) and role != "assistant":
            yield Found("other role", f"{show(role)} in choice {track.index}")
        if "content" in message and message["content"] is None and not (track.calls or track.other_output):
            yield Found(
                "content is null", f"null in choice {track.index}, which ended with {show(track.finish_reason)}"
            )


def _is_content(misfit: Misfit) -> bool:
    return misfit.path == "choices[].message.content"


@rule(
    "V1",
    Level.SHOULD,
    "Null stands only where the reference allows it.",
    source=f"{REFERENCE}: nullable properties",
    kinds=(NULL,),
    view=Choices,
    apis=BOTH,
)
def find_v1(view: Choices, known: Known) -> Iterator[Found]:
    for place, misfit in view.misfits:
        if misfit.kind == NULL and not misfit.required:
            yield at(place, NULL, str(misfit))


@rule(
    "V2",
    Level.MUST,
    "Keys that need not be there have the type of the reference where they are.",
    source=f"{REFERENCE}; typed clients refuse to read others",
    kinds=(TYPE,),
    view=Choices,
    apis=BOTH,
)
def find_v2(view: Choices, known: Known) -> Iterator[Found]:
    for place, misfit in view.misfits:
        if misfit.kind == TYPE and not misfit.required and not _is_content(misfit):
            yield at(place, TYPE, str(misfit))
