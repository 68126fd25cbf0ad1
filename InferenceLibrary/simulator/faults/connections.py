"""Faults of the connection: it is refused, cut, slow, or says nothing."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.draft import Frame
from InferenceLibrary.simulator.core.endings import ENDINGS
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.connection import Connection
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Step, Turn

_HOW = Parameter("close|reset|hang", "close", "close (FIN), reset (RST) or hang")

refuse_connection = define("refuse-connection", "resets each new connection before anything is read", breaks=("F10",))


@refuse_connection.connect
def refuse_connection_connect(connection: Connection, _values: Values) -> None:
    connection.reset()


close_before_status = define(
    "close-before-status", "reads the request and ends the connection without a word", how=_HOW
)


@close_before_status.answer
def close_before_status_answer(turn: Turn, values: Values) -> bool:
    turn.play(iter([ENDINGS[values["how"]]]))
    return True


cut_after_events = define(
    "cut-after-events",
    "ends the connection after some events of a stream; a body in one piece is cut in its middle",
    breaks=("F8", "F10"),
    events=Parameter("int", 1, "how many events are sent before"),
    how=_HOW,
)


@cut_after_events.frames
def cut_after_events_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    return [*frames[: values["events"]], Frame(ENDINGS[values["how"]])]


@cut_after_events.body
def cut_after_events_body(draft: Draft, _values: Values, _turn: Turn) -> None:
    draft.content_length = len(draft.body)
    draft.body = draft.body[: len(draft.body) // 2]


@cut_after_events.wire
def cut_after_events_wire(steps: Iterator[Step], values: Values, _turn: Turn) -> Iterator[Step]:
    # A cut stream ends before; so this is for a body in one piece.
    return itertools.chain(steps, [ENDINGS[values["how"]]])


cut_in_json = define(
    "cut-in-json",
    "ends the connection in the middle of the JSON text of an event",
    breaks=("F5", "F8", "F10"),
    event=Parameter("int", 2, "which event, from 1"),
    how=_HOW,
)


@cut_in_json.frames
def cut_in_json_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    place = max(0, min(values["event"], len(frames)) - 1)
    frame = frames[place]
    frame.data = frame.data[: len(frame.data) // 2]
    return [*frames[: place + 1], Frame(ENDINGS[values["how"]])]


cut_in_character = define(
    "cut-in-character",
    "ends the connection inside a character of several bytes, which it adds where the answer has none",
    breaks=("F5", "F8", "F10"),
    event=Parameter("int", 2, "the first event that may be cut, from 1"),
    how=_HOW,
)


@cut_in_character.frames
def cut_in_character_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    start = max(0, min(values["event"], len(frames)) - 1)
    for place in range(start, len(frames)):
        data = frames[place].data
        byte = next((index for index, value in enumerate(data) if value >= 0xC0), None)
        if byte is not None:
            frames[place].data = data[: byte + 1]
            return [*frames[: place + 1], Frame(ENDINGS[values["how"]])]
    data = frames[start].data
    frames[start].data = data[: len(data) // 2] + "é".encode()[:1]
    return [*frames[: start + 1], Frame(ENDINGS[values["how"]])]


stall = define(
    "stall",
    "stops for a while: before the headers, before the first token, before an event, or before the end",
    nature="time",
    breaks=("F11",),
    before=Parameter("headers|first-token|event|end", "first-token", "where"),
    event=Parameter("int", 2, "which event, from 1, with before=event"),
    seconds=Parameter("duration", 3600.0, "how long"),
)


@stall.wire
def stall_wire(steps: Iterator[Step], values: Values, _turn: Turn) -> Iterator[Step]:
    return itertools.chain([float(values["seconds"])], steps) if values["before"] == "headers" else steps


@stall.draft
def stall_draft(draft: Draft, values: Values, _turn: Turn) -> None:
    if draft.events is None and values["before"] != "headers":
        draft.delay += values["seconds"]


@stall.frames
def stall_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    before = values["before"]
    place = len(frames) - 1
    if before == "first-token":
        place = next((index for index, frame in enumerate(frames) if frame.tokens), 0)
    elif before == "event":
        place = max(0, values["event"] - 1)
    if before != "headers" and place < len(frames):
        frames[place].delay += values["seconds"]
    return frames


slow_drip = define(
    "slow-drip",
    "sends the answer in small pieces with pauses between",
    nature="time",
    size=Parameter("int", 1, "bytes in a piece"),
    pause=Parameter("duration", 0.001, "between pieces"),
)


@slow_drip.wire
def slow_drip_wire(steps: Iterator[Step], values: Values, _turn: Turn) -> Iterator[Step]:
    size, pause = max(1, values["size"]), float(values["pause"])
    for step in steps:
        if isinstance(step, bytes):
            for start in range(0, len(step), size):
                yield step[start : start + size]
                yield pause
        else:
            yield step


split_events = define(
    "split-events",
    "sends each event in several writes, cut at any byte",
    nature="legal",
    pieces=Parameter("int", 3, "how many"),
    pause=Parameter("duration", 0.001, "between pieces"),
)


@split_events.frames
def split_events_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    found: list[Frame] = []
    for frame in frames:
        size = max(1, -(-len(frame.data) // max(1, values["pieces"])))
        parts = [frame.data[start : start + size] for start in range(0, len(frame.data), size)]
        found.append(Frame(parts[0], frame.kind, frame.delay))
        found += [Frame(part, frame.kind, float(values["pause"])) for part in parts[1:]]
        found[-1].tokens = frame.tokens
    return found


buffered = define(
    "buffered",
    "holds all events back and sends them in one write, as a proxy may",
    breaks=("F11",),
)


@buffered.frames
def buffered_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    data = b"".join(frame.data for frame in frames)
    tokens = sum(frame.tokens for frame in frames)
    return [Frame(data, "buffered", sum(frame.delay for frame in frames), tokens)]


endless_stream = define(
    "endless-stream",
    "never ends: the last token comes again and again",
    nature="size",
    breaks=("C17", "F8"),
    pause=Parameter("duration", 0.01, "between events"),
)


@endless_stream.wire
def endless_stream_wire(steps: Iterator[Step], values: Values, turn: Turn) -> Iterator[Step]:
    last: bytes | None = None
    for step in steps:
        if isinstance(step, bytes) and b"[DONE]" in step:
            break
        if isinstance(step, bytes):
            last = step
        yield step
    while last is not None:
        if values["pause"]:
            yield float(values["pause"])
        yield last
        turn.tokens += 1


@endless_stream.frames
def endless_stream_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    # Single writes, so that the wire has the last token by itself.
    tokens = [place for place, frame in enumerate(frames) if frame.tokens]
    kept = frames[: tokens[-1] + 1] if tokens else frames[:1]
    kept[-1].delay += 1e-6
    return [*kept, Frame(b"data: [DONE]\n\n", "done", 1e-6)]
