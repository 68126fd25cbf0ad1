"""Rules of the Responses API for the response object, whole or as the last event of a stream tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.asked import has_text
from InferenceLibrary.protocol.rules.forms import (
    decoded,
    inside,
    is_count,
    is_filled,
    is_text,
    listed,
    wrong_keys,
)
from InferenceLibrary.protocol.rules.responses_views import ResponseObject
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, Reference, rule
from InferenceLibrary.protocol.rules.shape import (
    BOOLEAN,
    COUNT,
    FILLED,
    LIST,
    NUMBER,
    OBJECT,
    TEXT,
    Either,
    ObjectOf,
    OneOf,
    nullable,
)
from InferenceLibrary.protocol.rules.typed_tools import TOOL_KINDS, MadeCall, Wanted, format_problem, tool_problems
from InferenceLibrary.protocol.strict_json import show

_SPEC = "OpenAI's API description (openai-openapi f85dbe2), schema Response, read 2026-11"

_STATUS = OneOf("completed", "failed", "in_progress", "cancelled", "queued", "incomplete")
_CORE = ObjectOf(
    id=FILLED,
    object=OneOf("response"),
    created_at=NUMBER,
    status=_STATUS,
    model=FILLED,
    output=LIST,
)
_FURTHER = ObjectOf(
    error=nullable(OBJECT, required=True),
    incomplete_details=nullable(OBJECT, required=True),
    instructions=nullable(Either(TEXT, LIST), required=True),
    metadata=nullable(OBJECT, required=True),
    parallel_tool_calls=BOOLEAN,
    temperature=nullable(NUMBER, required=True),
    tool_choice=Either(TEXT, OBJECT),
    tools=LIST,
    top_p=nullable(NUMBER, required=True),
)
_OPEN_RESPONSES = ObjectOf(
    background=nullable(BOOLEAN, required=True),
    completed_at=nullable(NUMBER, required=True),
    frequency_penalty=nullable(NUMBER, required=True),
    max_output_tokens=nullable(COUNT, required=True),
    max_tool_calls=nullable(COUNT, required=True),
    presence_penalty=nullable(NUMBER, required=True),
    previous_response_id=nullable(TEXT, required=True),
    prompt_cache_key=nullable(TEXT, required=True),
    reasoning=nullable(OBJECT, required=True),
    safety_identifier=nullable(TEXT, required=True),
    service_tier=nullable(TEXT, required=True),
    store=nullable(BOOLEAN, required=True),
    text=nullable(OBJECT, required=True),
    top_logprobs=nullable(COUNT, required=True),
    truncation=nullable(TEXT, required=True),
    usage=nullable(OBJECT, required=True),
)
"""What Open Responses requires beside OpenAI's keys."""
_ITEMS = {
    "message": ObjectOf(id=FILLED, role=OneOf("assistant"), status=FILLED, content=LIST),
    "function_call": ObjectOf(call_id=FILLED, name=FILLED, arguments=TEXT),
    "custom_tool_call": ObjectOf(call_id=FILLED, name=FILLED, input=TEXT),
    "reasoning": ObjectOf(id=FILLED, summary=LIST),
}
_PARTS = {
    "output_text": ObjectOf(text=TEXT),
    "refusal": ObjectOf(refusal=TEXT),
    "reasoning_text": ObjectOf(text=TEXT),
    "summary_text": ObjectOf(text=TEXT),
}
_CHAT_NAMES = ("prompt_tokens", "completion_tokens")


