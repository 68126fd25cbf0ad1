"""Kinds of faults, and faults as they are asked for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from InferenceLibrary.simulator.core.draft import event_bytes, to_json

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draft import Draft, Frame
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.request import Request
    from InferenceLibrary.simulator.core.turn import Line, Step, Turn

Values = dict[str, Any]
Nature = Literal["wire", "legal", "time", "size", "process"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a fault; `kind` is int, duration, text, number, or the allowed words with `|` between."""

    kind: str
    default: Any
    text: str = ""


# Every fault takes these: when it strikes.
WHEN = {
    "first": Parameter("int", None, "only the first N matching requests"),
    "after": Parameter("int", 0, "not the first N matching requests"),
    "every": Parameter("int", 1, "only each N-th matching request"),
    "percent": Parameter("number", 100.0, "in so many of 100 cases; repeatable under --seed"),
    "path": Parameter("text", "", "only requests to this path; else all that generate"),
}


@dataclass(slots=True)
class FaultKind:
    """An entry of the catalogue. The functions say at which stages of an answer it acts."""

    name: str
    text: str
    breaks: tuple[str, ...] = ()
    parameters: dict[str, Parameter] = field(default_factory=dict)
    of_process: bool = False
    # The requests that it is for when no path is given; all that generate when empty.
    paths: tuple[str, ...] = ()
    # Whether it breaks the wire, or is legal, or a matter of time, of size or of the process.
    nature: Nature = "wire"
    on_connect: Callable[[Line, Values], None] | None = None
    on_head: Callable[[Turn, Values], None] | None = None
    on_answer: Callable[[Turn, Values], bool] | None = None
    on_draft: Callable[[Draft, Values, Turn], None] | None = None
    on_body: Callable[[Draft, Values, Turn], None] | None = None
    on_frames: Callable[[list[Frame], Values, Turn], list[Frame]] | None = None
    on_wire: Callable[[Iterator[Step], Values, Turn], Iterator[Step]] | None = None

    def connect(self, function: F) -> F:
        self.on_connect = function
        return function

    def head(self, function: F) -> F:
        self.on_head = function
        return function

    def answer(self, function: F) -> F:
        self.on_answer = function
        return function

    def draft(self, function: F) -> F:
        self.on_draft = function
        return function

    def body(self, function: F) -> F:
        self.on_body = function
        return function

    def frames(self, function: F) -> F:
        self.on_frames = function
        return function

    def wire(self, function: F) -> F:
        self.on_wire = function
        return function


KINDS: dict[str, FaultKind] = {}


def define(
    name: str,
    text: str,
    /,
    *,
    breaks: tuple[str, ...] = (),
    of_process: bool = False,
    paths: tuple[str, ...] = (),
    nature: Nature = "wire",
    **parameters: Parameter,
) -> FaultKind:
    """Add a kind of fault to the catalogue."""
    kind = FaultKind(name, text, breaks, parameters, of_process, paths, "process" if of_process else nature)
    KINDS[name] = kind
    return kind


