"""The calls of a check: what is asked, nothing of what is right. Together they ask for what clients of the field use.

The first call of each route is the smallest right one: it tells whether the route is offered. What comes after it
asks for one feature more, or for what should be refused, and differs from a right call in that one thing.
"""

from __future__ import annotations

from typing import Any

from InferenceLibrary.protocol.paths import (
    CHAT,
    COMPLETIONS,
    COUNT_TOKENS,
    EMBEDDINGS,
    MESSAGES,
    MODELS,
    RERANK,
    RESPONSES,
)
from InferenceLibrary.servers.probing.call import NOWHERE, CheckCall

NO_MODEL = "rfinference-no-such-model"
SHORT = 16
"""Tokens: the least that every server takes as a limit."""
TEXT = "one two three four five six seven eight"
_ASKED = [{"role": "user", "content": f"Repeat these words and say nothing else: {TEXT}"}]
_OFFER = {"connection": "upgrade, http2-settings", "upgrade": "h2c", "http2-settings": "AAEAAEAAAAIAAAAB"}
"""What clients on the JDK's HTTP client send with each request."""
_LONG = [
    {
        "role": "user",
        "content": "Write a long story about a lighthouse, its keeper, a storm and a lost ship, "
        "and go on until you are told to stop: do not end it early, and ask nothing.",
    }
]
_WEATHER = [{"role": "user", "content": "What is the weather in Paris now? Use the tool."}]
_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Rome"]}},
    "required": ["city"],
    "additionalProperties": False,
}
_TOOL = {"name": "get_weather", "description": "Tells the weather in a city.", "parameters": _SCHEMA}
_TOOLS = [{"type": "function", "function": _TOOL}]
_JSON = {"type": "json_schema", "json_schema": {"name": "place", "schema": _SCHEMA, "strict": True}}
_CITY = [{"role": "user", "content": "In which city is the Eiffel Tower? Answer as JSON with the key city."}]


def _model_path(model: str) -> str:
    from urllib.parse import quote

    return f"{MODELS}/{quote(model, safe='/')}"


def _both(name: str, capability: str, path: str, body: dict[str, Any], **more: Any) -> tuple[CheckCall, CheckCall]:
    """The same question twice: whole, and streamed."""
    of_stream = more.pop("of_stream", {})
    whole = CheckCall(name, capability, path, body, **more)
    more.pop("ability", None)
    return whole, CheckCall(f"{name}, streamed", capability, path, {**body, "stream": True, **of_stream}, **more)


def _refused(name: str, route: str, path: str, body: dict[str, Any] | bytes, **more: Any) -> CheckCall:
    return CheckCall(name, route, path, body, needs=route, refusal=True, **more)


_USAGE = {"of_stream": {"stream_options": {"include_usage": True}}}
_CHAT = {"max_tokens": 32}

REACH = (
    CheckCall("a route that does not exist", "", NOWHERE, refusal=True),
    CheckCall("model list", "models", MODELS),
)
"""Asked of every server, before anything else."""

