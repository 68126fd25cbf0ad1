"""How llm-d-inference-sim v0.10.2 works: what it counts, which tools it takes, for whom it goes on, and how long."""

from __future__ import annotations

import json
from typing import Any

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.protocol.prometheus import read_metrics
from InferenceLibrary.simulator.core.options import parse_options
from InferenceLibrary.simulator.personalities.llm_d import WholeMilliseconds
from InferenceLibrary.simulator.personalities.registry import settings_class

LLM_D = ("--as", "llm-d", "--model", "tiny")


def chat(text: str = "one two", **more: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [{"role": "user", "content": text}], **more}


# Tools


TAKEN: list[dict[str, Any]] = [
    {"type": "object", "properties": {}},
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "title": "A", "default": None}}},
    {
        "type": "object",
        "properties": {"a": {"type": "array", "items": {"type": "string", "enum": ["x"]}, "minItems": 2}},
        "required": ["a"],
        "additionalProperties": False,
    },
]
REFUSED: list[tuple[Any, str]] = [
    (None, "/parameters"),
    ({"type": "object"}, "/parameters"),
    ({"type": "zzz"}, "/parameters/type"),
    ({"properties": {}}, "/parameters"),
    ({"type": "object", "properties": {}, "$schema": "x"}, "/parameters/$schema"),
    ({"type": "object", "properties": {}, "required": "a"}, "/parameters/required"),
    ({"type": "object", "properties": {}, "required": [1]}, "/parameters/required"),
    ({"type": "object", "properties": {}, "additionalProperties": {}}, "/parameters/additionalProperties"),
    ({"type": "object", "properties": {}, "enum": []}, "/parameters/enum"),
    ({"type": "object", "properties": {"a": {"type": "object"}}}, "/parameters/properties/a"),
    ({"type": "object", "properties": {"a": {"type": "array"}}}, "/parameters/properties/a"),
    ({"type": "object", "properties": {"a": {"type": ["string", "null"]}}}, "/parameters/properties/a/type"),
    ({"type": "object", "properties": {"a": {"anyOf": []}}}, "/parameters/properties/a"),
    ({"type": "object", "properties": {"a": {"type": "string", "enum": [1]}}}, "/parameters/properties/a/enum"),
    ({"type": "object", "properties": {"a": {"type": "number", "enum": [True]}}}, "/parameters/properties/a/enum"),
    (
        {"type": "object", "properties": {"a": {"type": "array", "items": [{"type": "zzz"}]}}},
        "/parameters/properties/a/items/type",
    ),
]


