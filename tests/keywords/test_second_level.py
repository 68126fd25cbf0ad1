"""Checks of single chunks, headers, counts and choices: each clause fails once, for its own reason."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.embeddings import Embeddings
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure, StreamError
from InferenceLibrary.keywords.shared.arguments import prompt_of
from InferenceLibrary.keywords.shared.json_values import same
from InferenceLibrary.protocol.exchange import Exchange, Request
from InferenceLibrary.types import JsonObject, Messages, to_messages

USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
ASKED = Request("POST", "http://host/v1/chat/completions", (), b"{}")
WITH_USAGE = ASKED._replace(body=b'{"stream_options": {"include_usage": true}}')


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def stream(*chunks: dict[str, Any], request: Request = ASKED) -> Stream:
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return stream_of(Exchange(request, 200, (("content-type", "text/event-stream"),), body.encode()))


def reply(body: Any) -> Reply:
    headers = (("content-type", "application/json"), ("x-request-id", "my-id-1"))
    return Reply(Exchange(ASKED, 200, headers, json.dumps(body).encode()))


def delta(text: str | None, index: int = 0, **others: Any) -> dict[str, Any]:
    content = {} if text is None else {"content": text}
    return {"object": "chunk", "choices": [{"index": index, "delta": content}], **others}


CALL = {"id": "c", "type": "function", "function": {"name": "t", "arguments": '{"a":1}'}}
TEXT = {"type": "text", "text": "Wait."}
USE = {"type": "tool_use", "id": "c", "name": "t", "input": {"a": 1}}
ITEM = {"type": "function_call", "call_id": "c", "name": "t", "arguments": '{"a":1}'}
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Wait."}]}
CALLED: dict[str, Any] = {
    "/v1/chat/completions": {"choices": [{"index": 0, "message": {"content": "Wait.", "tool_calls": [CALL]}}]},
    "/v1/responses": {"object": "response", "output": [SAID, ITEM]},
    "/v1/messages": {"type": "message", "content": [TEXT, USE]},
}
"""An answer of each API that calls a tool."""


def called(path: str) -> Reply:
    request = ASKED._replace(url=f"http://host{path}")
    return Reply(Exchange(request, 200, (("content-type", "application/json"),), json.dumps(CALLED[path]).encode()))


def vectors(*found: list[float]) -> Embeddings:
    return Embeddings(list(found), COUNTED, "float")


def choices(*indices: Any) -> Reply:
    return reply({"choices": [{"index": index, "message": {"content": "x"}} for index in indices]})


RISING = stream(delta(None, n=1), delta("a", n=2, timings={"ms": 1.5}), delta("b", n=2, timings={"ms": 2}))
FALLING = stream(delta("a", n=3), delta("b", n=2))
TWO = stream(delta("a"), {"choices": [{"index": 1, "delta": {"content": "b"}, "finish_reason": "length"}]})
ERROR = {"error": {"message": "out of memory", "type": "InternalServerError", "code": 500}}
BROKEN = stream(delta("a"), ERROR)
GOES_ON = stream(delta("a"), ERROR, delta("b"))
COUNTED = reply({"choices": [], "usage": USAGE})


def test_what_holds_passes(lib: InferenceLibrary) -> None:
    lib.every_chunk_should_have(RISING, "object", "chunk")
    lib.every_chunk_should_have(RISING, "choices.0.index", "0")
    lib.every_chunk_should_have(RISING, "timings", among="text")
    assert lib.values_should_not_fall(RISING, "n") == [1, 2, 2]
    assert lib.values_should_not_fall(RISING, "timings.ms", rising=True) == [1.5, 2]
    lib.usage_should_be(COUNTED, prompt=7, completion=5, total=12)
    assert lib.get_prompt_tokens(COUNTED, "==", 7) == 7
    assert lib.get_completion_tokens(COUNTED, "<", 6) == 5
    lib.choices_should_be(choices(0, 1, 2), 3)
    lib.choices_should_be(stream(delta("a", 1), delta("b", 0)), 2)
    assert lib.get_header(COUNTED, "X-Request-Id", "==", "my-id-1") == "my-id-1"
    assert lib.get_header(COUNTED, "X-Other", "==", None) is None
    assert lib.get_answer_value(COUNTED, "usage.prompt_tokens", "==", "7") == 7
    assert lib.get_answer_value(RISING, "n") == 2
    assert lib.get_answer_value(COUNTED, "choices", "==", "[]") == []
    assert lib.get_answer_value(COUNTED, "usage", "!=", "{}") == USAGE


@pytest.mark.parametrize(
    ("path", "continued"),
    [
        (
            "/v1/chat/completions",
            [
                {"role": "assistant", "content": "Wait.", "tool_calls": [CALL]},
                {"role": "tool", "tool_call_id": "c", "content": '{"b": 2}'},
            ],
        ),
        (
            "/v1/responses",
            [
                {"role": "assistant", "content": "Wait."},
                ITEM,
                {"type": "function_call_output", "call_id": "c", "output": '{"b": 2}'},
            ],
        ),
        (
            "/v1/messages",
            [
                {"role": "assistant", "content": [TEXT, USE]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": '{"b": 2}'}]},
            ],
        ),
    ],
)
def test_results_of_tools_have_the_form_of_the_api(lib: InferenceLibrary, path: str, continued: Any) -> None:
    asked = Messages([{"role": "user", "content": "Hi"}])
    assert lib.add_tool_results(asked, called(path), JsonObject({"t": {"b": 2}})) == [*asked, *continued]
    assert to_messages(json.dumps(continued)) == continued


def test_a_tool_without_arguments_streams_no_json_in_one_api_alone(lib: InferenceLibrary) -> None:
    use = {"type": "content_block_start", "index": 0, "content_block": {**USE, "input": {}}}
    asked = ASKED._replace(url="http://host/v1/messages")
    assert lib.tool_should_be_called(stream(use, {"type": "message_stop"}, request=asked), "t").input == {}
    call = {"index": 0, **CALL, "function": {"name": "t", "arguments": ""}}
    chat = stream({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    with pytest.raises(CheckFailure, match="its arguments are not a JSON object"):
        lib.tool_should_be_called(chat, "t")


def test_other_parts_that_hold_pass(lib: InferenceLibrary) -> None:
    lib.finish_reason_should_be(TWO, "length", choice=1)
    lib.ranking_should_begin_with([{"index": 1}, {"index": 0}], 1)
    lib.stream_should_end_with_error(BROKEN, error_type="InternalServerError", error_code="500", error_message="MEMORY")
    lib.error_should_be(BROKEN, error_message="out of memory")
    lib.error_should_be(reply(ERROR), error_message="out of memory")
    lib.error_should_be(StreamError("failed", stream=BROKEN), error_message="an error event: out of memory")
    lib.embeddings_should_have_unit_length(vectors([0.6, 0.8], [0.0, 1.0]))
    lib.embeddings_should_agree(vectors([1.0, 0.0], [0.6, 0.8]), vectors([0.6, 0.8]), first=1)
    lib.embeddings_should_agree(vectors([0.6, 0.8]), vectors([1.0, 0.0], [0.6, 0.8]), second=1)


FAILURES: dict[str, tuple[Callable[[InferenceLibrary], Any], str]] = {
    "no chunk at all": (lambda lib: lib.every_chunk_should_have(stream(), "a"), r"Chunks: expected at least one in .*"),
    "no chunk with text": (
        lambda lib: lib.every_chunk_should_have(stream(delta(None)), "object", among="text"),
        r"Chunks: expected at least one with text in the stream, got none .*",
    ),
    "a chunk lacks the key": (
        lambda lib: lib.every_chunk_should_have(RISING, "timings.ms"),
        r"Chunks: expected 'timings.ms' in each of 3, got no 'timings' in event 1: .*",
    ),
    "a chunk has null": (
        lambda lib: lib.every_chunk_should_have(stream(delta("a", id=None)), "id"),
        r"Chunks: expected 'id' in each of 1, got no 'id' in event 1: .*",
    ),
    "a chunk has another value": (
        lambda lib: lib.every_chunk_should_have(RISING, "n", 1),
        r"Chunks: expected 'n' to be 1 in each of 3, got 2 in event 2\.",
    ),
    "a chunk has true for 1": (
        lambda lib: lib.every_chunk_should_have(stream(delta("a", n=True)), "n", "1"),
        r"Chunks: expected 'n' to be '1' in each of 1, got true in event 1\.",
    ),
    "no key of a chunk": (lambda lib: lib.every_chunk_should_have(RISING, ""), "Nothing is looked for in a chunk.*"),
    "a value falls": (
        lambda lib: lib.values_should_not_fall(FALLING, "n"),
        r"Values of 'n': expected at least 3 in event 2, as event 1 has it, got 2\.",
    ),
    "a value does not rise": (
        lambda lib: lib.values_should_not_fall(RISING, "n", rising=True),
        r"Values of 'n': expected above 2 in event 3, as event 2 has it, got 2\.",
    ),
    "one value alone": (
        lambda lib: lib.values_should_not_fall(stream(delta("a", n=1), delta("b")), "n"),
        r"Values of 'n': expected two or more chunks that have it, got 1 of 2\.",
    ),
    "a value is a text": (
        lambda lib: lib.values_should_not_fall(stream(delta("a", n=1), delta("b", n="2")), "n"),
        r"Values of 'n': expected a number, got '2' in event 2\.",
    ),
    "a value is true": (
        lambda lib: lib.values_should_not_fall(stream(delta("a", n=1), delta("b", n=True)), "n"),
        r"Values of 'n': expected a number, got true in event 2\.",
    ),
    "no values are named": (lambda lib: lib.values_should_not_fall(RISING, ""), "Nothing is looked for in a chunk.*"),
    "another prompt": (
        lambda lib: lib.usage_should_be(COUNTED, prompt=8, completion=5, total=12),
        r"Usage: expected prompt 8, got prompt 7, completion 5, total 12 in .*",
    ),
    "another completion": (
        lambda lib: lib.usage_should_be(COUNTED, prompt=7, completion=4, total=12),
        r"Usage: expected completion 4, got .*",
    ),
    "another total": (
        lambda lib: lib.usage_should_be(COUNTED, prompt=7, completion=5, total=11),
        r"Usage: expected total 11, got .*",
    ),
    "no expectation of usage": (
        lambda lib: lib.usage_should_be(COUNTED),
        r"Usage: expected at least one of prompt, completion and total to compare, got none\.",
    ),
    "no usage": (
        lambda lib: lib.usage_should_be(reply({}), prompt=7),
        r"Usage: expected prompt 7, got none\.",
    ),
    "no usage of a stream": (
        lambda lib: lib.usage_should_be(RISING, prompt=7),
        r"Usage: expected prompt 7, got none\. Hint: ask for it with include_usage=True\.",
    ),
    "no usage although asked for": (
        lambda lib: lib.usage_should_be(stream(delta("a"), request=WITH_USAGE), prompt=7),
        r"Usage: expected prompt 7, got none, although stream_options.include_usage asked for it\.",
    ),
    "more prompt tokens": (
        lambda lib: lib.get_prompt_tokens(COUNTED, "<", 7),
        r"Prompt tokens: expected < 7 tokens, got 7 tokens\.",
    ),
    "no prompt tokens": (
        lambda lib: lib.get_prompt_tokens(reply({})),
        r"Prompt tokens: expected usage in the answer, got none\.",
    ),
    "more completion tokens": (
        lambda lib: lib.get_completion_tokens(COUNTED, "<=", 3, "too long"),
        "too long",
    ),
    "no completion tokens": (
        lambda lib: lib.get_completion_tokens(reply({})),
        r"Completion tokens: expected usage in the answer, got none\.",
    ),
    "more choices": (
        lambda lib: lib.choices_should_be(choices(0, 1), 1),
        r"Choices: expected 1, got 2 in .*",
    ),
    "fewer choices of a stream": (
        lambda lib: lib.choices_should_be(RISING, 2),
        r"Choices: expected 2, got 1 in .*",
    ),
    "choices out of order": (
        lambda lib: lib.choices_should_be(choices(1, 0), 2),
        r"Choices: expected the indices \[0, 1\] in order, got \[1, 0\]\.",
    ),
    "choices with a gap": (
        lambda lib: lib.choices_should_be(stream(delta("a", 0), delta("b", 2)), 2),
        r"Choices: expected the indices \[0, 1\] in order, got \[0, 2\]\.",
    ),
    "no choices are expected": (
        lambda lib: lib.choices_should_be(choices(), 0),
        r"Choices: expected a number from 1 to compare with, got 0\.",
    ),
    "no such header": (
        lambda lib: lib.get_header(COUNTED, "x-other"),
        r"Header 'x-other': expected one of that name, got only: content-type, x-request-id\.",
    ),
    "a header too many": (
        lambda lib: lib.get_header(COUNTED, "x-request-id", "==", None),
        r"Header 'x-request-id': expected none, got 'my-id-1'\.",
    ),
    "another header": (
        lambda lib: lib.get_header(COUNTED, "x-request-id", "==", "my-id-2"),
        r"Header x-request-id 'my-id-1' \(str\) should be 'my-id-2' \(str\)",
    ),
    "no name of a header": (lambda lib: lib.get_header(COUNTED, ""), "Nothing is looked for in the headers.*"),
    "no such value": (
        lambda lib: lib.get_answer_value(COUNTED, "usage.cached"),
        r"Answer: expected 'usage.cached', got no 'cached' in usage in .*",
    ),
    "no such value in a stream": (
        lambda lib: lib.get_answer_value(RISING, "usage"),
        r"Answer: expected 'usage' in a chunk, got it in none of 4\.",
    ),
    "another number": (
        lambda lib: lib.get_answer_value(COUNTED, "usage.total_tokens", ">", 12),
        r"'usage.total_tokens' of the answer: expected > 12, got 12\.",
    ),
    "another list": (
        lambda lib: lib.get_answer_value(COUNTED, "choices", "==", "[1]"),
        r"'choices' of the answer: expected == '\[1\]', got \[\]\.",
    ),
    "the same object": (
        lambda lib: lib.get_answer_value(COUNTED, "usage", "!=", USAGE),
        r"'usage' of the answer: expected != .*",
    ),
    "another end of a choice": (
        lambda lib: lib.finish_reason_should_be(TWO, "stop", choice=1),
        r"Finish reason of choice 1: expected 'stop', got 'length' in .*",
    ),
    "no such choice": (
        lambda lib: lib.finish_reason_should_be(TWO, "stop", choice=2),
        r"Finish reason: expected choice 2, got only 0, 1 in .*",
    ),
    "no error of a stream": (
        lambda lib: lib.stream_should_end_with_error(RISING),
        r"Error of a stream: expected an error event, got none in .*",
    ),
    "more after an error": (
        lambda lib: lib.stream_should_end_with_error(GOES_ON),
        r"Error of a stream: expected nothing after event 2, got 1 more, the first .*",
    ),
    "another type of an error": (
        lambda lib: lib.stream_should_end_with_error(BROKEN, error_type="ServerError"),
        r"Error of a stream: expected type ServerError, got InternalServerError in .*",
    ),
    "another code of an error": (
        lambda lib: lib.stream_should_end_with_error(BROKEN, error_code="503"),
        r"Error of a stream: expected code 503, got 500 in .*",
    ),
    "another message of an error": (
        lambda lib: lib.stream_should_end_with_error(BROKEN, error_message="timeout"),
        r"Error of a stream: expected a message that contains 'timeout', got .*",
    ),
    "a message of a broken stream that is only its text": (
        lambda lib: lib.error_should_be(stream(delta("secret words"), ERROR), error_message="secret words"),
        r"Error: expected a message that contains 'secret words', got .*",
    ),
    "a message of a broken stream that is only its summary": (
        lambda lib: lib.error_should_be(BROKEN, error_message="chunks with text"),
        r"Error: expected a message that contains 'chunks with text', got .*",
    ),
    "a message of a failed stream that is only its text": (
        lambda lib: lib.error_should_be(
            StreamError("failed: got an error event after 2 events ('secret words')", stream=BROKEN),
            error_message="secret words",
        ),
        r"Error: expected a message that contains 'secret words', got .*",
    ),
    "a message of a refusal that is only its body": (
        lambda lib: lib.error_should_be(reply({**ERROR, "note": "chunks"}), error_message="chunks"),
        r"Error: expected a message that contains 'chunks', got .*",
    ),
    "no message of an error": (
        lambda lib: lib.stream_should_end_with_error(BROKEN, error_message=""),
        "Nothing is looked for in the error.*",
    ),
    "a vector too long": (
        lambda lib: lib.embeddings_should_have_unit_length(vectors([0.6, 0.8], [1.0, 0.1])),
        r"Lengths of embeddings: expected 1 within 0\.001, got 1\.00499 in vector 1 of 2\.",
    ),
    "a vector too short": (
        lambda lib: lib.embeddings_should_have_unit_length(vectors([0.9, 0.0])),
        r"Lengths of embeddings: expected 1 within 0\.001, got 0\.9 in vector 0 of 1\.",
    ),
    "a vector of no number": (
        lambda lib: lib.embeddings_should_have_unit_length(vectors([float("nan"), 0.0])),
        r"Lengths of embeddings: expected 1 within 0\.001, got nan in vector 0 of 1\.",
    ),
    "no vector": (
        lambda lib: lib.embeddings_should_have_unit_length(vectors()),
        r"Lengths of embeddings: expected at least one vector, got none\.",
    ),
    "another single vector": (
        lambda lib: lib.embeddings_should_agree(vectors([1.0, 0.0], [0.6, 0.8]), vectors([0.6, 0.8]), first=0),
        r"Embeddings: expected equal vectors within 1e-06, got a difference of 0\.8 in vector 0\.",
    ),
    "no such vector": (
        lambda lib: lib.embeddings_should_agree(vectors([1.0, 0.0]), vectors([1.0, 0.0]), second=3),
        r"Embeddings: expected vector 3, got 1 vectors .*",
    ),
    "another order": (
        lambda lib: lib.ranking_should_begin_with([{"index": 1}, {"index": 0}], 0),
        r"Ranking: expected it to begin with 0, got 1, 0\.",
    ),
    "fewer in an order": (
        lambda lib: lib.ranking_should_begin_with([{"index": 1}], 1, 0),
        r"Ranking: expected it to begin with 1, 0, got 1\.",
    ),
    "no order": (
        lambda lib: lib.ranking_should_begin_with([{"index": 1}]),
        r"Ranking: expected at least one index to compare, got none\.",
    ),
    "no name of a value": (lambda lib: lib.get_answer_value(COUNTED, ""), "Nothing is looked for in the answer.*"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_clause_fails_for_its_own_reason(lib: InferenceLibrary, case: str) -> None:
    call, told = FAILURES[case]
    with pytest.raises(AssertionError) as failure:
        call(lib)
    assert re.fullmatch(told, str(failure.value), re.DOTALL), str(failure.value)


@pytest.mark.parametrize(
    ("got", "wanted", "answer"),
    [
        ("1", "1", True),
        (1, "1", True),
        (1, "1.0", True),
        (True, "true", True),
        (1, "true", False),
        ([1], "[1]", True),
        ([1], "[1", False),
        ("[1]", [1], False),
        ([True], "[1]", False),
        ({"a": [0]}, {"a": [False]}, False),
        ({"a": [0]}, {"a": [0.0]}, True),
        ([1], [1, 2], False),
        ({"a": 1}, {"b": 1}, False),
    ],
)
def test_values_are_compared_as_json(got: Any, wanted: Any, answer: bool) -> None:
    assert same(got, wanted) is answer


@pytest.mark.parametrize(
    ("prompt", "sent"),
    [
        ("a", "a"),
        (["a", "b"], ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ("[INST] a", "[INST] a"),
        ("[1, 2]", "[1, 2]"),
        ("[]", "[]"),
    ],
)
def test_several_prompts_are_read(prompt: Any, sent: Any) -> None:
    assert prompt_of(prompt, None) == sent
    assert prompt_of(None, [1, 2]) == [1, 2]


@pytest.mark.parametrize(("prompt", "tokens", "told"), [(None, None, "neither"), ("a", [1], "both")])
def test_a_completion_needs_a_text_or_tokens(lib: InferenceLibrary, prompt: Any, tokens: Any, told: str) -> None:
    with pytest.raises(ValueError, match=f"either a text or tokens= to continue, got {told}"):
        prompt_of(prompt, tokens)
    lib.connect_to_server("http://127.0.0.1:9", check=False)
    with pytest.raises(ValueError, match=f"either texts or tokens= to embed, got {told}"):
        lib.create_embeddings(prompt, tokens=tokens)


def test_a_failure_is_one_of_a_check(lib: InferenceLibrary) -> None:
    with pytest.raises(CheckFailure):
        lib.values_should_not_fall(FALLING, "n")
