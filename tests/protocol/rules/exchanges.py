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
