"""What a stand-in refuses of a request that is too large, too deep, or odd, rather than make a mistake or block."""

from __future__ import annotations

from typing import Any

import pytest

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
            assert told(path, n=1025, stream=stream) == (
                400, "The stand-in makes at most 1024 choices for a request, got 1025"
            )  # fmt: skip
    assert told("/v1/completions", prompt=["a"] * 600, n=2)[0] == 400
    assert told("/v1/completions", n=600, max_tokens=500, ignore_eos=True) == (
        400, "The stand-in makes at most 262144 tokens for the choices of a request"
    )  # fmt: skip
    assert told("/v1/completions", prompt=["a"] * 512, n=2, max_tokens=1)[0] == 200
    scored = simulator.request("POST", "/v1/completions", {"model": "tiny", "prompt": "a b", "prompt_logprobs": 10**9})
    assert len(scored.json["choices"][0]["prompt_logprobs"][1]) == 128


@pytest.mark.parametrize("name", ["vllm", "llama.cpp", "llm-d"])
def test_deep_json_is_not_json(start_simulator: Any, name: str) -> None:
    simulator = start_simulator("--as", name, "--model", "tiny")
    for path in ("/v1/chat/completions", "/v1/completions", "/tokenize"):
        answer = simulator.request("POST", path, DEEP, {"content-type": "application/json"})
        assert (answer.status, b"made a mistake" in answer.body) == (400, False), path


ODD: list[tuple[str, dict[str, Any]]] = [
    ("/v1/chat/completions", {"messages": [{"role": "assistant", "content": None, "tool_calls": True}]}),
    ("/v1/chat/completions", {"messages": [{"role": "assistant", "content": None, "tool_calls": 1}]}),
    ("/v1/chat/completions", {"messages": [{"role": "user", "content": [{"type": []}]}]}),
    ("/v1/chat/completions", {"kv_transfer_params": [1]}),
    ("/v1/chat/completions", {"kv_transfer_params": 1}),
    (
        "/v1/chat/completions",
        {
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
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
