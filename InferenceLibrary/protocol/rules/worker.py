"""Rules of a worker's jobs: the events of `POST /execute`, and its refusals."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.event_stream import EventStream
from InferenceLibrary.protocol.rules.forms import inside, is_count, is_filled, is_text, listed, wrong_keys
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.shape import AMOUNT, BOOLEAN, COUNT, FILLED, OBJECT, TEXT, ObjectOf
from InferenceLibrary.protocol.rules.typed_stream import Step, WorkerReader
from InferenceLibrary.protocol.rules.views import JsonAnswer, View, at
from InferenceLibrary.protocol.strict_json import show

_EVENTS = "worker-orcd of llama-orch (history to 2025-10), worker-http: sse.rs, execute.rs, read 2026-11"
_REASONS = ("max_tokens", "stop_sequence", "eos", "cancelled", "error")
_KEYS = {
    "started": ObjectOf(job_id=FILLED, model=FILLED, started_at=FILLED),
    "token": ObjectOf(t=TEXT, i=COUNT),
    "end": ObjectOf(tokens_out=COUNT, decode_time_ms=AMOUNT),
}


class WorkerStream(View):
    """The events of a job."""

    def __init__(self, events: EventStream, reader: WorkerReader) -> None:
        super().__init__(events.exchange, events.api)
        self.events = events
        self.reader = reader
        self.steps = reader.steps
        self.end: Step | None = next((step for step in self.steps if step.kind == "end"), None)

    @property
    def ran_to_its_end(self) -> bool:
        return self.events.ran_to_its_end


@builds(Api.WORKER, stream=True)
def views(exchange: Exchange, api: Api) -> list[View]:
    """The views of a job's stream."""
    reader = WorkerReader()
    events = EventStream(exchange, api, reader)
    reader.close()
    return [events, WorkerStream(events, reader)]


@rule(
    "W1",
    Level.MUST,
    "A job sends `started`, then tokens and metrics, and last exactly one of `end` and `error`.",
    source=_EVENTS,
    kinds=("start", "start twice", "end", "end twice", "after the end"),
    view=WorkerStream,
    apis=(Api.WORKER,),
)
def order(view: WorkerStream, known: Known) -> Iterator[Found]:
    steps = view.steps
    if steps and steps[0].kind != "started":
        yield at(steps[0].place, "start", f"{show(steps[0].kind)} first")
    ended = False
    for number, step in enumerate(steps):
        if step.kind == "started" and number:
            yield at(step.place, "start twice", "`started` in the middle")
        elif step.kind == "end" and ended:
            yield at(step.place, "end twice", "`end` again")
        elif ended:
            yield at(step.place, "after the end", f"{show(step.kind)} after `end`")
        ended = ended or step.kind == "end"
    errors = view.events.errors
    if ended and errors:
        yield at(errors.kept[0][0], "end twice", "`error` beside `end`")
    for place, _ in errors.kept[1:]:
        yield at(place, "end twice", "`error` again")
    for place, text in view.events.after_error:
        yield at(place, "after the end", f"{show(text)} after `error`")
    # A worker of the next generation says [DONE] in place of `end`.
    if not ended and view.ran_to_its_end and not view.events.done:
        last = steps[-1].kind if steps else "nothing"
        yield Found("end", f"{show(last)} as the last event")


@rule(
    "W2",
    Level.MUST,
    "Each event has a type, and its `event:` line, where there is one, says the same.",
    source=_EVENTS,
    kinds=("no type", "other name"),
    view=WorkerStream,
    apis=(Api.WORKER,),
)
def types(view: WorkerStream, known: Known) -> Iterator[Found]:
    for place, got in view.reader.untyped:
        yield at(place, "no type", got)
    for place, got in view.reader.misnamed:
        yield at(place, "other name", got)


