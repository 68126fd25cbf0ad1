"""Responses and messages of the default personality, as the references have them."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

REQUIRED = {
    "completed_at", "presence_penalty", "frequency_penalty", "top_logprobs", "reasoning", "max_tool_calls",
    "service_tier", "safety_identifier", "prompt_cache_key",
}  # fmt: skip


def test_a_response_has_what_the_reference_requires(simulator):
    """Open Responses (2026-04-24), ResponseResource: nine keys that clients of typed SDKs look for."""
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    body = simulator.request("POST", "/v1/responses", {"input": "one", "tools": [tool], "tool_choice": "none"}).json
    assert REQUIRED - set(body) == set()
    assert body["completed_at"] >= body["created_at"]
    assert body["tools"] == [{"description": None, "strict": True, **tool}]
    assert "logprobs" not in body["output"][0]["content"][0]


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_tells_log_probabilities_where_they_are_asked_for(simulator, stream):
    asked = {"input": "one", "include": ["message.output_text.logprobs"], "top_logprobs": 2, "stream": stream}
    answer = simulator.request("POST", "/v1/responses", asked)
    final = answer.data[-1]["response"] if stream else answer.json
    (part,) = final["output"][0]["content"]
    assert "".join(entry["token"] for entry in part["logprobs"]) == part["text"]
    assert {len(entry["top_logprobs"]) for entry in part["logprobs"]} == {2}
    if stream:
        deltas = [event for event in answer.data if event["type"] == "response.output_text.delta"]
        assert [event["logprobs"] for event in deltas] == [[entry] for entry in part["logprobs"]]
        (done,) = [event for event in answer.data if event["type"] == "response.output_text.done"]
        assert done["logprobs"] == part["logprobs"]


def test_what_may_be_null_is_there_where_the_references_require_it(simulator):
    """OpenAI's description (2.3.0) requires these keys of a whole chat, Anthropic's those of a usage."""
    (choice,) = simulator.chat("one").json["choices"]
    assert choice == {
        "index": 0,
        "message": {"role": "assistant", "content": "one", "refusal": None},
        "finish_reason": "stop",
        "logprobs": None,
    }
    (choice,) = simulator.chat("one", logprobs=True).json["choices"]
    assert (choice["logprobs"]["refusal"], len(choice["logprobs"]["content"])) == (None, 1)
    message = {"model": "fake-model", "max_tokens": 9, "messages": USER}
    usage = simulator.request("POST", "/v1/messages", message).json["usage"]
    assert (usage["cache_creation_input_tokens"], usage["cache_read_input_tokens"]) == (0, 0)
    details = simulator.request("POST", "/v1/responses", {"input": "one"}).json["usage"]["input_tokens_details"]
    assert details == {"cached_tokens": 0, "cache_write_tokens": 0}


def test_the_keys_that_typed_clients_require_are_there(simulator):
    asked = {"model": "fake-model", "max_tokens": 9, "messages": USER}
    whole = simulator.request("POST", "/v1/messages", asked).json
    assert [block["citations"] for block in whole["content"]] == [None]
    assert (whole["stop_details"], whole["usage"]["service_tier"]) == (None, "standard")
    events = simulator.request("POST", "/v1/messages", {**asked, "stream": True}).data
    opened = next(event for event in events if event["type"] == "content_block_start")
    assert opened["content_block"] == {"type": "text", "text": "", "citations": None}
    ending = next(event for event in events if event["type"] == "message_delta")
    assert ending["delta"]["stop_details"] is None
    assert set(ending["usage"]) == {
        *("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"),
    }
    response = simulator.request("POST", "/v1/responses", {"model": "fake-model", "input": "x"}).json
    assert response["access_programs"] is None
    assert response["usage"]["input_tokens_details"]["cache_write_tokens"] == 0


def test_a_client_of_messages_is_told_models_as_its_api_tells_them(simulator):
    version = {"anthropic-version": "2023-06-01"}
    for path in ("/v1/models", "/v1/models/fake-model"):
        told = simulator.request("GET", path, headers=version).json
        model = told["data"][0] if "data" in told else told
        assert (model["type"], model["display_name"], model["lifecycle"]) == ("model", "fake-model", "active")
        assert datetime.fromisoformat(model["created_at"]).timestamp() == model["created"]
        assert "type" not in simulator.request("GET", path).body.decode()
    listed = simulator.request("GET", "/v1/models", headers=version).json
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("fake-model", "fake-model", False)


def test_what_a_response_was_asked_is_kept(simulator):
    asked = [{"role": "user", "content": "one"}, {"type": "function_call_output", "call_id": "c", "output": "2"}]
    made = simulator.request("POST", "/v1/responses", {"input": asked}).json["id"]
    listed = simulator.request("GET", f"/v1/responses/{made}/input_items").json
    assert [item["type"] for item in listed["data"]] == ["function_call_output", "message"]
    assert listed["data"][1]["content"] == [{"type": "input_text", "text": "one"}]
    assert (listed["first_id"], listed["last_id"]) == tuple(item["id"] for item in listed["data"])
    assert len({item["id"] for item in listed["data"]}) == 2
    none = simulator.request("GET", "/v1/responses/resp_none/input_items")
    assert (none.status, none.json["error"]["message"]) == (404, "Response with id 'resp_none' not found.")
    counted = simulator.request("POST", "/v1/responses/input_tokens", {"input": "one two"})
    assert counted.json == {"object": "response.input_tokens", "input_tokens": 2}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "nobody", "content": "x"}]}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": "odour"}]}]}),
        ("/v1/responses", {"input": [{"role": "nobody", "content": "x"}]}),
        ("/v1/responses", {"input": [{"role": "user", "content": [{"type": "odour"}]}]}),
    ],
    ids=["role of a chat", "part of a chat", "role of a response", "part of a response"],
)
def test_roles_and_parts_are_those_of_the_reference(simulator, path, body):
    assert simulator.request("POST", path, body).status == 400


USER = [{"role": "user", "content": "x"}]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("chat/completions", {}, "'messages' must hold at least one message"),
        ("chat/completions", {"messages": []}, "'messages' must hold at least one message"),
        ("chat/completions", {"messages": None}, "'messages' must hold at least one message"),
        ("chat/completions", {"messages": [{"role": "user"}]}, "'messages[0].content' is required"),
        ("chat/completions", {"messages": [{"role": "tool", "content": None}]}, "'messages[0].content' is required"),
        ("chat/completions", {"messages": USER, "stop": list("abcde")}, "'stop' must hold at most 4 strings, got 5"),
        ("completions", {"prompt": "x", "stop": list("abcde")}, "'stop' must hold at most 4 strings, got 5"),
        ("chat/completions", {"messages": USER, "seed": 2**63}, f"'seed' must fit into 64 bits, got {2**63}"),
        ("chat/completions", {"messages": USER, "seed": 1.5}, "'seed' must be a whole number, not 1.5"),
        ("completions", {"prompt": [5, -1]}, "'prompt' must not hold the token id -1: no vocabulary has it"),
        ("completions", {"prompt": [[5], [-1]]}, "'prompt' must not hold the token id -1: no vocabulary has it"),
        ("completions", {"prompt": [2**20]}, "'prompt' must not hold the token id 1048576: no vocabulary has it"),
        ("embeddings", {"input": [[5], [2**20]]}, "'input' must not hold the token id 1048576: no vocabulary has it"),
        ("chat/completions", {"messages": [{"role": "tool", "content": ""}]}, "'messages[0].tool_call_id' is required"),
        ("chat/completions", {"model": None, "messages": USER}, "'model' is required"),
        ("completions", {"model": None, "prompt": "x"}, "'model' is required"),
        ("embeddings", {"model": None, "input": "x"}, "'model' is required"),
    ],
)  # fmt: skip
def test_what_the_reference_does_not_take_is_refused(simulator, path, body, message):
    refused = simulator.request("POST", f"/v1/{path}", {"model": "fake-model", **body})
    assert (refused.status, refused.json["error"]["message"]) == (400, message)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("chat/completions", {"messages": [*USER, {"role": "assistant", "content": None}, *USER]}),
        ("chat/completions", {"messages": USER, "stop": list("wxyz"), "seed": 2**63 - 1}),
        ("chat/completions", {"messages": USER, "seed": -(2**63)}),
        ("completions", {"prompt": [[0], [2**20 - 1]]}),
        ("embeddings", {"input": [0, 2**20 - 1]}),
        ("chat/completions", {"messages": [*USER, {"role": "tool", "tool_call_id": "c", "content": "1"}]}),
    ],
)
def test_the_ends_of_what_the_reference_takes_are_taken(simulator, path, body):
    assert simulator.request("POST", f"/v1/{path}", {"model": "fake-model", **body}).status == 200


@pytest.mark.parametrize("stream", [False, True])
def test_a_message_fits_the_schema_that_it_was_asked_for(simulator, stream):
    """Anthropic's reference, `output_config.format`."""
    schema = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
    config = {"format": {"type": "json_schema", "schema": schema}}
    asked = {"model": "fake-model", "max_tokens": 90, "messages": USER, "output_config": config, "stream": stream}
    answer = simulator.request("POST", "/v1/messages", asked)
    texts = (
        [event["delta"]["text"] for event in answer.data if event["type"] == "content_block_delta"] if stream else []
    )
    text = "".join(texts) if stream else answer.json["content"][0]["text"]
    assert type(json.loads(text)["days"]) is int


