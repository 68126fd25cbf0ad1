"""What the tests of TGI ask over HTTP of the routes that are OpenAI's; the stand-in has no routes of TGI's own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simulator.public_scenarios import NOT_PLAYED, Reply, StandIn, at_once, played

from InferenceLibrary.protocol.json_schema import schema_problem

PROMPTS = ["What color is the sky?", "Is water wet?", "What is the capital of France?", "def mai"]
_FIELDS = {"location": {"type": "string"}, "format": {"type": "string", "enum": ["celsius", "fahrenheit"]}}
NOW = {"type": "object", "properties": _FIELDS, "required": ["location", "format"]}
DAYS = {
    "type": "object",
    "properties": {**_FIELDS, "num_days": {"type": "integer"}},
    "required": ["location", "format", "num_days"],
}
TOOLS = [
    {"type": "function", "function": {"name": "get_current_weather", "parameters": NOW}},
    {"type": "function", "function": {"name": "get_n_day_weather_forecast", "parameters": DAYS}},
]
SCHEMAS = {"get_current_weather": NOW, "get_n_day_weather_forecast": DAYS}
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 0},
        "address": {
            "type": "object",
            "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            "required": ["street", "city"],
        },
        "hobbies": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["name", "age", "address", "hobbies"],
}


def commands(_: Path) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    """Return the command line of each stand-in, and what its environment has."""
    return {"t": (["--as", "tgi", "--model", "tgi", "--seed", "0", "--max-num-seqs", "8"], {})}


def _chat(server: StandIn, text: str = "What is the weather like in Brooklyn, New York?", **more: Any) -> Reply:
    messages = [{"role": "system", "content": "You're a helpful assistant!"}, {"role": "user", "content": text}]
    return server.post("/v1/chat/completions", {"model": "tgi", "messages": messages, "max_tokens": 100, **more})


def _complete(server: StandIn, prompt: Any, **more: Any) -> Reply:
    return server.post("/v1/completions", {"model": "tgi", "prompt": prompt, "max_tokens": 10, "seed": 0, **more})


@played("T1", "one prompt, and a list of them with a choice each", "t")
def _(server: StandIn) -> None:
    assert len(_complete(server, "Say this is a test").json["choices"]) == 1
    choices = _complete(server, ["Say", "this", "is", "a"]).json["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2, 3]


@played("T2", "the same streamed: each piece tells its prompt", "t")
def _(server: StandIn) -> None:
    chunks = _complete(server, PROMPTS, stream=True).chunks
    texts = ["", "", "", ""]
    for chunk in chunks:
        texts[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert texts == [choice["text"] for choice in _complete(server, PROMPTS).json["choices"]]


@played("T4", "an answer that fits a nested schema, streamed too", "t")
def _(server: StandIn) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}}
    for stream in (False, True):
        said = _chat(
            server, "John is 30.", response_format=form, stream=stream, temperature=0.0, max_tokens=400
        ).content
        assert schema_problem(json.loads(said), PERSON) is None


def _check_call(call: Any, names: Sequence[str] = tuple(SCHEMAS)) -> None:
    function = call["function"]
    assert function["name"] in names
    assert schema_problem(json.loads(function["arguments"]), SCHEMAS[function["name"]]) is None


@played("T7", "tools: chosen by the model, required, named, none", "t")
def _(server: StandIn) -> None:
    named = {"type": "function", "function": {"name": "get_current_weather"}}
    for choice, names in (("required", tuple(SCHEMAS)), (named, ("get_current_weather",))):
        for call in _chat(server, tools=TOOLS, tool_choice=choice, seed=1).json["choices"][0]["message"]["tool_calls"]:
            _check_call(call, names)
    for seed in range(4):
        message = _chat(server, tools=TOOLS, tool_choice="auto", seed=seed).json["choices"][0]["message"]
        for call in message.get("tool_calls", []):
            _check_call(call)
        assert message.get("tool_calls") or message["content"]
    assert not _chat(server, tools=TOOLS, tool_choice="none").json["choices"][0]["message"].get("tool_calls")


@played("T8", "tools in streams: pieces that join to the arguments", "t")
def _(server: StandIn) -> None:
    named = {"type": "function", "function": {"name": "get_current_weather"}}
    chunks = _chat(server, tools=TOOLS, tool_choice=named, stream=True, temperature=0.0).chunks
    pieces = [one["function"] for chunk in chunks for one in chunk["choices"][0]["delta"].get("tool_calls", [])]
    (name,) = {piece["name"] for piece in pieces if piece.get("name")}
    _check_call({"function": {"name": name, "arguments": "".join(piece.get("arguments") or "" for piece in pieces)}})


@played("T9", "for each family: one request, one with all parameters, four at once that agree", "t")
def _(server: StandIn) -> None:
    assert _complete(server, "Test request", ignore_eos=True).json["usage"]["completion_tokens"] == 10
    limits = {"temperature": 0.5, "top_p": 0.9, "frequency_penalty": 0.2, "stop": ["test"], "seed": 0}
    assert _complete(server, "Test request", **limits).json["usage"]["completion_tokens"] <= 10
    replies = at_once(*[partial(_complete, server, "Test request", temperature=0.0)] * 4)
    assert len({reply.json["choices"][0]["text"] for reply in replies}) == 1


NOT_PLAYED |= {
    "T3": "an assistant's last message is gone on with: the reference answers it",
    "T5": "response_format with a value in place of json_schema, and 422 beside tools: TGI's own form",
    "T6": "a pattern as a grammar of /generate: its stand-in has OpenAI's routes alone",
    "T10": "what is on a picture: a stand-in sees none",
    "T11": "an adapter by adapter_id of /generate: its stand-in has OpenAI's routes alone",
    "T12": "/generate and /generate_stream: its stand-in has OpenAI's routes alone",
    "T13": "errors of TGI's own types, with 422 and 424: its stand-in has the reference's",
}
