"""Faults of usage and limits."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import Event
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define
from InferenceLibrary.simulator.faults.objects import choices_of, events_of, insert_after, nested, place_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn


def _usages(draft: Draft) -> list[dict[str, Any]]:
    return [item["usage"] for item in nested(draft) if isinstance(item.get("usage"), dict)]


usage_off_by_one = define(
    "usage-off-by-one",
    "the total is not the sum of prompt and completion tokens",
    breaks=("C16", "N7"),
    by=Parameter("int", 1, "how much too large the total is"),
)


@usage_off_by_one.draft
def usage_off_by_one_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    for usage in _usages(draft):
        if "total_tokens" in usage:
            usage["total_tokens"] += values["by"]


usage_details_too_large = define("usage-details-too-large", "more cached tokens than prompt tokens", breaks=("C16",))


@usage_details_too_large.draft
def usage_details_too_large_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for usage in _usages(draft):
        name = "input_tokens" if "input_tokens_details" in usage else "prompt_tokens"
        if name in usage:
            usage[f"{name}_details"] = {"cached_tokens": usage[name] + 1}


missing_usage = define(
    "missing-usage", "leaves out the usage that was asked for", breaks=("C14", "X6", "N1", "RS2", "A4", "A10")
)


@missing_usage.draft
def missing_usage_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is not None:
        draft.events = [event for event in draft.events if event.kind != "usage"]
    for item in nested(draft):
        if isinstance(item.get("usage"), dict):
            del item["usage"]


usage_with_choices = define(
    "usage-with-choices", "the usage chunk has a choice, where none belongs", breaks=("C14", "X6")
)


@usage_with_choices.draft
def usage_with_choices_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "usage"):
        event.data["choices"] = [{"index": 0, "delta": {}, "finish_reason": None}]


unasked_usage = define("unasked-usage", "puts usage into the last chunk though it was not asked for", breaks=("C13",))


@unasked_usage.draft
def unasked_usage_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    if not events_of(draft, "usage"):
        for event in events_of(draft, "finish")[-1:]:
            tokens = sum(item.tokens for item in draft.events or ())
            prompt = turn.prompt_tokens
            usage = {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}
            event.data["usage"] = usage


usage_key_missing = define("usage-key-missing", "leaves out `usage: null` in the other chunks", breaks=("C15",))


@usage_key_missing.draft
def usage_key_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in draft.events or ():
        if isinstance(event.data, dict) and event.data.get("usage", 0) is None:
            del event.data["usage"]


ignores_max_tokens = define(
    "ignores-max-tokens",
    "sends more tokens than max_tokens allows, and counts them",
    breaks=("C17",),
    by=Parameter("int", 1, "how many too many"),
)


@ignores_max_tokens.answer
def ignores_max_tokens_answer(turn: Turn, values: Values) -> bool:
    from InferenceLibrary.simulator.faults.requests import json_of

    data = json_of(turn)
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        if type(data.get(name)) is int and data[name] > 0:
            data[name] += values["by"]
            data["ignore_eos"] = True
    return False


length_as_stop = define("length-as-stop", "says stop where the limit ended the text", breaks=("C17", "A11"))


@length_as_stop.draft
def length_as_stop_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for choice in choices_of(draft):
        if choice.get("finish_reason") == "length":
            choice["finish_reason"] = "stop"
    for item in nested(draft):
        if item.get("stop_reason") == "max_tokens":
            item["stop_reason"] = "end_turn"


text_not_counted = define("text-not-counted", "sends a token that the usage does not count", breaks=("C19",))


@text_not_counted.draft
def text_not_counted_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    tokens = events_of(draft, "token")
    if tokens:
        assert draft.events is not None
        last = tokens[-1]
        draft.events.insert(place_of(draft, last), Event(copy.deepcopy(last.data), "token"))


usage_twice = define("usage-twice", "sends the usage chunk twice", breaks=("C14", "X6"))


@usage_twice.draft
def usage_twice_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "usage"):
        insert_after(draft, event, copy.deepcopy(event))


usage_before_finish = define(
    "usage-before-finish", "sends the usage chunk before the finish reason", breaks=("C14", "X6")
)


@usage_before_finish.draft
def usage_before_finish_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "usage"):
        assert draft.events is not None
        draft.events.remove(event)
        draft.events.insert(place_of(draft, events_of(draft, "finish")[0]), event)


usage_too_small = define(
    "usage-too-small",
    "counts no more than one token, however many were sent",
    breaks=("U1",),
)


@usage_too_small.draft
def usage_too_small_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for usage in _usages(draft):
        for name, total in (("completion_tokens", "total_tokens"), ("output_tokens", "total_tokens")):
            if usage.get(name, 0) > 1:
                if total in usage:
                    usage[total] -= usage[name] - 1
                usage[name] = 1


usage_zero = define(
    "usage-zero",
    "counts no tokens of the prompt, or of what was said",
    breaks=("U2", "RS2", "A10", "E1"),
    of=Parameter("prompt|completion", "prompt", "which tokens"),
)
_NAMES = {"prompt": ("prompt_tokens", "input_tokens"), "completion": ("completion_tokens", "output_tokens")}


@usage_zero.draft
def usage_zero_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    for usage in _usages(draft):
        for name in _NAMES[values["of"]]:
            if usage.get(name):
                if "total_tokens" in usage:
                    usage["total_tokens"] -= usage[name]
                usage[name] = 0


usage_as_text = define(
    "usage-as-text", "gives the counts of the usage as texts", breaks=("C16", "N7", "RS2", "A4", "A10")
)


@usage_as_text.draft
def usage_as_text_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for usage in _usages(draft):
        for name, count in usage.items():
            if isinstance(count, int):
                usage[name] = str(count)
