"""Faults in the framing of server-sent events, and legal oddities that a client must bear."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.faults.spec import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.drafts import Draft, Frame
    from InferenceLibrary.simulator.exchange import Exchange

missing_done = define("missing-done", "leaves out the `data: [DONE]` at the end", breaks=("F8",))


@missing_done.frames
def _(frames: list[Frame], _values: Values, _exchange: Exchange) -> list[Frame]:
    return [frame for frame in frames if frame.kind != "done"]


malformed_json = define(
    "malformed-json",
    "breaks the JSON of one event, or of the body",
    breaks=("F7", "N1"),
    event=Parameter("int", 2, "which event, from 1"),
)


@malformed_json.frames
def _(frames: list[Frame], values: Values, _exchange: Exchange) -> list[Frame]:
    place = min(values["event"], len(frames)) - 1
    frame = frames[max(0, place)]
    frame.data = frame.data.rstrip(b"\n")[:-1] + b"\n\n"
    return frames


@malformed_json.body
def _(draft: Draft, _values: Values, _exchange: Exchange) -> None:
    draft.body = draft.body[:-1]


not_json = define(
    "not-json",
    "answers 200 with HTML instead of JSON or events, as a proxy in between may",
    breaks=("N9", "F1"),
    status=Parameter("int", 200, "the status"),
)


@not_json.draft
def _(draft: Draft, values: Values, _exchange: Exchange) -> None:
    draft.status = values["status"]
    draft.content_type = "text/html; charset=utf-8"
    draft.events = None
    draft.body = b"<html><body><h1>It works!</h1></body></html>\n"
