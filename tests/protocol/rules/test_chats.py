"""Rules of chats: each kind fails for its own reason, in streams and whole answers; the good answer keeps all."""

from __future__ import annotations

from typing import Any

import pytest
from protocol.rules.exchanges import (
    ASKED,
    DONE,
    GOOD,
    ROLE,
    STOP,
    TEXT,
    USAGE,
    USAGE_CHUNK,
    WITH_USAGE,
    WORDS,
    chat,
    chat_stream,
    chunk,
    found,
    usage_stream,
    whole,
    with_value,
    without,
)

from InferenceLibrary.protocol.exchange import EVERYTHING, Ending, Exchange, Held
from InferenceLibrary.protocol.rules.book import judge

TWO = {**ASKED, "n": 2}
ROLE_2 = chunk({"role": "assistant", "content": ""}, index=1)
STOP_2 = chunk({}, "stop", 1)
HELLO_2 = chunk({"content": "Hello"}, index=1)
GOOD_TWO = [ROLE, ROLE_2, WORDS[0], HELLO_2, STOP, STOP_2, DONE]
NULL = {"role": "assistant", "content": None}
NO_TOKENS = {"prompt_tokens": 14, "completion_tokens": 0, "total_tokens": 14}


def second(event: Any) -> Exchange:
    """A stream in which something comes after the first text."""
    return chat_stream([ROLE, WORDS[0], event, *WORDS[1:], STOP, DONE])


