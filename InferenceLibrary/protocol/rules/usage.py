"""Rules of usage: where it stands, and that its counts add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeGuard

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.chats import BOTH, CHAT, COMPLETIONS, REFERENCE, WIRE
from InferenceLibrary.protocol.rules.choices import Choices, ChoicesAnswer, ChoicesStream
from InferenceLibrary.protocol.rules.rule import Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import show


@rule(
    "C13",
    Level.SHOULD,
    "Usage that was not asked for is not sent in a stream.",
    source=f"{REFERENCE}: stream_options; {WIRE}",
    kinds=("not asked for",),
    view=ChoicesStream,
    apis=BOTH,
    needs=(Held.REQUEST,),
)
def find_c13(view: ChoicesStream, known: Known) -> Iterator[Found]:
    if view.asked.known and view.asked.stream and not (view.asked.include_usage or view.asked.usage_in_all):
        for place, usage in view.usages.kept[:1]:
            yield at(place, "not asked for", show(usage.data))


_PLACED = ("missing", "twice", "with choices", "before the end", "not last")
_BESIDE_CHOICES = ("with choices",)
"""LiteLLM, mistral.rs and transformers send it so, llama.cpp in completions, and clients tolerate that."""


@rule(
    "C14",
    Level.MUST,
    "Usage that was asked for comes in one chunk without choices, after all finish reasons, last before [DONE].",
    source=f"{REFERENCE}: stream_options.include_usage; {WIRE}",
    kinds=_PLACED,
    tolerated=_BESIDE_CHOICES,
    view=ChoicesStream,
    apis=CHAT,
    needs=(Held.REQUEST,),
    to_the_end=True,
)
def find_c14(view: ChoicesStream, known: Known) -> Iterator[Found]:
    return _placed(view)


@rule(
    "X6",
    Level.MUST,
    "Usage of a completion that was asked for comes in one chunk without choices, last before [DONE].",
    source=f"{REFERENCE}: stream_options.include_usage; {WIRE}",
    kinds=_PLACED,
    tolerated=_BESIDE_CHOICES,
    view=ChoicesStream,
    apis=COMPLETIONS,
    needs=(Held.REQUEST,),
    to_the_end=True,
)
def find_x6(view: ChoicesStream, known: Known) -> Iterator[Found]:
    return _placed(view)


def _placed(view: ChoicesStream) -> Iterator[Found]:
    if not view.asked.include_usage:
        return
    seen = view.usages.first_and_last
    if view.asked.usage_in_all:
        # vLLM's option puts it into all chunks; the last one is still what the reference asks for.
        seen = seen[-1:]
    if not seen:
        yield Found("missing", f"none in {view.objects} chunks")
    for place, usage in seen[1:]:
        yield at(place, "twice", show(usage.data))
    for place, usage in seen[:1]:
        if usage.choices:
            yield at(place, "with choices", f"{show(usage.data)} in a chunk with choices")
        if not usage.after_finish:
            yield at(place, "before the end", f"{show(usage.data)} before every choice had finished")
        last = view.events.count - view.events.done.count
        if place.event is not None and place.event < last and not view.events.after_done:
            yield at(place, "not last", f"{last - place.event} events after it")


@rule(
    "C15",
    Level.SHOULD,
    "Where usage was asked for, the other chunks have a usage of null.",
    source=f"{REFERENCE}: stream_options.include_usage; {WIRE}",
    kinds=("missing",),
    view=ChoicesStream,
    apis=BOTH,
    needs=(Held.REQUEST,),
)
def find_c15(view: ChoicesStream, known: Known) -> Iterator[Found]:
    if view.asked.include_usage and view.usage_missing:
        place, _ = view.usage_missing.kept[0]
        yield at(place, "missing", f"{view.usage_missing.count} of {view.objects} chunks without the key")


_COUNTS = ("count", "sum", "detail")


@rule(
    "C16",
    Level.MUST,
    "Tokens of prompt and completion add up to the total, and no detail is larger than what it is a part of.",
    source=f"{REFERENCE}: Usage statistics",
    kinds=_COUNTS,
    view=ChoicesStream,
    apis=BOTH,
)
def find_c16(view: ChoicesStream, known: Known) -> Iterator[Found]:
    return _counts(view)


@rule(
    "N7",
    Level.MUST,
    "Tokens of prompt and completion of a whole answer add up, and no detail is larger than what it is a part of.",
    source=f"{REFERENCE}: Usage statistics; completions may lack the details ({WIRE})",
    kinds=_COUNTS,
    view=ChoicesAnswer,
    apis=BOTH,
)
def find_n7(view: ChoicesAnswer, known: Known) -> Iterator[Found]:
    return _counts(view)


def _counts(view: Choices) -> Iterator[Found]:
    for place, usage in view.usages.first_and_last:
        for kind, got in usage_problems(usage.data):
            yield at(place, kind, got)


def usage_problems(
    usage: Any,
    parts: tuple[str, str] = ("prompt_tokens", "completion_tokens"),
    details: tuple[str, str] = ("prompt_tokens_details", "completion_tokens_details"),
) -> Iterator[tuple[str, str]]:
    """What is wrong with the counts of a usage object: `count`, `sum` or `detail`, and what was found.

    Args:
        usage: The object, of any type.
        parts: The names of the two counts.
        details: The names of what they are made up of.
    """
    if not isinstance(usage, dict):
        yield "count", show(usage)
        return
    counts = [usage.get(name) for name in (*parts, "total_tokens")]
    for name, value in zip((*parts, "total_tokens"), counts, strict=True):
        if not is_count(value):
            yield "count", f"{name}: {show(value) if name in usage else 'missing'}"
    first, second, total = counts
    if is_count(first) and is_count(second) and is_count(total) and first + second != total:
        yield "sum", f"{first} + {second} = {total}"
    for name, part, whole in zip(details, parts, counts, strict=False):
        given = usage.get(name)
        if isinstance(given, dict):
            for key, value in given.items():
                if value is None:
                    continue
                if not is_count(value):
                    yield "detail", f"{name}.{key}: {show(value)}"
                elif is_count(whole) and value > whole:
                    yield "detail", f"{name}.{key}: {value} of {whole} {part}"
        elif given is not None:
            yield "detail", f"{name}: {show(given)}"


def is_count(value: Any) -> TypeGuard[int]:
    """Whether it is an integer that is not negative."""
    return type(value) is int and value >= 0


@rule(
    "U1",
    Level.MUST,
    "Usage counts the tokens of all choices, where there are several.",
    source=f"{REFERENCE}: Usage statistics, tokens in the generated completion",
    kinds=("fewer than tokens", "fewer than words"),
    tolerated=("fewer than words",),
    view=Choices,
    apis=BOTH,
    to_the_end=True,
)
def find_u1(view: Choices, known: Known) -> Iterator[Found]:
    """Where the tokens are not told, words are: few models have fewer tokens than words."""
    if not view.usages or len(view.tracks) < 2 or view.asked.echo:
        return
    place, usage = view.usages.first_and_last[-1]
    counted = usage.data.get("completion_tokens") if isinstance(usage.data, dict) else None
    if not is_count(counted):
        return
    tokens = sum(track.logprobs.count for track in view.tracks.values())
    if tokens > counted:
        yield at(place, "fewer than tokens", f"{counted} where the log probabilities are of {tokens} tokens")
    words = sum(len(track.text.text.split()) for track in view.tracks.values())
    if words > counted:
        yield at(place, "fewer than words", f"{counted} for {len(view.tracks)} choices of {words} words in all")


@rule(
    "U2",
    Level.MUST,
    "A prompt that is not empty has tokens, and so has a text.",
    source=f"{REFERENCE}: Usage statistics",
    kinds=("prompt", "completion"),
    view=Choices,
    apis=BOTH,
    to_the_end=True,
)
def find_u2(view: Choices, known: Known) -> Iterator[Found]:
    if not view.usages:
        return
    place, usage = view.usages.first_and_last[-1]
    counts = usage.data if isinstance(usage.data, dict) else {}
    if counts.get("prompt_tokens") == 0 and view.asked.says_something:
        yield at(place, "prompt", "no tokens for a prompt that is not empty")
    said = next((track for track in view.tracks.values() if track.text.count or track.calls), None)
    if counts.get("completion_tokens") == 0 and said is not None and not view.asked.echo:
        yield at(place, "completion", f"no tokens for what choice {said.index} says")


_SPLIT = 2
"""A token is seldom sent in more pieces than this."""


@rule(
    "C17",
    Level.MUST,
    "No more tokens come than were asked for at most, and a choice that used them up says length.",
    source=f"{REFERENCE}: max_completion_tokens, finish_reason; {WIRE}",
    kinds=("too many", "stop at the limit"),
    view=Choices,
    apis=BOTH,
    needs=(Held.REQUEST,),
)
def find_c17(view: Choices, known: Known) -> Iterator[Found]:
    limit = view.asked.limit
    if limit is None:
        return
    counted = None if _of_several_models(view) else _completion_tokens(view)
    if view.asked.echo:
        return
    if counted is not None and counted > limit * max(1, len(view.tracks)):
        yield Found("too many", f"{counted} tokens of {len(view.tracks)} choices, at most {limit} each")
        return
    for track in view.tracks.values():
        pieces = track.text.count + track.reasoning.count
        if track.logprobs.count > limit or (view.streamed and pieces > limit * _SPLIT):
            most = max(track.logprobs.count, pieces if view.streamed else 0)
            yield Found("too many", f"{most} tokens of choice {track.index}, at most {limit}")
    yield from _at_the_limit(view, limit, counted)


def _of_several_models(view: Choices) -> bool:
    """Whether several models worked on the answer: its usage then counts what all of them wrote."""
    told = view.exchange.json
    mode = view.exchange.asked_for("orchestration_mode")
    return (isinstance(mode, str) and mode != "single") or (isinstance(told, dict) and bool(told.get("orchestration")))


def _completion_tokens(view: Choices) -> int | None:
    for _, usage in reversed(view.usages.first_and_last):
        counted = usage.data.get("completion_tokens") if isinstance(usage.data, dict) else None
        return counted if is_count(counted) else None
    return None


def _at_the_limit(view: Choices, limit: int, counted: int | None) -> Iterator[Found]:
    """A choice of which every counted token was shown did not end by a token that says so: the limit ended it."""
    if len(view.tracks) != 1 or counted != limit or view.asked.stops:
        return
    track = next(iter(view.tracks.values()))
    shown = track.logprobs.count or (track.text.count + track.reasoning.count if view.streamed else 0)
    if track.finish_reason == "stop" and shown == limit and not track.calls:
        place = track.finish.kept[0][0]
        yield at(place, "stop at the limit", f"'stop' after {limit} of at most {limit} tokens")


@rule(
    "C18",
    Level.SHOULD,
    "A request with stream_options and without stream is refused.",
    source=f"{REFERENCE}: stream_options; vLLM's tests",
    kinds=("accepted",),
    view=ChoicesAnswer,
    apis=BOTH,
    needs=(Held.REQUEST,),
)
def find_c18(view: ChoicesAnswer, known: Known) -> Iterator[Found]:
    if view.asked.stream_options and not view.asked.stream:
        yield Found("accepted", f"status {view.exchange.status} for {show(view.asked.stream_options)}")
