"""Faults of JSON by the letter: what lenient readers take and strict ones refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.faults.kinds import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft, Frame
    from InferenceLibrary.simulator.core.turn import Turn

_OBJECT = re.compile(rb"(?m)^data: ?\{(?=\")")


def _add(draft: Draft, member: str) -> None:
    """Put a member at the beginning of the object of a body."""
    if draft.body.startswith(b'{"'):
        draft.body = b"{" + member.encode() + b"," + draft.body[1:]


def _add_to_one(frames: list[Frame], member: str) -> list[Frame]:
    """Put a member at the beginning of the object of an event in the middle."""
    found = [frame for frame in frames if isinstance(frame.data, bytes) and _OBJECT.search(frame.data)]
    if found:
        frame = found[len(found) // 2]
        frame.data = _OBJECT.sub(lambda match: match[0] + member.encode() + b",", frame.data, count=1)
    return frames


def _member(name: str, text: str, rule: str, member: str) -> None:
    """Define a fault that adds a member to one object; where the value stands in the text as `{}`, it can be given."""
    kind = define(name, text, breaks=(rule,), paths=("/",))

    @kind.body
    def add_to_body(draft: Draft, _values: Values, _turn: Turn) -> None:
        _add(draft, member)

    @kind.frames
    def add_to_event(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
        return _add_to_one(frames, member)


_member("json-key-twice", "names a key twice in one object", "J2", '"extra":1,"extra":2')
_member("half-surrogate", "has half a surrogate pair in a text", "F2", '"extra":"\\ud83d"')

json_not_a_number = define(
    "json-not-a-number",
    "has NaN, Infinity or a number beyond reading where JSON has numbers",
    breaks=("J1",),
    paths=("/",),
    value=Parameter("NaN|Infinity|-Infinity|1e999", "NaN", "which"),
)


@json_not_a_number.body
def json_not_a_number_body(draft: Draft, values: Values, _turn: Turn) -> None:
    _add(draft, f'"extra":{values["value"]}')


@json_not_a_number.frames
def json_not_a_number_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    return _add_to_one(frames, f'"extra":{values["value"]}')


json_too_deep = define(
    "json-too-deep",
    "nests lists deeper than readers go",
    breaks=("J3", "F7"),
    paths=("/",),
    depth=Parameter("int", 100_000, "how many lists"),
)


@json_too_deep.body
def json_too_deep_body(draft: Draft, values: Values, _turn: Turn) -> None:
    _add(draft, '"extra":' + "[" * values["depth"] + "]" * values["depth"])


@json_too_deep.frames
def json_too_deep_frames(frames: list[Frame], values: Values, _turn: Turn) -> list[Frame]:
    return _add_to_one(frames, '"extra":' + "[" * values["depth"] + "]" * values["depth"])


json_byte_order_mark = define(
    "json-byte-order-mark",
    "begins JSON with a byte order mark, in the body or in one event",
    breaks=("J1",),
    paths=("/",),
)


@json_byte_order_mark.body
def json_byte_order_mark_body(draft: Draft, _values: Values, _turn: Turn) -> None:
    if draft.body.startswith(b"{"):
        draft.body = b"\xef\xbb\xbf" + draft.body


@json_byte_order_mark.frames
def json_byte_order_mark_frames(frames: list[Frame], _values: Values, _turn: Turn) -> list[Frame]:
    found = [frame for frame in frames if isinstance(frame.data, bytes) and _OBJECT.search(frame.data)]
    if found:
        frame = found[len(found) // 2]
        frame.data = frame.data.replace(b"data: {", b"data: \xef\xbb\xbf{", 1)
    return frames
