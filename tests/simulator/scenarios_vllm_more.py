"""What the tests of vLLM ask of responses, tokens, metrics, adapters, sleep and vectors."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simulator.public_scenarios import Reply, StandIn, played, wait_for
from simulator.scenarios_vllm import MODEL, PERSON, TOOL, chat, complete

from InferenceLibrary.protocol.json_schema import schema_problem

STORED = {"VLLM_ENABLE_RESPONSES_API_STORE": "1"}


def commands(folder: Path) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    """Return the command line of each stand-in, and what its environment has."""
    for name, text in (("adapter", '{"r": 8}'), ("broken", "this is not json"), ("large", '{"r": 1024}')):
        (folder / name).mkdir()
        (folder / name / "adapter_config.json").write_text(text)
    vllm = ["--as", "vllm", "--model", MODEL]
    known = ["--enable-lora", "--lora-modules", f"known={folder / 'adapter'}"]
    return {
        "v tools": ([*vllm, "--enable-auto-tool-choice", "--tool-call-parser", "hermes"], {}),
        "v stored": ([*vllm, "--inter-token-latency", "10ms"], STORED),
        "v tokens": ([*vllm, "--enable-tokenizer-info-endpoint", "--max-model-len", "8192"], {}),
        "v counts": ([*vllm, "--mode", "echo"], {}),
        "v adapters": ([*vllm, *known], {"VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True"}),
        "v dev": ([*vllm, "--enable-sleep-mode"], {"VLLM_SERVER_DEV_MODE": "1"}),
        "v pool": ([*vllm, "--runner", "pooling", "--convert", "embed"], {}),
        "v locked": ([*vllm, "--api-key", "abc-123"], {}),
    }


def _respond(server: StandIn, given: Any = "What is the capital of France?", **more: Any) -> Reply:
    return server.post("/v1/responses", {"model": MODEL, "input": given, **more})


def _said(reply: Reply) -> str:
    return str(reply.json["output"][-1]["content"][0]["text"])


# Responses


@played("VR1", "responses to a text, with instructions, to turns, to typed parts", "v tools")
def _(server: StandIn) -> None:
    user = {"role": "user", "content": "What is the capital of France?"}
    turns = [{"role": "system", "content": "Be short."}, user, {"role": "assistant", "content": "Paris."}, user]
    parts = [{"role": "user", "content": [{"type": "input_text", "text": "What is the capital of France?"}]}]
    for reply in (
        _respond(server),
        _respond(server, instructions="Be short."),
        _respond(server, turns),
        _respond(server, parts),
    ):
        assert (reply.json["status"], "Paris" in _said(reply)) == ("completed", True)


@played("VR2", "the status of a response, and a longer history has more tokens", "v tools")
def _(server: StandIn) -> None:
    one = _respond(server, [{"role": "user", "content": "Hello!"}]).json
    more = _respond(server, [{"role": "user", "content": "Hello!"}, {"role": "user", "content": "Again!"}]).json
    assert (one["status"], one["object"]) == ("completed", "response")
    assert more["usage"]["input_tokens"] > one["usage"]["input_tokens"]


@played("VR3", "the events of a streamed response", "v tools")
def _(server: StandIn) -> None:
    chunks = _respond(server, stream=True).chunks
    kinds = [chunk["type"] for chunk in chunks]
    assert (kinds[0], kinds[-1], "response.output_text.delta" in kinds) == (
        "response.created",
        "response.completed",
        True,
    )
    assert [chunk["sequence_number"] for chunk in chunks] == list(range(len(chunks)))


@played("VR4", "a response that its limit cut", "v tools")
def _(server: StandIn) -> None:
    body = _respond(server, max_output_tokens=2).json
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})


@played("VR5", "responses kept, not kept, in the background, cancelled, gone on with", "v stored")
def _(server: StandIn) -> None:
    first = _respond(server, "Hello!").json
    assert server.get(f"/v1/responses/{first['id']}").json["status"] == "completed"
    loose = _respond(server, "Hello!", store=False).json
    assert server.get(f"/v1/responses/{loose['id']}").status == 404
    assert _respond(server, background=True, store=False).status == 400
    queued = _respond(server, background=True).json
    assert queued["status"] == "queued"
    wait_for(lambda: server.get(f"/v1/responses/{queued['id']}").json["status"] == "completed")
    other = _respond(server, background=True).json
    assert server.post(f"/v1/responses/{other['id']}/cancel", {}).json["status"] == "cancelled"
    assert server.get(f"/v1/responses/{other['id']}").json["status"] == "cancelled"
    assert "synchronous" in server.post(f"/v1/responses/{first['id']}/cancel", {}).json["error"]["message"]
    chained = _respond(server, "And you?", previous_response_id=first["id"]).json
    assert chained["usage"]["input_tokens"] > _respond(server, "And you?").json["usage"]["input_tokens"]
    assert _respond(server, "And you?", previous_response_id="resp_none").status == 404


@played("VR6", "responses that call a function, and that fit a schema", "v tools")
def _(server: StandIn) -> None:
    tool = {"type": "function", **TOOL}
    output = _respond(server, "What is the weather in Paris?", tools=[tool]).json["output"]
    (call,) = [item for item in output if item["type"] == "function_call"]
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Paris"})
    form = {"type": "json_schema", "name": "person", "schema": PERSON}
    assert schema_problem(json.loads(_said(_respond(server, text={"format": form}))), PERSON) is None


# Tokens and counts


@played("VO1", "tokens of texts and chats, with tools, as texts; back; what the tokenizer is", "v tokens")
def _(server: StandIn) -> None:
    text = "vllm1 This is a test prompt."
    body = server.post("/tokenize", {"model": MODEL, "prompt": text}).json
    assert (body["count"], body["max_model_len"], body["token_strs"]) == (len(body["tokens"]), 8192, None)
    strings = server.post("/tokenize", {"model": MODEL, "prompt": text, "return_token_strs": True}).json["token_strs"]
    assert "".join(strings) == text
    assert server.post("/detokenize", {"model": MODEL, "tokens": body["tokens"]}).json == {"prompt": text}
    messages = [{"role": "user", "content": "Hi there!"}]
    for more in ({}, {"tools": [{"type": "function", "function": TOOL}]}):
        assert server.post("/tokenize", {"model": MODEL, "messages": messages, **more}).json["count"] > 0
    info = server.get("/tokenizer_info").json
    assert isinstance(info["tokenizer_class"], str)
    assert info["chat_template"].strip()
    assert info["model_max_length"] >= body["max_model_len"]
    assert all(isinstance(one["special"], bool) for one in info["added_tokens_decoder"].values())


def _metrics(server: StandIn) -> dict[str, float]:
    lines = re.findall(r"^vllm:(\w+){.*} (\S+)$", server.get("/metrics").text, re.MULTILINE)
    return {name: float(value) for name, value in lines}


@played("VO2", "the metrics count exactly", "v counts")
def _(server: StandIn) -> None:
    before = _metrics(server)
    for _ in range(3):
        complete(server)
    after = _metrics(server)
    risen = {name: after[name] - before[name] for name in after}
    assert (risen["prompt_tokens_total"], risen["generation_tokens_total"], risen["request_success_total"]) == (
        15,
        15,
        3,
    )
    assert (after["num_requests_running"], after["num_requests_waiting"]) == (0, 0)


# Adapters, sleep, vectors


@played("VO3", "the models: the base first, then adapters with their base", "v adapters")
def _(server: StandIn) -> None:
    base, adapter, *_ = server.get("/v1/models").json["data"]
    assert (base["id"], base["root"], base["parent"]) == (MODEL, MODEL, None)
    assert (adapter["id"], adapter["parent"], Path(adapter["root"]).name) == ("known", MODEL, "adapter")


@played("VO4", "adapters that are loaded, used and unloaded, and those that are refused", "v adapters")
def _(server: StandIn) -> None:
    folder = Path(server.get("/v1/models").json["data"][1]["root"]).parent

    def load(name: str, place: str) -> Reply:
        return server.post("/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(folder / place)})

    assert "success" in load("other", "adapter").text.lower()
    assert server.get("/v1/models").json["data"][-1]["id"] == "other"
    assert complete(server, model="other").json["model"] == "other"
    assert [load(name, place).status for name, place in (("other", "adapter"), ("n", "none"), ("b", "broken"))] == [
        400,
        404,
        400,
    ]
    assert "greater than max_lora_rank" in load("large", "large").json["error"]["message"]
    assert server.post("/v1/unload_lora_adapter", {"lora_name": "other"}).status == 200
    assert server.post("/v1/unload_lora_adapter", {"lora_name": "other"}).status == 404
    assert complete(server, model="other").status == 404


def _sleep_states(server: StandIn) -> list[float]:
    text = server.get("/metrics").text
    found = dict(re.findall(r'^vllm:engine_sleep_state{.*sleep_state="(\w+)"} (\S+)$', text, re.MULTILINE))
    return [float(found[name]) for name in ("awake", "weights_offloaded", "discard_all")]


@played("VO5", "sleep and waking, in parts too, seen in the metrics", "v dev")
def _(server: StandIn) -> None:
    def sleeps() -> bool:
        return bool(server.get("/is_sleeping").json["is_sleeping"])

    assert server.post("/sleep?level=1", {}).status == 200
    assert (sleeps(), _sleep_states(server)) == (True, [0, 1, 0])
    assert server.post("/wake_up", {}).status == 200
    assert (sleeps(), _sleep_states(server)) == (False, [1, 0, 0])
    server.post("/sleep?level=1", {})
    server.post("/wake_up?tags=weights", {})
    assert sleeps()
    server.post("/wake_up?tags=kv_cache", {})
    assert (sleeps(), _sleep_states(server)) == (False, [1, 0, 0])


@played("VO6", "vectors, rankings and scores", "v pool")
def _(server: StandIn) -> None:
    one = server.post("/v1/embeddings", {"model": MODEL, "input": ["a test", "another"]}).json
    assert (len(one["data"]), one["usage"]["prompt_tokens"] > 0) == (2, True)
    ranked = server.post(
        "/rerank", {"model": MODEL, "query": "the capital of France", "documents": ["a cat", "the capital"]}
    ).json
    assert ranked["results"][0]["document"]["text"] == "the capital"
    pairs = {"model": MODEL, "text_1": "capital", "text_2": ["the capital", "a cat"]}
    assert len(server.post("/score", pairs).json["data"]) == 2


@played("VO7", "pooling", "v pool")
def _(server: StandIn) -> None:
    body = server.post("/pooling", {"model": MODEL, "input": ["a test", "another"]}).json
    assert [one["object"] for one in body["data"]] == ["pooling"] * 2
    assert server.post("/v1/chat/completions", {"model": MODEL, "messages": []}).status == 404


@played("VO8", "calls of tools, whole and streamed, required, named and none", "v tools")
def _(server: StandIn) -> None:
    ask = [{"role": "user", "content": "What is the weather in Paris?"}]
    tools = [{"type": "function", "function": TOOL}]
    for choice in ("auto", "required", {"type": "function", "function": {"name": "get_weather"}}):
        (call,) = chat(server, ask, 100, tools=tools, tool_choice=choice).json["choices"][0]["message"]["tool_calls"]
        assert json.loads(call["function"]["arguments"])["city"]
        chunks = chat(server, ask, 100, tools=tools, tool_choice=choice, stream=True).chunks
        pieces = [one for chunk in chunks for one in chunk["choices"][0]["delta"].get("tool_calls") or []]
        assert json.loads("".join(piece["function"].get("arguments") or "" for piece in pieces))["city"]
    assert not chat(server, ask, 100, tools=tools, tool_choice="none").json["choices"][0]["message"].get("tool_calls")


@played("VO9", "a key on the routes of the API, and none for health", "v locked")
def _(server: StandIn) -> None:
    assert [server.get(path).status for path in ("/health", "/version", "/v1/models")] == [200, 200, 401]
    assert server.get("/v1/models", authorization="Bearer wrong").status == 401
    assert server.get("/v1/models", authorization="Bearer abc-123").status == 200


@played("VO10", "a Unix socket in place of a port", "v tokens")
def _(server: StandIn) -> None:
    path = Path(tempfile.gettempdir()) / f"vllm-{server.port}.sock"
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", "vllm", "--uds", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert f"unix:{path}" in process.stdout.readline()
            with socket.socket(socket.AF_UNIX) as line:
                line.connect(str(path))
                line.sendall(b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                assert line.makefile().read().startswith("HTTP/1.1 200")
        finally:
            process.terminate()
