"""Rules of transport and framing: HTTP, server-sent events, strict JSON in events."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.foreign_text import cut
from InferenceLibrary.protocol.exchange import Ending, Held
from InferenceLibrary.protocol.rules.apis import is_streamed
from InferenceLibrary.protocol.rules.event_stream import EventStream
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import Answer, Place, at
from InferenceLibrary.protocol.sse import Oddity

CHOICES = (Api.CHAT, Api.COMPLETIONS)
STANDARD = "WHATWG HTML, 9.2 Server-sent events, read 2026-11"
_STREAMED = (Api.CHAT, Api.COMPLETIONS, Api.RESPONSES, Api.MESSAGES)
HTTP = "RFC 9110 and RFC 9112, read 2026-11"
REFERENCE = "OpenAI API reference, Chat completions: streaming, read 2026-11"


@rule(
    "F1",
    Level.MUST,
    "A streamed answer has the media type text/event-stream.",
    source=f"{STANDARD}: 9.2.5; recorded answers of OpenAI",
    kinds=("media type",),
    view=Answer,
    needs=(Held.HEADERS,),
)
def find_f1(view: Answer, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    asked = Held.REQUEST in exchange.held and exchange.asked_for("stream") is True and view.api in _STREAMED
    if asked and exchange.request.path.endswith("/count_tokens"):
        asked = False
    if exchange.status != 200 or exchange.is_event_stream:
        return
    if is_streamed(exchange) or asked:
        yield Found("media type", f"'{exchange.header('content-type') or 'no content type'}'")


@rule(
    "F3",
    Level.SHOULD,
    "A stream has no fields but data, event, id and retry, with values that they can have.",
    source=f"{STANDARD}: 9.2.6, where others are ignored",
    kinds=("unknown field", "retry", "id"),
    view=EventStream,
)
def find_f3(view: EventStream, known: Known) -> Iterator[Found]:
    kinds = {Oddity.UNKNOWN_FIELD: "unknown field", Oddity.BAD_RETRY: "retry", Oddity.NULL_IN_ID: "id"}
    for note in view.notes:
        if note.oddity in kinds:
            yield at(Place(None, note.offset), kinds[note.oddity], repr(cut(note.text, 80)))


@rule(
    "F5",
    Level.MUST,
    "A blank line closes the last event.",
    source=f"{STANDARD}: 9.2.6, where the rest is discarded",
    kinds=("open event",),
    view=EventStream,
)
def find_f5(view: EventStream, known: Known) -> Iterator[Found]:
    if view.exchange.ending in {Ending.LIMIT, Ending.CANCELLED}:
        return
    for note in view.notes:
        if note.oddity is Oddity.TRUNCATED:
            yield at(Place(None, note.offset), "open event", repr(cut(note.text, 80)))


@rule(
    "F7",
    Level.MUST,
    "The data of each event is one JSON object, or exactly [DONE].",
    source=f"{REFERENCE}; recorded answers of OpenAI",
    kinds=("not JSON", "not an object", "[DONE] with more"),
    view=EventStream,
)
def find_f7(view: EventStream, known: Known) -> Iterator[Found]:
    for place, text in view.not_json:
        yield at(place, "not JSON", text)
    for place, text in view.not_objects:
        yield at(place, "not an object", text)
    for place, text in view.done:
        if text != "[DONE]":
            yield at(place, "[DONE] with more", repr(text))


@rule(
    "F8",
    Level.MUST,
    "Exactly one [DONE] ends the stream, as its last event.",
    source=f"{REFERENCE}; five of five recorded streams of OpenAI",
    kinds=("missing", "twice", "not last"),
    view=EventStream,
    apis=CHOICES,
)
def find_f8(view: EventStream, known: Known) -> Iterator[Found]:
    if not view.done and view.ran_to_its_end:
        yield Found("missing", f"none after {view.count} events")
    for place, _ in view.done.kept[1:]:
        yield at(place, "twice", "another [DONE]")
    for place, text in view.after_done:
        yield at(place, "not last", text)


@rule(
    "F10",
    Level.MUST,
    "The body ends as its framing says, and nothing follows it on its connection.",
    source=f"{HTTP}: RFC 9112, 6.3, 7.1, 9.2",
    kinds=("cut", "more"),
    view=Answer,
    needs=(Held.FRAMING,),
)
def find_f10(view: Answer, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    if exchange.ending is Ending.CUT:
        yield Found("cut", f"{exchange.problem or 'an end before it'} after {len(exchange.body)} bytes of the body")
    if exchange.left_over:
        yield Found("more", f"{len(exchange.left_over)} bytes: {cut(repr(exchange.left_over), 80)}")


_EVENTS = 12
_A_TOKEN = 0.015
"""Seconds. A server that was waited for longer, for each event, had the time to make them one by one; one that is
quicker than that may send what it made in no time after a long prompt."""


@rule(
    "F11",
    Level.SHOULD,
    "The events of a stream arrive as they are made, not all at once at its end.",
    source="gap statistics of streams behind buffering proxies (dstackai/dstack 4269), read 2026-11",
    kinds=("one lump",),
    view=EventStream,
    needs=(Held.READS, Held.TIMES),
    to_the_end=True,
)
def find_f11(view: EventStream, known: Known) -> Iterator[Found]:
    """A few quick events may share a read; many that were waited for may not."""
    reads = view.exchange.reads
    if view.count < _EVENTS or not reads or reads[0][0] < _A_TOKEN * view.count:
        return
    if len(reads) == 1 or reads[-1][0] - reads[0][0] < reads[0][0] / 1000:
        yield Found("one lump", f"{view.count} events in {len(reads)} reads, all after {reads[0][0]:.3f} s")


@rule(
    "F12",
    Level.MUST,
    "A streaming request that is refused gets a status of 4xx or 5xx, before any event.",
    source="recorded answers of OpenAI; ggml-org/llama.cpp 14566; read 2026-11",
    kinds=("error in stream",),
    view=EventStream,
)
def find_f12(view: EventStream, known: Known) -> Iterator[Found]:
    for place, said in view.errors.kept[:1]:
        if place.event == 1:
            yield at(place, "error in stream", f"status {view.exchange.status} and {said!r:.80}")


@rule(
    "C22",
    Level.SHOULD,
    "After an error event a stream says nothing more, but [DONE].",
    source="openai-python, _streaming.py, where it is raised; vLLM's tests; read 2026-11",
    kinds=("goes on",),
    view=EventStream,
)
def find_c22(view: EventStream, known: Known) -> Iterator[Found]:
    for place, text in view.after_error.kept[:1]:
        more = f", one of {view.after_error.count}" if view.after_error.count > 1 else ""
        yield at(place, "goes on", text + more)
