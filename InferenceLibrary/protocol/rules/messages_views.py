"""Views of the Messages API: the message, and the content blocks that a stream builds up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.event_stream import EventStream
from InferenceLibrary.protocol.rules.forms import decoded, inside, is_integer, listed
from InferenceLibrary.protocol.rules.rule import Api, Found
from InferenceLibrary.protocol.rules.typed_stream import DELTA_TEXTS, MessagesReader, Step
from InferenceLibrary.protocol.rules.views import NOWHERE, Place, View, at
from InferenceLibrary.protocol.strict_json import read_json, show


class StrayBlock(NamedTuple):
    """An event at a place where it does not belong."""

    rule: str
    """`order` or `index`."""
    kind: str
    step: Step
    got: str


@dataclass(eq=False)
class Block:
    """One content block as it was streamed."""

    start: Step
    index: Any
    pieces: dict[str, list[str]] = field(default_factory=dict)
    """Texts of its deltas by their type."""
    others: list[Step] = field(default_factory=list)
    """Deltas that hold no text, or are not in their right form."""
    runs: list[Step] = field(default_factory=list)
    """Runs of deltas."""
    stop: Step | None = None

    @property
    def opening(self) -> Any:
        """The block as it began."""
        return self.start.data.get("content_block")

    @property
    def kind(self) -> Any:
        """The type of the block."""
        return inside(self.opening, "type")

    def joined(self, delta: str) -> str:
        """The joined texts of its deltas of a type."""
        return "".join(self.pieces.get(delta, ()))

    @property
    def whole(self) -> dict[str, Any]:
        """The block as a whole answer would have it."""
        block = dict(self.opening) if isinstance(self.opening, dict) else {}
        for delta, key in DELTA_TEXTS.items():
            if delta == "input_json_delta":
                if block.get("type") == "tool_use":
                    text = self.joined(delta)
                    block["input"] = decoded(text) if text else block.get("input", {})
            elif delta in self.pieces:
                before = block.get(key)
                block[key] = (before if isinstance(before, str) else "") + self.joined(delta)
        return block


class Message(View):
    """A message, whole or joined from a stream."""

    def __init__(
        self, exchange: Exchange, api: Api, data: Any, place: Place = NOWHERE, shown: int | None = None
    ) -> None:
        super().__init__(exchange, api)
        self.data = data
        self.place = place
        """Its last event."""
        self.streamed = shown is not None
        self.shown = shown
        """How many pieces of output came in a stream; None in a whole answer. See `ResponseObject.shown`."""

    @property
    def blocks(self) -> list[Any]:
        return listed(inside(self.data, "content"))

    @property
    def text(self) -> str:
        """The joined text blocks."""
        texts = (inside(block, "text") for block in self.blocks if inside(block, "type") == "text")
        return "".join(text for text in texts if isinstance(text, str))

    @property
    def stop_reason(self) -> Any:
        return inside(self.data, "stop_reason")

    def found(self, kind: str, got: str) -> Found:
        """What a rule found in it."""
        return at(self.place, kind, got)


class MessagesStream(View):
    """The blocks of a stream, and what does not fit."""

    def __init__(self, events: EventStream, reader: MessagesReader) -> None:
        super().__init__(events.exchange, events.api)
        self.events = events
        self.reader = reader
        self.steps = [step for step in reader.steps if step.kind != "ping"]
        self.blocks: list[Block] = []
        self.strays: list[StrayBlock] = []
        self.start: Step | None = next((step for step in self.steps if step.kind == "message_start"), None)
        self.deltas = [step for step in self.steps if step.kind == "message_delta"]
        self.stop: Step | None = next((step for step in self.steps if step.kind == "message_stop"), None)
        self._open: dict[int, Block] = {}
        for step in self.steps:
            self._take(step)

    @property
    def ran_to_its_end(self) -> bool:
        return self.events.ran_to_its_end

    @property
    def message(self) -> dict[str, Any]:
        """The message as a whole answer would have it."""
        begun = inside(self.start.data, "message") if self.start is not None else None
        message = dict(begun) if isinstance(begun, dict) else {}
        message["content"] = [block.whole for block in self.blocks]
        given = message.get("usage")
        usage = dict(given) if isinstance(given, dict) else {}
        for step in self.deltas:
            for holder, key in ((message, "delta"), (usage, "usage")):
                more = step.data.get(key)
                if isinstance(more, dict):
                    holder.update(more)
        message["usage"] = usage
        return message

    @property
    def shown(self) -> int:
        """How many pieces of output came."""
        pieces = (piece for block in self.blocks for piece in block.runs if piece.where[1] != "signature_delta")
        return sum(piece.count for piece in pieces)

    def _stray(self, rule: str, kind: str, step: Step, got: str) -> None:
        self.strays.append(StrayBlock(rule, kind, step, got))

    def _take(self, step: Step) -> None:
        index = step.data.get("index")
        if step.kind == "content_block_start":
            self._start(step, index)
        elif step.kind in {"content_block_delta", "content_block_stop"}:
            block = self._open.get(index) if is_integer(index) else None
            if block is None or not is_integer(index):
                self._stray("index", "not open", step, f"{step.kind} with index {show(index)}, where no such is open")
            elif step.kind == "content_block_stop":
                block.stop = step
                del self._open[index]
            elif step.text is not None:
                block.runs.append(step)
                block.pieces.setdefault(step.where[1], []).append(step.text)
            else:
                block.others.append(step)
        elif step.kind == "message_delta" and self._open:
            self._stray("order", "inside a block", step, f"message_delta inside block {_names(self._open)}")

    def _start(self, step: Step, index: Any) -> None:
        if self._open:
            self._stray("order", "inside a block", step, f"block {show(index)} inside block {_names(self._open)}")
        if not is_integer(index) or index != len(self.blocks):
            self._stray("index", "index", step, f"index {show(index)} of block {len(self.blocks)}")
        block = Block(step, index)
        self.blocks.append(block)
        if is_integer(index):
            self._open[index] = block


def _names(blocks: dict[int, Block]) -> str:
    return ", ".join(str(index) for index in list(blocks)[:3])


class TokenCount(View):
    """The answer of `/messages/count_tokens`."""

    def __init__(self, exchange: Exchange, api: Api, data: Any) -> None:
        super().__init__(exchange, api)
        self.data = data


@builds(Api.MESSAGES, stream=True)
def stream_views(exchange: Exchange, api: Api) -> list[View]:
    """The views of a stream."""
    reader = MessagesReader()
    events = EventStream(exchange, api, reader)
    reader.close()
    stream = MessagesStream(events, reader)
    views: list[View] = [events, stream]
    if stream.stop is not None and stream.start is not None:
        views.append(Message(exchange, api, stream.message, stream.stop.place, stream.shown))
    return views


@builds(Api.MESSAGES, stream=False)
def whole_views(exchange: Exchange, api: Api) -> list[View]:
    """The views of a whole answer."""
    data = read_json(exchange.text).value
    if Held.REQUEST in exchange.held and exchange.request.path.rstrip("/").endswith("/count_tokens"):
        return [TokenCount(exchange, api, data)]
    return [Message(exchange, api, data)]
