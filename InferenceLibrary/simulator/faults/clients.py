"""Faults that some clients meet: those that leave early, those of HTTP/1.0, those that look at each character and gap.

All were met at real servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.draft import Gap
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define
from InferenceLibrary.simulator.faults.objects import texts_of

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft, Frame
    from InferenceLibrary.simulator.core.turn import Turn

works_on = define(
    "works-on-when-left",
    "goes on with an answer to its end when the client has left, and counts it as running",
    nature="time",
)


@works_on.answer
def works_on_answer(turn: Turn, _values: Values) -> bool:
    turn.stays = True
    return False


harms_neighbours = define(
    "harms-neighbours",
    "gives the answer after one that its client left the status 500, with the right body",
    nature="time",
    breaks=("H1",),
)


@harms_neighbours.draft
def harms_neighbours_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    app = turn.app

    def note(ended: Turn) -> None:
        app.harmed = app.harmed or ended.outcome == "cancelled"

    if app.harmed and draft.status < 400:
        app.harmed = False
        draft.status = 500
    turn.at_end(note)


chunks_to_http10 = define(
    "chunks-to-http10", "sends chunks to clients of HTTP/1.0, which do not know them", nature="time"
)


@chunks_to_http10.draft
def chunks_to_http10_draft(draft: Draft, _values: Values, turn: Turn) -> None:
    if turn.request.version == "1.0":
        draft.framing = "chunked"


lost_characters = define("lost-characters", "loses the characters that ASCII does not have", nature="time")


@lost_characters.body
def lost_characters_body(draft: Draft, _values: Values, _turn: Turn) -> None:
    draft.body = _ascii(draft.body)


@lost_characters.frames
def lost_characters_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    for frame in frames:
        if isinstance(frame.data, bytes):
            frame.data = _ascii(frame.data)
    return frames


def _ascii(data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode("ascii", "ignore")


first_space_lost = define(
    "first-space-lost",
    "loses the space before the first word of a completion",
    nature="time",
    paths=("/v1/completions",),
)


@first_space_lost.draft
def first_space_lost_draft(draft: Draft, _values: Values, _turn: Turn) -> None:
    bodies = [draft.body] if draft.events is None else [event.data for event in texts_of(draft)[:1]]
    for body in bodies:
        for choice in body.get("choices") or () if isinstance(body, dict) else ():
            if isinstance(choice.get("text"), str):
                choice["text"] = choice["text"].lstrip()


gaps_drift = define(
    "gaps-drift",
    "makes each gap between tokens longer than it is configured",
    nature="time",
    by=Parameter("number", 5.0, "percent"),
)


@gaps_drift.frames
def gaps_drift_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    longer = 1 + values["by"] / 100
    for frame in frames:
        delay = frame.delay
        frame.delay = Gap(delay.alone * longer, delay / delay.alone) if isinstance(delay, Gap) else delay * longer
    return frames
