"""Views of the Responses API: the response object, and the items, parts and texts that a stream builds up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.event_stream import EventStream
from InferenceLibrary.protocol.rules.forms import inside, is_filled, is_integer, listed
from InferenceLibrary.protocol.rules.rule import Api, Found
from InferenceLibrary.protocol.rules.typed_stream import ResponsesReader, Step, part_index
from InferenceLibrary.protocol.rules.views import NOWHERE, Place, View, at
from InferenceLibrary.protocol.strict_json import read_json, show

ENDS = ("response.completed", "response.incomplete", "response.failed")
"""Types of the events that end a response."""
CALL_TEXTS = {
    "function_call_arguments": "arguments",
    "custom_tool_call_input": "input",
    "mcp_call_arguments": "arguments",
    "code_interpreter_call_code": "code",
}
"""Texts of an item itself, by the stem of their events: the key of the text in the closing event and in the item."""
PART_TEXTS = {
    "output_text": ("content", "text"),
    "refusal": ("content", "refusal"),
    "reasoning_text": ("content", "text"),
    "reasoning_summary_text": ("summary", "text"),
}
"""Texts of a part of an item, by the stem of their events: the key of the list of parts, and that of the text."""
_FRAMED = {"output_text": "content_part", "refusal": "content_part", "reasoning_summary_text": "reasoning_summary_part"}
"""Texts that come inside a part that is opened and closed; servers stream the text of a reasoning without one."""


class StrayEvent(NamedTuple):
    """An event that does not fit into the nesting of the stream."""

    kind: str
    """`outside`, `opened twice`, `not closed`, `not opened`, `closed twice`, `after its end`, `delta`."""
    step: Step
    got: str


class Misplaced(NamedTuple):
    """An event whose place in the response is missing, or is not that of its pair."""

    kind: str
    """`missing` or `changes`."""
    step: Step
    got: str


@dataclass(eq=False)
class Text:
    """A text that came in deltas."""

    stem: str
    index: Any
    """Index of its part; None for a text of the item itself."""
    first: Step
    pieces: list[str] = field(default_factory=list)
    done: Step | None = None
    """The event that says the whole text."""
    part_done: Step | None = None
    """The event that closes its part."""

    @property
    def joined(self) -> str:
        return "".join(self.pieces)

    @property
    def key(self) -> str:
        """Key of the text in its closing event, and in its part or item."""
        return CALL_TEXTS[self.stem] if self.stem in CALL_TEXTS else PART_TEXTS[self.stem][1]

    @property
    def list_key(self) -> str:
        """Key of the parts in an item."""
        return PART_TEXTS[self.stem][0]


@dataclass(eq=False)
class Item:
    """One item of the output as it was streamed."""

    added: Step
    index: Any
    """`output_index`; None when none was given."""
    texts: dict[tuple[str, Any], Text] = field(default_factory=dict)
    parts: dict[tuple[str, Any], Step] = field(default_factory=dict)
    """Open parts."""
    opened: dict[tuple[str, Any], Step] = field(default_factory=dict)
    """All parts, as they were opened."""
    closed: dict[tuple[str, Any], Step] = field(default_factory=dict)
    """Closed parts."""
    done: Step | None = None
    latest: Any = 0
    """Index of the part that was opened last."""

    @property
    def start(self) -> Any:
        """The item as it began."""
        return self.added.data.get("item")

    @property
    def final(self) -> Any:
        """The item as it ended."""
        return self.done.data.get("item") if self.done is not None else None

    @property
    def id(self) -> Any:
        return inside(self.start, "id")


class ResponseObject(View):
    """A response object, whole or as the last event of a stream tells it."""

    def __init__(
        self, exchange: Exchange, api: Api, data: Any, place: Place = NOWHERE, shown: int | None = None
    ) -> None:
        super().__init__(exchange, api)
        self.data = data
        self.place = place
        """The event that holds it."""
        self.shown = shown
        """How many pieces of output came before it in a stream; None in a whole answer, which has no pieces.

        Where that is the count of the tokens, each was shown, and no token of the model's own ended the output.
        """

    @property
    def is_over(self) -> bool:
        """Whether it ended with output, completed or cut by a limit."""
        return inside(self.data, "status") in ("completed", "incomplete")

    @property
    def items(self) -> list[Any]:
        return listed(inside(self.data, "output"))

    @property
    def text(self) -> str:
        """The joined texts of its messages."""
        parts = (part for item in self.items for part in listed(inside(item, "content")))
        texts = (inside(part, "text") for part in parts if inside(part, "type") == "output_text")
        return "".join(text for text in texts if isinstance(text, str))

    def found(self, kind: str, got: str) -> Found:
        """What a rule found in it."""
        return at(self.place, kind, got)


class ResponsesStream(View):
    """The items of a stream, and what does not fit."""

    def __init__(self, events: EventStream, reader: ResponsesReader) -> None:
        super().__init__(events.exchange, events.api)
        self.events = events
        self.reader = reader
        self.steps = reader.steps
        self.items: list[Item] = []
        self.strays: list[StrayEvent] = []
        self.misplaced: list[Misplaced] = []
        self.end: Step | None = next((step for step in self.steps if step.kind in ENDS), None)
        """The event that ends the response."""
        self._open: dict[Any, Item] = {}
        for step in self.steps:
            self._take(step)
        if self.end is not None and self.end.kind != "response.failed":
            for item in self._open.values():
                self._stray("not closed", item.added, "an item without response.output_item.done")

    @property
    def ran_to_its_end(self) -> bool:
        return self.events.ran_to_its_end

    @property
    def response(self) -> Any:
        """The response as its last event tells it."""
        return self.end.data.get("response") if self.end is not None else None

    def _stray(self, kind: str, step: Step, got: str) -> None:
        self.strays.append(StrayEvent(kind, step, got))

    def _take(self, step: Step) -> None:
        name = step.kind.removeprefix("response.")
        stem, _, verb = name.rpartition(".")
        if name == "output_item.added":
            self._add_item(step)
        elif name == "output_item.done":
            self._close_item(step)
        elif stem in {"content_part", "reasoning_summary_part"} or stem in CALL_TEXTS or stem in PART_TEXTS:
            item = self._item_of(step, step.data.get("item_id"))
            self._place(step, stem, item)
            if item is None:
                self._stray("outside", step, f"{step.kind} outside of any item")
            elif stem in {"content_part", "reasoning_summary_part"}:
                self._part(step, stem, verb, item)
            else:
                self._text(step, stem, verb, item)

    def _key(self, step: Step, item_id: Any) -> Any:
        index = step.data.get("output_index")
        return index if is_integer(index) else f"id {show(item_id)}"

    def _item_of(self, step: Step, item_id: Any) -> Item | None:
        """The open item that an event belongs to: by its index, and where it has none by its id."""
        return self._open.get(self._key(step, item_id))

    def _add_item(self, step: Step) -> None:
        item = Item(step, step.data.get("output_index"))
        key = self._key(step, item.id)
        if key in self._open:
            self._stray("opened twice", step, f"a second item at output_index {show(item.index)}")
        if not is_integer(item.index):
            self._misplace("missing", step, "no output_index")
        self._open[key] = item
        self.items.append(item)

    def _close_item(self, step: Step) -> None:
        item_id = inside(step.data.get("item"), "id")
        key = self._key(step, item_id)
        item = self._open.pop(key, None)
        if item is None:
            self._stray("not opened", step, f"{step.kind} of an item that is not open")
            return
        if not is_integer(step.data.get("output_index")):
            self._misplace("missing", step, "no output_index")
        if is_filled(item.id) and item_id != item.id:
            self._misplace("changes", step, f"the item's id {show(item_id)} after {show(item.id)}")
        item.done = step
        for (stem, _), part in item.parts.items():
            self._stray("not closed", part, f"a part without response.{stem}.done")
        for text in item.texts.values():
            if text.done is None and text.stem not in CALL_TEXTS:
                self._stray("not closed", text.first, f"deltas without response.{text.stem}.done")

    def _place(self, step: Step, stem: str, item: Item | None) -> None:
        data = step.data
        wanted = ["item_id", "output_index"]
        if stem == "content_part" or (stem in PART_TEXTS and PART_TEXTS[stem][0] == "content"):
            wanted.append("content_index")
        elif stem not in CALL_TEXTS:
            wanted.append("summary_index")
        missing = [
            key for key in wanted if not (is_filled(data.get(key)) if key == "item_id" else is_integer(data.get(key)))
        ]
        if missing:
            self._misplace("missing", step, f"no {', no '.join(missing)}")
        given = data.get("item_id")
        if item is not None and is_filled(item.id) and is_filled(given) and given != item.id:
            self._misplace("changes", step, f"item_id {show(given)} inside the item {show(item.id)}")

    def _misplace(self, kind: str, step: Step, got: str) -> None:
        self.misplaced.append(Misplaced(kind, step, f"{got} in {step.kind}"))

    def _part(self, step: Step, stem: str, verb: str, item: Item) -> None:
        index = part_index(step.data)
        if not is_integer(index):
            # A part without an index is the next one, and what follows is about it.
            index = item.latest if verb == "done" else len(item.parts) + len(item.closed)
        place = (stem, index)
        if verb == "added":
            item.latest = index
            if place in item.parts or place in item.closed:
                self._stray("opened twice", step, f"a second part at index {show(place[1])}")
            item.parts[place] = item.opened[place] = step
        elif verb == "done":
            if item.parts.pop(place, None) is None:
                kind = "closed twice" if place in item.closed else "not opened"
                self._stray(kind, step, f"{step.kind} of a part that is not open")
            item.closed[place] = step
            for name, frame in _FRAMED.items():
                text = item.texts.get((name, place[1])) if frame == stem else None
                if text is not None:
                    text.part_done = step

    def _text(self, step: Step, stem: str, verb: str, item: Item) -> None:
        if verb not in {"delta", "done"}:
            return
        index = part_index(step.data)
        index = None if stem in CALL_TEXTS else index if is_integer(index) else item.latest
        frame = _FRAMED.get(stem)
        if frame is not None and (frame, index) not in item.parts:
            self._stray("outside", step, f"{step.kind} outside of any part")
        text = item.texts.get((stem, index))
        if text is None:
            text = item.texts[stem, index] = Text(stem, index, step)
        if text.done is not None:
            self._stray("after its end", step, f"{step.kind} after its response.{stem}.done")
        if verb == "done":
            text.done = step
        elif step.text is None:
            self._stray("delta", step, f"the delta {show(step.data.get('delta'))}")
        else:
            text.pieces.append(step.text)


@builds(Api.RESPONSES, stream=True)
def stream_views(exchange: Exchange, api: Api) -> list[View]:
    """The views of a stream."""
    reader = ResponsesReader()
    events = EventStream(exchange, api, reader)
    reader.close()
    stream = ResponsesStream(events, reader)
    views: list[View] = [events, stream]
    if stream.end is not None:
        shown = sum(step.count for step in stream.steps if step.text is not None)
        views.append(ResponseObject(exchange, api, stream.response, stream.end.place, shown))
    return views


@builds(Api.RESPONSES, stream=False)
def whole_views(exchange: Exchange, api: Api) -> list[View]:
    """The views of a whole answer; none of one that tells that a response was deleted."""
    data = read_json(exchange.text).value
    return [] if inside(data, "deleted") is not None else [ResponseObject(exchange, api, data)]