def test_schemas_of_tools_are_looked_at(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--mode", "echo")

    def asked(schema: Any) -> Any:
        tools = [{"type": "function", "function": {"name": "f", "parameters": schema}}]
        return simulator.request("POST", "/v1/chat/completions", chat(tools=tools, tool_choice="required"))

    for schema in TAKEN:
        assert asked(schema).json["choices"][0]["finish_reason"] == "tool_calls", schema
    for schema, place in REFUSED:
        answer = asked(schema)
        assert (answer.status, answer.json["error"]["message"]) == (
            400,
            f"Tool validation failed: jsonschema: '{place}' does not validate",
        ), schema


# Answers


def test_ids_transfers_and_chunks(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--mode", "echo", "--enable-request-id-headers")
    for path, body, prefix, suffix in (
        ("/v1/chat/completions", chat(), "chatcmpl-", ""),
        ("/v1/completions", {"model": "tiny", "prompt": "a"}, "cmpl-", "-0"),
        ("/v1/responses", {"model": "tiny", "input": "a"}, "resp_", ""),
    ):
        answer = simulator.request("POST", path, body)
        assert answer.json["id"] == prefix + answer.headers["x-request-id"] + suffix
    # Of several prompts the chunks have the id of the last, and the usage that of the first, made in 1970.
    several = {"model": "tiny", "prompt": ["a", "b"], "stream": True, "stream_options": {"include_usage": True}}
    answer = simulator.request("POST", "/v1/completions", several)
    own = f"cmpl-{answer.headers['x-request-id']}"
    assert [one["id"] for one in answer.data[:-1]] == [f"{own}-1"] * 4 + [f"{own}-0"]
    assert (answer.data[-2]["created"], answer.data[0]["created"] > 0) == (0, True)
    # What another server is to go on with.
    done = simulator.request("POST", "/v1/chat/completions", chat(kv_transfer_params={"do_remote_decode": True})).json
    assert done["choices"][0]["finish_reason"] == "remote_decode"
    assert done["kv_transfer_params"] == {
        "do_remote_decode": False, "do_remote_prefill": True, "remote_engine_id": "DUMMY_ID",
        "remote_block_ids": ["DUMMY_ID"], "remote_host": "DUMMY", "remote_port": 1234, "tp_size": 1,
    }  # fmt: skip
    assert "kv_transfer_params" not in simulator.request("POST", "/v1/chat/completions", chat()).json
    # The prompt of a chat in tokens.
    counted = simulator.request("POST", "/tokenize", chat()).json["tokens"]
    assert simulator.request("POST", "/v1/chat/completions/render", chat()).json == {"token_ids": counted}
    # Chunks for a client that does not know them, as its dialect says.
    sent = json.dumps(chat(stream=True)).encode()
    with simulator.connect() as sock:
        sock.sendall(b"POST /v1/chat/completions HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(sent) + sent)
        got = b""
        while part := sock.recv(65536):
            got += part
    assert b"transfer-encoding: chunked" in got
    assert "old clients" in load_dialect("llm-d").dialect.lacks


def test_under_a_seed_each_answer_is_another_in_the_same_order(start_simulator: Any) -> None:
    runs = []
    for _ in range(2):
        simulator = start_simulator(*LLM_D, "--seed", "5")
        asked = [simulator.request("POST", "/v1/chat/completions", chat(seed=1)).json for _ in range(4)]
        runs.append([one["choices"][0]["message"]["content"] for one in asked])
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == 4


# Time


def test_an_answer_that_is_left_is_made_to_its_end(start_simulator: Any) -> None:
    simulator = start_simulator(*LLM_D, "--mm-encoder-only", "--inter-token-latency", "40ms", "--max-num-seqs", "2")

    def read(name: str) -> float:
        return read_metrics(simulator.request("GET", "/metrics").body.decode()).value(f"vllm:{name}") or 0

    for left, stream in enumerate((True, False)):
        sent = json.dumps(chat(stream=stream, max_tokens=40)).encode()
        with simulator.connect() as sock:
            sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(sent))
            sock.sendall(sent)
            # Where the machine was so busy that it is over by then, there is nothing left to be seen, nor wrong.
            begun = left + 1
            assert wait_until(
                lambda begun=begun: read("num_requests_running") + read("request_success_total") >= begun, 60
            )
    # Both are made to their ends, and are answered: nothing counts as cancelled.
    assert wait_until(lambda: read("num_requests_running") == 0, 60)
    assert (read("generation_tokens_total"), read("request_success_total")) == (80, 2)
    # A server that only encodes has no vectors of texts.
    answer = simulator.request("POST", "/v1/embeddings", {"model": "tiny", "input": "a"})
    assert (answer.status, answer.body) == (404, b"Not Found")


def test_times_are_whole_milliseconds() -> None:
    def latency(*words: str) -> WholeMilliseconds:
        return WholeMilliseconds(parse_options([*LLM_D, *words], {}, settings_class))

    for text, seconds in (("500us", 0.0), ("2.5ms", 0.002), ("3ms", 0.003), ("20ms", 0.02)):
        made = latency("--time-to-first-token", text, "--inter-token-latency", text)
        assert (made.first(5, 1), made.gaps(3, 1)) == (seconds, seconds)
    varied = latency("--inter-token-latency", "20ms", "--inter-token-latency-std-dev", "5ms").gaps(200, 1)
    assert isinstance(varied, list)
    assert all(round(one * 1000, 6) == int(one * 1000 + 1e-6) for one in varied)
    assert len(set(varied)) > 5
