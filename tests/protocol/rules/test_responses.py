"""Rules of the Responses API: each kind fails for its own reason, and the good answer keeps the rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from protocol.rules.exchanges import found
from protocol.rules.typed_exchanges import (
    CALL,
    RESPONSE_EVENTS,
    Change,
    at,
    both,
    drop,
    put,
    renumbered,
    response,
    response_stream,
)

from InferenceLibrary.protocol.exchange import Ending
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Reference

LAST = len(RESPONSE_EVENTS) - 1
ADDED = at(RESPONSE_EVENTS, "response.output_item.added", 1)
DONE = at(RESPONSE_EVENTS, "response.output_item.done", 1)
PART = at(RESPONSE_EVENTS, "response.content_part.added")
PART_DONE = at(RESPONSE_EVENTS, "response.content_part.done")
DELTA = at(RESPONSE_EVENTS, "response.output_text.delta")
TEXT_DONE = at(RESPONSE_EVENTS, "response.output_text.done")
CALL_ADDED = at(RESPONSE_EVENTS, "response.output_item.added", 2)
CALL_DONE = at(RESPONSE_EVENTS, "response.output_item.done", 2)
ARGUMENTS_DONE = at(RESPONSE_EVENTS, "response.function_call_arguments.done")


def move(start: int, end: int) -> Change:
    return lambda events: events.insert(end, events.pop(start))


def insert(place: int, *events: Any) -> Change:
    return lambda old: [*old[:place], *copy.deepcopy(events), *old[place:]]


def test_good_answers_keep_all_rules() -> None:
    for call in (response(), response_stream()):
        judgement = judge(call)
        assert judgement.broken == ()
        assert judgement.not_judged == {}
    kept = {*judge(response()).kept, *judge(response_stream()).kept}
    assert {*(f"RS{number}" for number in range(1, 24)), "F9"} - {"RS12", "RS22"} <= kept


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (drop("id"), ("RS1", "missing")),
        (put("", "id"), ("RS1", "wrong")),
        (put("list", "object"), ("RS1", "wrong")),
        (put("now", "created_at"), ("RS1", "wrong")),
        (drop("model"), ("RS1", "missing")),
        (put("done", "status"), ("RS1", "wrong")),
        (drop("top_p"), ("RS13", "missing")),
        (put(1, "tools"), ("RS13", "wrong")),
        (drop("output", 1, "content", 1, "annotations"), ("RS13", "annotations")),
        (put("text", "output", 1), ("RS14", "item")),
        (drop("output", 1, "id"), ("RS14", "key")),
        (put("user", "output", 1, "role"), ("RS14", "key")),
        (drop("output", 2, "call_id"), ("RS14", "key")),
        (put(None, "output", 1, "content", 1, "text"), ("RS14", "part")),
        (put(7, "output", 1, "content", 1), ("RS14", "part")),
        (put(None, "usage"), ("RS2", "missing")),
        (put({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, "usage"), ("RS2", "chat")),
        (put(-1, "usage", "input_tokens"), ("RS2", "count")),
        (put(True, "usage", "output_tokens"), ("RS2", "count")),
        (put(30, "usage", "total_tokens"), ("RS2", "sum")),
        (put(10, "usage", "input_tokens_details", "cached_tokens"), ("RS2", "detail")),
        (put(21, "usage", "output_tokens_details", "reasoning_tokens"), ("RS2", "detail")),
        (put(5, "usage", "output_tokens_details"), ("RS2", "detail")),
        (
            both(
                put(0, "usage", "output_tokens"),
                put(9, "usage", "total_tokens"),
                put({}, "usage", "output_tokens_details"),
            ),
            ("RS2", "zero"),
        ),
        (
            both(
                put(0, "usage", "input_tokens"),
                put(20, "usage", "total_tokens"),
                put({}, "usage", "input_tokens_details"),
            ),
            ("RS2", "zero"),
        ),
        (put('{"city": ', "output", 2, "arguments"), ("RS18", "arguments")),
        (put("", "output", 2, "arguments"), ("RS18", "arguments")),
        (put("[]", "output", 2, "arguments"), ("RS18", "arguments")),
        (put("get_time", "output", 2, "name"), ("RS16", "unknown tool")),
        (put('{"city": 5}', "output", 2, "arguments"), ("RS16", "schema")),
    ],
)
def test_a_whole_response_breaks_the_rule(change: Change, breach: tuple[str, str]) -> None:
    assert found(response(change)) == {breach}
    # The last event of a stream holds the same object.
    streamed = found(response_stream(lambda events: change(events[LAST]["response"])))
    assert breach in streamed


@pytest.mark.parametrize(
    ("asked", "change", "breach"),
    [
        ({"max_output_tokens": 19}, put("completed", "status"), ("RS11", "over the limit")),
        ({}, put("incomplete", "status"), ("RS11", "no reason")),
        ({}, put({"reason": "max_output_tokens"}, "incomplete_details"), ("RS11", "completed")),
        ({"tool_choice": "none"}, put("m", "model"), ("RS16", "called")),
        ({"tool_choice": "required"}, drop("output", 2), ("RS16", "no call")),
        (
            {
                "tool_choice": {"type": "function", "name": "get_time"},
                "tools": [{"type": "function", "name": name} for name in ("get_time", "get_weather")],
            },
            put("m", "model"),
            ("RS16", "other tool"),
        ),
        (
            {
                "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"name": "get_time"}]},
                "tools": [{"type": "function", "name": name} for name in ("get_time", "get_weather")],
            },
            put("m", "model"),
            ("RS16", "other tool"),
        ),
        ({"parallel_tool_calls": False}, lambda data: data["output"].append(CALL), ("RS16", "several calls")),
        ({"text": {"format": {"type": "json_object"}}}, put("m", "model"), ("RS17", "no JSON")),
        (
            {"text": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            put([{"type": "output_text", "text": "[1]", "annotations": []}], "output", 1, "content"),
            ("RS17", "schema"),
        ),
        ({"background": True, "store": False}, put("m", "model"), ("RS19", "taken")),
    ],
)
def test_a_whole_response_is_not_what_was_asked_for(asked: Any, change: Change, breach: tuple[str, str]) -> None:
    assert found(response(change, asked=asked)) == {breach}


@pytest.mark.parametrize(
    ("asked", "change"),
    [
        (
            {"max_output_tokens": 20},
            both(put("incomplete", "status"), put({"reason": "max_output_tokens"}, "incomplete_details")),
        ),
        ({"tool_choice": {"type": "function", "name": "get_weather"}}, put("m", "model")),
        ({"tool_choice": "required"}, put("m", "model")),
        ({}, both(put("failed", "status"), put(None, "usage"), put({"code": "x", "message": "y"}, "error"))),
        ({}, both(put("in_progress", "status"), put(None, "usage"), put([], "output"))),
        ({}, put(1700000000.25, "created_at")),
        (
            {"text": {"format": {"type": "json_schema", "schema": 5}}},
            put([{"type": "output_text", "text": "1", "annotations": []}], "output", 1, "content"),
        ),
    ],
)
def test_a_whole_response_that_is_right(asked: Any, change: Change) -> None:
    assert found(response(change, asked=asked)) == set()


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (drop(DELTA, "type"), ("RS3", "no type")),
        (put(7, DELTA, "type"), ("RS3", "no type")),
        (put(9, DELTA, "sequence_number"), ("RS4", "gap")),
        (drop(DELTA), ("RS4", "gap")),
        (drop(LAST, "sequence_number"), ("RS15", "missing")),
        (renumbered(move(0, 1)), ("RS5", "start")),
        (renumbered(move(1, 2)), ("RS5", "late start")),
        (renumbered(drop(LAST)), ("RS5", "end")),
        (renumbered(insert(LAST, RESPONSE_EVENTS[LAST])), ("RS5", "end twice")),
        (
            renumbered(lambda events: [*events, {"type": "response.queued_later", "sequence_number": 0}]),
            ("RS5", "after the end"),
        ),
        (renumbered(move(DELTA, PART)), ("RS6", "outside")),
        (renumbered(insert(DELTA, RESPONSE_EVENTS[PART])), ("RS6", "opened twice")),
        (renumbered(insert(DELTA, RESPONSE_EVENTS[ADDED])), ("RS6", "opened twice")),
        (renumbered(drop(PART_DONE)), ("RS6", "not closed")),
        (renumbered(drop(TEXT_DONE)), ("RS6", "not closed")),
        (renumbered(drop(DONE)), ("RS6", "not closed")),
        (renumbered(insert(DONE + 1, RESPONSE_EVENTS[DONE])), ("RS6", "not opened")),
        (renumbered(insert(PART_DONE + 1, RESPONSE_EVENTS[PART_DONE])), ("RS6", "closed twice")),
        (renumbered(move(DELTA + 1, TEXT_DONE)), ("RS6", "after its end")),
        (put(5, DELTA, "delta"), ("RS6", "delta")),
        (put("nonsense", ADDED, "item"), ("RS23", "item")),
        (put(7, ADDED, "item", "type"), ("RS23", "item")),
        (drop(DONE, "item", "type"), ("RS23", "item")),
        (put([], PART, "part"), ("RS23", "part")),
        (drop(PART_DONE, "part", "type"), ("RS23", "part")),
        (put("refusal", PART_DONE, "part", "type"), ("RS23", "type changes")),
        (put("reasoning", DONE, "item", "type"), ("RS23", "type changes")),
        (drop(DELTA, "output_index"), ("RS7", "missing")),
        (drop(DELTA, "content_index"), ("RS7", "missing")),
        (drop(PART, "item_id"), ("RS7", "missing")),
        (put("msg_2", DELTA, "item_id"), ("RS7", "changes")),
        (put("msg_2", DONE, "item", "id"), ("RS7", "changes")),
        (put("You", DELTA, "delta"), ("RS8", "done")),
        (put("I asked.", TEXT_DONE, "text"), ("RS8", "done")),
        (put(None, TEXT_DONE, "text"), ("RS8", "done")),
        (put("I asked.", PART_DONE, "part", "text"), ("RS8", "part")),
        (put("Later.", DONE, "item", "content", 1, "text"), ("RS8", "item")),
        (put("Later.", LAST, "response", "output", 1, "content", 1, "text"), ("RS8", "response")),
        (put("I did.", LAST, "response", "output", 0, "summary", 0, "text"), ("RS8", "response")),
        (put("msg_2", LAST, "response", "output", 1, "id"), ("RS8", "items")),
        (drop(LAST, "response", "output", 2), ("RS8", "items")),
        (renumbered(drop(ARGUMENTS_DONE)), ("RS9", "no done")),
        (put('{"city":"Paris"}', ARGUMENTS_DONE, "arguments"), ("RS9", "done")),
        (put('{"city":"Paris"}', CALL_DONE, "item", "arguments"), ("RS9", "item")),
        (put('{"city":"Paris"}', LAST, "response", "output", 2, "arguments"), ("RS9", "response")),
        (both(drop(CALL_ADDED, "item", "call_id")), ("RS9", "call_id")),
        (put("get_time", CALL_DONE, "item", "name"), ("RS9", "name")),
        (drop(0, "response", "id"), ("RS20", "missing")),
        (put("resp_2", LAST, "response", "id"), ("RS20", "changes")),
        (put("incomplete", LAST, "response", "status"), ("RS21", "status")),
        (lambda events: [*events, "[DONE]"], ("F9", "[DONE]")),
    ],
)
def test_a_stream_of_responses_breaks_the_rule(change: Change, breach: tuple[str, str]) -> None:
    assert breach in found(response_stream(change))


def test_a_name_of_another_type() -> None:
    call = response_stream(
        lambda events: [b"event: something\ndata: " + b'{"type": "response.created"}\n\n', *events[1:]]
    )
    assert ("RS3", "other name") in found(call)


def test_a_response_that_was_shown_to_its_last_token_did_not_end_by_itself() -> None:
    shown = sum(str(event["type"]).endswith(".delta") for event in RESPONSE_EVENTS)
    used = {"input_tokens": 9, "output_tokens": shown, "total_tokens": 9 + shown}
    change = put(used, LAST, "response", "usage")
    assert found(response_stream(change, asked={"max_output_tokens": shown})) == {("RS11", "completed")}
    assert found(response_stream(change, asked={"max_output_tokens": shown + 1})) == set()
    # One token more was counted than shown: it may have been the model's own end.
    assert found(response_stream(asked={"max_output_tokens": 20})) == set()
    assert found(response(asked={"max_output_tokens": 20})) == set()


def test_names_are_demanded_by_open_responses_alone() -> None:
    call = response_stream(named=False)
    assert found(call) == set()
    assert ("RS3", "no name") in found(call, reference=Reference.OPEN_RESPONSES)


def test_done_is_demanded_by_open_responses_alone() -> None:
    assert ("F9", "no [DONE]") in found(response_stream(), reference=Reference.OPEN_RESPONSES)
    ended = response_stream(lambda events: [*events, "[DONE]"])
    assert ("F9", "[DONE]") in found(ended)
    assert not {rule for rule, _ in found(ended, reference=Reference.OPEN_RESPONSES)} & {"F9"}


def test_the_keys_of_open_responses() -> None:
    assert ("RS13", "missing") in found(response(), reference=Reference.OPEN_RESPONSES)


def test_an_error_event_tells_what_it_is() -> None:
    def ended(event: dict[str, Any]) -> Change:
        return lambda events: [*events[:6], {"type": "error", "sequence_number": 6, **event}]

    assert found(response_stream(ended({"code": "x", "message": "The engine died.", "param": None}))) == set()
    assert found(response_stream(ended({"code": "x"}))) == {("RS10", "message")}
    assert found(response_stream(ended({"message": "The engine died."}))) == {("RS10", "code")}


@pytest.mark.parametrize("ending", [Ending.LIMIT, Ending.CANCELLED])
def test_a_stream_that_we_broke_off_need_not_end(ending: Ending) -> None:
    assert found(response_stream(lambda events: events[: DELTA + 1], ending=ending)) == set()


def test_a_failed_response_may_leave_items_open() -> None:
    def failed(events: list[Any]) -> list[Any]:
        last = {**events[LAST]["response"], "status": "failed", "usage": None, "error": {"code": "x", "message": "y"}}
        return [*events[: DELTA + 1], {"type": "response.failed", "sequence_number": DELTA + 1, "response": last}]

    assert found(response_stream(failed)) == set()


def test_halves_of_a_surrogate_pair_in_two_deltas_are_one_character() -> None:
    def halves(events: list[Any]) -> None:
        events[DELTA]["delta"], events[DELTA + 1]["delta"] = "\ud83d", "\ude00"
        for place in (
            (TEXT_DONE, "text"),
            (PART_DONE, "part", "text"),
            (DONE, "item", "content", 0, "text"),
            (LAST, "response", "output", 1, "content", 0, "text"),
        ):
            put("😀", *place)(events)

    assert {rule for rule, _ in found(response_stream(halves))} == {"F2"}
