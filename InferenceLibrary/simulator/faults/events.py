"""Faults in the chunks of chat and text completions: keys, ids, roles, finish reasons, order."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import Event
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define
from InferenceLibrary.simulator.faults.objects import (
    all_objects,
    events_of,
    insert_after,
    middle,
    nested,
    place_of,
    renumber,
    texts_of,
)

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn

_RESPONSES = "/v1/responses"
_DIED = "The engine died"
_FAILED = "response.failed"


def _change(name: str, text: str, rule: str, key: str, value: Any) -> None:
    """Define a fault that gives one chunk in the middle another value of a key."""
    kind = define(name, text, breaks=(rule,))

    @kind.draft
    def kind_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
        event = middle(draft)
        if event is not None and key in event.data:
            event.data = {**event.data, key: value(event.data[key])}


_change("wrong-id", "gives one chunk in the middle another id", "C2", "id", lambda old: f"{old}-other")
_change("empty-id", "gives one chunk an empty id", "C2", "id", lambda _: "")
_change("wrong-created", "gives one chunk another creation time", "C3", "created", lambda old: old + 1)
_change("wrong-model", "gives one chunk another model", "C4", "model", lambda old: f"{old}-other")

missing_key = define(
    "missing-key",
    "leaves out a key of every chunk, or of the body",
    breaks=("C1", "N1", "X1", "RS1", "M3"),
    key=Parameter("text", "created", "which; `created_at` too where it is `created`"),
    paths=("/v1/", "/rerank", "/v2/rerank", "/score", "/execute"),
)


@missing_key.draft
def missing_key_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        if values["key"] in item:
            del item[values["key"]]
        elif values["key"] == "created" and "created_at" in item:
            del item["created_at"]


wrong_object = define(
    "wrong-object",
    "says that it is another kind of object",
    breaks=("C1", "N1", "X1", "RS1", "A10", "E1", "M3"),
    paths=("/v1/",),
)


@wrong_object.draft
def wrong_object_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for item in nested(draft):
        if "object" in item:
            item["object"] = "thing"
        elif item.get("type") == "message" and item.get("role") and "model" in item:
            item["type"] = "thing"


missing_choice_key = define(
    "missing-choice-key",
    "leaves out a key of one choice in the middle, or of the body's choices",
    breaks=("C5", "N3", "X2"),
    key=Parameter("text", "finish_reason", "which"),
)


@missing_choice_key.draft
def missing_choice_key_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    event = middle(draft, "token", "tool")
    for item in [event.data] if event is not None else all_objects(draft):
        for choice in item.get("choices", ()):
            choice.pop(values["key"], None)


wrong_choice_index = define("wrong-choice-index", "gives one chunk an index that no choice has", breaks=("N2", "X4"))


@wrong_choice_index.draft
def wrong_choice_index_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    event = middle(draft, "token", "tool")
    for item in [event.data] if event is not None else all_objects(draft):
        for choice in item.get("choices", ())[-1:]:
            choice["index"] = 99


role_missing = define("role-missing", "sends no role at all", breaks=("C6",))


@role_missing.draft
def role_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "role"):
        event.data["choices"][0]["delta"].pop("role", None)


role_repeated = define("role-repeated", "sends the role with every chunk", breaks=("C7",))


@role_repeated.draft
def role_repeated_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "token", "tool"):
        for choice in event.data["choices"]:
            if "delta" in choice:
                choice["delta"] = {"role": "assistant", **choice["delta"]}


double_finish = define("double-finish", "sends the chunk with the finish reason twice", breaks=("C9",))


@double_finish.draft
def double_finish_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "finish")[:1]:
        insert_after(draft, event, copy.copy(event))


no_finish = define("no-finish", "sends no finish reason", breaks=("C9", "N3", "A4", "A13"))


@no_finish.draft
def no_finish_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is not None:
        draft.events = [event for event in draft.events if event.kind != "finish"]
    for item in all_objects(draft):
        for choice in item.get("choices", ()):
            choice["finish_reason"] = None
    for item in nested(draft):
        if item.get("stop_reason") is not None:
            item["stop_reason"] = None


def _finish(name: str, text: str, reason: str) -> None:
    kind = define(name, text, breaks=("C9", "A13"))

    @kind.draft
    def kind_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
        for item in all_objects(draft):
            for choice in item.get("choices", ()):
                if choice.get("finish_reason") is not None:
                    choice["finish_reason"] = reason
        for item in nested(draft):
            if item.get("stop_reason") is not None:
                item["stop_reason"] = reason


_finish("empty-finish", "gives an empty string as the finish reason", "")
_finish("unknown-finish", "gives a finish reason that does not exist", "tired")

finish_with_text = define(
    "finish-with-text", "puts the finish reason into the chunk of the last token", breaks=("C10",)
)


@finish_with_text.draft
def finish_with_text_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    finish, tokens = events_of(draft, "finish"), events_of(draft, "token", "tool")
    if finish and tokens:
        tokens[-1].data["choices"][0]["finish_reason"] = finish[-1].data["choices"][0]["finish_reason"]
        assert draft.events is not None
        draft.events.remove(finish[-1])


text_after_finish = define("text-after-finish", "sends a token again after the finish reason", breaks=("C11",))


@text_after_finish.draft
def text_after_finish_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    finish, tokens = events_of(draft, "finish"), events_of(draft, "token")
    if finish and tokens:
        insert_after(draft, finish[-1], copy.deepcopy(tokens[-1]))


swapped_tokens = define("swapped-tokens", "sends two tokens in the wrong order", breaks=("C19",))


@swapped_tokens.draft
def swapped_tokens_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    tokens = texts_of(draft)
    if len(tokens) > 1:
        tokens[0].data, tokens[1].data = tokens[1].data, tokens[0].data
        renumber(draft)


lost_token = define("lost-token", "leaves out a token of the stream", breaks=("C19", "A19"))


@lost_token.draft
def lost_token_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    tokens = texts_of(draft)
    if tokens and draft.events is not None:
        del draft.events[place_of(draft, tokens[len(tokens) // 2])]
        renumber(draft)


doubled_token = define("doubled-token", "sends a token twice", breaks=("C19",))


@doubled_token.draft
def doubled_token_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    tokens = texts_of(draft)
    if tokens:
        event = tokens[len(tokens) // 2]
        insert_after(draft, event, Event(copy.deepcopy(event.data), event.kind, name=event.name))


def _error_event(turn: Turn, code: str = "") -> Event:
    if turn.request.path == _RESPONSES:
        data = {"type": "error", "code": code or "server_error", "message": _DIED, "param": None, "sequence_number": 0}
        return Event(data, "error", name="error")
    from InferenceLibrary.simulator.core.api_errors import ApiError
    from InferenceLibrary.simulator.core.draft import to_json

    own = getattr(turn.app.personality, "error_event", None)
    if own is not None:
        event: Event = own(_DIED, code)
        return event
    draft = turn.app.personality.error(ApiError(500, _DIED, in_stream=True), turn.request.path)
    body = draft.body if isinstance(draft.body, bytes) else to_json(draft.body)
    return Event(body, "error", name="error" if b'"type":"error"' in body else "")


def _failed_response(draft: Draft, code: str) -> Event | None:
    """Return the event by which a response fails, None where the answer is not a stream of one."""
    begun = next(iter(events_of(draft, "response.created", "response.in_progress")), None)
    if begun is None:
        return None
    error = {"code": code or "server_error", "message": _DIED}
    failed = {**begun.data["response"], "status": "failed", "error": error}
    return Event({**begun.data, "type": _FAILED, "response": failed}, _FAILED, name=_FAILED)


error_mid_stream = define(
    "error-mid-stream",
    "sends an error object after some events, and ends",
    nature="legal",
    events=Parameter("int", 2, "how many events before"),
    code=Parameter("text", "", "the error's code, where the system has such in its streams"),
    how=Parameter("event|response", "event", "an event of the error, or the response that failed (Responses API)"),
)


@error_mid_stream.draft
def error_mid_stream_draft(draft: Draft, values: Values, turn: Turn) -> None:
    if draft.events is not None:
        rest = [event for event in draft.events if event.kind == "done"]
        failed = _failed_response(draft, values["code"]) if values["how"] == "response" else None
        draft.events = [*draft.events[: values["events"]], failed or _error_event(turn, values["code"]), *rest]
        renumber(draft)


error_then_continues = define(
    "error-then-continues", "goes on after an error object, to a finish reason", breaks=("C22",)
)


@error_then_continues.draft
def error_then_continues_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    event = middle(draft)
    if event is not None:
        insert_after(draft, event, _error_event(turn))
        renumber(draft)


error_as_text = define("error-as-text", "sends an error in mid-stream that is not JSON, and ends", breaks=("F7",))


@error_as_text.draft
def error_as_text_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.events is not None:
        rest = [event for event in draft.events if event.kind == "done"]
        draft.events = [*draft.events[:2], Event(_DIED, "error"), *rest]
