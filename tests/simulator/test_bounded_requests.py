"""What a stand-in refuses of a request that is too large, too deep, or odd, rather than make a mistake or block."""

from __future__ import annotations

import re
from typing import Any

import pytest

from InferenceLibrary.simulator.answers.schema_values import value_for
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.core.settings import Settings
from InferenceLibrary.simulator.personalities.likeness.constrained import text_of_pattern

CHAT: dict[str, Any] = {"model": "tiny", "messages": [{"role": "user", "content": "one two"}]}
DEEP = b"[" * 100_000


def test_counts_are_bounded(start_simulator: Any) -> None:
    simulator = start_simulator("--as", "vllm", "--model", "tiny")

    def told(path: str, **more: Any) -> tuple[int, str]:
        answer = simulator.request("POST", path, {**CHAT, "prompt": "a", **more})
        return answer.status, answer.json["error"]["message"] if answer.status >= 400 else ""

    for stream in (False, True):
        for path in ("/v1/chat/completions", "/v1/completions"):
            for n in (100_000, 10**20):
                status, message = told(path, n=n, stream=stream)
                assert (status, message.partition(".")[0]) == (400, f"n must be at most 16384, got {n}"), path
    too_many = 400, "The stand-in makes at most 16384 choices for a request, got 20000"
    for stream in (False, True):
        assert told("/v1/completions", prompt=["a"] * 200, n=100, stream=stream) == too_many
    assert told("/v1/completions", n=300, max_tokens=500, ignore_eos=True) == (
        400, "The stand-in makes at most 131072 tokens for the choices of a request"
    )  # fmt: skip
    assert told("/v1/completions", prompt=["a"] * 512, n=2, max_tokens=1)[0] == 200
    scored = simulator.request("POST", "/v1/completions", {"model": "tiny", "prompt": "a b", "prompt_logprobs": 10**9})
    assert len(scored.json["choices"][0]["prompt_logprobs"][1]) == 128


def test_counts_are_bounded_by_the_reference(start_simulator: Any) -> None:
    simulator = start_simulator("--model", "tiny", "--mode", "echo")
    for prompts, words, status in ((200, 1, 400), (20, 1, 200), (20, 200, 400)):
        body = {"model": "tiny", "prompt": ["a " * words] * prompts, "n": 100}
        assert simulator.request("POST", "/v1/completions", body).status == status


_VALUES = "makes at most 200000 values and characters for schemas of a request"
BOUNDED: list[tuple[dict[str, Any], str]] = [
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}}, said)
    for schema, said in (
        ({"type": "array", "minItems": 10**9}, _VALUES),
        ({"type": "array", "minItems": 500, "items": {"type": "array", "minItems": 500}}, _VALUES),
        ({"type": "array", "minItems": 20_000, "items": {"const": "a" * 20}}, _VALUES),
        ({"type": "object", "properties": {"a" * 10**6: {}}, "required": ["a" * 10**6]}, _VALUES),
        ({"type": "string", "minLength": 10**9}, _VALUES),
    )
]
BOUNDED += [
    ({"structured_outputs": {"regex": pattern}}, said)
    for pattern, said in (
        ("a{100000000}", "the text of the pattern that was tried has more than 20000 characters"),
        ("(a{1000}){1000}", "the text of the pattern that was tried has more than 20000 characters"),
        ("(a|a){30}b(?=x)", "the search for a text of the pattern was given up"),
        ("(" * 500 + "a" + ")" * 500, "the pattern is nested too deeply"),
        ("(a", "missing ), unterminated subpattern"),
    )
]
BOUNDED += [
    ({"structured_outputs": {"grammar": "root ::= " + "(" * 2000}}, "it is nested too deeply"),
    ({"structured_outputs": {"grammar": 'root ::= "a"{' + "9" * 400 + "}"}}, "each text of it is too long"),
    (
        {"structured_outputs": {"grammar": "root ::= " + "\n".join(f"r{n}\nr{n} ::= " for n in range(501)) + '"a"'}},
        "it has 502 rules, and at most 500 are read",
    ),
]