@rule(
    "RS1",
    Level.MUST,
    "A response has id, object `response`, created_at, status, model and the list output.",
    source=_SPEC,
    kinds=("missing", "wrong"),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def core_keys(view: ResponseObject, known: Known) -> Iterator[Found]:
    if not isinstance(view.data, dict):
        yield view.found("missing", f"{show(view.data)} in place of a response")
        return
    for kind, got in wrong_keys(view.data, _CORE):
        yield view.found(kind, got)


@rule(
    "RS13",
    Level.SHOULD,
    "A response has all keys that the reference requires, null where nothing is to be said.",
    source=f"{_SPEC}; Open Responses (2026-04-24), ResponseResource, read 2026-11",
    kinds=("missing", "wrong", "annotations"),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def further_keys(view: ResponseObject, known: Known) -> Iterator[Found]:
    if not isinstance(view.data, dict):
        return
    forms = (_FURTHER, _OPEN_RESPONSES) if known.reference is Reference.OPEN_RESPONSES else (_FURTHER,)
    for form in forms:
        for kind, got in wrong_keys(view.data, form):
            yield view.found(kind, got)
    for _, part in parts_of(view.items):
        if part.get("type") == "output_text" and not isinstance(part.get("annotations"), list):
            got = show(part["annotations"]) if "annotations" in part else "none"
            yield view.found("annotations", f"annotations of a text: {got}")
            return


@rule(
    "RS14",
    Level.MUST,
    "Each item of the output is an object with a type, and has the keys of that type.",
    source="OpenAI's API description (openai-openapi f85dbe2), schema OutputItem, read 2026-11",
    kinds=("item", "key", "part"),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def items(view: ResponseObject, known: Known) -> Iterator[Found]:
    for place, item in enumerate(view.items):
        kind = inside(item, "type")
        if not is_filled(kind):
            yield view.found("item", f"{show(item)} as item {place}")
            continue
        for _, got in wrong_keys(item, _ITEMS.get(kind, OBJECT)):
            yield view.found("key", f"{got} in the {show(kind)} item {place}")
        for key in ("content", "summary") if kind in _ITEMS else ():
            for at, part in enumerate(listed(item.get(key))):
                for got in _wrong_part(part):
                    yield view.found("part", f"{got} in part {at} of item {place}")


def _wrong_part(part: Any) -> Iterator[str]:
    kind = inside(part, "type")
    if not is_filled(kind):
        yield show(part)
        return
    for _, got in wrong_keys(part, _PARTS.get(kind, OBJECT)):
        yield got


def parts_of(output: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the parts of the messages of an output, with the place of their item."""
    for place, item in enumerate(output):
        for part in listed(inside(item, "content")):
            if isinstance(part, dict):
                yield place, part


@rule(
    "RS2",
    Level.MUST,
    "Usage has input_tokens, output_tokens and total_tokens, which add up, with no detail above its whole.",
    source="OpenAI's API description (openai-openapi f85dbe2), schema ResponseUsage, read 2026-11",
    kinds=("missing", "chat", "count", "sum", "detail", "zero"),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def usage(view: ResponseObject, known: Known) -> Iterator[Found]:
    given = inside(view.data, "usage")
    if not isinstance(given, dict):
        if view.is_over or given is not None:
            yield view.found("missing", f"usage {show(given)} of a response that is over")
        return
    if any(name in given for name in _CHAT_NAMES):
        yield view.found("chat", f"the names of chat completions: {show(given)}")
        return
    form = ObjectOf(input_tokens=COUNT, output_tokens=COUNT, total_tokens=COUNT)
    wrong = [got for _, got in wrong_keys(given, form)]
    if wrong:
        yield view.found("count", ", ".join(wrong))
        return
    read, written, total = given["input_tokens"], given["output_tokens"], given["total_tokens"]
    if read + written != total:
        yield view.found("sum", f"{read} + {written} = {total}")
    if written == 0 and view.text:
        yield view.found("zero", f"no output_tokens for {show(view.text)}")
    if read == 0 and Held.REQUEST in view.exchange.held and has_text(view.exchange.asked_for("input")):
        yield view.found("zero", "no input_tokens for an input that is not empty")
    for whole, key, names in (
        ("input_tokens", "input_tokens_details", ("cached_tokens",)),
        ("output_tokens", "output_tokens_details", ("reasoning_tokens",)),
    ):
        details = given.get(key)
        if details is not None and not isinstance(details, dict):
            yield view.found("detail", f"{key} {show(details)}")
        for name in names:
            part = inside(details, name)
            if part is not None and not (is_count(part) and part <= given[whole]):
                yield view.found("detail", f"{name} {show(part)} of {given[whole]} {whole}")


@rule(
    "RS11",
    Level.MUST,
    "A response that the limit of tokens ended is incomplete, for the reason max_output_tokens.",
    source="OpenAI's API description (openai-openapi f85dbe2), incomplete_details; vLLM's tests, read 2026-11",
    kinds=("over the limit", "completed", "no reason"),
    needs=(Held.REQUEST,),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def limit(view: ResponseObject, known: Known) -> Iterator[Found]:
    status, details = inside(view.data, "status"), inside(view.data, "incomplete_details")
    reason = inside(details, "reason")
    if status == "incomplete" and not is_filled(reason):
        yield view.found("no reason", f"status incomplete with incomplete_details {show(details)}")
    if status == "completed" and details is not None:
        yield view.found("completed", f"status completed with incomplete_details {show(details)}")
    asked = view.exchange.asked_for("max_output_tokens")
    written = inside(inside(view.data, "usage"), "output_tokens")
    if not is_count(asked) or asked == 0:
        return
    if is_count(written) and written > asked:
        yield view.found("over the limit", f"{written} tokens under a limit of {asked}")
    elif status == "completed" and written == asked == view.shown:
        yield view.found("completed", f"status completed after {written} tokens under a limit of {asked}")


@rule(
    "RS19",
    Level.SHOULD,
    "A response in the background is refused when it is not to be stored.",
    source="OpenAI's guide on background mode, Limits, read 2026-11",
    kinds=("taken",),
    needs=(Held.REQUEST,),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def background(view: ResponseObject, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    if exchange.asked_for("background") is True and exchange.asked_for("store") is False:
        yield view.found("taken", f"status {exchange.status} for background with store false")


@rule(
    "RS18",
    Level.MUST,
    "The arguments of a function call are the text of a JSON object.",
    source="OpenAI's API description (openai-openapi f85dbe2), schema FunctionToolCall, read 2026-11",
    kinds=("arguments",),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def arguments(view: ResponseObject, known: Known) -> Iterator[Found]:
    for place, item in enumerate(view.items):
        if inside(item, "type") == "function_call" and inside(item, "status") != "incomplete":
            text = item.get("arguments")
            if isinstance(text, str) and not isinstance(decoded(text), dict) and view.is_over:
                yield view.found("arguments", f"{show(text)} in item {place}")


@rule(
    "RS16",
    Level.MUST,
    "Calls are of tools that were offered, with arguments of their schema, as tool_choice asks.",
    source="OpenAI's API description (openai-openapi f85dbe2), tools and tool_choice, read 2026-11",
    kinds=TOOL_KINDS,
    needs=(Held.REQUEST,),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def tools(view: ResponseObject, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    calls = [
        MadeCall(place, item.get("name"), decoded(item["arguments"]) if is_text(item.get("arguments")) else None)
        for place, item in enumerate(view.items)
        if inside(item, "type") == "function_call"
    ]
    schemas = {
        tool["name"]: tool.get("parameters")
        for tool in listed(exchange.asked_for("tools"))
        if inside(tool, "type") == "function" and is_filled(tool.get("name"))
    }
    choice = exchange.asked_for("tool_choice")
    wanted = Wanted.from_responses(choice)
    if exchange.asked_for("parallel_tool_calls") is False:
        wanted = wanted._replace(single=True)
    for kind, got in tool_problems(calls, schemas, wanted, complete=inside(view.data, "status") == "completed"):
        yield view.found(kind, got)


@rule(
    "RS17",
    Level.MUST,
    "A completed text is of the format that text.format asks for.",
    source="OpenAI's guide on structured outputs, read 2026-11",
    kinds=("no JSON", "schema"),
    needs=(Held.REQUEST,),
    view=ResponseObject,
    apis=(Api.RESPONSES,),
)
def text_format(view: ResponseObject, known: Known) -> Iterator[Found]:
    wanted = inside(view.exchange.asked_for("text"), "format")
    kind = inside(wanted, "type")
    if kind not in ("json_object", "json_schema") or inside(view.data, "status") != "completed":
        return
    for place, item in enumerate(view.items):
        parts = [part for part in listed(inside(item, "content")) if inside(part, "type") == "output_text"]
        text = "".join(part["text"] for part in parts if is_text(part.get("text")))
        if inside(item, "type") != "message" or not parts:
            continue
        problem = format_problem(text, wanted.get("schema") if kind == "json_schema" else None)
        if problem is not None:
            yield view.found(problem[0], f"{problem[1]} in item {place}")
