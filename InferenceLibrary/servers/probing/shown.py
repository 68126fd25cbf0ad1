"""What an answer shows of a capability beyond that it came: a field that is answered with 200 may still be ignored.

Each function takes the answers to the calls of a probe, in order, and returns an empty text where the capability is
shown, else what was seen instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.protocol.exchange import Exchange, decode_json

Shows = Callable[[Sequence[Exchange]], str]


def _reply(exchanges: Sequence[Exchange]) -> Reply:
    return Reply(exchanges[-1])


def _first(value: Any, *keys: str | int) -> Any:
    """What stands at the end of the keys; None where the way ends before."""
    for key in keys:
        if isinstance(key, int):
            value = value[key] if isinstance(value, list) and len(value) > key else None
        else:
            value = value.get(key) if isinstance(value, dict) else None
    return value


def _event_stream(exchanges: Sequence[Exchange]) -> str:
    found = exchanges[-1]
    return "" if found.is_event_stream else f"the answer is {found.media_type or 'without a media type'}"


def _usage_in_stream(exchanges: Sequence[Exchange]) -> str:
    return "" if '"prompt_tokens"' in exchanges[-1].text.replace(" ", "") else "the stream has no usage"


def _a_tool_call(exchanges: Sequence[Exchange]) -> str:
    return "" if _reply(exchanges).tool_calls else f"no tool is called: {shorten(_reply(exchanges).text, 60)!r}"


def _the_named_tool(exchanges: Sequence[Exchange]) -> str:
    names = [call.name or "" for call in _reply(exchanges).tool_calls]
    return "" if names == ["get_time"] else f"get_time was named, and called was {', '.join(names) or 'nothing'}"


def _two_choices(exchanges: Sequence[Exchange]) -> str:
    choices = _first(exchanges[-1].json, "choices")
    count = len(choices) if isinstance(choices, list) else 0
    return "" if count == 2 else f"two choices were asked for, {count} came"


def _logprobs(exchanges: Sequence[Exchange]) -> str:
    entries = _first(exchanges[-1].json, "choices", 0, "logprobs", "content")
    numbers = isinstance(_first(entries, 0, "logprob"), int | float)
    return "" if numbers else "the choice has no log probabilities of its tokens"


def _no_stop_text(exchanges: Sequence[Exchange]) -> str:
    return "the stop text stands in the answer" if "five six" in _reply(exchanges).text else ""


def _a_city(exchanges: Sequence[Exchange]) -> str:
    text = _reply(exchanges).text
    fits = _first(decode_json(text), "city") in ("Paris", "Rome")
    return "" if fits else f"the answer does not fit its schema: {shorten(text, 60)!r}"


def _an_object(exchanges: Sequence[Exchange]) -> str:
    text = _reply(exchanges).text
    return "" if isinstance(decode_json(text), dict) else f"the answer is not a JSON object: {shorten(text, 60)!r}"


def _base64(exchanges: Sequence[Exchange]) -> str:
    vector = _first(exchanges[-1].json, "data", 0, "embedding")
    return "" if isinstance(vector, str) else f"the vector is a {type(vector).__name__}, not a text"


def _sixteen(exchanges: Sequence[Exchange]) -> str:
    vector = _first(exchanges[-1].json, "data", 0, "embedding")
    count = len(vector) if isinstance(vector, list) else 0
    return "" if count == 16 else f"16 numbers were asked for, {count} came"


def _documents(exchanges: Sequence[Exchange]) -> str:
    document = _first(exchanges[-1].json, "results", 0, "document")
    text = document if isinstance(document, str) else _first(document, "text")
    return "" if isinstance(text, str) else "the ranking has no documents"


def _thoughts(exchanges: Sequence[Exchange]) -> str:
    message = _first(exchanges[-1].json, "choices", 0, "message")
    fields = message if isinstance(message, dict) else {}
    there = any(fields.get(name) is not None for name in ("reasoning_content", "reasoning"))
    return "" if there else "the message has no field for it"


def _the_same(exchanges: Sequence[Exchange]) -> str:
    one, *others = (Reply(exchange).text for exchange in exchanges)
    other = next((text for text in others if text != one), None)
    return "" if other is None else f"{shorten(one, 40)!r} and {shorten(other, 40)!r} were answered"


def _goes_on(exchanges: Sequence[Exchange]) -> str:
    reason = _reply(exchanges).finish_reason
    return "" if reason == "length" else f"the answer ended with {reason}"


def _paris(exchanges: Sequence[Exchange]) -> str:
    text = _reply(exchanges).text
    return "" if "paris" in text.lower() else f"the capital of France is not known: {shorten(text, 60)!r}"


SHOWN: dict[str, Shows] = {
    "streams": _event_stream,
    "usage in streams": _usage_in_stream,
    "tool calls": _a_tool_call,
    "named tools": _the_named_tool,
    "several choices": _two_choices,
    "log probabilities": _logprobs,
    "stop texts": _no_stop_text,
    "json schema": _a_city,
    "json object": _an_object,
    "base64 embeddings": _base64,
    "dimensions": _sixteen,
    "documents in rankings": _documents,
    "reasoning": _thoughts,
    "known answers": _paris,
    "repeatable answers": _the_same,
    "seed": _the_same,
    "ignore_eos": _goes_on,
}
"""Capability to what shows it, where a right answer alone does not."""
