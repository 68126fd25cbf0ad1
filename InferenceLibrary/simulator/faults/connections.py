"""Faults that end the connection where nobody expects it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.drafts import Frame
from InferenceLibrary.simulator.faults.actions import ENDINGS
from InferenceLibrary.simulator.faults.spec import Parameter, Values, define

if TYPE_CHECKING:
    from InferenceLibrary.simulator.drafts import Draft
    from InferenceLibrary.simulator.exchange import Exchange, Step

_HOW = Parameter("close|reset|hang", "close", "close (FIN), reset (RST) or hang")

cut = define(
    "cut-after-events",
    "ends the connection after some events of a stream; a body in one piece is cut in its middle",
    breaks=("F8", "F10"),
    events=Parameter("int", 1, "how many events are sent before"),
    how=_HOW,
)


@cut.frames
def _(frames: list[Frame], values: Values, _exchange: Exchange) -> list[Frame]:
    return [*frames[: values["events"]], Frame(ENDINGS[values["how"]])]


@cut.body
def _(draft: Draft, _values: Values, exchange: Exchange) -> None:
    draft.content_length = len(draft.body)
    draft.body = draft.body[: len(draft.body) // 2]
    exchange.keep_alive = False


@cut.wire
def _(steps: Iterator[Step], values: Values, _exchange: Exchange) -> Iterator[Step]:
    yield from steps
    # Reached only by a body in one piece: a cut stream ends before.
    yield ENDINGS[values["how"]]
