"""Kinds of faults, and faults as they are asked for: `NAME:key=value,key=value`."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from InferenceLibrary.simulator.draws import Draws
from InferenceLibrary.simulator.durations import parse_duration

if TYPE_CHECKING:
    from InferenceLibrary.simulator.drafts import Draft, Frame
    from InferenceLibrary.simulator.exchange import Exchange, Request, Step
    from InferenceLibrary.simulator.http_connection import Connection

Values = dict[str, Any]
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
    # Where it acts when no path is given; all that generate when empty.
    paths: tuple[str, ...] = ()
    on_connect: Callable[[Connection, Values], None] | None = None
    on_head: Callable[[Exchange, Values], None] | None = None
    on_answer: Callable[[Exchange, Values], bool] | None = None
    on_draft: Callable[[Draft, Values, Exchange], None] | None = None
    on_body: Callable[[Draft, Values, Exchange], None] | None = None
    on_frames: Callable[[list[Frame], Values, Exchange], list[Frame]] | None = None
    on_wire: Callable[[Iterator[Step], Values, Exchange], Iterator[Step]] | None = None

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
_MODULES = (
    "connections",
    "http_bytes",
    "framing",
    "events",
    "counts",
    "tool_calls",
    "objects",
    "embeddings",
    "ranking",
    "typed_events",
    "requests",
    "process",
)


def define(
    name: str,
    text: str,
    /,
    *,
    breaks: tuple[str, ...] = (),
    of_process: bool = False,
    paths: tuple[str, ...] = (),
    **parameters: Parameter,
) -> FaultKind:
    """Add a kind of fault to the catalogue."""
    kind = FaultKind(name, text, breaks, parameters, of_process, paths)
    KINDS[name] = kind
    return kind


def all_kinds() -> dict[str, FaultKind]:
    """Return the whole catalogue."""
    for module in _MODULES:
        importlib.import_module(f"InferenceLibrary.simulator.faults.{module}")
    return KINDS


class Fault:
    """A fault as it was asked for. It counts what it saw, to strike the right requests."""

    __slots__ = ("_seen", "_struck", "kind", "text", "values")

    def __init__(self, kind: FaultKind, values: Values, text: str) -> None:
        self.kind = kind
        self.values = values
        self.text = text
        self._seen = 0
        self._struck = 0

    def matches(self, request: Request, generates: bool, chance: Draws) -> bool:
        """Whether the fault strikes this request; counts it."""
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

    def matches_connection(self) -> bool:
        """Whether the fault strikes this new connection; counts it."""
        return self._due(None)

    def _due(self, chance: Draws | None) -> bool:
        values = self.values
        self._seen += 1
        place = self._seen - values["after"]
        if place <= 0 or (values["first"] is not None and place > values["first"]):
            return False
        if (place - 1) % values["every"]:
            return False
        if values["percent"] < 100 and chance is not None and not chance.percent(values["percent"]):
            return False
        self._struck += 1
        return True

    @property
    def struck(self) -> int:
        """How often it struck."""
        return self._struck

    def change_draft(self, draft: Draft, exchange: Exchange) -> None:
        if self.kind.on_draft is not None:
            self.kind.on_draft(draft, self.values, exchange)

    def change_body(self, draft: Draft, exchange: Exchange) -> None:
        if self.kind.on_body is not None:
            self.kind.on_body(draft, self.values, exchange)

    def change_frames(self, frames: list[Frame], exchange: Exchange) -> list[Frame]:
        return frames if self.kind.on_frames is None else self.kind.on_frames(frames, self.values, exchange)

    def change_wire(self, steps: Iterator[Step], exchange: Exchange) -> Iterator[Step]:
        return steps if self.kind.on_wire is None else self.kind.on_wire(steps, self.values, exchange)


def parse_fault(text: str) -> Fault:
    """Return the fault that `NAME:key=value,...` asks for.

    Raises:
        ValueError: The name, a key or a value is wrong.
    """
    name, _, rest = text.strip().partition(":")
    kinds = all_kinds()
    kind = kinds.get(name.strip())
    if kind is None:
        close = difflib.get_close_matches(name, kinds, n=1)
        hint = f"did you mean '{close[0]}'?" if close else "--list-faults names them"
        raise ValueError(f"unknown fault '{name}'; {hint}")
    allowed = {**WHEN, **kind.parameters}
    values = {key: parameter.default for key, parameter in allowed.items()}
    for item in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or key not in allowed:
            raise ValueError(f"fault '{kind.name}' has no parameter '{key}'; it takes {', '.join(allowed)}")
        try:
            values[key] = _value(allowed[key], value)
        except ValueError as error:
            raise ValueError(f"fault '{kind.name}', parameter '{key}': {error}") from None
    if values["every"] < 1:
        raise ValueError(f"fault '{kind.name}', parameter 'every': must be at least 1")
    return Fault(kind, values, text.strip())


def parse_faults(text: str) -> list[Fault]:
    """Return the faults of a header; several are separated by semicolons, or stand in repeated headers.

    Raises:
        ValueError: One of them is wrong.
    """
    found: list[Fault] = []
    for part in text.split(";"):
        # A repeated header arrives joined by `, `; parameters are joined by `,` without a name and colon after it.
        for item in _split_joined(part):
            found.append(parse_fault(item))
    return found


def _split_joined(text: str) -> list[str]:
    items: list[str] = []
    for piece in text.split(","):
        if items and "=" in piece.partition(":")[0]:
            items[-1] += "," + piece
        elif piece.strip():
            items.append(piece)
    return items


def _value(parameter: Parameter, text: str) -> Any:
    if parameter.kind == "int":
        try:
            number = int(text)
        except ValueError:
            raise ValueError(f"'{text}' is no whole number") from None
        if number < 0:
            raise ValueError(f"{number} is below 0")
        return number
    if parameter.kind == "number":
        try:
            return float(text)
        except ValueError:
            raise ValueError(f"'{text}' is no number") from None
    if parameter.kind == "duration":
        # A bare number is seconds here: faults have no past in which it meant milliseconds.
        return float(text) if text.replace(".", "", 1).isdigit() else parse_duration(text)
    if "|" in parameter.kind and text not in parameter.kind.split("|"):
        raise ValueError(f"'{text}' is none of {', '.join(parameter.kind.split('|'))}")
    return text
