"""Faults of choices and of the values of keys: null, another type, too many, none."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import Event
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define
from InferenceLibrary.simulator.faults.objects import all_objects, choices_of, drop, events_of, insert_after, nested

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_API = ("/v1/", "/rerank", "/v2/rerank", "/score", "/execute")


def _change_one(draft: Draft, key: str, value: Any) -> None:
    """Give a key another value, in the object in the middle of those that have it."""
    found = [item for item in nested(draft) if item.get(key) is not None]
    if found:
        found[len(found) // 2][key] = value


null_value = define(
    "null-value",
    "gives null where a value belongs, in one place",
    breaks=("C1", "N1", "X1", "RS14", "A10", "M1"),
    paths=_API,
    key=Parameter("text", "id", "which key"),
)


@null_value.draft
def null_value_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    _change_one(draft, values["key"], None)


wrong_type = define(
    "wrong-type",
    "gives a list where a text or a number belongs, in one place",
    breaks=("C1", "N1", "X1", "RS1", "A10"),
    paths=_API,
    key=Parameter("text", "model", "which key"),
)


@wrong_type.draft
def wrong_type_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    _change_one(draft, values["key"], [])


null_choices = define(
    "null-choices", "gives null for the choices, of the body or of one chunk", breaks=("N1", "C1", "X1")
)


@null_choices.draft
def null_choices_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    found = [item for item in all_objects(draft) if item.get("choices")]
    if found:
        found[len(found) // 2]["choices"] = None


empty_choices = define("empty-choices", "gives no choice at all", breaks=("N1", "X1", "C24"))


@empty_choices.draft
def empty_choices_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    drop(draft, "role", "token", "tool", "finish")
    for item in all_objects(draft):
        if "choices" in item:
            item["choices"] = []


extra_choice = define("extra-choice", "gives one choice more than was asked for", breaks=("N2", "X4"))


@extra_choice.draft
def extra_choice_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    indices = [choice["index"] for choice in choices_of(draft) if isinstance(choice.get("index"), int)]
    if not indices:
        return
    last, added = max(indices), max(indices) + 1
    if draft.events is None:
        draft.body["choices"].append({**copy.deepcopy(draft.body["choices"][-1]), "index": added})
        return
    for event in list(draft.events):
        for choice in event.data["choices"] if isinstance(event.data, dict) else ():
            if choice["index"] == last:
                data = {**event.data, "choices": [{**choice, "index": added}]}
                insert_after(draft, event, Event(data, event.kind))


null_tool_calls = define(
    "null-tool-calls",
    "gives null for the calls of tools, where the key may be left out",
    breaks=("V1",),
)


@null_tool_calls.draft
def null_tool_calls_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for choice in choices_of(draft)[:1]:
        for holder in (choice.get("message"), choice.get("delta")):
            if isinstance(holder, dict) and "tool_calls" not in holder:
                holder["tool_calls"] = None


fingerprint_number = define(
    "fingerprint-number", "gives a number for the system fingerprint, which is a text", breaks=("V2",)
)


@fingerprint_number.draft
def fingerprint_number_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in all_objects(draft):
        if "choices" in item:
            item["system_fingerprint"] = 17


text_offset_falls = define("text-offset-falls", "gives offsets of tokens that fall", breaks=("X5",))


@text_offset_falls.draft
def text_offset_falls_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    holders = [choice["logprobs"] for choice in choices_of(draft) if choice.get("logprobs")]
    for holder in holders[-1:]:
        offsets = holder.get("text_offset")
        if offsets and (len(offsets) > 1 or offsets[0]):
            offsets[-1] = -1


role_late = define("role-late", "sends the role with the second delta only", breaks=("C6",))


@role_late.draft
def role_late_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    tokens = events_of(draft, "token", "tool")
    for event in events_of(draft, "role"):
        for choice in event.data["choices"]:
            role = choice["delta"].pop("role", None)
            for later in tokens[1:2]:
                later.data["choices"][0]["delta"]["role"] = role
