"""Rules of framing and bodies: each kind fails for its own reason, and the good answer keeps the rule."""

from __future__ import annotations

import json
from typing import Any

import pytest
from protocol.rules.exchanges import (
    ASKED,
    CHAT,
    DONE,
    EVENTS,
    GOOD,
    JSON,
    ROLE,
    STOP,
    WORDS,
    answer,
    chat_stream,
    found,
)

from InferenceLibrary.protocol.exchange import EVERYTHING, Ending, Exchange, Held
from InferenceLibrary.protocol.rules.book import judge


def line(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


ERROR = {"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}}
HTML = (("content-type", "text/html"),)


@pytest.mark.parametrize(
    ("call", "breach"),
    [
        (chat_stream(GOOD, headers=(("content-type", "application/x"),)), ("F1", "media type")),
        (answer(CHAT, {**ASKED, "stream": True}, {}), ("F1", "media type")),
        (chat_stream([ROLE, b'data: {"a": "\xff"}\n\n', STOP, DONE]), ("F2", "not UTF-8")),
        (chat_stream([ROLE, '{"a": "\\ud83d"}', STOP, DONE]), ("F2", "half a surrogate pair")),
        (answer(CHAT, ASKED, b'{"a": "\xff"}'), ("F2", "not UTF-8")),
        (chat_stream([ROLE, b"colour: red\n", STOP, DONE]), ("F3", "unknown field")),
        (chat_stream([ROLE, b"retry: soon\n", STOP, DONE]), ("F3", "retry")),
        (chat_stream([ROLE, b"id: a\0b\n", STOP, DONE]), ("F3", "id")),
        (chat_stream([ROLE, STOP, b"data: [DONE]\n"]), ("F5", "open event")),
        (chat_stream([ROLE, "{", STOP, DONE]), ("F7", "not JSON")),
        (chat_stream([ROLE, "5", STOP, DONE]), ("F7", "not an object")),
        (chat_stream([ROLE, "null", STOP, DONE]), ("F7", "not an object")),
        (chat_stream([ROLE, STOP, " [DONE]"]), ("F7", "[DONE] with more")),
        (chat_stream([ROLE, STOP]), ("F8", "missing")),
        (chat_stream([ROLE, STOP, DONE, DONE]), ("F8", "twice")),
        (chat_stream([ROLE, DONE, STOP]), ("F8", "not last")),
        (chat_stream(GOOD, ending=Ending.CUT), ("F10", "cut")),
        (chat_stream(GOOD, left_over=b"HTTP/1.1 200 OK"), ("F10", "more")),
        (chat_stream([ROLE, *WORDS * 2, STOP, DONE], reads=((0.3, 4000),)), ("F11", "one lump")),
        (chat_stream([ROLE, *WORDS * 2, STOP, DONE], reads=((1.0, 100), (1.0009, 4000))), ("F11", "one lump")),
        (chat_stream([ERROR, DONE]), ("F12", "error in stream")),
        (chat_stream([ROLE, ERROR, STOP, DONE]), ("C22", "goes on")),
        (chat_stream([ROLE, '{"a": NaN}', STOP, DONE]), ("J1", "not a number")),
        (chat_stream([ROLE, '{"a": 1e400}', STOP, DONE]), ("J1", "out of range")),
        (chat_stream([ROLE, '\ufeff{"a": 1}', STOP, DONE]), ("J1", "byte order mark")),
        (chat_stream([ROLE, '{"a": 1, "a": 2}', STOP, DONE]), ("J2", "key twice")),
        (answer(CHAT, ASKED, b'{"a": -Infinity}'), ("J1", "not a number")),
        (answer(CHAT, ASKED, b'{"a": 1, "a": 2}'), ("J2", "key twice")),
        (answer(CHAT, ASKED, b"{"), ("J3", "not JSON")),
        (answer(CHAT, ASKED, b"[" * 100_000), ("J3", "nested too deep")),
        (answer(CHAT, ASKED, {}, headers=HTML), ("N9", "media type")),
        (answer(CHAT, ASKED, ERROR), ("H1", "error in a success")),
        (answer(CHAT, ASKED, {"choices": [{}]}, status=500), ("H1", "answer in an error")),
        (answer(CHAT, ASKED, {}, status=204), ("H1", "body where none may be")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_kind_is_found(call: Exchange, breach: tuple[str, str]) -> None:
    assert breach in found(call)


@pytest.mark.parametrize(
    "call",
    [
        chat_stream(GOOD),
        chat_stream(GOOD, headers=(("content-type", "text/event-stream; charset=utf-8"),)),
        chat_stream(GOOD, reads=((1.0, 2000),)),
        chat_stream([ROLE, *WORDS * 2, STOP, DONE], reads=((0.2, 4000),)),
        chat_stream([ROLE, *WORDS * 2, STOP, DONE], reads=((1.0, 100), (1.1, 4000))),
        chat_stream([b"\xef\xbb\xbf: hello\n\n", *GOOD]),
        chat_stream([b": keep-alive\n\n", ROLE, b": comment\n", STOP, b"data:[DONE]\n\n"]),
        chat_stream([ROLE, *WORDS, ERROR]),
        chat_stream([ROLE, *WORDS, ERROR, DONE]),
        chat_stream(GOOD, reads=((1.0, 400), (1.5, 2000))),
        chat_stream(GOOD, reads=((0.01, 2000),)),
        answer(CHAT, ASKED, ERROR, status=400),
        answer(CHAT, ASKED, b"", status=204),
        answer("/v1/embeddings", {"stream": True}, ERROR, status=400),
        answer("/v1/messages/count_tokens", {"stream": True}, {"input_tokens": 5}),
        answer("/v1/rerank", {"stream": True}, {"results": []}),
        answer("/health", None, b"ok", headers=HTML, method="GET"),
    ],
)
def test_a_good_answer_keeps_the_rules_of_framing(call: Exchange) -> None:
    assert {rule for rule, _ in found(call) if rule[0] in "FHJ" or rule in {"C22", "N9"}} == set()


def test_a_violation_names_its_place_and_bytes() -> None:
    call = chat_stream([ROLE, '{"a": NaN}', STOP, DONE])
    (violation,) = (one for one in judge(call).violations if one.rule.id == "J1")
    assert (violation.event, violation.offset) == (2, len(line(ROLE)))
    assert violation.excerpt.startswith(b'data: {"a": NaN}')
    assert str(violation) == f"J1: {violation.rule.sentence} Got NaN in event 2 at byte {violation.offset}."


@pytest.mark.parametrize("ending", [Ending.CANCELLED, Ending.LIMIT])
def test_an_answer_that_we_ended_need_not_have_an_end(ending: Ending) -> None:
    assert found(chat_stream([ROLE, b"data: {"], ending=ending)) == set()


def test_what_a_record_does_not_hold_is_not_judged() -> None:
    call = chat_stream(GOOD, held=EVERYTHING - {Held.FRAMING, Held.TIMES})
    judgement = judge(call)
    assert judgement.not_judged["F10"] == "the record holds no framing"
    assert judgement.not_judged["F11"] == "the record holds no times"
    assert not {"F10", "F11"} & set(judgement.kept)
    assert "F10" in judge(chat_stream(GOOD)).kept


def test_no_answer_is_nothing_to_judge() -> None:
    call = answer(CHAT, ASKED, b"")
    call.status = None
    assert judge(call) == ((), (), {})


def test_headers_of_the_tests_are_those_of_the_wire() -> None:
    assert (JSON, EVENTS) == ((("content-type", "application/json"),), (("content-type", "text/event-stream"),))


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"message": "overloaded", "code": 529}\n\n',
        b"event: error\ndata: overloaded\n\n",
        b'data: {"error": "overloaded"}\n\n',
        b'data: [{"error": {"code": 429, "message": "overloaded"}}]\n\n',
        b'data: {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}}\n\n',
        line({**ROLE, "error": {"message": "overloaded"}}),
    ],
)
def test_an_error_event_is_seen_in_each_of_its_forms(event: bytes) -> None:
    assert ("F12", "error in stream") in found(chat_stream([event, DONE]))
    assert ("C22", "goes on") in found(chat_stream([ROLE, event, *WORDS, STOP, DONE]))


@pytest.mark.parametrize("said", [None, "", {}])
def test_an_empty_error_in_a_chunk_is_not_an_error(said: Any) -> None:
    assert found(chat_stream([{**event, "error": said} for event in (ROLE, *WORDS, STOP)] + [DONE])) == set()