@pytest.mark.parametrize("form", [{"type": "json_object"}, {"type": "json_schema"}, {"schema": {}}])
def test_a_format_of_a_message_without_a_schema_is_refused(simulator, form):
    asked = {"model": "fake-model", "max_tokens": 9, "messages": USER, "output_config": {"format": form}}
    answer = simulator.request("POST", "/v1/messages", asked)
    told = "output_config.format: must be of type json_schema, with a schema"
    assert (answer.status, answer.json["error"]["message"]) == (400, told)


@pytest.mark.parametrize(
    ("path", "body"),
    [("chat/completions", {"messages": USER}), ("completions", {"prompt": "x"}), ("embeddings", {"input": "x"})],
)
def test_a_request_without_a_model_is_refused(simulator, path, body):
    raw = json.dumps(body).encode()
    refused = simulator.request("POST", f"/v1/{path}", raw)
    assert (refused.status, refused.json["error"]["param"]) == (400, "model")


def test_calls_of_tools_at_once_can_be_forbidden_to_messages(simulator):
    tools = [{"name": name, "input_schema": {"type": "object"}} for name in ("a", "b")]
    asked = {
        "model": "fake-model",
        "max_tokens": 50,
        "tools": tools,
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    }
    for number in range(20):
        body = simulator.request(
            "POST", "/v1/messages", {**asked, "messages": [{"role": "user", "content": f"question {number}"}]}
        ).json
        assert [block["type"] for block in body["content"]].count("tool_use") == 1
