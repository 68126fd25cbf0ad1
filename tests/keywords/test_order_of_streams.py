"""`Stream Should Be In Order` asks what comes in a stream of each API to be a chunk, an item or an answer at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.protocol.exchange import Exchange, Request

USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
RESPONSE: dict[str, Any] = {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "in_progress"}
RESPONSE |= {"output": [], "error": None}
ITEM: dict[str, Any] = {"id": "i", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
PART: dict[str, Any] = {"type": "output_text", "text": "", "annotations": []}
DONE_PART = {**PART, "text": "Hi"}
DONE_ITEM = {**ITEM, "status": "completed", "content": [DONE_PART]}
DONE = {**RESPONSE, "status": "completed", "output": [DONE_ITEM], "usage": USAGE}
MESSAGE: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": []}
MESSAGE |= {"stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}}
COMPLETION: dict[str, Any] = {"id": "1", "object": "text_completion", "created": 1, "model": "m"}
COMPLETION |= {"choices": [{"index": 0, "text": "Hi", "finish_reason": "stop"}]}
CHUNK: dict[str, Any] = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
CHUNK |= {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}]}


def without(data: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != key}


def stream(path: str, *events: dict[str, Any]) -> Any:
    raw = "".join(
        (f"event: {event['type']}\n" if "type" in event else "") + f"data: {json.dumps(event)}\n\n" for event in events
    ).encode()
    request = Request("POST", f"http://host/v1/{path}", (), b'{"stream": true}')
    return stream_of(Exchange(request, 200, (("content-type", "text/event-stream"),), raw, ((0.1, len(raw)),)))


def response(*, begun: dict[str, Any] = RESPONSE, item: dict[str, Any] = ITEM, done: dict[str, Any] = DONE) -> Any:
    place = {"item_id": "i", "output_index": 0, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": PART},
        {"type": "response.output_text.delta", **place, "delta": "Hi", "logprobs": []},
        {"type": "response.output_text.done", **place, "text": "Hi", "logprobs": []},
        {"type": "response.content_part.done", **place, "part": DONE_PART},
        {"type": "response.output_item.done", "output_index": 0, "item": DONE_ITEM},
        {"type": "response.completed", "response": done},
    ]
    return stream("responses", *({**event, "sequence_number": number} for number, event in enumerate(events)))


def message(begun: dict[str, Any] = MESSAGE) -> Any:
    return stream(
        "messages",
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    )


@pytest.mark.parametrize(
    "good",
    [response(), message(), stream("completions", COMPLETION), stream("chat/completions", CHUNK)],
    ids=["response", "message", "completion", "chat"],
)
def test_a_good_stream_of_each_api_is_in_order(good: Any) -> None:
    InferenceLibrary().stream_should_be_in_order(good)


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("C1", stream("chat/completions", without(CHUNK, "created"))),
        ("X1", stream("completions", without(COMPLETION, "created"))),
        ("RS1", response(done=without(DONE, "object"))),
        ("RS20", response(begun={**RESPONSE, "id": "other"})),
        ("RS23", response(item={**ITEM, "type": 5})),
        ("A10", message({**MESSAGE, "role": "user"})),
    ],
    ids=["C1", "X1", "RS1", "RS20", "RS23", "A10"],
)
def test_one_rule_alone_fails_the_check(rule: str, broken: Any) -> None:
    with pytest.raises(CheckFailure, match=rf"^Order: {rule}: .*") as caught:
        InferenceLibrary().stream_should_be_in_order(broken)
    assert "\n" not in str(caught.value), "no other rule is broken"
