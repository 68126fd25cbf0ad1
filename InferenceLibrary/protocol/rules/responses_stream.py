"""Rules of the Responses API for the events of a stream: their types, numbers, nesting and texts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from InferenceLibrary.protocol.rules.forms import difference, inside, is_filled, is_integer, listed, same_text
from InferenceLibrary.protocol.rules.responses_views import ENDS, Item, ResponsesStream, Text
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, Reference, rule
from InferenceLibrary.protocol.rules.typed_stream import Step
from InferenceLibrary.protocol.rules.views import at
from InferenceLibrary.protocol.strict_json import show

_SPEC = "OpenAI's API description (openai-openapi f85dbe2), schema ResponseStreamEvent, read 2026-11"
_FLOW = "OpenAI's guide on streaming responses and the stream checks of vLLM, read 2026-11"
_PRELUDE = ("response.created", "response.queued", "response.in_progress")


@rule(
    "RS3",
    Level.MUST,
    "Each event has a type, and its `event:` line, where there is one, says the same.",
    source=f"{_SPEC}; Open Responses (2026-04-24), Streaming, read 2026-11",
    kinds=("no type", "other name", "no name"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def types(view: ResponsesStream, known: Known) -> Iterator[Found]:
    for place, got in view.reader.untyped:
        yield at(place, "no type", got)
    for place, got in view.reader.misnamed:
        yield at(place, "other name", got)
    unnamed = view.reader.unnamed
    if unnamed and known.reference is Reference.OPEN_RESPONSES:
        place, got = unnamed.kept[0]
        yield at(place, "no name", f"{unnamed.count} events without an `event:` line, the first {show(got)}")


@rule(
    "RS4",
    Level.MUST,
    "The sequence numbers of the events rise by one.",
    source=f"{_SPEC}: sequence_number; its step as recorded of OpenAI and vLLM",
    kinds=("gap",),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def sequence(view: ResponsesStream, known: Known) -> Iterator[Found]:
    for place, got in view.reader.gaps:
        yield at(place, "gap", got)


@rule(
    "RS15",
    Level.SHOULD,
    "Each event has a sequence number.",
    source=f"{_SPEC}: sequence_number; clients of the field read streams without",
    kinds=("missing",),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def numbered(view: ResponsesStream, known: Known) -> Iterator[Found]:
    missing = view.reader.unnumbered
    if missing:
        place, kind = missing.kept[0]
        yield at(place, "missing", f"{missing.count} events without one, the first {kind}")


@rule(
    "RS5",
    Level.MUST,
    "First comes response.created, and last, once, one of response.completed, incomplete and failed.",
    source=_FLOW,
    kinds=("start", "late start", "end", "end twice", "after the end"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def order(view: ResponsesStream, known: Known) -> Iterator[Found]:
    steps = view.steps
    if not steps:
        return
    if steps[0].kind != "response.created":
        yield at(steps[0].place, "start", f"{show(steps[0].kind)} first")
    begun = False
    ended = False
    for number, step in enumerate(steps):
        if step.kind in _PRELUDE:
            if begun or (number and step.kind == "response.created"):
                yield at(step.place, "late start", f"{step.kind} after {steps[number - 1].kind}")
        elif step.kind in ENDS:
            if ended:
                yield at(step.place, "end twice", f"{step.kind} after an end")
            ended = True
        else:
            begun = True
            if ended:
                yield at(step.place, "after the end", f"{show(step.kind)} after the end")
    if not ended and view.ran_to_its_end:
        yield at(steps[-1].place, "end", f"{show(steps[-1].kind)} as the last event")


@rule(
    "RS6",
    Level.MUST,
    "Items, their parts and the deltas in these nest, and each that opens is closed by its `.done`.",
    source=f"{_SPEC}: output_item, content_part, output_text; the stream checks of vLLM",
    kinds=("outside", "opened twice", "not closed", "not opened", "closed twice", "after its end", "delta"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def nesting(view: ResponsesStream, known: Known) -> Iterator[Found]:
    for stray in view.strays:
        yield at(stray.step.place, stray.kind, stray.got)


@rule(
    "RS23",
    Level.MUST,
    "What an event opens or closes is an item, or a part, of a type, which stays the same.",
    source=f"{_SPEC}: output_item, content_part; client libraries build the response up from them",
    kinds=("item", "part", "type changes"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def opened(view: ResponsesStream, known: Known) -> Iterator[Found]:
    for step in view.steps:
        key = _OPENED.get(step.kind.removeprefix("response.").rpartition(".")[0])
        if key is not None and not is_filled(inside(step.data.get(key), "type")):
            yield at(step.place, key, f"the {key} {show(step.data.get(key))} in {step.kind}")
    for item in view.items:
        if item.done is not None:
            yield from _same_type(item.start, item.final, item.done)
        for place, done in item.closed.items():
            if place in item.opened:
                yield from _same_type(item.opened[place].data.get("part"), done.data.get("part"), done)


_OPENED = {"output_item": "item", "content_part": "part", "reasoning_summary_part": "part"}


def _same_type(first: Any, last: Any, step: Step) -> Iterator[Found]:
    before, after = inside(first, "type"), inside(last, "type")
    if is_filled(before) and is_filled(after) and before != after:
        yield at(step.place, "type changes", f"type {show(after)} after {show(before)} in {step.kind}")


@rule(
    "RS7",
    Level.MUST,
    "An event tells where it belongs by item_id, output_index and content_index, the same from opening to closing.",
    source=f"{_SPEC}; the tests of llama.cpp and vLLM",
    kinds=("missing", "changes"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def places(view: ResponsesStream, known: Known) -> Iterator[Found]:
    told: set[str] = set()
    for misplaced in view.misplaced:
        if misplaced.got not in told:
            told.add(misplaced.got)
            yield at(misplaced.step.place, misplaced.kind, misplaced.got)


@rule(
    "RS8",
    Level.MUST,
    "The joined deltas of a text are the text of its `.done`, of its part, of its item and of the response.",
    source=f"{_SPEC}; the tests of llama.cpp and vLLM",
    kinds=("done", "part", "item", "response", "items"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def texts(view: ResponsesStream, known: Known) -> Iterator[Found]:
    output = inside(view.response, "output")
    for number, item in enumerate(view.items):
        for text in item.texts.values():
            if text.index is not None:
                yield from _text_differs(view, item, number, text, output)
    if isinstance(output, list) and view.end is not None and view.end.kind != "response.failed":
        closed = [item for item in view.items if item.done is not None]
        if len(output) != len(closed):
            yield at(view.end.place, "items", f"{len(output)} items in the response, {len(closed)} in the stream")
        for item in closed:
            last = _at(output, item.index)
            if last is not None and is_filled(item.id) and inside(last, "id") != item.id:
                got = f"the id {show(inside(last, 'id'))} in the response, {show(item.id)} in the stream"
                yield at(view.end.place, "items", got)


def _text_differs(view: ResponsesStream, item: Item, number: int, text: Text, output: Any) -> Iterator[Found]:
    joined, list_key = text.joined, text.list_key
    if text.done is not None:
        yield from _compare(view, "done", joined, text.done.data.get(text.key), text.done.place)
    if text.part_done is not None:
        part = inside(text.part_done.data.get("part"), text.key)
        yield from _compare(view, "part", joined, part, text.part_done.place)
    if item.done is not None:
        yield from _compare(view, "item", joined, _in_item(item.final, list_key, text), item.done.place)
        last = _at(output, item.index if is_integer(item.index) else number)
        if last is not None and view.end is not None:
            yield from _compare(view, "response", joined, _in_item(last, list_key, text), view.end.place)


def _compare(view: ResponsesStream, kind: str, joined: str, said: Any, place: Any) -> Iterator[Found]:
    if not isinstance(said, str):
        yield at(place, kind, f"{show(said)} in place of {show(joined)}")
    elif not same_text(joined, said):
        yield at(place, kind, difference(said, joined))


def _in_item(item: Any, list_key: str, text: Text) -> Any:
    return inside(_at(inside(item, list_key), text.index), text.key)


def _at(items: Any, place: Any) -> Any:
    found = listed(items)
    return found[place] if is_integer(place) and 0 <= place < len(found) else None


@rule(
    "RS9",
    Level.MUST,
    "The joined deltas of a call's arguments are those of its `.done`, its item and the response.",
    source=f"{_SPEC}: function_call_arguments; schema FunctionToolCall",
    kinds=("no done", "done", "item", "response", "call_id", "name"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def arguments(view: ResponsesStream, known: Known) -> Iterator[Found]:
    output = inside(view.response, "output")
    for number, item in enumerate(view.items):
        if inside(item.start, "type") == "function_call":
            yield from _same_call(item)
        for text in item.texts.values():
            if text.index is not None or item.done is None:
                continue
            if text.done is None:
                yield at(text.first.place, "no done", f"deltas without response.{text.stem}.done")
            else:
                yield from _compare(view, "done", text.joined, text.done.data.get(text.key), text.done.place)
            yield from _compare(view, "item", text.joined, inside(item.final, text.key), item.done.place)
            last = _at(output, item.index if is_integer(item.index) else number)
            if last is not None and view.end is not None:
                yield from _compare(view, "response", text.joined, inside(last, text.key), view.end.place)


def _same_call(item: Item) -> Iterator[Found]:
    for key in ("call_id", "name"):
        first = inside(item.start, key)
        if not is_filled(first):
            yield at(item.added.place, key, f"{key} {show(first)} of a function call")
        if item.done is not None and inside(item.final, key) != first:
            yield at(item.done.place, key, f"{key} {show(inside(item.final, key))} after {show(first)}")


@rule(
    "RS20",
    Level.MUST,
    "The response keeps its id from its first event to its last.",
    source=f"{_SPEC}; client libraries ask for it by the first",
    kinds=("missing", "changes"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def response_id(view: ResponsesStream, known: Known) -> Iterator[Found]:
    first: Any = None
    for step in view.steps:
        if step.kind not in _PRELUDE and step.kind not in ENDS:
            continue
        given = inside(step.data.get("response"), "id")
        if not is_filled(given):
            yield at(step.place, "missing", f"id {show(given)} in {step.kind}")
        elif first is None:
            first = given
        elif given != first:
            yield at(step.place, "changes", f"{show(given)} after {show(first)}")


@rule(
    "RS21",
    Level.MUST,
    "The type of the last event is the status of its response.",
    source=f"{_SPEC}: response.completed, response.incomplete, response.failed",
    kinds=("status",),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def status(view: ResponsesStream, known: Known) -> Iterator[Found]:
    if view.end is None:
        return
    said = inside(view.response, "status")
    if said != view.end.kind.removeprefix("response."):
        yield at(view.end.place, "status", f"status {show(said)} in {view.end.kind}")


@rule(
    "RS10",
    Level.SHOULD,
    "An error event has a message and a code.",
    source="OpenAI's API description (openai-openapi f85dbe2), schema ResponseErrorEvent, read 2026-11",
    kinds=("message", "code"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def error_event(view: ResponsesStream, known: Known) -> Iterator[Found]:
    for place, said in view.events.errors:
        if not is_filled(inside(said, "message")):
            yield at(place, "message", f"an error event of {show(said)}")
        elif "code" not in said:
            yield at(place, "code", "an error event without code")


@rule(
    "F9",
    Level.SHOULD,
    "The last event of the response ends its stream; [DONE] follows it by Open Responses, and by OpenAI does not.",
    source="OpenAI's guide on streaming responses; Open Responses (2026-04-24), Streaming; read 2026-11",
    kinds=("[DONE]", "no [DONE]"),
    view=ResponsesStream,
    apis=(Api.RESPONSES,),
)
def done(view: ResponsesStream, known: Known) -> Iterator[Found]:
    if known.reference is Reference.OPEN_RESPONSES:
        if not view.events.done and view.ran_to_its_end:
            yield Found("no [DONE]", f"none after {view.events.count} events")
        return
    for place, text in view.events.done:
        yield at(place, "[DONE]", f"{text} in a stream of typed events")
