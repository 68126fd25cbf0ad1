"""Rules of bodies, whatever the API: UTF-8, JSON by the letter, content type, status and body that agree."""

from __future__ import annotations

from collections.abc import Iterator

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import Answer, Body, JsonAnswer, at
from InferenceLibrary.protocol.strict_json import Fault, show

LETTER = "RFC 8259, read 2026-11"
_BY_LETTER = (Fault.NAN, Fault.RANGE, Fault.MARK)
JSON_APIS = tuple(api for api in Api if api not in {Api.OTHER, Api.WORKER, Api.ORCHESTRATION})


@rule(
    "F2",
    Level.MUST,
    "A text is UTF-8, and no character is cut in two.",
    source="WHATWG HTML, 9.2.5; RFC 8259, 8.1 and 8.2; read 2026-11",
    kinds=("not UTF-8", Fault.SURROGATE),
    view=Body,
)
def find_f2(view: Body, known: Known) -> Iterator[Found]:
    if isinstance(view, JsonAnswer) and not (view.says_json or view.exchange.media_type.startswith("text/")):
        return
    for place, text in view.bad_utf8:
        yield at(place, "not UTF-8", text)
    for place, problem in view.json_problems:
        if problem.fault is Fault.SURROGATE:
            yield at(place, Fault.SURROGATE, problem.got)


@rule(
    "J1",
    Level.MUST,
    "JSON is JSON by the letter: no NaN, no Infinity, no byte order mark, no number beyond reading.",
    source=f"{LETTER}: 6 and 8.1",
    kinds=_BY_LETTER,
    view=Body,
)
def find_j1(view: Body, known: Known) -> Iterator[Found]:
    for place, problem in view.json_problems:
        if problem.fault in _BY_LETTER:
            yield at(place, problem.fault, problem.got)


@rule(
    "J2",
    Level.MUST,
    "No JSON object names a key twice.",
    source=f"{LETTER}: 4; strict readers refuse it",
    kinds=(Fault.TWICE,),
    view=Body,
)
def find_j2(view: Body, known: Known) -> Iterator[Found]:
    for place, problem in view.json_problems:
        if problem.fault is Fault.TWICE:
            yield at(place, Fault.TWICE, problem.got)


@rule(
    "J3",
    Level.MUST,
    "A body that says it is JSON can be read as JSON.",
    source=f"{LETTER}: 2; RFC 9110, 8.3",
    kinds=(Fault.NOT_JSON, Fault.DEPTH),
    view=JsonAnswer,
    needs=(Held.HEADERS,),
)
def find_j3(view: JsonAnswer, known: Known) -> Iterator[Found]:
    # An empty body has rules of its own, by API.
    if view.says_json and view.has_body and view.exchange.body:
        for problem in view.read.problems:
            if problem.fault in {Fault.NOT_JSON, Fault.DEPTH}:
                yield Found(problem.fault, problem.got)


@rule(
    "N9",
    Level.MUST,
    "A whole answer has the media type application/json.",
    source="38 of 38 recorded answers of OpenAI; RFC 9110, 8.3; read 2026-11",
    kinds=("media type",),
    view=JsonAnswer,
    apis=JSON_APIS,
    needs=(Held.HEADERS,),
)
def find_n9(view: JsonAnswer, known: Known) -> Iterator[Found]:
    if 200 <= (view.exchange.status or 0) < 300 and view.has_body and not view.says_json:
        yield Found("media type", f"'{view.exchange.header('content-type') or 'no content type'}'")


@rule(
    "H1",
    Level.MUST,
    "Status and body agree: a success is not an error object, and an error holds no answer.",
    source="OpenAI API reference, Error codes; RFC 9110, 15; read 2026-11",
    kinds=("error in a success", "answer in an error", "body where none may be"),
    view=Answer,
)
def find_h1(view: Answer, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    status = exchange.status or 0
    if status in {204, 304} and exchange.body:
        yield Found("body where none may be", f"status {status} and {len(exchange.body)} bytes")
    data = exchange.json
    if not isinstance(data, dict):
        return
    if 200 <= status < 300 and data.get("error") and (view.api is not Api.RESPONSES or "output" not in data):
        yield Found("error in a success", f"status {status} and {show(data['error'])}")
    if status >= 400 and isinstance(data.get("choices"), list) and data["choices"] and not data.get("error"):
        yield Found("answer in an error", f"status {status} and {len(data['choices'])} choices")