CALLS = (
    CheckCall("one model", "model details", _model_path, needs="models"),
    CheckCall("chat", "chat", CHAT, {"messages": _ASKED, **_CHAT, "temperature": 0}, generates=32, ability="repeats"),
    CheckCall("chat with an offer of HTTP/2", "chat", CHAT, {"messages": _ASKED, **_CHAT, "temperature": 0},
              needs="chat", generates=32, headers=_OFFER),
    CheckCall(
        "chat, streamed", "streams", CHAT,
        {"messages": _ASKED, **_CHAT, "temperature": 0, "stream": True}, needs="chat", generates=32,
    ),
    CheckCall(
        "chat with usage, streamed", "usage in streams", CHAT,
        {"messages": _ASKED, **_CHAT, "stream": True, "stream_options": {"include_usage": True}},
        needs="streams", generates=32,
    ),
    *_both("chat to the limit", "chat", CHAT, {"messages": _LONG, "max_tokens": SHORT},
           needs="chat", generates=SHORT, ability="goes on"),
    *_both("chat with a stop text", "stop texts", CHAT, {"messages": _ASKED, **_CHAT, "stop": [" five six"]},
           needs="chat", generates=32, ability="reaches the stop text"),
    *_both("two choices", "several choices", CHAT, {"messages": _ASKED, "max_tokens": SHORT, "n": 2}, needs="chat",
           generates=2 * SHORT, **_USAGE),
    *_both("chat with log probabilities", "log probabilities", CHAT,
           {"messages": _ASKED, "max_tokens": SHORT, "logprobs": True, "top_logprobs": 2},
           needs="chat", generates=SHORT),
    CheckCall("tools that may be called", "tool calls", CHAT,
              {"messages": _WEATHER, "max_tokens": 256, "tools": _TOOLS},
              needs="chat", generates=256, ability="calls a tool"),
    *_both("a tool that must be called", "tool calls", CHAT,
           {"messages": _WEATHER, "max_tokens": 256, "tools": _TOOLS, "tool_choice": "required"},
           needs="tool calls", generates=256),
    CheckCall("tools that must not be called", "tool calls", CHAT,
              {"messages": _WEATHER, "max_tokens": SHORT, "tools": _TOOLS, "tool_choice": "none"},
              needs="tool calls", generates=SHORT),
    *_both("chat in a format", "json schema", CHAT, {"messages": _CITY, "max_tokens": 64, "response_format": _JSON},
           needs="chat", generates=64, ability="knows a city"),
    _refused("a chat without messages", "chat", CHAT, {"max_tokens": SHORT}),
    _refused("a chat with no message", "chat", CHAT, {"messages": [], "max_tokens": SHORT}),
    _refused("a chat that is not JSON", "chat", CHAT, b"{"),
    _refused("a chat that is a list", "chat", CHAT, b"[]"),
    _refused("a chat as plain text", "chat", CHAT,
             b'{"model": MODEL, "max_tokens": 16, "messages": [{"role": "user", "content": "one"}]}',
             headers={"content-type": "text/plain"}),
    _refused("a chat of an unknown model", "chat", CHAT,
             {"model": NO_MODEL, "messages": _ASKED, "max_tokens": SHORT}, generates=SHORT),
    _refused("an unknown model, streamed", "streams", CHAT,
             {"model": NO_MODEL, "messages": _ASKED, "max_tokens": SHORT, "stream": True}, generates=SHORT),
    _refused("stream options without a stream", "usage in streams", CHAT,
             {"messages": _ASKED, "max_tokens": SHORT, "stream_options": {"include_usage": True}}, generates=SHORT),
    CheckCall("a good chat after refusals", "chat", CHAT, {"messages": _ASKED, **_CHAT, "temperature": 0},
              needs="chat", generates=32),
    CheckCall("completion", "completions", COMPLETIONS, {"prompt": TEXT, "max_tokens": SHORT, "temperature": 0},
              generates=SHORT),
    CheckCall("completion, streamed", "completions", COMPLETIONS,
              {"prompt": TEXT, "max_tokens": SHORT, "temperature": 0, "stream": True,
               "stream_options": {"include_usage": True}}, needs="completions", generates=SHORT),
    CheckCall("two prompts", "completions", COMPLETIONS, {"prompt": [TEXT, "Rome is"], "max_tokens": SHORT},
              needs="completions", generates=2 * SHORT),
    CheckCall("completion with its prompt", "completions", COMPLETIONS,
              {"prompt": TEXT, "max_tokens": SHORT, "echo": True, "logprobs": 2}, needs="completions", generates=SHORT),
    CheckCall("response", "responses", RESPONSES, {"input": TEXT, "max_output_tokens": 64, "temperature": 0},
              generates=64),
    CheckCall("response, streamed", "responses", RESPONSES,
              {"input": TEXT, "max_output_tokens": 64, "temperature": 0, "stream": True},
              needs="responses", generates=64),
    CheckCall("response to the limit", "responses", RESPONSES,
              {"input": _LONG[0]["content"], "max_output_tokens": SHORT, "store": False},
              needs="responses", generates=SHORT),
    CheckCall("a tool in a response, streamed", "responses", RESPONSES,
              {"input": _WEATHER[0]["content"], "max_output_tokens": 256, "stream": True,
               "tools": [{"type": "function", **_TOOL}], "tool_choice": "required"},
              needs="responses", generates=256),
    CheckCall("response in a format", "responses", RESPONSES,
              {"input": _CITY[0]["content"], "max_output_tokens": 64,
               "text": {"format": {"type": "json_schema", "name": "place", "schema": _SCHEMA, "strict": True}}},
              needs="responses", generates=64),
    _refused("a response of an unknown model", "responses", RESPONSES,
             {"model": NO_MODEL, "input": TEXT, "max_output_tokens": SHORT}, generates=SHORT),
    CheckCall("message", "messages", MESSAGES, {"messages": _ASKED, "max_tokens": 32, "temperature": 0}, generates=32),
    CheckCall("message, streamed", "messages", MESSAGES,
              {"messages": _ASKED, "max_tokens": 32, "temperature": 0, "stream": True}, needs="messages", generates=32),
    CheckCall("message with a stop text", "messages", MESSAGES,
              {"messages": _ASKED, "max_tokens": 32, "stop_sequences": [" five six"]}, needs="messages", generates=32),
    *_both("a tool in a message", "messages", MESSAGES,
           {"messages": _WEATHER, "max_tokens": 256, "tool_choice": {"type": "any"},
            "tools": [{"name": "get_weather", "description": _TOOL["description"], "input_schema": _SCHEMA}]},
           needs="messages", generates=256),
    _refused("a message of an unknown model", "messages", MESSAGES,
             {"model": NO_MODEL, "messages": _ASKED, "max_tokens": SHORT}, generates=SHORT),
    CheckCall("tokens of a message", "count tokens", COUNT_TOKENS, {"messages": _ASKED}, needs="messages"),
    CheckCall("embeddings", "embeddings", EMBEDDINGS, {"input": ["one", "two three"]}),
    CheckCall("embedding of one text", "embeddings", EMBEDDINGS, {"input": "one"}, needs="embeddings"),
    CheckCall("embeddings in base64", "base64 embeddings", EMBEDDINGS,
              {"input": ["one", "two three"], "encoding_format": "base64"}, needs="embeddings"),
    _refused("embeddings of nothing", "embeddings", EMBEDDINGS, {"input": ""}),
    CheckCall("ranking", "rerank", RERANK, {"query": "one", "documents": ["two three", "one two", "one"]}),
    CheckCall("ranking of the best", "rerank", RERANK,
              {"query": "one", "documents": ["two three", "one two", "one"], "top_n": 2}, needs="rerank"),
    CheckCall("tokens", "tokenize", "/tokenize", {"prompt": TEXT}),
)  # fmt: skip
"""In the order in which they are asked."""

KEYLESS = CheckCall("model list without the key", "keys", MODELS, needs="models", refusal=True)
"""Asked where a key was given, without it."""

SUBJECTS = tuple(dict.fromkeys(call.capability for call in (*REACH, *CALLS) if call.capability))
"""The capabilities that a check finds out, in order."""


def calls_for(*, key: bool) -> tuple[CheckCall, ...]:
    """Return all calls that a check may make."""
    return (*REACH, *((KEYLESS,) if key else ()), *CALLS)
