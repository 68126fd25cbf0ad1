"""Faults of usage and limits."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import Event
from InferenceLibrary.simulator.faults.events import all_objects, events_of, place_of
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn


def _usages(draft: Draft) -> list[dict[str, Any]]:
    found = []
    for item in all_objects(draft):
        holder = item.get("response") if isinstance(item.get("response"), dict) else item
        if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
            holder["usage"] = copy.deepcopy(holder["usage"])
            found.append(holder["usage"])
    return found


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
        usage["prompt_tokens_details"] = {"cached_tokens": usage.get("prompt_tokens", 0) + 1}


missing_usage = define("missing-usage", "leaves out the usage that was asked for", breaks=("C14", "X6", "N1"))


@missing_usage.draft
def missing_usage_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is not None:
        draft.events = [event for event in draft.events if event.kind != "usage"]
    elif isinstance(draft.body, dict):
        draft.body.pop("usage", None)


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


usage_key_missing = define("usage-key-missing", "leaves out `usage: null` in the other chunks", breaks=("C15", "X6"))


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


length_as_stop = define("length-as-stop", "says stop where the limit ended the text", breaks=("C17",))


@length_as_stop.draft
def length_as_stop_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in all_objects(draft):
        for choice in item.get("choices", ()):
            if choice.get("finish_reason") == "length":
                choice["finish_reason"] = "stop"


text_not_counted = define("text-not-counted", "sends a token that the usage does not count", breaks=("C19",))


@text_not_counted.draft
def text_not_counted_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    tokens = events_of(draft, "token")
    if tokens:
        assert draft.events is not None
        last = tokens[-1]
        draft.events.insert(place_of(draft, last), Event(copy.deepcopy(last.data), "token"))