@pytest.mark.parametrize(
    ("call", "breach"),
    [
        (second(without(WORDS[1], "choices")), ("C1", "missing")),
        (second(without(WORDS[1], "created")), ("C1", "missing")),
        (second({**WORDS[1], "model": None}), ("C1", "null")),
        (second({**WORDS[1], "id": 5}), ("C1", "type")),
        (second({**WORDS[1], "choices": None}), ("C1", "null")),
        (second({**WORDS[1], "object": "chat.completion"}), ("C1", "value")),
        (second({**WORDS[1], "id": "other"}), ("C2", "changes")),
        (second({**WORDS[1], "id": ""}), ("C2", "empty")),
        (second({**WORDS[1], "created": 1}), ("C3", "changes")),
        (second({**WORDS[1], "model": "other"}), ("C4", "changes")),
        (chat_stream([{**one, "model": ""} for one in (ROLE, STOP)] + [DONE]), ("C4", "empty")),
        (second(without(WORDS[1], "choices", 0, "finish_reason")), ("C5", "no key finish_reason")),
        (second(without(WORDS[1], "choices", 0, "delta")), ("C5", "missing")),
        (second(with_value(WORDS[1], None, "choices", 0, "index")), ("C5", "null")),
        (second(with_value(WORDS[1], "0", "choices", 0, "index")), ("C5", "type")),
        (second(with_value(WORDS[1], None, "choices", 0)), ("C5", "null")),
        (chat_stream([*WORDS, STOP, DONE]), ("C6", "missing")),
        (chat_stream([WORDS[0], ROLE, STOP, DONE]), ("C6", "late")),
        (chat_stream([chunk({"role": "user", "content": ""}), STOP, DONE]), ("C6", "other role")),
        (chat_stream([ROLE, HELLO_2, STOP, STOP_2, DONE], TWO), ("C6", "missing")),
        (second(chunk({"role": "assistant", "content": " "})), ("C7", "again")),
        (chat_stream([*(chunk({"role": "assistant", "content": text}) for text in TEXT), STOP, DONE]), ("C7", "again")),
        (chat_stream([ROLE, *WORDS, DONE]), ("C9", "missing")),
        (chat_stream([ROLE, *WORDS, STOP, STOP, DONE]), ("C9", "twice")),
        (chat_stream([ROLE, *WORDS, chunk({}, ""), DONE]), ("C9", "empty")),
        (chat_stream([ROLE, *WORDS, chunk({}, "tired"), DONE]), ("C9", "unknown")),
        (chat_stream([*GOOD_TWO[:-2], DONE], TWO), ("C9", "missing")),
        (chat_stream([*GOOD_TWO[:-1], STOP_2, DONE], TWO), ("C9", "twice")),
        (chat(whole(finish="tired")), ("C9", "unknown")),
        (chat_stream([ROLE, chunk({"content": "Hi"}, "stop"), DONE]), ("C10", "with text")),
        (chat_stream([ROLE, *WORDS, STOP, WORDS[0], DONE]), ("C11", "more")),
        (chat_stream([*GOOD_TWO[:-1], HELLO_2, DONE], TWO), ("C11", "more")),
        (chat_stream([DONE]), ("C24", "none")),
        (chat_stream([]), ("C24", "none")),
        (chat(without(whole(), "usage")), ("N1", "missing")),
        (chat(whole(choices=None)), ("N1", "null")),
        (chat(whole(created="now")), ("N1", "type")),
        (chat(whole(object="thing")), ("N1", "value")),
        (chat(whole(choices=[])), ("N1", "no choice")),
        (chat([]), ("N1", "type")),
        (chat(whole(id="")), ("C2", "empty")),
        (chat(whole(), TWO), ("N2", "too few")),
        (chat_stream(GOOD, TWO), ("N2", "too few")),
        (chat(whole(choices=whole()["choices"] * 2)), ("N2", "too many")),
        (chat(with_value(whole(), 99, "choices", 0, "index")), ("N2", "index")),
        (chat_stream([*GOOD[:-1], HELLO_2, DONE]), ("N2", "index")),
        (chat(without(whole(), "choices", 0, "message")), ("N3", "missing")),
        (chat(whole(finish=None)), ("N3", "null")),
        (chat(with_value(whole(), "0", "choices", 0, "index")), ("N3", "type")),
        (chat(with_value(whole(), "text", "choices", 0, "message")), ("N3", "type")),
        (chat(whole({"role": "assistant"})), ("N4", "missing")),
        (chat(whole({"role": None, "content": "Hi"})), ("N4", "null")),
        (chat(whole({"role": "assistant", "content": 5})), ("N4", "type")),
        (chat(whole({"role": "user", "content": "Hi"})), ("N4", "other role")),
        (chat(whole(NULL)), ("N4", "content is null")),
        (chat(whole({**NULL, "tool_calls": []})), ("N4", "content is null")),
        (chat(whole({"role": "assistant", "content": "Hi", "annotations": None})), ("V1", "null")),
        (second(chunk({"role": None, "content": " "})), ("V1", "null")),
        (second({**WORDS[1], "system_fingerprint": 5}), ("V2", "type")),
        (second(with_value(WORDS[1], [], "choices", 0, "logprobs")), ("V2", "type")),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_kind_is_found(call: Exchange, breach: tuple[str, str]) -> None:
    assert breach in found(call)


AZURE = {
    "id": "",
    "object": "",
    "created": 0,
    "model": "",
    "choices": [],
    "prompt_filter_results": [{"prompt_index": 0}],
}


@pytest.mark.parametrize(
    "call",
    [
        chat_stream(GOOD),
        chat_stream(GOOD_TWO, TWO),
        chat_stream([AZURE, *GOOD]),
        chat_stream([chunk({"role": "assistant", "content": None}), *GOOD[1:]]),
        chat_stream([chunk({"role": "assistant"}), *GOOD[1:]]),
        chat_stream(
            [{**one, "system_fingerprint": "fp", "obfuscation": "x", "timings": {"a": 1.5}} for one in GOOD[:-1]]
            + [DONE]
        ),
        chat_stream([ROLE, *(chunk({"reasoning_content": "Hm."}),) * 3, *WORDS, STOP, DONE]),
        chat_stream([ROLE, chunk({}, "length"), DONE]),
        chat_stream(usage_stream([USAGE_CHUNK, DONE]), WITH_USAGE),
        chat(whole()),
        chat(whole({**NULL, "refusal": "No."})),
        chat(whole({"role": "assistant", "content": "", "reasoning_content": "Hm."}, "length")),
        chat(whole(model="m-2026-01-01", service_tier=None, system_fingerprint="fp")),
        chat(with_value(whole(), None, "choices", 0, "logprobs")),
    ],
)
def test_a_good_answer_keeps_all_rules(call: Exchange) -> None:
    assert found(call) == set()


@pytest.mark.parametrize(
    ("call", "breach"),
    [
        (chat_stream(usage_stream([USAGE_CHUNK, DONE])), ("C13", "not asked for")),
        (chat_stream(usage_stream([DONE]), WITH_USAGE), ("C14", "missing")),
        (chat_stream(usage_stream([USAGE_CHUNK, USAGE_CHUNK, DONE]), WITH_USAGE), ("C14", "twice")),
        (chat_stream(usage_stream([{**chunk(), "usage": USAGE}, DONE]), WITH_USAGE), ("C14", "with choices")),
        (
            chat_stream([{**ROLE, "usage": None}, USAGE_CHUNK, {**STOP, "usage": None}, DONE], WITH_USAGE),
            ("C14", "before the end"),
        ),
        (
            chat_stream(usage_stream([USAGE_CHUNK, {**chunk(), "choices": [], "usage": None}, DONE]), WITH_USAGE),
            ("C14", "not last"),
        ),
        (chat_stream([*GOOD[:-1], USAGE_CHUNK, DONE], WITH_USAGE), ("C15", "missing")),
        (
            chat_stream(usage_stream([{**USAGE_CHUNK, "usage": {**USAGE, "total_tokens": 21}}, DONE]), WITH_USAGE),
            ("C16", "sum"),
        ),
        (chat_stream(usage_stream([{**USAGE_CHUNK, "usage": {}}, DONE]), WITH_USAGE), ("C16", "count")),
        (
            chat_stream(
                usage_stream(
                    [{**USAGE_CHUNK, "usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 15}}}, DONE]
                ),
                WITH_USAGE,
            ),
            ("C16", "detail"),
        ),
        (chat(whole(usage={**USAGE, "prompt_tokens": "14"})), ("N7", "count")),
        (chat(whole(usage={**USAGE, "completion_tokens": -6, "total_tokens": 8})), ("N7", "count")),
        (chat(whole(usage={**USAGE, "prompt_tokens": 14.0})), ("N7", "count")),
        (chat(whole(usage={**USAGE, "prompt_tokens": True})), ("N7", "count")),
        (chat(whole(usage={**USAGE, "total_tokens": 7})), ("N7", "sum")),
        (chat(whole(usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 15}})), ("N7", "detail")),
        (chat(whole(usage={**USAGE, "completion_tokens_details": {"reasoning_tokens": 7}})), ("N7", "detail")),
        (chat(whole(usage={**USAGE, "completion_tokens_details": {"reasoning_tokens": "7"}})), ("N7", "detail")),
        (chat(whole(usage={**USAGE, "completion_tokens_details": 7})), ("N7", "detail")),
        (chat(whole(), {**ASKED, "stream_options": {"include_usage": True}}), ("C18", "accepted")),
        (chat(whole(), {**ASKED, "max_tokens": 5}), ("C17", "too many")),
        (chat_stream([ROLE, *WORDS * 3, STOP, DONE], {**ASKED, "max_completion_tokens": 6}), ("C17", "too many")),
        (chat_stream(usage_stream([USAGE_CHUNK, DONE]), {**WITH_USAGE, "max_tokens": 6}), ("C17", "stop at the limit")),
        (chat(whole(), {**ASKED, "stop": "France"}), ("C20", "whole")),
        (chat_stream(GOOD, {**ASKED, "stop": ["x", "Paris"]}), ("C20", "whole")),
        (chat(whole(), {**ASKED, "stop": ["ris. End"]}), ("C20", "beginning")),
        (chat(whole(usage={**USAGE, "prompt_tokens": 0, "total_tokens": 6})), ("U2", "prompt")),
        (chat(whole(usage={**USAGE, "completion_tokens": 0, "total_tokens": 14})), ("U2", "completion")),
        (
            chat_stream(usage_stream([{**USAGE_CHUNK, "usage": NO_TOKENS}, DONE]), WITH_USAGE),
            ("U2", "completion"),
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else "",
)
def test_each_kind_of_usage_and_limits_is_found(call: Exchange, breach: tuple[str, str]) -> None:
    assert breach in found(call)


@pytest.mark.parametrize(
    "call",
    [
        chat_stream(usage_stream([USAGE_CHUNK, DONE]), {**WITH_USAGE, "max_tokens": 7}),
        chat(whole({"role": "assistant", "content": ""}, usage=NO_TOKENS)),
        chat(
            whole(usage={**USAGE, "prompt_tokens": 0, "total_tokens": 6}), {"model": "m", "messages": [{"content": ""}]}
        ),
        chat(whole(), {**ASKED, "max_tokens": 6}),
        chat(whole(finish="length"), {**ASKED, "max_tokens": 6}),
        chat(whole(), {**ASKED, "stop": "London"}),
        chat(whole(), {**ASKED, "stop": ". The end"}),
        chat(whole(), {**ASKED, "stop": "Paris", "include_stop_str_in_output": True}),
        chat(whole(usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 14, "audio_tokens": None}})),
        chat_stream(
            [*({**one, "usage": USAGE} for one in (ROLE, STOP)), USAGE_CHUNK, DONE],
            {**ASKED, "stream_options": {"include_usage": True, "continuous_usage_stats": True}},
        ),
    ],
)
def test_usage_and_limits_that_are_kept(call: Exchange) -> None:
    assert found(call) == set()


@pytest.mark.parametrize(
    ("call", "kind", "level"),
    [
        (chat(whole(), {**ASKED, "stop": "France"}), "whole", "must"),
        (chat(whole(), {**ASKED, "stop": ["ris. End"]}), "beginning", "should"),
        (second(without(WORDS[1], "choices", 0, "finish_reason")), "no key finish_reason", "should"),
        (second(without(WORDS[1], "choices", 0, "delta")), "missing", "must"),
        (second({**WORDS[1], "created": 1}), "changes", "should"),
        (chat_stream(usage_stream([{**chunk(), "usage": USAGE}, DONE]), WITH_USAGE), "with choices", "should"),
        (chat_stream(usage_stream([DONE]), WITH_USAGE), "missing", "must"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_clients_tolerate_is_of_the_lower_level(call: Exchange, kind: str, level: str) -> None:
    (violation,) = judge(call).violations
    assert (violation.kind, violation.level) == (kind, level)


def test_usage_counts_all_choices() -> None:
    data = whole(choices=[{**whole()["choices"][0], "index": index} for index in (0, 1)])
    assert ("U1", "fewer than words") in found(chat(data, TWO))
    data["usage"] = {"prompt_tokens": 14, "completion_tokens": 12, "total_tokens": 26}
    assert found(chat(data, TWO)) == set()


def test_usage_counts_the_tokens_of_all_choices() -> None:
    tokens = {"content": [{"token": "a", "logprob": -1, "bytes": [97], "top_logprobs": []}] * 4}
    said = {"role": "assistant", "content": "aaaa"}
    choices = [{"index": index, "message": said, "finish_reason": "stop", "logprobs": tokens} for index in range(2)]
    assert ("U1", "fewer than tokens") in found(chat(whole(choices=choices), TWO))
    right = {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22}
    assert found(chat(whole(choices=choices, usage=right), TWO)) == set()


@pytest.mark.parametrize("ending", [Ending.CANCELLED, Ending.LIMIT])
def test_a_stream_that_we_ended_needs_no_end(ending: Ending) -> None:
    judgement = judge(chat_stream([{**one, "usage": None} for one in (ROLE, *WORDS)], WITH_USAGE, ending=ending))
    assert judgement.broken == ()
    assert judgement.not_judged["C14"] == "the answer did not come to its own end"


def test_a_stream_that_an_error_ended_needs_no_end() -> None:
    error = {"error": {"message": "overloaded", "type": "server_error", "param": None, "code": None}}
    assert found(chat_stream([*({**one, "usage": None} for one in (ROLE, *WORDS)), error], WITH_USAGE)) == set()


def test_rules_on_the_request_are_not_judged_without_it() -> None:
    call = chat(whole(), {**ASKED, "stop": "France", "n": 2}, held=EVERYTHING - {Held.REQUEST})
    judgement = judge(call)
    assert judgement.broken == ()
    assert {"C17", "C20", "N2", "N8"} <= set(judgement.not_judged)
    assert "N1" in judgement.kept


def test_places_are_told() -> None:
    call = second({**WORDS[1], "id": "other"})
    (violation,) = judge(call).violations
    assert (violation.event, violation.got) == (3, '"other" after "chatcmpl-1"')
    assert b'"id": "other"' in violation.excerpt


def test_a_time_that_is_a_text_and_changes_is_told_as_that() -> None:
    call = chat_stream([{**ROLE, "created": "now"}, {**WORDS[0], "created": ""}, {**STOP, "created": "now"}, DONE])
    assert ("C3", "changes") in found(call)


def test_many_changes_are_told_once_with_their_number() -> None:
    call = chat_stream([ROLE, *({**word, "created": 1} for word in WORDS), STOP, DONE])
    (violation,) = judge(call).violations
    assert (violation.event, violation.got) == (2, "1 after 1700000000, in 6 chunks")