def test_what_a_request_demands_is_bounded(start_simulator: Any) -> None:
    simulator = start_simulator("--as", "vllm", "--model", "tiny")
    for more, said in BOUNDED:
        answer = simulator.request("POST", "/v1/chat/completions", {**CHAT, **more})
        assert answer.status == 400
        assert said in answer.json["error"]["message"], str(more)[:200]


def test_several_choices_share_what_is_made_for_schemas(start_simulator: Any) -> None:
    simulator = start_simulator("--model", "tiny")
    schema = {"type": "array", "minItems": 5000, "items": {"type": "null"}}
    demand = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    for n, status in ((1, 200), (100, 400)):
        body = {**CHAT, "n": n, "response_format": demand}
        assert simulator.request("POST", "/v1/chat/completions", body).status == status


@pytest.mark.parametrize(
    ("pattern", "pick", "text"),
    [
        ("user{d}", 0, "user{d}"), ("(?i)[^a]", 0, "b"), ("(?i:[^A])b", 0, "bb"), ("b|a{30000}", 1, "b"),
        ("a*+b", 0, "b"),
        ("(?P<one>x)(?P=one)?y", 0, "xy"), (r"a\b", 0, "a"),
    ],
)  # fmt: skip
def test_a_pattern_has_the_text_that_python_matches(pattern: str, pick: int, text: str) -> None:
    assert text_of_pattern(pattern, pick) == text
    assert re.fullmatch(pattern, text)


def test_numbers_without_an_end_are_refused() -> None:
    for schema in ({"type": "number", "minimum": float("inf")}, {"type": "integer", "minimum": -(10**400)}):
        with pytest.raises(ApiError, match="A number of the schema is too large"):
            value_for(schema, Draws(1), Settings())


def test_an_array_that_may_be_long_is_short() -> None:
    schema = {"type": "array", "maxItems": 10**9, "items": {"type": "null"}}
    assert all(len(value_for(schema, Draws(seed), Settings())) <= 1000 for seed in range(20))


def test_a_schema_with_odd_counts_has_a_value() -> None:
    odd = {"type": "array", "minItems": "2", "maxItems": 1, "items": {"minLength": "x", "maxLength": -3}}
    values = [value_for(odd, Draws(seed), Settings()) for seed in range(50)]
    assert all(isinstance(text, str) for value in values for text in value)
    assert {len(value) for value in values} == {1}


@pytest.mark.parametrize("name", ["vllm", "llama.cpp", "llm-d"])
def test_deep_json_is_not_json(start_simulator: Any, name: str) -> None:
    simulator = start_simulator("--as", name, "--model", "tiny")
    for path in ("/v1/chat/completions", "/v1/completions", "/tokenize"):
        answer = simulator.request("POST", path, DEEP, {"content-type": "application/json"})
        assert (answer.status, b"made a mistake" in answer.body) == (400, False), path


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
ODD: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "assistant", "content": None, "tool_calls": True}]}),
    ("/v1/chat/completions", {"messages": [{"role": "assistant", "content": None, "tool_calls": 1}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": []}]}]}),
    ("/v1/chat/completions", {"kv_transfer_params": [1]}),
    ("/v1/chat/completions", {"kv_transfer_params": 1}),
    (
        "/v1/chat/completions",
        {
            "tools": [TOOL],
            "tool_choice": {"type": "function", "function": "f"},
        },
    ),
    ("/v1/messages", {"tools": [None], "stream": True, "max_tokens": 5}),
]  # fmt: skip


def test_odd_fields_of_llm_d_are_refused(start_simulator: Any) -> None:
    simulator = start_simulator("--as", "llm-d", "--model", "tiny")
    for path, more in ODD:
        answer = simulator.request("POST", path, {**CHAT, **more})
        assert (answer.status, b"made a mistake" in answer.body) == (400, False), more
    odd = {"model": "tiny", "input": "a", "encoding_format": {}}
    assert simulator.request("POST", "/v1/embeddings", odd).status == 200
    many = {**CHAT, "logprobs": True, "top_logprobs": 10**9}
    scored = simulator.request("POST", "/v1/chat/completions", many).json
    assert len(scored["choices"][0]["logprobs"]["content"][0]["top_logprobs"]) == 128
