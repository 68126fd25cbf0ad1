"""Good answers of the APIs, and exchanges made of them, for the tests of the rules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from InferenceLibrary.protocol.exchange import EVERYTHING, Ending, Exchange, Held, Request
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Judgement

DONE = "[DONE]"
JSON = (("content-type", "application/json"),)
EVENTS = (("content-type", "text/event-stream"),)


def exchange(
    path: str,
    asked: Any,
    body: bytes,
    *,
    status: int = 200,
    headers: tuple[tuple[str, str], ...] = JSON,
    ending: Ending = Ending.WHOLE,
    left_over: bytes = b"",
    reads: tuple[tuple[float, int], ...] = (),
    held: frozenset[Held] = EVERYTHING,
    method: str = "POST",
) -> Exchange:
    request = Request(method, f"http://127.0.0.1:8000{path}", body=json.dumps(asked).encode())
    return Exchange(request, status, headers, body, reads=reads, ending=ending, left_over=left_over, held=held)


def answer(path: str, asked: Any, data: Any, **more: Any) -> Exchange:
    """A whole answer; data that is bytes is sent as it is."""
    return exchange(path, asked, data if isinstance(data, bytes) else json.dumps(data).encode(), **more)


def stream(path: str, asked: Any, events: Sequence[Any], **more: Any) -> Exchange:
    """A streamed answer; an event that is text is sent as it is, one that is bytes without `data:` and end."""
    parts = []
    for event in events:
        if isinstance(event, bytes):
            parts.append(event)
        else:
            data = event if isinstance(event, str) else json.dumps(event)
            parts.append(f"data: {data}\n\n".encode())
    more.setdefault("headers", EVENTS)
    return exchange(path, {**asked, "stream": True} if isinstance(asked, dict) else asked, b"".join(parts), **more)


CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"


def found(call: Exchange, **more: Any) -> set[tuple[str, str]]:
    """Rule and kind of every violation."""
    return {(violation.rule.id, violation.kind) for violation in judge(call, **more).violations}


def judged(call: Exchange, **more: Any) -> Judgement:
    return judge(call, **more)


def chunk(delta: Any = None, finish: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    choice = {"index": index, "delta": {} if delta is None else delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m",
        "choices": [choice],
        **more,
    }


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")
TEXT = ("The", " capital", " of", " France", " is", " Paris.")
WORDS = [chunk({"content": text}) for text in TEXT]
GOOD = [ROLE, *WORDS, STOP, DONE]
ASKED = {"model": "m", "messages": [{"role": "user", "content": "What is the capital of France?"}]}


def chat_stream(events: Sequence[Any], asked: Any = ASKED, **more: Any) -> Exchange:
    return stream(CHAT, asked, events, **more)


def whole(message: Any = None, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """A whole chat with one choice; further keys replace those of the object."""
    said = {"role": "assistant", "content": "".join(TEXT)} if message is None else message
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        "usage": {"prompt_tokens": 14, "completion_tokens": 6, "total_tokens": 20},
        **more,
    }


def chat(data: Any, asked: Any = ASKED, **more: Any) -> Exchange:
    return answer(CHAT, asked, data, **more)


PROMPT = {"model": "m", "prompt": "Say hello."}


def completion(*choices: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A completion or a chunk of one."""
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1700000000,
        "model": "m",
        "choices": list(choices),
        **more,
    }


def text(said: str, finish: Any = "stop", index: int = 0, **more: Any) -> dict[str, Any]:
    """A choice of a completion."""
    return {"index": index, "text": said, "finish_reason": finish, "logprobs": None, **more}


def without(data: dict[str, Any], *path: Any) -> dict[str, Any]:
    """The same object without one key, named by its path."""
    copy = json.loads(json.dumps(data))
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    del holder[path[-1]]
    return copy  # type: ignore[no-any-return]


def with_value(data: dict[str, Any], value: Any, *path: Any) -> dict[str, Any]:
    """The same object with another value at a path."""
    copy = json.loads(json.dumps(data))
    holder = copy
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    return copy  # type: ignore[no-any-return]


USAGE = {"prompt_tokens": 14, "completion_tokens": 6, "total_tokens": 20}
USAGE_CHUNK = {**chunk(), "choices": [], "usage": USAGE}
WITH_USAGE = {**ASKED, "stream_options": {"include_usage": True}}


def usage_stream(last: Sequence[Any]) -> list[Any]:
    """A stream whose chunks have a usage of null, with these events after the finish reason."""
    return [*({**one, "usage": None} for one in (ROLE, *WORDS, STOP)), *last]


CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": CITY}}
WITH_TOOLS = {**ASKED, "tools": [TOOL], "tool_choice": "auto"}


def call(arguments: Any = '{"city": "Paris"}', number: str = "call_1", **more: Any) -> dict[str, Any]:
    """A tool call of a message."""
    return {"id": number, "type": "function", "function": {"name": "get_weather", "arguments": arguments}, **more}


def piece(arguments: str | None = None, index: Any = 0, **more: Any) -> dict[str, Any]:
    """A chunk with a piece of a tool call; `id`, `type` and `name` as given."""
    function = {name: value for name, value in (("name", more.pop("name", None)), ("arguments", arguments)) if value}
    return chunk({"tool_calls": [{"index": index, **more, **({"function": function} if function else {})}]})


FIRST = piece(id="call_1", type="function", name="get_weather")
CALLED = chunk({}, "tool_calls")
GOOD_CALL = [ROLE, FIRST, piece('{"city": '), piece('"Paris"}'), CALLED, DONE]


def token(said: str, logprob: Any = -0.1, **more: Any) -> dict[str, Any]:
    """A token with its log probability."""
    entry = {"token": said, "logprob": logprob, "bytes": list(said.encode())}
    return {**entry, "top_logprobs": [dict(entry)], **more}


def with_logprobs(*tokens: Any, content: str = "Hi", **more: Any) -> dict[str, Any]:
    """A whole chat with these tokens."""
    data = whole({"role": "assistant", "content": content})
    data["choices"][0]["logprobs"] = {"content": list(tokens), **more}
    return data


LOGPROBS = {**ASKED, "logprobs": True, "top_logprobs": 1}
