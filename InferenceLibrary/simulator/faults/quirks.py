"""Quirks: faults that a server has for good, as its dialect says, for the calls that the dialect names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.exchange import Request as Asked
from InferenceLibrary.protocol.rules.apis import api_of
from InferenceLibrary.simulator.faults.catalogue import parse_fault
from InferenceLibrary.simulator.faults.kinds import Fault, Values

if TYPE_CHECKING:
    from InferenceLibrary.dialects.dialect import Deviation
    from InferenceLibrary.simulator.core.draft import Draft
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.request import Request
    from InferenceLibrary.simulator.core.turn import Turn


class Quirk(Fault):
    """A fault for the calls of one deviation, on every one of them."""

    __slots__ = ("_apis", "_statuses", "_when")

    def __init__(self, fault: Fault, deviation: Deviation) -> None:
        super().__init__(fault.kind, fault.values, fault.text)
        self._apis = frozenset(deviation.apis)
        # The status and the text are known with the answer only.
        self._when = msgspec.structs.replace(deviation.when, statuses=[], answer=None)
        self._statuses = frozenset(deviation.when.statuses)

    def matches(self, request: Request, generates: bool, chance: Draws) -> bool:
        """Whether the request is one of the deviation's; counts it."""
        call = Exchange(Asked(request.method, f"http://simulator{request.path}", (), bytes(request.body)), None)
        if (self._apis and api_of(call) not in self._apis) or not self._when.hold(call):
            return False
        return self._due(chance)

    def _change(self, change: Callable[[Draft, Values, Turn], None] | None, draft: Draft, turn: Turn) -> None:
        if not self._statuses or draft.status in self._statuses:
            super()._change(change, draft, turn)


def quirks_of(dialect: str) -> list[Any]:
    """Return the quirks of a dialect: a name, with a version or without, or a path.

    Raises:
        ProfileError: The dialect does not exist, or is malformed; one line.
        ValueError: One of its quirks is not a fault; one line.
    """
    chosen = load_dialect(dialect).dialect
    found = []
    for one in chosen.deviations:
        for quirk in one.quirks:
            try:
                fault = parse_fault(quirk)
                if fault.kind.of_process:
                    raise ValueError(f"'{fault.kind.name}' is a fault of the process, and none of an answer")
                found.append(Quirk(fault, one))
            except ValueError as error:
                raise ValueError(f"dialect {chosen.file}, rule {one.rule}: {error}") from None
    return found
