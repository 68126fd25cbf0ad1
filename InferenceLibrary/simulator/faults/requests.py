"""Faults that answer a request with something else, or late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.api_errors import ApiError
from InferenceLibrary.simulator.faults.spec import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.drafts import Draft, Frame
    from InferenceLibrary.simulator.exchange import Exchange, Step

status = define(
    "status",
    "answers with an error status instead, and Retry-After when asked",
    code=Parameter("int", 503, "the status"),
    message=Parameter("text", "Injected failure", "the error's message"),
    retry_after=Parameter("text", "", "value of Retry-After: seconds or a date without commas"),
)


@status.answer
def _(exchange: Exchange, values: Values) -> bool:
    headers = (("Retry-After", values["retry_after"]),) if values["retry_after"] else ()
    exchange.faults = [fault for fault in exchange.faults if fault.kind is not status]
    exchange.app.fail(exchange, ApiError(values["code"], values["message"], headers=headers))
    return True


stall = define(
    "stall",
    "stops for a while: before the headers, before the first token, or before an event",
    breaks=("F11",),
    before=Parameter("headers|first-token|event|end", "first-token", "where"),
    event=Parameter("int", 2, "which event, from 1, with before=event"),
    seconds=Parameter("duration", 3600.0, "how long"),
)


@stall.wire
def _(steps: Iterator[Step], values: Values, _exchange: Exchange) -> Iterator[Step]:
    if values["before"] == "headers":
        yield float(values["seconds"])
    yield from steps


@stall.draft
def _(draft: Draft, values: Values, _exchange: Exchange) -> None:
    if draft.events is None and values["before"] != "headers":
        draft.delay += values["seconds"]


@stall.frames
def _(frames: list[Frame], values: Values, _exchange: Exchange) -> list[Frame]:
    before = values["before"]
    place = len(frames) - 1
    if before == "first-token":
        place = next((index for index, frame in enumerate(frames) if frame.tokens), 0)
    elif before == "event":
        place = max(0, values["event"] - 1)
    if before != "headers" and place < len(frames):
        frames[place].delay += values["seconds"]
    return frames
