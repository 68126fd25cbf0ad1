"""Faults in the framing of server-sent events, and legal oddities that a client must bear."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.draft import Frame
from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.turn import Turn


def nth(frames: list[Frame], event: int) -> int:
    """Return the place of the event with this number, from 1; the last when there are fewer."""
    return max(0, min(event, len(frames)) - 1)


_EVENT = Parameter("int", 2, "which event, from 1")

missing_done = define("missing-done", "leaves out the `data: [DONE]` at the end", breaks=("F8",))


@missing_done.frames
def missing_done_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    return [frame for frame in frames if frame.kind != "done"]


double_done = define("double-done", "sends `data: [DONE]` twice", breaks=("F8",))


@double_done.frames
def double_done_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    return [*frames, Frame(b"data: [DONE]\n\n", "done")]


data_after_done = define("data-after-done", "sends a chunk again after `data: [DONE]`", breaks=("F8",))


@data_after_done.frames
def data_after_done_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    return [*frames, Frame(frames[0].data, "late")]


done_after_typed = define(
    "done-after-typed",
    "ends a stream of typed events with `data: [DONE]`, where none belongs",
    breaks=("F9", "A8"),
    paths=("/v1/responses", "/v1/messages"),
)


@done_after_typed.frames
def done_after_typed_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    return [*frames, Frame(b"data: [DONE]\n\n", "late-done")]


malformed_json = define(
    "malformed-json", "breaks the JSON of one event, or of the body", breaks=("F7", "N1"), event=_EVENT
)


@malformed_json.frames
def malformed_json_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    frame = frames[nth(frames, values["event"])]
    frame.data = frame.data.rstrip(b"\n")[:-1] + b"\n\n"
    return frames


@malformed_json.body
def malformed_json_body(draft: Draft, _values: Values, _turn: Turn) -> None:
    draft.body = draft.body[:-1]


data_not_object = define("data-not-object", "sends an event whose data is a JSON list", breaks=("F7",), event=_EVENT)


@data_not_object.frames
def data_not_object_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    frames.insert(nth(frames, values["event"]), Frame(b"data: []\n\n", "extra"))
    return frames


done_with_more = define("done-with-more", "sends `[DONE]` with more text after it", breaks=("F7",))


@done_with_more.frames
def done_with_more_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    for frame in frames:
        if frame.kind == "done":
            frame.data = frame.data.replace(b"[DONE]", b"[DONE] bye")
    return frames


invalid_utf8 = define(
    "invalid-utf8", "sends bytes that are not UTF-8, inside an event or the body", breaks=("F2",), event=_EVENT
)


@invalid_utf8.frames
def invalid_utf8_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    frame = frames[nth(frames, values["event"])]
    frame.data = re.sub(rb'"((?:content|text|delta)":")', rb'"\1' + b"\xff\xfe", frame.data, count=1)
    if b"\xff" not in frame.data:
        frame.data = frame.data.replace(b'":"', b'":"\xff', 1)
    return frames


@invalid_utf8.body
def invalid_utf8_body(draft: Draft, _values: Values, _turn: Turn) -> None:
    draft.body = draft.body.replace(b'":"', b'":"\xff', 1)


character_over_events = define(
    "character-over-events",
    "splits a character of several bytes over two events, so that neither has it whole",
    breaks=("F2",),
    event=_EVENT,
)


@character_over_events.frames
def character_over_events_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    place = nth(frames, values["event"])
    frame = frames[place]
    parts = []
    for half in ("é".encode()[:1], "é".encode()[1:]):
        data = re.sub(rb'("(?:content|text|delta)":")[^"]*', rb"\1" + half, frame.data, count=1)
        parts.append(Frame(data, frame.kind, 0.0, frame.tokens))
    parts[0].delay = frame.delay
    return [*frames[:place], *parts, *frames[place + 1 :]]


_ODD_LINES = {"field": b"payload: x\n", "retry": b"retry: soon\n", "id": b"id: a\0b\n"}
unknown_field = define(
    "unknown-field",
    "puts a line into an event that has an unknown field, or a value that its field cannot have",
    breaks=("F3",),
    event=_EVENT,
    kind=Parameter("field|retry|id", "field", "an unknown field, a wait that is not a number, an id with a zero byte"),
)


@unknown_field.frames
def unknown_field_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    frame = frames[nth(frames, values["event"])]
    frame.data = _ODD_LINES[values["kind"]] + frame.data
    return frames


line_ends = define(
    "line-ends",
    "ends lines with CR or CRLF instead of LF",
    nature="legal",
    breaks=("F4",),
    kind=Parameter("cr|crlf|mixed", "crlf", "which"),
)


@line_ends.frames
def line_ends_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    ends = {"cr": [b"\r"], "crlf": [b"\r\n"], "mixed": [b"\n", b"\r\n", b"\r"]}[values["kind"]]
    for place, frame in enumerate(frames):
        # A lone CR before a CRLF would look like a longer line end, so one event has one kind.
        frame.data = frame.data.replace(b"\n", ends[place % len(ends)])
    return frames


no_space = define("no-space", "leaves out the space after the colon", nature="legal", breaks=("F4",))


@no_space.frames
def no_space_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    for frame in frames:
        frame.data = re.sub(rb"^(data|event): ", rb"\1:", frame.data, flags=re.MULTILINE)
    return frames


data_in_lines = define(
    "data-in-lines",
    "spreads the JSON of each event over several data lines",
    nature="legal",
    breaks=("F4",),
)


@data_in_lines.frames
def data_in_lines_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    for frame in frames:
        # A line break may stand between the members of a JSON object; the first comma outside of a string will do.
        frame.data = re.sub(rb'^(data: \{"[^"]*":"[^"\\]*",)', rb"\1\ndata: ", frame.data, flags=re.MULTILINE)
    return frames


comments = define(
    "comments",
    "sends comments as keep-alive, before the first event too",
    nature="legal",
    breaks=("F6",),
    text=Parameter("text", "keep-alive", "what they say"),
)


@comments.frames
def comments_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    comment = b": " + values["text"].encode() + b"\n\n"
    found = []
    for frame in frames:
        found += [Frame(comment, "comment", frame.delay), frame]
        frame.delay = 0.0
    return found


byte_order_mark = define("byte-order-mark", "begins the stream with a byte order mark", nature="legal", breaks=("F4",))


@byte_order_mark.frames
def byte_order_mark_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    frames[0].data = b"\xef\xbb\xbf" + frames[0].data
    return frames


unfinished_event = define("unfinished-event", "leaves out the blank line that closes the last event", breaks=("F5",))


@unfinished_event.frames
def unfinished_event_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    frames[-1].data = frames[-1].data[:-1]
    return frames


endless_line = define(
    "endless-line",
    "sends an event whose line never ends",
    nature="size",
    breaks=("F5",),
    bytes=Parameter("int", 100_000_000, "how many bytes until it closes"),
)


@endless_line.frames
def endless_line_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    block = b"x" * 65536
    return [*frames[:1], Frame(b"data: "), *(Frame(block, "block", 1e-6) for _ in range(values["bytes"] // len(block)))]


open_event_after_done = define(
    "open-event-after-done", "begins an event after `data: [DONE]` and does not close it", breaks=("F5",)
)


@open_event_after_done.frames
def open_event_after_done_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    return [*frames, Frame(b"data: {}\n", "late")]