@rule(
    "W3",
    Level.MUST,
    "The events have the keys of their types: a token t and i, the end tokens_out, decode_time_ms and stop_reason.",
    source=_EVENTS,
    kinds=("missing", "wrong", "stop_reason", "error"),
    view=WorkerStream,
    apis=(Api.WORKER,),
)
def keys(view: WorkerStream, known: Known) -> Iterator[Found]:
    for step in view.steps:
        for kind, got in wrong_keys(step.data, _KEYS.get(step.kind, OBJECT)):
            yield at(step.place, kind, f"{got} in {step.kind}")
        if step.kind == "end":
            reason = step.data.get("stop_reason")
            if not is_filled(reason) or reason.lower() not in _REASONS:
                yield at(step.place, "stop_reason", f"stop_reason {show(reason)}")
    for place, said in view.events.errors:
        if not is_filled(inside(said, "code")) or not is_text(inside(said, "message")):
            yield at(place, "error", show(said))


@rule(
    "W4",
    Level.MUST,
    "The tokens of a job are numbered from 0 by one, and `end` counts them.",
    source=_EVENTS,
    kinds=("index", "count"),
    view=WorkerStream,
    apis=(Api.WORKER,),
)
def tokens(view: WorkerStream, known: Known) -> Iterator[Found]:
    expected = 0
    for step in view.steps:
        if step.kind != "token":
            continue
        index = step.data.get("i")
        if index != expected or isinstance(index, bool):
            yield at(step.place, "index", f"i {show(index)}, {expected} expected")
        expected = index + step.count if is_count(index) else expected + step.count
    if view.end is not None:
        told = view.end.data.get("tokens_out")
        if is_count(told) and told != view.reader.tokens:
            yield at(view.end.place, "count", f"tokens_out {told} of {view.reader.tokens} tokens")


@rule(
    "W5",
    Level.MUST,
    "A job keeps to what was asked: its id, max_tokens, its stop sequences.",
    source=_EVENTS,
    kinds=("job_id", "max_tokens", "stop"),
    view=WorkerStream,
    apis=(Api.WORKER,),
    needs=(Held.REQUEST,),
)
def asked(view: WorkerStream, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    job = exchange.asked_for("job_id")
    for step in view.steps:
        if step.kind == "started" and is_filled(job) and step.data.get("job_id") != job:
            yield at(step.place, "job_id", f"job_id {show(step.data.get('job_id'))} for {show(job)}")
    limit = exchange.asked_for("max_tokens")
    if is_count(limit) and 0 < limit < view.reader.tokens:
        yield Found("max_tokens", f"{view.reader.tokens} tokens under a limit of {limit}")
    text = "".join(step.text or "" for step in view.steps if step.kind == "token")
    for stop in listed(exchange.asked_for("stop")):
        if is_filled(stop) and stop in text:
            yield Found("stop", f"the stop sequence {show(stop)} in the text")


@rule(
    "W6",
    Level.MUST,
    "A refusal in JSON has code, message and retriable, or the list errors, of field, constraint and message.",
    source="worker-orcd of llama-orch (history to 2025-10): validation.rs, error.rs, read 2026-11",
    kinds=("errors", "keys"),
    view=JsonAnswer,
    apis=(Api.WORKER,),
)
def refusal(view: JsonAnswer, known: Known) -> Iterator[Found]:
    if (view.exchange.status or 0) < 400 or not view.says_json:
        return
    if "errors" in (view.value if isinstance(view.value, dict) else {}):
        problems = view.value["errors"]
        form = ObjectOf(field=FILLED, constraint=FILLED, message=FILLED)
        items = [item if isinstance(item, dict) else {} for item in listed(problems)]
        wrong = [got for item in items for _, got in wrong_keys(item, form)]
        if wrong or not items:
            yield Found("errors", ", ".join(wrong[:3]) or show(problems))
        return
    body = view.value if isinstance(view.value, dict) else {}
    wrong = [got for _, got in wrong_keys(body, ObjectOf(code=FILLED, message=FILLED, retriable=BOOLEAN))]
    if wrong:
        yield Found("keys", ", ".join(wrong))
