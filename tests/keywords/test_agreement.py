"""Answers that agree and answers that do not, in every choice; comparisons that NaN cannot pass."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from assertionengine import AssertionOperator

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.embeddings import Embeddings
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.protocol.exchange import Exchange, Request

ASKED = Request("POST", "http://host/v1/chat/completions")


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def call(arguments: str) -> list[dict[str, Any]]:
    return [{"index": 0, "id": "c", "type": "function", "function": {"name": "add", "arguments": arguments}}]


def reply(*messages: dict[str, Any]) -> Reply:
    choices = [{"index": index, "message": message} for index, message in enumerate(messages)]
    body = json.dumps({"choices": choices}).encode()
    return Reply(Exchange(ASKED, 200, (("content-type", "application/json"),), body))


def stream(*deltas: tuple[int, dict[str, Any]]) -> Stream:
    chunks = [{"choices": [{"index": index, "delta": delta}]} for index, delta in deltas]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode()
    return stream_of(Exchange(ASKED, 200, (("content-type", "text/event-stream"),), body))


def test_choices_of_replies_and_streams_agree(lib: InferenceLibrary) -> None:
    whole = reply({"content": "one two"}, {"content": "three", "tool_calls": call('{"a": 1}')})
    pieces = [(1, {"content": "three"}), (0, {"content": "one "}), (1, {"tool_calls": call('{"a":1')})]
    pieces += [(0, {"content": "two"}), (1, {"tool_calls": [{"index": 0, "function": {"arguments": "}"}}]})]
    lib.answers_should_agree(whole, stream(*pieces))


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (reply({"content": "a"}, {"content": "b"}), reply({"content": "a"}, {"content": "c"}), "choice 1: .* text"),
        (reply({"content": "a"}, {"content": "b"}), reply({"content": "a"}), "expected as many choices, got 2 and 1"),
        (reply({"tool_calls": call("{broken")}), reply({"tool_calls": call("{other")}), "expected the same tool calls"),
        (reply({"tool_calls": call("null")}), reply({"tool_calls": call("nothing")}), "expected the same tool calls"),
        (reply({"content": "a"}, {"tool_calls": call("{}")}), reply({"content": "a"}, {}), "choice 1: .* tool calls"),
        (reply({"content": ""}), reply({"content": ""}), "got two empty ones"),
    ],
)  # fmt: skip
def test_answers_that_differ(lib: InferenceLibrary, first: Reply, second: Reply, told: str) -> None:
    with pytest.raises(CheckFailure, match=told):
        lib.answers_should_agree(first, second)


def test_tool_arguments_that_are_not_json_agree_as_text(lib: InferenceLibrary) -> None:
    lib.answers_should_agree(reply({"tool_calls": call("{broken")}), reply({"tool_calls": call("{broken")}))
    lib.answers_should_agree(reply({"tool_calls": call('{"a": 1}')}), reply({"tool_calls": call('{"a":1}')}))


@pytest.mark.parametrize("vector", [[math.nan, 0.0], [0.0, math.nan]])
def test_vectors_of_nan_agree_with_nothing(lib: InferenceLibrary, vector: list[float]) -> None:
    others = [Embeddings([one], reply({}), "float") for one in (vector, [0.0, 0.0])]
    for first in others:
        with pytest.raises(CheckFailure, match="expected equal vectors"):
            lib.embeddings_should_agree(first, others[0])
    lib.embeddings_should_agree(others[1], others[1])


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
def test_no_comparison_of_nan_holds(operator: str) -> None:
    with pytest.raises(CheckFailure, match="Similarity: expected a number, got NaN"):
        check_number(math.nan, AssertionOperator[operator], 1, "similarity")
