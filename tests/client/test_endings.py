"""What cannot be a success whatever else it holds: judged on the bytes alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.client.endings import Unusable, improper_end, unusable
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.protocol.exchange import EVERYTHING, Exchange, Held, Request
from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS, MESSAGES, RESPONSES

CHUNK = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}]}
LAST = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
RESPONSE = {"type": "response.output_text.delta", "delta": "Hi"}
MESSAGE = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
NO_RESPONSE_END = "an end without response.completed, response.incomplete or response.failed"
NO_MESSAGE_END = "an end without message_stop"


def end_of(path: str, *events: Any, held: frozenset[Held] = EVERYTHING) -> str | None:
    lines = (one if isinstance(one, str) else json.dumps(one) for one in events)
    body = "".join(f"data: {line}\n\n" for line in lines).encode()
    headers = (("content-type", "text/event-stream"),)
    asked = Request("POST", f"http://127.0.0.1:1{path}")
    return improper_end(stream_of(Exchange(asked, 200, headers, body, held=held)))


def whole(path: str, body: str) -> Unusable | None:
    return unusable(Reply(Exchange(Request("POST", "http://127.0.0.1:1/"), 200, (), body.encode())), path)


@pytest.mark.parametrize(
    ("path", "events", "wrong"),
    [
        (CHAT, (CHUNK, LAST), None),
        (CHAT, (CHUNK, "[DONE]"), None),
        (CHAT, (CHUNK,), "an end with neither a finish reason nor [DONE]"),
        (CHAT, ("[DONE]",), "an end without any choice in any event"),
        (CHAT, ({"choices": []}, "[DONE]"), "an end without any choice in any event"),
        (CHAT, (CHUNK, {"choices": [None]}, LAST), "event 2, whose choices are '[null]',"),
        (
            COMPLETIONS,
            ({"choices": [{"text": "Hi"}, 7]}, "[DONE]"),
            'event 1, whose choices are \'[{"text": "Hi"}, 7]\',',
        ),
        (CHAT, (CHUNK, LAST, {"choices": [], "usage": {}}, "[DONE]"), None),
        (RESPONSES, (RESPONSE, {"type": "response.completed"}), None),
        (RESPONSES, (RESPONSE,), NO_RESPONSE_END),
        (RESPONSES, (RESPONSE, "[DONE]"), NO_RESPONSE_END),
        # Events that tell nothing of their API: the one that was asked says what is missing.
        (RESPONSES, ({"kind": "delta"}, "[DONE]"), NO_RESPONSE_END),
        (MESSAGES, (MESSAGE, {"type": "message_stop"}), None),
        (MESSAGES, (MESSAGE,), NO_MESSAGE_END),
        (MESSAGES, ({"text": "Hi"},), NO_MESSAGE_END),
        (MESSAGES, (CHUNK, LAST, "[DONE]"), NO_MESSAGE_END),
    ],
)
def test_each_api_needs_its_own_end(path: str, events: tuple[Any, ...], wrong: str | None) -> None:
    assert end_of(path, *events) == wrong


@pytest.mark.parametrize(
    ("path", "choices", "wrong"),
    [
        (CHAT, [{"message": {"content": None}}], None),
        (CHAT, None, ("at least one choice in 'choices'", "choices 'None'")),
        (CHAT, [None], ("an object in choices.0", "'null'")),
        (CHAT, [{"message": {}}, 7], ("an object in choices.1", "'7'")),
        (CHAT, [{"message": None}], ("an object in choices.0.message", "'null'")),
        (CHAT, [{"index": 0}], ("an object in choices.0.message", "none in '{\"index\": 0}'")),
        (COMPLETIONS, [{"text": ""}], None),
        (COMPLETIONS, [None], ("an object in choices.0", "'null'")),
        (COMPLETIONS, [{"text": None}], ("text in choices.0.text", "'null'")),
    ],
)
def test_each_choice_of_a_whole_answer_holds_one(path: str, choices: Any, wrong: tuple[str, str] | None) -> None:
    assert whole(path, json.dumps({"choices": choices})) == wrong


@pytest.mark.parametrize(("event", "wrong"), [(RESPONSE, NO_RESPONSE_END), (MESSAGE, NO_MESSAGE_END)])
def test_without_the_request_the_events_tell_the_api(event: Any, wrong: str) -> None:
    assert end_of("", event, held=EVERYTHING - {Held.REQUEST}) == wrong


@pytest.mark.parametrize(("number", "told"), [("NaN", "NaN"), ("-Infinity", "-Infinity"), ("Infinity", "Infinity")])
def test_what_json_does_not_have_is_no_success(number: str, told: str) -> None:
    reason = f"{told}, which JSON does not have"
    event = json.dumps({**CHUNK, "speed": 0}).replace('"speed": 0', f'"speed": {number}')
    assert end_of(CHAT, event, LAST) == f"event 1, which is not JSON: {reason},"
    answer = Exchange(Request("POST", "http://127.0.0.1:1/"), 200, (), f'{{"choices": [{{}}], "a": {number}}}'.encode())
    found = unusable(Reply(answer), CHAT)
    assert found is not None
    assert found.got == reason


@pytest.mark.parametrize("text", ["NaN", "to Infinity and back", '\\"NaN'])
def test_their_names_in_a_text_are_only_a_text(text: str) -> None:
    body = f'{{"choices": [{{"index": 0, "delta": {{"content": "{text}"}}}}]}}'
    assert end_of(CHAT, body, LAST) is None
    assert whole(CHAT, body.replace("delta", "message")) is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("[" * 100_000, ", JSON nested too deep to be read"),
        ("\ufeff" + json.dumps(LAST), ", a byte order mark"),
        (f'{{"choices": [{{}}], "a": {"1" * 5000}}}', f", a number beyond reading: {'1' * 60}… (5000 characters)"),
        ("hello", ""),
    ],
    ids=["nested", "mark", "digits", "text"],
)
def test_json_that_cannot_be_read_is_told_with_the_reason(body: str, reason: str) -> None:
    found = unusable(Reply(Exchange(Request("POST", "http://127.0.0.1:1/"), 200, (), body.encode())), CHAT)
    assert found is not None
    assert found.got == f"no content type: {shorten(body)!r}{reason}"
    # A mark at the beginning of a stream is legal, so this event is not the first.
    assert end_of(CHAT, CHUNK, body, LAST) == f"event 2, which is not JSON ({shorten(body, 40)!r}{reason}),"
