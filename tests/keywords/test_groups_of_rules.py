"""Checks that ask a group of rules: each of their clauses fails for its own reason."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.protocol.exchange import Ending, Exchange, Request
from InferenceLibrary.types import JsonObject

ASKED = Request("POST", "http://host/v1/chat/completions", (), b'{"messages": [{"role": "user", "content": "Hi"}]}')
WITH_LOGPROBS = ASKED._replace(body=ASKED.body[:-1] + b', "logprobs": true, "top_logprobs": 1}')
TOOL = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
DONE = "[DONE]"


def chunk(text: str, reason: str | None = None) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}],
    }


def stream(*events: Any, ending: Ending = Ending.WHOLE) -> Stream:
    body = "".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n" for event in events)
    exchange = Exchange(ASKED, 200, (("content-type", "text/event-stream"),), body.encode())
    exchange.ending = ending
    return stream_of(exchange)


def reply(message: dict[str, Any], asked: Request = ASKED, **choice: Any) -> Reply:
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": "stop", **choice}],
    }
    return Reply(Exchange(asked, 200, (("content-type", "application/json"),), json.dumps(body).encode()))


def called(**function: Any) -> Reply:
    call = {"id": "call_1", "type": "function", "function": function}
    return reply({"content": None, "tool_calls": [call]}, finish_reason="tool_calls")


def with_logprobs(*tokens: dict[str, Any]) -> Reply:
    return reply({"content": "Hi"}, WITH_LOGPROBS, logprobs={"content": list(tokens)})


TOKEN = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}
BEST = {"token": "Hi", "logprob": -0.5, "bytes": [72, 105]}
WORDS, END = chunk("Hi"), chunk("", "stop")

HOLDS: dict[str, Callable[[InferenceLibrary], Any]] = {
    "an end": lambda lib: lib.stream_should_end_with_done(stream(WORDS, END, DONE)),
    "a tool call": lambda lib: lib.tool_calls_should_be_sound(called(name="weather", arguments="{}"), TOOL),
    "log probabilities": lambda lib: lib.logprobs_should_be_sound(with_logprobs({**TOKEN, "top_logprobs": [BEST]})),
}
FAILS: dict[str, tuple[Callable[[InferenceLibrary], Any], str]] = {
    "no end": (lambda lib: lib.stream_should_end_with_done(stream(WORDS, END)), "F8"),
    "two ends": (lambda lib: lib.stream_should_end_with_done(stream(WORDS, END, DONE, DONE)), "F8"),
    "words after the end": (lambda lib: lib.stream_should_end_with_done(stream(WORDS, DONE, END)), "F8"),
    "a connection that broke": (
        lambda lib: lib.stream_should_end_with_done(stream(WORDS, ending=Ending.CUT)),
        "expected|F8",
    ),
    "no tool call": (
        lambda lib: lib.tool_calls_should_be_sound(reply({"content": "Hi"}), TOOL),
        "Tool calls: expected",
    ),
    "a tool that nobody offered": (
        lambda lib: lib.tool_calls_should_be_sound(called(name="other", arguments="{}"), TOOL),
        "Tool calls: T",
    ),
    "arguments that are not JSON": (
        lambda lib: lib.tool_calls_should_be_sound(called(name="weather", arguments="{"), TOOL),
        "Tool calls: T",
    ),
    "a call whose arguments are not JSON": (
        lambda lib: lib.tool_should_be_called(called(name="weather", arguments='{"city": "Rom'), "weather"),
        r"Tool calls: expected weather\(\), got weather\(.*Rom.*\): its arguments are not a JSON object",
    ),
    "a call whose arguments are empty text": (
        lambda lib: lib.tool_should_be_called(called(name="weather", arguments=""), "weather"),
        r"Tool calls: expected weather\(\), got weather\(\): its arguments are not a JSON object",
    ),
    "false where zero is wanted": (
        lambda lib: lib.tool_should_be_called(
            called(name="w", arguments='{"a": [{"b": false}]}'), "w", JsonObject({"a": [{"b": 0}]})
        ),
        r"Tool calls: expected w\(.*0.*\), got w\(.*false.*\)\.",
    ),
    "an empty text as arguments": (
        lambda lib: lib.tool_calls_should_be_sound(called(name="weather", arguments=""), TOOL),
        "Tool calls: T5",
    ),
    "an alternative without its logprob": (
        lambda lib: lib.logprobs_should_be_sound(
            with_logprobs({**TOKEN, "top_logprobs": [{"token": "Hi", "bytes": [72, 105]}]})
        ),
        "Log probabilities: C23",
    ),
    "alternatives that are texts": (
        lambda lib: lib.logprobs_should_be_sound(with_logprobs({**TOKEN, "top_logprobs": ["Hi"]})),
        "Log probabilities: C23",
    ),
    "tokens that only contain the text": (
        lambda lib: lib.logprobs_should_be_sound(
            with_logprobs({**TOKEN, "token": "Hi there", "bytes": None, "top_logprobs": [BEST]})
        ),
        "Log probabilities: L4",
    ),
    "log probabilities that are none": (
        lambda lib: lib.logprobs_should_be_sound(reply({"content": "Hi"}, WITH_LOGPROBS, logprobs={"content": 5})),
        r"Log probabilities: expected objects .* in choices\.0\.logprobs\.content, .*, got \{\"content\": 5\}\.",
    ),
    "no log probabilities": (
        lambda lib: lib.logprobs_should_be_sound(reply({"content": "Hi"}, WITH_LOGPROBS)),
        "Log probabilities: expected",
    ),
    "a positive log probability": (
        lambda lib: lib.logprobs_should_be_sound(with_logprobs({**TOKEN, "logprob": 0.5, "top_logprobs": [BEST]})),
        "Log probabilities: C23",
    ),
}


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


@pytest.mark.parametrize("case", HOLDS)
def test_what_keeps_the_rules_passes(lib: InferenceLibrary, case: str) -> None:
    HOLDS[case](lib)


@pytest.mark.parametrize("case", FAILS)
def test_each_clause_fails_for_its_own_reason(lib: InferenceLibrary, case: str) -> None:
    call, told = FAILS[case]
    with pytest.raises(CheckFailure, match=told):
        call(lib)
