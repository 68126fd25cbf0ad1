"""Rules of the Messages API for the events of a stream."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.protocol.rules.forms import decoded, inside, is_count, is_filled
from InferenceLibrary.protocol.rules.messages_views import MessagesStream
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.typed_stream import DELTA_TEXTS
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import show

_STREAMING = "Anthropic's API reference, Streaming messages: event types, read 2026-11"
_DELTAS = {
    "text": ("text_delta", "citations_delta"),
    "thinking": ("thinking_delta", "signature_delta"),
    "redacted_thinking": (),
    "tool_use": ("input_json_delta",),
    "server_tool_use": ("input_json_delta",),
}
"""The types of deltas that a type of block takes."""


@rule(
    "A1",
    Level.MUST,
    "First comes message_start, then each block whole, then message_delta, and message_stop last, once.",
    source=_STREAMING,
    kinds=("start", "start twice", "inside a block", "no message_delta", "late block", "end", "after the end"),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def order(view: MessagesStream, known: Known) -> Iterator[Found]:
    steps = view.steps
    if not steps:
        return
    if steps[0].kind != "message_start":
        yield at(steps[0].place, "start", f"{show(steps[0].kind)} first")
    told = ended = False
    for number, step in enumerate(steps):
        if ended:
            yield at(step.place, "after the end", f"{show(step.kind)} after message_stop")
        if step.kind == "message_start" and number:
            yield at(step.place, "start twice", "message_start in the middle")
        elif step.kind == "content_block_start" and told:
            yield at(step.place, "late block", "a block after message_delta")
        elif step.kind == "message_delta":
            told = True
        elif step.kind == "message_stop":
            if not told:
                yield at(step.place, "no message_delta", "message_stop without a message_delta before")
            ended = True
    for stray in view.strays:
        if stray.rule == "order":
            yield at(stray.step.place, stray.kind, stray.got)
    if view.ran_to_its_end and not ended:
        yield at(steps[-1].place, "end", f"{show(steps[-1].kind)} as the last event")


@rule(
    "A2",
    Level.MUST,
    "Each event has a type, and an `event:` line that says the same.",
    source=f"{_STREAMING}; Anthropic's client for Python drops events without a name",
    kinds=("no type", "other name", "no name"),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def types(view: MessagesStream, known: Known) -> Iterator[Found]:
    for place, got in view.reader.untyped:
        yield at(place, "no type", got)
    for place, got in view.reader.misnamed:
        yield at(place, "other name", got)
    if view.reader.unnamed:
        place, got = view.reader.unnamed.kept[0]
        yield at(
            place, "no name", f"{view.reader.unnamed.count} events without an `event:` line, the first {show(got)}"
        )


@rule(
    "A3",
    Level.MUST,
    "The indices of the blocks rise from 0, their events have them, and each block that starts stops.",
    source=_STREAMING,
    kinds=("index", "not open", "no stop"),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def indices(view: MessagesStream, known: Known) -> Iterator[Found]:
    for stray in view.strays:
        if stray.rule == "index":
            yield at(stray.step.place, stray.kind, stray.got)
    if view.stop is not None:
        for block in view.blocks:
            if block.stop is None:
                yield at(block.start.place, "no stop", f"block {show(block.index)} without content_block_stop")


@rule(
    "A4",
    Level.MUST,
    "The tokens of the input stand in message_start, those of the output and the stop reason in message_delta.",
    source=_STREAMING,
    kinds=("input_tokens", "output_tokens", "stop_reason"),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
    to_the_end=True,
)
def usage(view: MessagesStream, known: Known) -> Iterator[Found]:
    if view.start is not None:
        given = inside(inside(view.start.data.get("message"), "usage"), "input_tokens")
        if not is_count(given):
            yield at(view.start.place, "input_tokens", f"input_tokens {show(given)} in message_start")
    if view.deltas:
        last = view.deltas[-1]
        written = inside(last.data.get("usage"), "output_tokens")
        if not is_count(written):
            yield at(last.place, "output_tokens", f"output_tokens {show(written)} in message_delta")
        reason = inside(last.data.get("delta"), "stop_reason")
        if not isinstance(reason, str):
            yield at(last.place, "stop_reason", f"stop_reason {show(reason)} in message_delta")


@rule(
    "A5",
    Level.MUST,
    "The joined pieces of a tool's input are a JSON object.",
    source=f"{_STREAMING}: input_json_delta",
    kinds=("input",),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def tool_input(view: MessagesStream, known: Known) -> Iterator[Found]:
    cut = view.message.get("stop_reason") == "max_tokens"
    for block in view.blocks:
        text = block.joined("input_json_delta")
        if block.kind != "tool_use" or block.stop is None or cut or not text:
            continue
        if not isinstance(decoded(text), dict):
            yield at(block.stop.place, "input", f"{show(text)} in block {show(block.index)}")


@rule(
    "A6",
    Level.SHOULD,
    "A block of thinking has its signature before it stops.",
    source="Anthropic's guide on extended thinking, Streaming thinking, read 2026-11",
    kinds=("signature",),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def signature(view: MessagesStream, known: Known) -> Iterator[Found]:
    for block in view.blocks:
        if block.kind == "thinking" and block.stop is not None and not block.whole.get("signature"):
            yield at(block.stop.place, "signature", f"none in block {show(block.index)}")


@rule(
    "A9",
    Level.MUST,
    "The deltas of a block are of a type that its own type takes.",
    source=f"{_STREAMING}: content block delta types",
    kinds=("other type", "no text"),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def deltas(view: MessagesStream, known: Known) -> Iterator[Found]:
    for block in view.blocks:
        takes = _DELTAS.get(block.kind) if isinstance(block.kind, str) else None
        for step in (*block.runs, *block.others):
            delta = step.data.get("delta")
            kind = inside(delta, "type")
            if isinstance(kind, str) and takes is not None and kind not in takes:
                yield at(step.place, "other type", f"{show(kind)} in a block of type {show(block.kind)}")
            elif step.text is None and (not isinstance(kind, str) or kind in DELTA_TEXTS):
                yield at(step.place, "no text", f"the delta {show(delta)}")


@rule(
    "A8",
    Level.SHOULD,
    "A stream of the Messages API has no [DONE]: message_stop ends it.",
    source=_STREAMING,
    kinds=("[DONE]",),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def done(view: MessagesStream, known: Known) -> Iterator[Found]:
    for place, text in view.events.done:
        yield at(place, "[DONE]", f"{text} in a stream of typed events")


@rule(
    "A20",
    Level.MUST,
    "An error event is of type `error`, and its error has a type and a message.",
    source="Anthropic's API reference, Streaming messages: error events, read 2026-11",
    kinds=("type", "error"),
    view=MessagesStream,
    apis=(Api.MESSAGES,),
)
def error_event(view: MessagesStream, known: Known) -> Iterator[Found]:
    for place, data in view.events.error_data:
        if inside(data, "type") != "error":
            yield at(place, "type", f"type {show(inside(data, 'type'))} of an error event")
        error = inside(data, "error")
        if not is_filled(inside(error, "type")) or not is_filled(inside(error, "message")):
            yield at(place, "error", f"error {show(error)}")
