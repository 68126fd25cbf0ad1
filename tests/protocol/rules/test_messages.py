"""Rules of the Messages API: each kind fails for its own reason, and the good answer keeps the rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from protocol.rules.exchanges import answer, found
from protocol.rules.typed_exchanges import (
    ANSWERED,
    MESSAGE_EVENTS,
    MESSAGES,
    Change,
    at,
    both,
    drop,
    message,
    message_stream,
    put,
)

from InferenceLibrary.protocol.exchange import Ending
from InferenceLibrary.protocol.rules.book import judge

LAST = len(MESSAGE_EVENTS) - 1
TOLD = at(MESSAGE_EVENTS, "message_delta")
TEXT = at(MESSAGE_EVENTS, "content_block_start", 1)
TEXT_STOP = at(MESSAGE_EVENTS, "content_block_stop", 1)
TOOL = at(MESSAGE_EVENTS, "content_block_start", 2)
TOOL_STOP = at(MESSAGE_EVENTS, "content_block_stop", 2)
SIGNATURE = at(MESSAGE_EVENTS, "content_block_stop", 0) - 1


def move(start: int, end: int) -> Change:
    return lambda events: events.insert(end, events.pop(start))


def insert(place: int, *events: Any) -> Change:
    return lambda old: [*old[:place], *copy.deepcopy(events), *old[place:]]


def test_good_answers_keep_all_rules() -> None:
    for call in (message(), message_stream()):
        judgement = judge(call)
        assert judgement.broken == ()
        assert judgement.not_judged == {}
    kept = {*judge(message()).kept, *judge(message_stream()).kept}
    assert {f"A{number}" for number in range(1, 21)} - {"A7", "A15", "A19"} <= kept


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (drop("id"), ("A10", "missing")),
        (put("user", "role"), ("A10", "wrong")),
        (drop("usage", "input_tokens"), ("A10", "usage")),
        (put(0, "usage", "input_tokens"), ("A10", "zero")),
        (put(0, "usage", "output_tokens"), ("A10", "zero")),
        (drop("stop_sequence"), ("A16", "missing")),
        (put(5, "stop_sequence"), ("A16", "wrong")),
        (put("text", "content", 1), ("A17", "block")),
        (drop("content", 2, "id"), ("A17", "key")),
        (put('{"city": "Paris"}', "content", 2, "input"), ("A17", "key")),
        (put(None, "content", 1, "text"), ("A17", "key")),
        (put("", "content", 0, "signature"), ("A18", "signature")),
        (put("I ask. END", "content", 1, "text"), ("A12", "in the text")),
        (put("END", "stop_sequence"), ("A12", "other sequence")),
        (both(put("stop_sequence", "stop_reason"), drop("content", 2)), ("A12", "not told")),
        (
            both(put("stop_sequence", "stop_reason"), put("STOP", "stop_sequence"), drop("content", 2)),
            ("A12", "other sequence"),
        ),
        (put(None, "stop_reason"), ("A13", "missing")),
        (put("stop", "stop_reason"), ("A13", "unknown")),
        (put("end_turn", "stop_reason"), ("A13", "not tool_use")),
        (drop("content", 2), ("A13", "no call")),
        (put("get_time", "content", 2, "name"), ("A14", "unknown tool")),
        (put({"city": 5}, "content", 2, "input"), ("A14", "schema")),
    ],
)
def test_a_whole_message_breaks_the_rule(change: Change, breach: tuple[str, str]) -> None:
    assert breach in found(message(change))


@pytest.mark.parametrize(
    ("asked", "change", "breach"),
    [
        ({"max_tokens": 19}, None, ("A11", "over the limit")),
        ({"tool_choice": {"type": "none"}}, None, ("A14", "called")),
        (
            {"tool_choice": {"type": "any"}},
            both(put("end_turn", "stop_reason"), drop("content", 2)),
            ("A14", "no call"),
        ),
        (
            {
                "tool_choice": {"type": "tool", "name": "get_time"},
                "tools": [{"name": "get_time"}, {"name": "get_weather"}],
            },
            None,
            ("A14", "other tool"),
        ),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            lambda data: data["content"].append(ANSWERED["content"][2]),
            ("A14", "several calls"),
        ),
    ],
)
def test_a_whole_message_is_not_what_was_asked_for(asked: Any, change: Change | None, breach: tuple[str, str]) -> None:
    assert found(message(change, asked=asked)) == {breach}


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (drop(0), ("A1", "start")),
        (insert(1, MESSAGE_EVENTS[0]), ("A1", "start twice")),
        (move(TEXT_STOP, TEXT_STOP + 1), ("A1", "inside a block")),
        (move(TOLD, TEXT + 1), ("A1", "inside a block")),
        (drop(TOLD), ("A1", "no message_delta")),
        (move(TOLD, TEXT), ("A1", "late block")),
        (drop(LAST), ("A1", "end")),
        (insert(LAST, MESSAGE_EVENTS[LAST]), ("A1", "after the end")),
        (drop(TEXT + 1, "type"), ("A2", "no type")),
        (put(5, TEXT, "index"), ("A3", "index")),
        (put(5, TEXT + 1, "index"), ("A3", "not open")),
        (drop(TEXT + 1, "index"), ("A3", "not open")),
        (drop(TEXT_STOP), ("A3", "no stop")),
        (drop(0, "message", "usage", "input_tokens"), ("A4", "input_tokens")),
        (drop(TOLD, "usage"), ("A4", "output_tokens")),
        (drop(TOLD, "delta", "stop_reason"), ("A4", "stop_reason")),
        (put('"', TOOL + 3, "delta", "partial_json"), ("A5", "input")),
        (drop(SIGNATURE), ("A6", "signature")),
        (lambda events: [*events, "[DONE]"], ("A8", "[DONE]")),
        (put("input_json_delta", TEXT + 1, "delta", "type"), ("A9", "other type")),
        (put({"type": "input_json_delta", "partial_json": ""}, TEXT + 1, "delta"), ("A9", "other type")),
        (put({"type": "text_delta", "text": "I"}, TOOL + 2, "delta"), ("A9", "other type")),
        (put(7, TEXT + 1, "delta", "text"), ("A9", "no text")),
        (put("text", TEXT + 1, "delta"), ("A9", "no text")),
        (drop(0, "message", "model"), ("A10", "missing")),
        (put("the END", TEXT + 1, "delta", "text"), ("A12", "in the text")),
        (put("stop", TOLD, "delta", "stop_reason"), ("A13", "unknown")),
        (put("get_time", TOOL, "content_block", "name"), ("A14", "unknown tool")),
        (drop(TOOL, "content_block", "id"), ("A17", "key")),
        (
            both(put(9, TOLD, "usage", "output_tokens"), put(51, TOLD, "usage", "output_tokens")),
            ("A11", "over the limit"),
        ),
    ],
)
def test_a_stream_of_messages_breaks_the_rule(change: Change, breach: tuple[str, str]) -> None:
    assert breach in found(message_stream(change))


def test_a_message_that_was_shown_to_its_last_token_did_not_end_by_itself() -> None:
    def told(events: list[Any]) -> list[Any]:
        kept = [*events[:TOOL], *events[TOLD:]]
        kept[TOOL]["delta"]["stop_reason"] = "end_turn"
        kept[TOOL]["usage"]["output_tokens"] = 4
        return kept

    assert found(message_stream(told, asked={"max_tokens": 4})) == {("A11", "other reason")}
    assert found(message_stream(told, asked={"max_tokens": 5})) == set()


def test_names_are_demanded_and_must_be_the_type() -> None:
    assert found(message_stream(named=False)) == {("A2", "no name")}
    call = message_stream(lambda events: [b'event: something\ndata: {"type": "ping"}\n\n', *events])
    assert found(call) == {("A2", "other name")}


def test_a_tool_without_arguments_sends_no_pieces() -> None:
    asked = {"tools": [{"name": "get_weather", "input_schema": {"type": "object"}}]}
    call = message_stream(lambda events: [*events[: TOOL + 1], *events[TOOL_STOP:]], asked=asked)
    assert found(call) == set()


def test_input_that_the_limit_cut_need_not_be_json() -> None:
    change = both(put("max_tokens", TOLD, "delta", "stop_reason"), drop(TOOL + 3))
    assert found(message_stream(change)) == set()


@pytest.mark.parametrize("ending", [Ending.LIMIT, Ending.CANCELLED])
def test_a_stream_that_we_broke_off_need_not_end(ending: Ending) -> None:
    assert found(message_stream(lambda events: events[: TEXT + 2], ending=ending)) == set()


def test_an_error_ends_a_stream() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    assert found(message_stream(lambda events: [*events[: TEXT + 2], error])) == set()

    def ends(event: Any) -> set[tuple[str, str]]:
        return found(message_stream(lambda events: [*events[: TEXT + 2], event]))

    assert ends(b'event: error\ndata: {"message": "The engine died"}\n\n') == {("A20", "type"), ("A20", "error")}
    assert ends({"error": error["error"]}) == {("A20", "type")}
    assert ends({"type": "error", "error": {"message": "The engine died"}}) == {("A20", "error")}
    assert ends(b"event: error\ndata: died\n\n") == {("A20", "type"), ("A20", "error"), ("F7", "not JSON")}


def test_counted_tokens_are_an_integer() -> None:
    path = f"{MESSAGES}/count_tokens"
    asked = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
    assert found(answer(path, asked, {"input_tokens": 9})) == set()
    assert found(answer(path, asked, {"input_tokens": "9"})) == {("A15", "input_tokens")}
    assert found(answer(path, asked, [])) == {("A15", "input_tokens")}
