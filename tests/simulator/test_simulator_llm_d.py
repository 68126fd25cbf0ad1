"""What the default personality has beyond chat: as llm-d-inference-sim documents it."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from zlib import crc32

import pytest
from machine import patience

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Paris", "Rome"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 3},
                "deep": {"type": "array", "items": {"type": "object", "properties": {"x": {"type": "number"}}}},
            },
            "required": ["city", "days"],
        },
    },
}


def test_embeddings(simulator):
    answer = simulator.request(
        "POST", "/v1/embeddings", {"model": "fake-model", "input": ["one two", "three", "one two"]}
    )
    body = answer.json
    assert [item["index"] for item in body["data"]] == [0, 1, 2]
    vectors = [item["embedding"] for item in body["data"]]
    assert {len(vector) for vector in vectors} == {384}
    assert vectors[0] == vectors[2] != vectors[1]
    assert math.isclose(sum(value * value for value in vectors[0]), 1.0, abs_tol=1e-5)
    assert body["usage"] == {"prompt_tokens": 5, "total_tokens": 5}
    packed = {"model": "fake-model", "input": "one two", "encoding_format": "base64"}
    coded = simulator.request("POST", "/v1/embeddings", packed).json["data"][0]["embedding"]
    assert list(struct.unpack("<384f", base64.b64decode(coded))) == pytest.approx(vectors[0], abs=1e-6)
    short = {"model": "fake-model", "input": "one", "dimensions": 5}
    assert len(simulator.request("POST", "/v1/embeddings", short).json["data"][0]["embedding"]) == 5


@pytest.mark.parametrize(
    "wrong", [{}, {"input": ""}, {"input": []}, {"input": [""]}, {"input": 3}, {"input": "a", "dimensions": 0}]
)
def test_wrong_embeddings(simulator, wrong):
    assert simulator.request("POST", "/v1/embeddings", {"model": "fake-model", **wrong}).status == 400


def test_required_tool_is_called_with_fitting_arguments(simulator):
    answer = simulator.chat("x", tools=[TOOL], tool_choice="required").json["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    assert answer["message"]["content"] is None
    for call in answer["message"]["tool_calls"]:
        assert call["function"]["name"] == "get_weather"
        arguments = json.loads(call["function"]["arguments"])
        assert arguments["city"] in {"Paris", "Rome"}
        assert 1 <= arguments["days"] <= 3
    assert "tool_calls" not in simulator.chat("x", tools=[TOOL], tool_choice="none").json["choices"][0]["message"]


def test_streamed_tool_call(simulator):
    data = simulator.chat(
        "x", tools=[TOOL], tool_choice="required", stream=True, stream_options={"include_usage": True}
    ).data
    deltas = [
        call for chunk in data[:-2] for choice in chunk["choices"] for call in choice["delta"].get("tool_calls", ())
    ]
    first = deltas[0]
    assert (first["index"], first["type"], first["function"]["name"]) == (0, "function", "get_weather")
    assert all("id" not in delta and "name" not in delta["function"] for delta in deltas[1:])
    assert json.loads("".join(delta["function"]["arguments"] for delta in deltas))["city"] in {"Paris", "Rome"}
    assert data[-3]["choices"][0]["finish_reason"] == "tool_calls"
    assert data[-2]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"tools": [{}]},
        {"tools": ["x"]},
        {"tools": [TOOL], "tool_choice": "some"},
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}},
    ],
)
def test_wrong_tools(simulator, wrong):
    assert simulator.chat("x", **wrong).status == 400


def test_answer_in_a_required_format(simulator):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"enum": ["x"]}}, "required": ["a", "b"]}
    given = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    text = simulator.chat("x", response_format=given).json["choices"][0]["message"]["content"]
    found = json.loads(text)
    assert isinstance(found["a"], int)
    assert found["b"] == "x"
    assert json.loads(
        simulator.chat("x", response_format={"type": "json_object"}).json["choices"][0]["message"]["content"]
    )


def test_responses(simulator):
    body = simulator.request("POST", "/v1/responses", {"model": "fake-model", "input": "one two"}).json
    assert (body["object"], body["status"]) == ("response", "completed")
    assert body["output"][0]["content"][0]["text"] == "one two"
    assert body["usage"]["total_tokens"] == 4
    assert simulator.request("GET", f"/v1/responses/{body['id']}").json == body
    unkept = simulator.request("POST", "/v1/responses", {"input": "one", "store": False}).json
    assert simulator.request("GET", f"/v1/responses/{unkept['id']}").status == 404
    capped = simulator.request("POST", "/v1/responses", {"input": "one two three", "max_output_tokens": 2}).json
    assert (capped["status"], capped["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


def test_responses_stream(simulator):
    answer = simulator.request("POST", "/v1/responses", {"input": "one two", "stream": True})
    events = answer.data
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"].removeprefix("response.") for event in events] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert re.findall(rb"event: (\S+)", answer.body) == [event["type"].encode() for event in events]
    assert b"[DONE]" not in answer.body


def test_background_response_is_cancelled(start_simulator):
    simulator = start_simulator("--time-to-first-token", "30s")
    answer = simulator.request("POST", "/v1/responses", {"input": "one", "background": True}).json
    assert answer["status"] == "queued"
    assert simulator.request("GET", f"/v1/responses/{answer['id']}").json["status"] == "in_progress"
    assert simulator.request("POST", f"/v1/responses/{answer['id']}/cancel", {}).json["status"] == "cancelled"
    assert simulator.request("GET", f"/v1/responses/{answer['id']}").json["status"] == "cancelled"
    assert simulator.request("POST", "/v1/responses", {"input": "x", "background": True, "store": False}).status == 400


def _ask(simulator, **more):
    body = {"model": "fake-model", "max_tokens": 50, "messages": [{"role": "user", "content": "one two three"}], **more}
    return simulator.request("POST", "/v1/messages", body)


def test_messages(simulator):
    body = _ask(simulator).json
    assert body["content"] == [{"type": "text", "text": "one two three", "citations": None}]
    assert body["stop_reason"] == "end_turn"
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (3, 3)
    assert _ask(simulator, max_tokens=2).json["stop_reason"] == "max_tokens"
    stopped = _ask(simulator, stop_sequences=[" three"]).json
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", " three")
    count = simulator.request(
        "POST", "/v1/messages/count_tokens", {"model": "m", "messages": [{"role": "user", "content": "a b"}]}
    )
    assert count.json == {"input_tokens": 2}
    wrong = _ask(simulator, max_tokens=0)
    assert (wrong.status, wrong.json["type"], wrong.json["error"]["type"]) == (400, "error", "invalid_request_error")


def test_messages_stream(simulator):
    answer = _ask(simulator, stream=True, thinking={"type": "enabled", "budget_tokens": 1024})
    kinds = [event["type"] for event in answer.data]
    assert kinds[0] == "message_start"
    assert kinds[-2:] == ["message_delta", "message_stop"]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2
    assert re.findall(rb"event: (\S+)", answer.body) == [kind.encode() for kind in kinds]
    deltas = [event["delta"] for event in answer.data if event["type"] == "content_block_delta"]
    assert "".join(delta.get("text", "") for delta in deltas) == "one two three"
    assert any(delta["type"] == "signature_delta" for delta in deltas)


def test_messages_call_tools(simulator):
    tool = {"name": "f", "input_schema": TOOL["function"]["parameters"]}
    answer = _ask(simulator, tools=[tool], tool_choice={"type": "any"}, stream=True)
    pieces = [event["delta"]["partial_json"] for event in answer.data if "partial_json" in event.get("delta", {})]
    assert json.loads("".join(pieces))["city"] in {"Paris", "Rome"}
    assert answer.data[-2]["delta"]["stop_reason"] == "tool_use"


def test_tokenize(simulator):
    answer = simulator.request("POST", "/tokenize", {"model": "fake-model", "prompt": "one two one"}).json
    assert (answer["count"], answer["max_model_len"], answer["token_strs"]) == (3, 1024, None)
    assert len(answer["tokens"]) == 3
    refused = simulator.request("POST", "/tokenize", {"model": "nobody", "prompt": "one"})
    assert (refused.status, refused.json["error"]["param"]) == (404, "model")


@pytest.mark.parametrize("text", ["one two one", "Grüße aus Köln", "a 🦙, two 🦙🦙", "東京都\n\tend ", ""])
def test_detokenize_undoes_tokenize(simulator, text):
    tokens = simulator.request("POST", "/tokenize", {"prompt": text}).json["tokens"]
    assert simulator.request("POST", "/detokenize", {"tokens": tokens}).json == {"prompt": text}


def test_tokens_of_one_hash_have_ids_of_their_own(simulator):
    words = [f"w{number}" for number in range(2000)]
    assert len({crc32(word.encode()) % 128_000 for word in words}) < len(words)
    tokens = [simulator.request("POST", "/tokenize", {"prompt": word}).json["tokens"][0] for word in words]
    assert len(set(tokens)) == len(words)
    assert simulator.request("POST", "/detokenize", {"tokens": tokens}).json == {"prompt": "".join(words)}


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({}, 400, "tokens"),
        ({"tokens": "1 2"}, 400, "tokens"),
        ({"tokens": ["1"]}, 400, "tokens"),
        ({"tokens": [True]}, 400, "tokens"),
        ({"tokens": [[1]]}, 400, "tokens"),
        ({"tokens": [127_999]}, 400, "tokens"),
        ({"tokens": [-1]}, 400, "tokens"),
        ({"tokens": [10**30]}, 400, "tokens"),
        ({"tokens": [], "model": "nobody"}, 404, "model"),
    ],
)
def test_wrong_tokens_are_refused(simulator, wrong, status, param):
    answer = simulator.request("POST", "/detokenize", wrong)
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


def test_adapters_come_and_go(start_simulator):
    simulator = start_simulator("--lora-modules", '{"name": "a", "path": "/a"}', "--max-cpu-loras", "2")
    ids = [(one["id"], one["parent"], one["root"]) for one in simulator.request("GET", "/v1/models").json["data"]]
    assert ids == [("fake-model", None, "fake-model"), ("a", "fake-model", "/a")]
    loaded = simulator.request("POST", "/v1/load_lora_adapter", {"lora_name": "b", "lora_path": "/b"})
    assert (loaded.status, loaded.body) == (200, b"")
    assert simulator.chat(model="b").json["model"] == "b"
    assert simulator.request("POST", "/v1/load_lora_adapter", {"lora_name": "c"}).status == 400
    assert simulator.request("POST", "/v1/unload_lora_adapter", {"lora_name": "b"}).status == 200
    assert simulator.request("POST", "/v1/unload_lora_adapter", {"lora_name": "b"}).status == 404
    assert simulator.chat(model="b").status == 404


FAILURES = {
    "rate_limit": (429, None, ("requests", "rate_limit_exceeded"), "RateLimitError"),
    "invalid_api_key": (401, None, ("invalid_request_error", "invalid_api_key"), "AuthenticationError"),
    "context_length": (400, "messages", ("invalid_request_error", None), "BadRequestError"),
    "server_error": (503, None, ("server_error", None), "InternalServerError"),
    "invalid_request": (400, "model", ("invalid_request_error", None), "BadRequestError"),
    "model_not_found": (404, "model", ("invalid_request_error", "model_not_found"), "NotFoundError"),
}
"""By name of a failure its status, its parameter, and what it is called by the reference and by llm-d."""


@pytest.mark.parametrize("personality", ["openai", "llm-d"])
def test_injected_failures(start_simulator, personality):
    """The reference has words for codes, llm-d-inference-sim the status."""
    words = ("--as", personality, "--model", "fake-model", "--failure-injection-rate", "100")
    simulator = start_simulator(*words, "--failure-types", "rate_limit")
    for name, (status, param, here, there) in FAILURES.items():
        kind, code = here if personality == "openai" else (there, status)
        if name != "rate_limit":
            simulator.request("POST", "/admin/config", {"failure-types": [name]})
        answer = simulator.chat()
        error = answer.json["error"]
        assert (answer.status, error["code"], error["type"], error["param"]) == (status, code, kind, param)
        assert "retry-after" not in answer.headers
    assert simulator.request("GET", "/v1/models").status == 200
    assert simulator.request("POST", "/v1/embeddings", {"input": "a"}).status == 200


def test_injected_failures_are_repeatable(start_simulator):
    found = []
    for _ in range(2):
        simulator = start_simulator("--failure-injection-rate", "50", "--seed", "5")
        found.append([simulator.chat().status for _ in range(20)])
    assert found[0] == found[1]
    assert 200 in found[0]
    assert len(set(found[0])) > 2


def test_error_asked_for_by_header(simulator):
    for value, status in (("418", 418), ("503", 503), ("x", 400), ("42", 400)):
        answer = simulator.request("POST", "/v1/chat/completions", {"messages": []}, {"X-Return-Error": value})
        assert answer.status == status


def test_admin_config(start_simulator):
    simulator = start_simulator()
    assert simulator.request("GET", "/admin/config").json["max-num-seqs"] == 5
    changed = simulator.request(
        "POST", "/admin/config", {"failure-injection-rate": 100, "failure-types": ["rate_limit"]}
    )
    assert changed.status == 200
    assert simulator.chat().status == 429
    assert simulator.request("POST", "/admin/config", {"port": 1}).status == 400
    assert simulator.request("POST", "/admin/config", {"failure-types": ["nothing"]}).status == 400
    spread = {"inter-token-latency": "100ms", "inter-token-latency-std-dev": "50ms"}
    assert "at most 30 %" in simulator.request("POST", "/admin/config", spread).json["error"]["message"]
    assert simulator.request("GET", "/admin/config").json["inter-token-latency"] == "0s"


def test_sleep_needs_both_switches(start_simulator):
    for arguments, env, expected in (
        (["--enable-sleep-mode"], {"VLLM_SERVER_DEV_MODE": "1"}, True),
        (["--enable-sleep-mode"], {}, False),
    ):
        simulator = start_simulator(*arguments, env=env)
        assert simulator.request("POST", "/sleep", b"").status == 200
        assert simulator.request("GET", "/is_sleeping").json == {"is_sleeping": expected}
        assert simulator.request("POST", "/wake_up", b"").status == 200
        assert simulator.request("GET", "/is_sleeping").json == {"is_sleeping": False}


def test_request_id_headers(start_simulator):
    simulator = start_simulator("--enable-request-id-headers")
    assert simulator.request("GET", "/health", headers={"X-Request-Id": "abc"}).headers["x-request-id"] == "abc"
    assert simulator.request("GET", "/health").headers["x-request-id"]


def test_out_of_reach(simulator):
    answer = simulator.request("POST", "/inference/v1/generate", {})
    assert (answer.status, answer.json["error"]["type"]) == (501, "server_error")


def test_queue_and_429(start_simulator):
    simulator = start_simulator(
        "--max-num-seqs",
        "1",
        "--max-waiting-queue-length",
        "2",
        "--time-to-first-token",
        f"{(wait := min(patience(0.4), 6.0)):.2f}s",
        "--control-port",
        "0",
    )
    begin = monotonic()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: simulator.chat("x"), range(6)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [429] * 3
    assert monotonic() - begin >= 2.9 * wait
    counters = simulator.stats()
    assert counters["received"] == counters["completed"] + counters["failed"] == 6


def test_latency_is_kept(start_simulator):
    simulator = start_simulator("--mode", "echo", "--time-to-first-token", "200ms", "--inter-token-latency", "50ms")
    for stream in (False, True):
        begin = monotonic()
        simulator.chat("one two three four five", stream=stream)
        assert monotonic() - begin >= 0.4


def test_prefill_model_and_load_factor_slow_down(start_simulator):
    simulator = start_simulator("--prefill-overhead", "50ms", "--prefill-time-per-token", "50ms", "--mode", "echo")
    begin = monotonic()
    simulator.chat("one two three")
    assert monotonic() - begin >= 0.2


def test_truth_file_has_a_time_for_each_token(start_simulator, tmp_path):
    file = tmp_path / "truth.jsonl"
    simulator = start_simulator("--mode", "echo", "--truth-file", str(file), "--inter-token-latency", "20ms")
    begin = monotonic()
    answer = simulator.chat("one two three", stream=True)
    end = monotonic()
    (line,) = [json.loads(text) for text in file.read_text().splitlines()]
    assert line["id"] == answer.data[0]["id"]
    assert begin <= line["received"] <= line["tokens"][0]
    assert line["tokens"] == sorted(line["tokens"])
    assert len(line["tokens"]) == 3
    assert line["tokens"][2] - line["received"] >= 0.039
    assert line["tokens"][-1] <= end
