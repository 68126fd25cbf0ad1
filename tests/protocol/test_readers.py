"""Readers of answers: the APIs' forms, whole and as events."""

from __future__ import annotations

import pytest

from InferenceLibrary.protocol.agreement import first_difference, wilson_interval
from InferenceLibrary.protocol.json_schema import schema_problem
from InferenceLibrary.protocol.messages import Usage, join_tool_calls, merge_usage, read_pieces, read_usage
from InferenceLibrary.protocol.pieces import TokenLogprob, ToolCall
from InferenceLibrary.protocol.prometheus import read_metrics


@pytest.mark.parametrize(
    ("body", "text", "reasoning"),
    [
        ({"content": "a"}, "a", ""),
        ({"content": None, "reasoning_content": "r"}, "", "r"),
        ({"content": "", "reasoning": "r"}, "", "r"),
        ({"content": "a", "reasoning_content": None, "reasoning": "r"}, "a", "r"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab", ""),
    ],
)
def test_text_and_reasoning_are_told_apart(body, text, reasoning):
    for key in ("delta", "message"):
        (piece,) = read_pieces({"choices": [{"index": 0, key: body}]})
        assert (piece.text, piece.reasoning) == (text, reasoning)


def test_tool_calls_are_joined_by_their_index():
    pieces = [
        ToolCall(0, "c1", "add", ""),
        ToolCall(1, "c2", "sub", "{"),
        ToolCall(0, None, None, '{"a"'),
        ToolCall(1, None, None, "}"),
        ToolCall(0, None, None, ": 1}"),
    ]
    assert join_tool_calls(pieces) == [ToolCall(0, "c1", "add", '{"a": 1}'), ToolCall(1, "c2", "sub", "{}")]
    assert join_tool_calls(pieces)[0].input == {"a": 1}
    assert ToolCall(0, "c", "n", "{oops").input is None


def test_a_schema_that_is_none_is_refused():
    with pytest.raises(ValueError, match="Expected a JSON schema"):
        schema_problem({}, {"type": "nonsense"})


def test_usage_is_told_with_what_is_missing():
    assert str(Usage(18, 16, 34)) == "18 + 16 = 34 tokens"
    assert str(Usage(None, None, 5)) == "prompt_tokens missing, completion_tokens missing, total_tokens 5"


def test_usage_of_every_api():
    assert read_usage({"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}) == Usage(1, 2, 3)
    assert read_usage({"usage": {"input_tokens": 1, "output_tokens": 2}}) == Usage(1, 2, 3)
    assert read_usage(
        {
            "type": "response.completed",
            "response": {"usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 9}},
        }
    ) == Usage(1, 2, 9)
    assert read_usage({"usage": None}) is None
    parts = [Usage(5, 1, 6), Usage(None, 7, None)]
    assert merge_usage(parts) == Usage(5, 7, 12)


@pytest.mark.parametrize(
    "thinking",
    ["hmm", [{"type": "text", "text": "h"}, {"type": "text", "text": "mm"}]],
)
@pytest.mark.parametrize("key", ["message", "delta"])
def test_thoughts_in_parts_of_the_content_are_read(key, thinking):
    parts = [{"type": "thinking", "thinking": thinking}, {"type": "text", "text": "Hi"}]
    (piece,) = read_pieces({"choices": [{"index": 0, key: {"content": parts}}]})
    assert (piece.reasoning, piece.text) == ("hmm", "Hi")


@pytest.mark.parametrize("parts", [[{"type": "thinking", "thinking": 5}], ["thinking"], [{"thinking": "hmm"}]])
def test_odd_parts_hold_no_thought(parts):
    (piece,) = read_pieces({"choices": [{"index": 0, "delta": {"content": parts}}]})
    assert piece.reasoning == ""


def test_typed_answers_are_read():
    response = {
        "object": "response",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [
            {"type": "reasoning", "summary": [{"text": "hm"}]},
            {"type": "message", "content": [{"type": "output_text", "text": "Hello"}]},
            {"type": "function_call", "call_id": "c", "name": "add", "arguments": "{}"},
        ],
    }
    (piece,) = read_pieces(response)
    assert (piece.text, piece.reasoning, piece.finish_reason) == ("Hello", "hm", "max_output_tokens")
    assert piece.tool_calls == (ToolCall(0, "c", "add", "{}"),)
    message = {
        "type": "message",
        "role": "assistant",
        "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "Hi"},
            {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}},
        ],
    }
    (piece,) = read_pieces(message)
    assert (piece.text, piece.reasoning, piece.finish_reason) == ("Hi", "hm", "tool_use")
    assert piece.tool_calls[0].input == {"a": 1}


def test_metrics_are_read():
    lines = [
        "# TYPE a counter",
        'a_total{x="1",y="q\\"z"} 3',
        'a_total{x="2"} 4.5 1700000000',
        "b +Inf",
        "nonsense here",
    ]
    metrics = read_metrics("\n".join(lines))
    assert metrics.value("a") == 7.5
    assert metrics.value("a_total", {"x": "1"}) == 3
    assert metrics.samples[0].labels == {"x": "1", "y": 'q"z'}
    assert metrics.value("b") == float("inf")
    assert metrics.value("c") is None
    assert metrics.bad_lines == ["nonsense here"]


def test_the_place_and_margin_of_a_difference():
    logprobs = [TokenLogprob("The ", -0.1), TokenLogprob("cat", -0.70, (("cat", -0.70), ("dog", -0.75)))]
    difference = first_difference("The cat", "The dog", logprobs)
    assert difference is not None
    assert difference.at == 4
    assert difference.margin == pytest.approx(0.05)
    assert first_difference("same", "same") is None
    shorter = first_difference("ab", "abc")
    assert shorter is not None
    assert shorter.at == 2


def test_the_interval_of_a_rate():
    # Brown, Cai, DasGupta (2001): 18 of 20 has the Wilson interval 0.699 to 0.972.
    low, high = wilson_interval(18, 20)
    assert (low, high) == (pytest.approx(0.699, abs=1e-3), pytest.approx(0.972, abs=1e-3))
    assert wilson_interval(0, 5)[0] == pytest.approx(0.0, abs=1e-12)
    assert wilson_interval(5, 5)[1] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="at least one trial"):
        wilson_interval(0, 0)


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        ("a 1\n", "1 samples of 1 metrics"),
        ("", "no sample at all"),
        ("# HELP a\n", "no sample at all"),
        (
            "<html><body>Sign in</body></html>",
            "no sample at all, but lines such as '<html><body>Sign in</body></html>'",
        ),
        ("x" * 61, f"no sample at all, but lines such as '{'x' * 60}…'"),
    ],
)
def test_an_empty_page_and_one_of_html_are_told_apart(page: str, shown: str) -> None:
    assert read_metrics(page).shown_page == shown
