"""Rules of tool calls and formats: each kind fails for its own reason; good calls keep all."""

from __future__ import annotations

import pytest
from protocol.rules.exchanges import (
    ASKED,
    CALLED,
    CITY,
    DONE,
    FIRST,
    GOOD,
    GOOD_CALL,
    ROLE,
    STOP,
    WITH_TOOLS,
    call,
    chat,
    chat_stream,
    chunk,
    found,
    piece,
    whole,
)

from InferenceLibrary.protocol.exchange import Exchange

NAMED = {"type": "function", "function": {"name": "get_weather"}}
OTHER = {"type": "function", "function": {"name": "get_time"}}
FORMAT = {**ASKED, "response_format": {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}}}
OBJECT = {**ASKED, "response_format": {"type": "json_object"}}


def streamed(*pieces: object, asked: object = WITH_TOOLS) -> Exchange:
    return chat_stream([ROLE, *pieces, CALLED, DONE], asked)


def calls(*items: object, finish: str = "tool_calls", asked: object = WITH_TOOLS) -> Exchange:
    return chat(whole({"role": "assistant", "content": None, "tool_calls": list(items)}, finish), asked)


def said(text: str, asked: object = FORMAT, finish: str = "stop") -> Exchange:
    return chat(whole({"role": "assistant", "content": text}, finish), asked)


ARGUMENTS = piece('{"city": "Paris"}')


@pytest.mark.parametrize(
    ("exchange", "breach"),
    [
        (streamed(FIRST, chunk({"tool_calls": [{"function": {"arguments": "{}"}}]})), ("T1", "index")),
        (streamed(FIRST, piece("{}", index="0")), ("T1", "index")),
        (streamed(chunk({"tool_calls": ["call"]})), ("T1", "not an object")),
        (streamed(chunk({"tool_calls": {"0": "call"}})), ("T1", "not an object")),
        (streamed(piece(type="function", name="get_weather"), ARGUMENTS), ("T2", "id")),
        (streamed(piece(id="call_1", name="get_weather"), ARGUMENTS), ("T2", "type")),
        (streamed(piece(id="call_1", type="tool", name="get_weather"), ARGUMENTS), ("T2", "type")),
        (streamed(piece(id="call_1", type="function"), ARGUMENTS), ("T2", "name")),
        (streamed(FIRST, piece('{"city": "Paris"}', id="call_1")), ("T3", "again")),
        (streamed(FIRST, piece('{"city": "Paris"}', name="get_weather")), ("T3", "again")),
        (streamed(piece('{"city": "Rome"}', 1, id="a", type="function", name="get_weather")), ("T4", "index")),
        (streamed(FIRST, ARGUMENTS, piece('{"city": "Rome"}', id="call_2")), ("T4", "two calls in one")),
        (calls(call(), call('{"city": "Rome"}')), ("T4", "id shared")),
        (streamed(FIRST, piece('{"city": ')), ("T5", "not JSON")),
        (streamed(FIRST), ("T5", "not JSON")),
        (calls(call("")), ("T5", "not JSON")),
        (calls(call('{"city": NaN}')), ("T5", "not JSON")),
        (calls(call('["Paris"]')), ("T5", "not an object")),
        (streamed(FIRST, piece({"city": "Paris"})), ("T5", "not a text")),
        (streamed(FIRST, piece(True)), ("T5", "not a text")),
        (calls(call('{"town": "Paris"}')), ("T5", "schema")),
        (streamed(FIRST, piece('{"city": 5}')), ("T5", "schema")),
        (calls(call(), finish="stop"), ("T6", "other reason")),
        (chat(whole(finish="tool_calls")), ("T6", "no calls")),
        (calls(call(), asked={**WITH_TOOLS, "tool_choice": "none"}), ("T7", "called")),
        (chat(whole(), {**WITH_TOOLS, "tool_choice": "required"}), ("T7", "not called")),
        (chat(whole(), {**WITH_TOOLS, "tool_choice": NAMED}), ("T7", "not called")),
        (calls(call(), asked={**WITH_TOOLS, "tool_choice": OTHER}), ("T7", "other tool")),
        (calls({**call(), "function": {"name": "get_time", "arguments": "{}"}}), ("T8", "not offered")),
        (calls(call(), asked=ASKED), ("T8", "not offered")),
        (calls(call(number="")), ("N6", "id")),
        (calls({**call(), "id": 5}), ("N6", "id")),
        (calls({**call(), "type": None}), ("N6", "type")),
        (calls({**call(), "type": "tool"}), ("N6", "type")),
        (calls({**call(), "function": {"arguments": "{}"}}), ("N6", "name")),
        (calls({**call(), "function": {"name": ["get_weather"], "arguments": "{}"}}), ("N6", "name")),
        (calls(call({"city": "Paris"})), ("N6", "arguments")),
        (calls("call"), ("N6", "not an object")),
        (said("Paris"), ("N8", "not JSON")),
        (said('{"city": NaN}'), ("N8", "not JSON")),
        (said("[]", OBJECT), ("N8", "not an object")),
        (said('{"town": "Paris"}'), ("N8", "schema")),
        (chat_stream(GOOD, FORMAT), ("N8", "not JSON")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_kind_is_found(exchange: Exchange, breach: tuple[str, str]) -> None:
    assert breach in found(exchange)


SECOND = [piece(None, 1, id="call_2", type="function", name="get_weather"), piece('{"city": "Rome"}', 1)]


@pytest.mark.parametrize(
    "exchange",
    [
        chat_stream(GOOD_CALL, WITH_TOOLS),
        streamed(FIRST, ARGUMENTS, *SECOND),
        streamed(FIRST, SECOND[0], ARGUMENTS, SECOND[1]),
        chat_stream([ROLE, FIRST, piece('{"city'), chunk({}, "length"), DONE], WITH_TOOLS),
        chat_stream([ROLE, FIRST, ARGUMENTS, STOP, DONE], {**WITH_TOOLS, "tool_choice": NAMED}),
        calls(call(), call('{"city": "Rome"}', "call_2")),
        calls(call(), finish="stop", asked={**WITH_TOOLS, "tool_choice": NAMED}),
        chat(whole(), WITH_TOOLS),
        chat(whole(), {**WITH_TOOLS, "tool_choice": "none"}),
        chat(whole(finish="length"), {**WITH_TOOLS, "tool_choice": "required"}),
        calls(call(), asked={**WITH_TOOLS, "tools": [{"type": "function", "function": {"name": "get_weather"}}]}),
        calls(
            call(),
            asked={
                **WITH_TOOLS,
                "tools": [
                    {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "nonsense"}}}
                ],
            },
        ),
        said('{"city": "Paris"}'),
        said('{"city": "Par', finish="length"),
        said('{"a": 1}', OBJECT),
        chat(whole({"role": "assistant", "content": None, "refusal": "No."}), FORMAT),
    ],
)
def test_good_calls_keep_all_rules(exchange: Exchange) -> None:
    assert found(exchange) == set()
