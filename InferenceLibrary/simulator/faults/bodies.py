"""Faults in answers of one piece: chat bodies and the model list."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.objects import all_objects, nested

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

wrong_role = define("wrong-role", "the message has the role user", breaks=("N4", "C6", "RS14", "A10"))


@wrong_role.draft
def wrong_role_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        if item.get("role") == "assistant":
            item["role"] = "user"


content_null = define("content-null", "the message's content is null, without a reason", breaks=("N4", "A10"))


@content_null.draft
def content_null_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in all_objects(draft):
        for choice in item.get("choices", ()):
            if isinstance(choice.get("message"), dict):
                choice["message"]["content"] = None
        if isinstance(item.get("content"), list):
            item["content"] = None


models_doubled = define("models-doubled", "lists the first model twice", breaks=("M1",), paths=("/v1/models",))


@models_doubled.draft
def models_doubled_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if isinstance(draft.body, dict) and draft.body.get("data") and "id" in draft.body["data"][0]:
        draft.body["data"].append(copy.copy(draft.body["data"][0]))


model_unlisted = define(
    "model-unlisted",
    "tells other models than it serves",
    breaks=("M2", "M4"),
    paths=("/v1/models",),
)


@model_unlisted.draft
def model_unlisted_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for model in nested(draft):
        if model.get("object") == "model":
            model["id"] += "-other"


token_count_as_text = define(
    "token-count-as-text",
    "gives the count of tokens as a text, where tokens are counted",
    breaks=("A15", "TK1"),
    paths=("/v1/messages/count_tokens", "/tokenize"),
)


@token_count_as_text.draft
def token_count_as_text_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if isinstance(draft.body, dict):
        for key in ("input_tokens", "count"):
            if key in draft.body:
                draft.body[key] = str(draft.body[key])


detokenized_text_missing = define(
    "detokenized-text-missing", "gives no text for tokens", breaks=("TK2",), paths=("/detokenize",)
)


@detokenized_text_missing.draft
def detokenized_text_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if isinstance(draft.body, dict):
        for key in ("prompt", "text"):
            draft.body.pop(key, None)
