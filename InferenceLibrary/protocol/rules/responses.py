"""Rules of the Responses API for the response object, whole or as the last event of a stream tells it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from InferenceLibrary.protocol.exchange import Held
from InferenceLibrary.protocol.rules.forms import (
    Fits,
    decoded,
    inside,
    is_boolean,
    is_count,
    is_filled,
    is_list,
    is_number,
    is_object,
    is_text,
    listed,
    one_of,
    or_null,
    wrong_keys,
)
from InferenceLibrary.protocol.rules.responses_views import ResponseObject
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, Reference, rule
from InferenceLibrary.protocol.rules.typed_tools import TOOL_KINDS, MadeCall, Wanted, format_problem, tool_problems
from InferenceLibrary.protocol.strict_json import show

_SPEC = "OpenAI's API description (openai-openapi f85dbe2), schema Response, read 2026-11"

_STATUS = one_of("completed", "failed", "in_progress", "cancelled", "queued", "incomplete")
_CORE: dict[str, Fits] = {
    "id": is_filled,
    "object": one_of("response"),
    "created_at": is_number,
    "status": _STATUS,
    "model": is_filled,
    "output": is_list,
}
_FURTHER: dict[str, Fits] = {
    "error": or_null(is_object),
    "incomplete_details": or_null(is_object),
    "instructions": or_null(lambda value: isinstance(value, str | list)),
    "metadata": or_null(is_object),
    "parallel_tool_calls": is_boolean,
    "temperature": or_null(is_number),
    "tool_choice": lambda value: isinstance(value, str | dict),
    "tools": is_list,
    "top_p": or_null(is_number),
}
_OPEN_RESPONSES: dict[str, Fits] = {
    "background": or_null(is_boolean),
    "completed_at": or_null(is_number),
    "frequency_penalty": or_null(is_number),
    "max_output_tokens": or_null(is_count),
    "max_tool_calls": or_null(is_count),
    "presence_penalty": or_null(is_number),
    "previous_response_id": or_null(is_text),
    "prompt_cache_key": or_null(is_text),
    "reasoning": or_null(is_object),
    "safety_identifier": or_null(is_text),
    "service_tier": or_null(is_text),
    "store": or_null(is_boolean),
    "text": or_null(is_object),
    "top_logprobs": or_null(is_count),
    "truncation": or_null(is_text),
    "usage": or_null(is_object),
}
"""What Open Responses requires beside OpenAI's keys."""
_ITEMS: dict[str, dict[str, Fits]] = {
    "message": {"id": is_filled, "role": one_of("assistant"), "status": is_filled, "content": is_list},
    "function_call": {"call_id": is_filled, "name": is_filled, "arguments": is_text},
    "custom_tool_call": {"call_id": is_filled, "name": is_filled, "input": is_text},
    "reasoning": {"id": is_filled, "summary": is_list},
}
_PARTS: dict[str, dict[str, Fits]] = {
    "output_text": {"text": is_text},
    "refusal": {"refusal": is_text},
    "reasoning_text": {"text": is_text},
    "summary_text": {"text": is_text},
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
    for key, got in wrong_keys(view.data, _CORE):
        yield view.found("wrong" if key in view.data else "missing", got)


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
    form = {**_FURTHER, **_OPEN_RESPONSES} if known.reference is Reference.OPEN_RESPONSES else _FURTHER
    for key, got in wrong_keys(view.data, form):
        yield view.found("wrong" if key in view.data else "missing", got)
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
        for _, got in wrong_keys(item, _ITEMS.get(kind, {})):
            yield view.found("key", f"{got} in the {show(kind)} item {place}")
        for key in ("content", "summary") if kind in _ITEMS else ():
            for at, part in enumerate(listed(item.get(key))):
                form = _PARTS.get(part["type"], {}) if is_filled(inside(part, "type")) else {"type": is_filled}
                wrong = (
                    "no object" if not isinstance(part, dict) else ", ".join(got for _, got in wrong_keys(part, form))
                )
                if wrong:
                    yield view.found("part", f"{wrong} in part {at} of item {place}")


def parts_of(output: list[Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the parts of the messages of an output, with the place of their item."""
    for place, item in enumerate(output):
        for part in listed(inside(item, "content")):
            if isinstance(part, dict):
                yield place, part


@rule(
    "RS2",
    Level.MUST,
    "Usage has input_tokens, output_tokens and total_tokens, which add up, and no detail exceeds its whole.",
    source="OpenAI's API description (openai-openapi f85dbe2), schema ResponseUsage, read 2026-11",
    kinds=("missing", "chat", "count", "sum", "detail"),
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
    form = {"input_tokens": is_count, "output_tokens": is_count, "total_tokens": is_count}
    wrong = [got for _, got in wrong_keys(given, form)]
    if wrong:
        yield view.found("count", ", ".join(wrong))
        return
    read, written, total = given["input_tokens"], given["output_tokens"], given["total_tokens"]
    if read + written != total:
        yield view.found("sum", f"{read} + {written} = {total}")
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