class Fault:
    """A fault as it was asked for. It counts what it matched, to strike the right requests, and what it changed."""

    __slots__ = ("count", "kind", "matched", "struck", "text", "values")

    def __init__(self, kind: FaultKind, values: Values, text: str) -> None:
        self.kind = kind
        self.values = values
        self.text = text
        self.count: Callable[[], int] = itertools.count(1).__next__
        """Counts the requests that the fault could strike; shared where several processes serve."""
        self.matched = 0
        self.struck = 0

    def matches(self, request: Request, generates: bool, chance: Draws) -> bool:
        """Whether the fault is for this request; counts it."""
        path = self.values["path"]
        if path:
            if request.path != path:
                return False
        elif self.kind.paths:
            if not request.path.startswith(self.kind.paths):
                return False
        elif not generates:
            return False
        return self._due(chance)

    @property
    def lasting(self) -> bool:
        """Whether it comes from outside of the suite, which neither sees it nor takes it away."""
        return False

    @property
    def before_body(self) -> bool:
        """Whether it acts when the head of a request is there, before its body."""
        return self.kind.on_head is not None

    def take_connection(self, connection: Line) -> bool:
        """Act on a new connection, when the fault strikes it; counts it."""
        if self.kind.on_connect is None or not self._due(None):
            return False
        self.kind.on_connect(connection, self.values)
        self.struck += 1
        return True

    def take_head(self, turn: Turn) -> None:
        """Act on the head of a request."""
        if self.kind.on_head is not None:
            self._strike(turn)
            self.kind.on_head(turn, self.values)

    def take_request(self, turn: Turn) -> bool:
        """Act on the request, or in place of the answer; true when it answered."""
        if self.kind.on_answer is None:
            return False
        before = _request_of(turn)
        # Struck before it answers: the head of the answer, and the account of the turn, tell it.
        first = self not in turn.struck
        self._strike(turn)
        answered = self.kind.on_answer(turn, self.values)
        if first and not answered and _request_of(turn) == before:
            turn.struck = tuple(fault for fault in turn.struck if fault is not self)
            self.struck -= 1
        return answered

    def _due(self, chance: Draws | None) -> bool:
        values = self.values
        place = self.count() - values["after"]
        if place <= 0 or (values["first"] is not None and place > values["first"]):
            return False
        if (place - 1) % values["every"]:
            return False
        if values["percent"] < 100 and chance is not None and not chance.percent(values["percent"]):
            return False
        self.matched += 1
        return True

    def _strike(self, turn: Turn) -> None:
        """Count the turn, once."""
        if self not in turn.struck:
            turn.struck += (self,)
            self.struck += 1

    def change_draft(self, draft: Draft, turn: Turn) -> None:
        """Change the objects of an answer."""
        self._change(self.kind.on_draft, draft, turn)

    def change_body(self, draft: Draft, turn: Turn) -> None:
        """Change the bytes of a whole answer."""
        self._change(self.kind.on_body, draft, turn)

    def _change(self, change: Callable[[Draft, Values, Turn], None] | None, draft: Draft, turn: Turn) -> None:
        if change is not None:
            before = _answer_of(draft, turn)
            change(draft, self.values, turn)
            if _answer_of(draft, turn) != before:
                self._strike(turn)

    def change_frames(self, frames: list[Frame], turn: Turn) -> list[Frame]:
        """Return the events of a streamed answer, changed as bytes."""
        if self.kind.on_frames is None:
            return frames
        before = [(frame.data, frame.delay) for frame in frames]
        changed = self.kind.on_frames(frames, self.values, turn)
        if [(frame.data, frame.delay) for frame in changed] != before:
            self._strike(turn)
        return changed

    def change_wire(self, steps: Iterator[Step], turn: Turn) -> Iterator[Step]:
        """Return the steps of an answer, changed as they go out; the same steps when nothing is changed."""
        if self.kind.on_wire is None:
            return steps
        changed = self.kind.on_wire(steps, self.values, turn)
        if changed is not steps:
            self._strike(turn)
        return changed


def _request_of(turn: Turn) -> tuple[Any, ...]:
    """What a fault may change of a request, to be compared."""
    request = turn.request
    body = request.body
    if turn.json is not None:
        body = to_json(turn.json)
    elif body:
        # What cannot be read is compared as it is.
        with suppress(ValueError, RecursionError):
            body = to_json(json.loads(body))
    return request.path, dict(request.headers), body


def _answer_of(draft: Draft, turn: Turn) -> tuple[Any, ...]:
    """What a fault may change of an answer, to be compared."""
    body = draft.body if isinstance(draft.body, bytes) else to_json(draft.body)
    events = None if draft.events is None else [(event_bytes(event), event.delay) for event in draft.events]
    sent = (draft.status, draft.content_type, tuple(draft.headers), draft.framing, draft.content_length, draft.delay)
    return sent, body, events, turn.keep_alive


def ask(kind: FaultKind, text: str = "", /, **given: Any) -> Fault:
    """Return the fault as it is asked for with these values; what is not given has its default."""
    values = {key: parameter.default for key, parameter in {**WHEN, **kind.parameters}.items()}
    return Fault(kind, {**values, **given}, text or kind.name)
