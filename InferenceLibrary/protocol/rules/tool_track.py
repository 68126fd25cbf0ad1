"""The tool calls of one choice, joined from their pieces, with what is odd about the pieces."""

from __future__ import annotations

from typing import Any

from InferenceLibrary.protocol.rules.views import Place, Sightings
from InferenceLibrary.protocol.strict_json import show


class CallSeen:
    """One tool call."""

    __slots__ = ("_arguments", "again", "id", "index", "lacks", "name", "odd_arguments", "other_id", "place", "type")

    def __init__(self, index: int, place: Place) -> None:
        self.index = index
        self.place = place
        self.id: Any = None
        self.type: Any = None
        self.name: Any = None
        self.again: Sightings[str] = Sightings()
        """Pieces after the first that bear the id or the name again."""
        self.other_id: Sightings[Any] = Sightings()
        """Pieces after the first that bear another id."""
        self.odd_arguments: Sightings[Any] = Sightings()
        """Arguments that are not text."""
        self.lacks: list[str] = []
        """What the first piece lacks of `id`, `type`, `name`."""
        self._arguments: list[str] = []

    @property
    def arguments(self) -> str:
        """The joined arguments."""
        return "".join(self._arguments)

    def take_first(self, piece: dict[str, Any], function: dict[str, Any]) -> None:
        self.id, self.type, self.name = piece.get("id"), piece.get("type"), function.get("name")
        self.lacks = [name for name, value in (("id", self.id), ("type", self.type), ("name", self.name)) if not value]

    def take_more(self, place: Place, piece: dict[str, Any], function: dict[str, Any]) -> None:
        number, name = piece.get("id"), function.get("name")
        if number and self.id and number != self.id:
            self.other_id.add(place, number)
        elif number:
            self.again.add(place, f"the id {show(number)}")
        if name and not self.other_id:
            self.again.add(place, f"the name {show(name)}")
        self.id, self.name, self.type = self.id or number, self.name or name, self.type or piece.get("type")

    def take_arguments(self, place: Place, function: dict[str, Any]) -> None:
        arguments = function.get("arguments")
        if isinstance(arguments, str):
            self._arguments.append(arguments)
        elif arguments is not None:
            self.odd_arguments.add(place, arguments)


class ToolTrack:
    """The tool calls of one choice."""

    __slots__ = ("calls", "odd_index", "odd_piece")

    def __init__(self) -> None:
        self.calls: dict[int, CallSeen] = {}
        """By index; of a whole answer by place."""
        self.odd_index: Sightings[str] = Sightings()
        """Pieces whose index is missing or not an integer."""
        self.odd_piece: Sightings[str] = Sightings()
        """Entries that are not objects."""

    def __bool__(self) -> bool:
        return bool(self.calls)

    def take(self, place: Place, calls: Any, streamed: bool) -> None:
        """Take the `tool_calls` of a delta or a message."""
        if not isinstance(calls, list):
            self.odd_piece.add(place, show(calls))
            return
        for number, piece in enumerate(calls):
            if not isinstance(piece, dict):
                self.odd_piece.add(place, show(piece))
                continue
            index = piece.get("index") if streamed else number
            if type(index) is not int:
                self.odd_index.add(place, "no index" if index is None else f"the index {show(index)}")
                index = number
            given = piece.get("function")
            function = given if isinstance(given, dict) else {}
            if given is not None and not isinstance(given, dict):
                self.odd_piece.add(place, f"the function {show(given)}")
            call = self.calls.get(index)
            if call is None:
                call = self.calls[index] = CallSeen(index, place)
                call.take_first(piece, function)
            else:
                call.take_more(place, piece, function)
            call.take_arguments(place, function)
