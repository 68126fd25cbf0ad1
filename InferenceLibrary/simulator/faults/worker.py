"""Faults of a worker's event stream, and of what a service tells of its models' joint work."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.draft import JSON
from InferenceLibrary.simulator.faults.kinds import Values, define
from InferenceLibrary.simulator.faults.objects import all_objects, events_of, nested

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft, Event
    from InferenceLibrary.simulator.core.turn import Turn


def _tokens(draft: Draft) -> list[Event]:
    return [event for event in events_of(draft, "token") if event.data.get("type") == "token"]


token_index_gap = define("token-index-gap", "numbers the tokens with a gap", breaks=("W4",))


@token_index_gap.draft
def token_index_gap_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    tokens = _tokens(draft)
    for event in tokens[len(tokens) // 2 :]:
        event.data["i"] += 1


tokens_out_wrong = define("tokens-out-wrong", "counts one token more at the end than it sent", breaks=("W4",))


@tokens_out_wrong.draft
def tokens_out_wrong_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "end"):
        event.data["tokens_out"] += 1


stop_reason_unknown = define("stop-reason-unknown", "ends a job for a reason that does not exist", breaks=("W3",))


@stop_reason_unknown.draft
def stop_reason_unknown_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "end"):
        event.data["stop_reason"] = "tired"


token_text_missing = define("token-text-missing", "sends a token without a text", breaks=("W3",))


@token_text_missing.draft
def token_text_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in _tokens(draft)[-1:]:
        event.data.pop("t", None)


job_id_differs = define("job-id-differs", "answers for another job", breaks=("W5",))


@job_id_differs.draft
def job_id_differs_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in events_of(draft, "started"):
        event.data["job_id"] += "-other"


event_unknown = define("event-unknown", "sends an event of a type that does not exist", breaks=("W4",))


@event_unknown.draft
def event_unknown_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for event in _tokens(draft)[-1:]:
        event.data["type"] = "thing"
        if event.name:
            event.name = "thing"


def _told(draft: Draft) -> list[dict[str, Any]]:
    return [item["orchestration"] for item in all_objects(draft) if isinstance(item.get("orchestration"), dict)]


orchestration_mode_differs = define(
    "orchestration-mode-differs",
    "tells another mode of joint work than was asked for",
    breaks=("O2",),
)


@orchestration_mode_differs.draft
def orchestration_mode_differs_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for metadata in _told(draft):
        metadata["mode"] = "critique" if metadata["mode"] == "debate" else "debate"


orchestration_models_missing = define(
    "orchestration-models-missing", "does not tell the models that worked together", breaks=("O3",)
)


@orchestration_models_missing.draft
def orchestration_models_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for metadata in _told(draft):
        metadata["models_used"] = []


orchestration_score_too_high = define("orchestration-score-too-high", "tells scores above one", breaks=("O4",))


@orchestration_score_too_high.draft
def orchestration_score_too_high_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for metadata in _told(draft):
        for key in ("confidence", "agreement_score", "final_score"):
            if key in metadata:
                metadata[key] = 1.5


orchestration_without_rounds = define(
    "orchestration-without-rounds", "tells that there was no round of work", breaks=("O3",)
)


@orchestration_without_rounds.draft
def orchestration_without_rounds_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for metadata in _told(draft):
        metadata["rounds"] = 0


orchestration_time_missing = define(
    "orchestration-time-missing", "does not tell how long the joint work took", breaks=("O1",)
)


@orchestration_time_missing.draft
def orchestration_time_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    for metadata in _told(draft):
        metadata.pop("total_inference_time_ms", None)


refusal_message_missing = define(
    "refusal-message-missing", "refuses a job without saying why", breaks=("W6",), paths=("/execute",)
)


@refusal_message_missing.draft
def refusal_message_missing_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.status >= 400 and draft.content_type == JSON:
        if isinstance(draft.body, bytes):
            draft.body = json.loads(draft.body)
        for item in nested(draft):
            item.pop("message", None)
