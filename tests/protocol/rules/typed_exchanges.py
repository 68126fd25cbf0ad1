"""Good answers of the APIs with typed events, and exchanges made of them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from typing import Any

from protocol.rules.exchanges import EVENTS, answer, exchange

from InferenceLibrary.protocol.exchange import Exchange

RESPONSES = "/v1/responses"
MESSAGES = "/v1/messages"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def typed(path: str, asked: Any, events: Sequence[Any], *, named: bool = True, **more: Any) -> Exchange:
    """A stream of typed events: objects get an `event:` line of their type, bytes are sent as they are."""
    parts = []
    for event in events:
        if isinstance(event, bytes):
            parts.append(event)
            continue
        data = event if isinstance(event, str) else json.dumps(event)
        kind = event.get("type") if isinstance(event, dict) and named else None
        name = f"event: {kind}\n" if isinstance(kind, str) else ""
        parts.append(f"{name}data: {data}\n\n".encode())
    return exchange(path, {**asked, "stream": True}, b"".join(parts), headers=EVENTS, **more)


RESPONSE_ASKED: dict[str, Any] = {
    "model": "m",
    "input": "What is the weather in Paris?",
    "max_output_tokens": 50,
    "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA}],
}
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "I look it up."}],
    "content": [],
}
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "role": "assistant",
    "content": [
        {"type": "output_text", "text": "I ask.", "annotations": []},
        {"type": "output_text", "text": "Now.", "annotations": []},
    ],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city": "Paris"}',
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "model": "m",
    "output": [REASONING, MESSAGE, CALL],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": RESPONSE_ASKED["tools"],
    "metadata": {},
    "temperature": 1.0,
    "top_p": 1.0,
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 29,
    },
}


def _response_events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []

    def add(kind: str, **fields: Any) -> None:
        events.append({"type": kind, "sequence_number": len(events), **copy.deepcopy(fields)})

    begun = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    add("response.created", response=begun)
    add("response.in_progress", response=begun)
    add("response.output_item.added", output_index=0, item={**REASONING, "summary": []})
    place: dict[str, Any] = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    add("response.reasoning_summary_part.added", **place, part={"type": "summary_text", "text": ""})
    add("response.reasoning_summary_text.delta", **place, delta="I look")
    add("response.reasoning_summary_text.delta", **place, delta=" it up.")
    add("response.reasoning_summary_text.done", **place, text="I look it up.")
    add("response.reasoning_summary_part.done", **place, part={"type": "summary_text", "text": "I look it up."})
    add("response.output_item.done", output_index=0, item=REASONING)
    add("response.output_item.added", output_index=1, item={**MESSAGE, "status": "in_progress", "content": []})
    for index, pieces in enumerate((("I", " ask."), ("Now.",))):
        place = {"item_id": "msg_1", "output_index": 1, "content_index": index}
        part = MESSAGE["content"][index]  # type: ignore[index]
        add("response.content_part.added", **place, part={**part, "text": ""})
        for piece in pieces:
            add("response.output_text.delta", **place, delta=piece, logprobs=[])
        add("response.output_text.done", **place, text="".join(pieces), logprobs=[])
        add("response.content_part.done", **place, part=part)
    add("response.output_item.done", output_index=1, item=MESSAGE)
    add("response.output_item.added", output_index=2, item={**CALL, "status": "in_progress", "arguments": ""})
    place = {"item_id": "fc_1", "output_index": 2}
    for piece in ('{"city"', ': "Paris"}'):
        add("response.function_call_arguments.delta", **place, delta=piece)
    add("response.function_call_arguments.done", **place, name="get_weather", arguments='{"city": "Paris"}')
    add("response.output_item.done", output_index=2, item=CALL)
    add("response.completed", response=RESPONSE)
    return events


RESPONSE_EVENTS = _response_events()

MESSAGES_ASKED: dict[str, Any] = {
    "model": "m",
    "max_tokens": 50,
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    "stop_sequences": ["END"],
    "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
}
ANSWERED: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [
        {"type": "thinking", "thinking": "I look it up.", "signature": "abc"},
        {"type": "text", "text": "I ask."},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 20},
}


def _message_events() -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []

    def add(kind: str, **fields: Any) -> None:
        events.append({"type": kind, **fields})

    begun = {**ANSWERED, "content": [], "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 1}}
    add("message_start", message=begun)
    add("content_block_start", index=0, content_block={"type": "thinking", "thinking": "", "signature": ""})
    add("ping")
    for piece in ("I look", " it up."):
        add("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": piece})
    add("content_block_delta", index=0, delta={"type": "signature_delta", "signature": "abc"})
    add("content_block_stop", index=0)
    add("content_block_start", index=1, content_block={"type": "text", "text": ""})
    for piece in ("I", " ask."):
        add("content_block_delta", index=1, delta={"type": "text_delta", "text": piece})
    add("content_block_stop", index=1)
    block = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}
    add("content_block_start", index=2, content_block=block)
    for piece in ("", '{"city": "Pa', 'ris"}'):
        add("content_block_delta", index=2, delta={"type": "input_json_delta", "partial_json": piece})
    add("content_block_stop", index=2)
    add("message_delta", delta={"stop_reason": "tool_use", "stop_sequence": None}, usage={"output_tokens": 20})
    add("message_stop")
    return events


MESSAGE_EVENTS = _message_events()

Change = Callable[[Any], Any]


def response_stream(change: Change | None = None, **more: Any) -> Exchange:
    """The good stream of responses after a change to its events."""
    return typed(RESPONSES, *_changed(RESPONSE_EVENTS, change, more, RESPONSE_ASKED), **more)


def response(change: Change | None = None, **more: Any) -> Exchange:
    """The good whole response after a change to it."""
    return answer(RESPONSES, *_changed(RESPONSE, change, more, RESPONSE_ASKED), **more)


def message_stream(change: Change | None = None, **more: Any) -> Exchange:
    """The good stream of messages after a change to its events."""
    return typed(MESSAGES, *_changed(MESSAGE_EVENTS, change, more, MESSAGES_ASKED), **more)


def message(change: Change | None = None, **more: Any) -> Exchange:
    """The good whole message after a change to it."""
    return answer(MESSAGES, *_changed(ANSWERED, change, more, MESSAGES_ASKED), **more)


def _changed(good: Any, change: Change | None, more: dict[str, Any], asked: dict[str, Any]) -> tuple[Any, Any]:
    data = copy.deepcopy(good)
    if change is not None:
        other = change(data)
        data = data if other is None else other
    return {**asked, **more.pop("asked", {})}, data


def put(value: Any, *path: Any) -> Change:
    """A change: set a value at a path."""

    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


def drop(*path: Any) -> Change:
    """A change: take away what stands at a path."""

    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return change


def both(*changes: Change) -> Change:
    """Several changes."""

    def change(data: Any) -> None:
        for one in changes:
            one(data)

    return change


def renumbered(change: Change) -> Change:
    """A change of a stream of responses whose events are numbered anew after it."""

    def whole(events: list[Any]) -> Any:
        events = change(events) or events
        for number, event in enumerate(events):
            if isinstance(event, dict) and "sequence_number" in event:
                event["sequence_number"] = number
        return events

    return whole


def at(events: Sequence[Any], kind: str, which: int = 0) -> int:
    """Place of an event of a type; negative counts from the end."""
    places = [place for place, event in enumerate(events) if isinstance(event, dict) and event.get("type") == kind]
    return places[which]


EMBEDDINGS: dict[str, Any] = {
    "object": "list",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.1, 0.2, -0.3]},
        {"object": "embedding", "index": 1, "embedding": [0.3, 0, 0.1]},
    ],
    "model": "m",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
EMBEDDINGS_ASKED: dict[str, Any] = {"model": "m", "input": ["Paris", "Rome"]}
MODELS: dict[str, Any] = {
    "object": "list",
    "data": [
        {"id": "m", "object": "model", "created": 1700000000, "owned_by": "us"},
        {"id": "n", "object": "model", "created": 1700000000, "owned_by": "us"},
    ],
}
RANKING: dict[str, Any] = {
    "id": "rerank-1",
    "model": "m",
    "usage": {"total_tokens": 9},
    "results": [
        {"index": 1, "document": {"text": "b"}, "relevance_score": 0.9},
        {"index": 2, "document": {"text": "c"}, "relevance_score": 0.5},
        {"index": 0, "document": {"text": "a"}, "relevance_score": 0.5},
    ],
}
RANKING_ASKED: dict[str, Any] = {"model": "m", "query": "b", "documents": ["a", "b", "c"]}
SCORES: dict[str, Any] = {
    "id": "score-1",
    "object": "list",
    "data": [{"index": 0, "object": "score", "score": 0.5}, {"index": 1, "object": "score", "score": 1}],
}
SCORES_ASKED: dict[str, Any] = {"model": "m", "text_1": "a", "text_2": ["a", "b"]}
TOKENS: dict[str, Any] = {"count": 2, "max_model_len": 100, "tokens": [5, 6], "token_strs": None}
TEXT_OF_TOKENS: dict[str, Any] = {"prompt": "Paris"}
ORCHESTRATED: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3},
    "orchestration": {
        "mode": "critique",
        "models_used": ["m", "n"],
        "total_inference_time_ms": 12.5,
        "rounds": 1,
        "final_score": 0.75,
    },
}
ORCHESTRATED_ASKED: dict[str, Any] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Name the capital of France."}],
    "orchestration_mode": "critique",
}
JOB_ASKED: dict[str, Any] = {"job_id": "job-1", "prompt": "Say three words.", "max_tokens": 3, "stop": ["END"]}
JOB_EVENTS: list[dict[str, Any]] = [
    {"type": "started", "job_id": "job-1", "model": "m", "started_at": "2026-11-01T00:00:00Z"},
    {"type": "token", "t": "one", "i": 0},
    {"type": "token", "t": " two", "i": 1},
    {"type": "metrics", "tokens_per_sec": 5.0, "vram_bytes": 5},
    {"type": "token", "t": " three", "i": 2},
    {"type": "end", "tokens_out": 3, "decode_time_ms": 12, "stop_reason": "MAX_TOKENS"},
]
REFUSAL: dict[str, Any] = {
    "error": {
        "message": "The model `x` does not exist",
        "type": "invalid_request_error",
        "param": "model",
        "code": None,
    }
}
ANTHROPIC_REFUSAL: dict[str, Any] = {
    "type": "error",
    "error": {"type": "invalid_request_error", "message": "messages: at least one message is required"},
}

WHOLE: list[tuple[str, Any, dict[str, Any]]] = [
    (RESPONSES, RESPONSE, RESPONSE_ASKED),
    (MESSAGES, ANSWERED, MESSAGES_ASKED),
    (f"{MESSAGES}/count_tokens", {"input_tokens": 9}, MESSAGES_ASKED),
    ("/v1/embeddings", EMBEDDINGS, EMBEDDINGS_ASKED),
    ("/v1/models", MODELS, {}),
    ("/v1/models/m", MODELS["data"][0], {}),
    ("/v1/rerank", RANKING, RANKING_ASKED),
    ("/score", SCORES, SCORES_ASKED),
    ("/tokenize", TOKENS, {"model": "m", "prompt": "Paris"}),
    ("/detokenize", TEXT_OF_TOKENS, {"model": "m", "tokens": [5, 6]}),
    ("/v1/chat/completions", ORCHESTRATED, ORCHESTRATED_ASKED),
]
"""Path, good answer and what was asked, of each API that answers in one piece."""
STREAMED: list[tuple[str, Any, dict[str, Any]]] = [
    (RESPONSES, RESPONSE_EVENTS, RESPONSE_ASKED),
    (MESSAGES, MESSAGE_EVENTS, MESSAGES_ASKED),
    ("/execute", JOB_EVENTS, JOB_ASKED),
]
"""Path, good events and what was asked, of each API with typed events."""


def good(path: str, change: Change | None = None, **more: Any) -> Exchange:
    """The good whole answer of a path after a change to it."""
    data, asked = next((data, asked) for own, data, asked in WHOLE if own == path)
    if path.startswith("/v1/models"):
        more.setdefault("method", "GET")
    return answer(path, *_changed(data, change, more, asked), **more)


def job(change: Change | None = None, **more: Any) -> Exchange:
    """The good stream of a job after a change to its events."""
    return typed("/execute", *_changed(JOB_EVENTS, change, more, JOB_ASKED), **more)
