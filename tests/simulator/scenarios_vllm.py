"""What the tests of vLLM ask over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simulator.public_scenarios import Reply, StandIn, at_once, played, wait_for

from InferenceLibrary.protocol.json_schema import schema_problem

MODEL = "m"
STORY = "An apple a day keeps the doctor away, said the old woman, and gave one to each of her seven children."
SUM = [{"role": "system", "content": "you are a helpful assistant"}, {"role": "user", "content": "what is 1+1?"}]
NAME = "Hello, my name is"
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "skills": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "skills"],
}
ADDRESS = r"((25[0-5]|(2[0-4]|1\d|[1-9]|)\d)\.){3}(25[0-5]|(2[0-4]|1\d|[1-9]|)\d)"
SQL = """
root ::= select_statement
select_statement ::= "SELECT " column " from " table " where " condition
column ::= "col_1 " | "col_2 "
table ::= "table_1 " | "table_2 "
condition ::= column "= " number
number ::= "1 " | "2 "
"""
TOOL = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def commands(folder: Path) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    """Return the command line of each stand-in, and what its environment has."""
    story = folder / "apple.yaml"
    story.write_text(f"rules:\n  - answer: {{text: '{STORY}'}}\n")
    vllm = ["--as", "vllm", "--model", MODEL]
    told = [*vllm, "--scenario", str(story)]
    return {
        "v": (told, {}),
        "v free": ([*vllm, "--scenario="], {}),
        "v load": (
            [*told, "--enable-server-load-tracking", "--inter-token-latency", "20ms", "--max-num-seqs", "256"],
            {},
        ),
        "v usage": ([*told, "--enable-force-include-usage"], {}),
        "v root": ([*told, "--root-path", "/llm", "--api-key", "abc-123"], {}),
    }


def chat(server: StandIn, messages: Any = SUM, count: int = 10, **more: Any) -> Reply:
    return server.post(
        "/v1/chat/completions", {"model": MODEL, "messages": messages, "max_completion_tokens": count, **more}
    )


def complete(server: StandIn, prompt: Any = NAME, **more: Any) -> Reply:
    return server.post(
        "/v1/completions", {"model": MODEL, "prompt": prompt, "max_tokens": 5, "temperature": 0.0, **more}
    )


# The server


@played("VB1", "its version and health, and 503 with a dead engine", "v")
def _(server: StandIn) -> None:
    assert server.get("/version").json == {"version": "0.32.0"}
    assert server.get("/health").status == 200
    dead = StandIn(["--as", "vllm", "--fault", "status:code=503,path=/health"])
    status = dead.get("/health").status
    dead.close()
    assert status == 503


@played("VB2", "many requests that are left leave it free", "v load")
def _(server: StandIn) -> None:
    body = {"model": MODEL, "messages": SUM, "max_tokens": 1000, "ignore_eos": True}
    at_once(*[partial(server.leave, "/v1/chat/completions", body)] * 20)
    wait_for(lambda: server.app.running == 0)
    assert chat(server, count=2).status == 200


@played("VB3", "a body of another type is refused", "v")
def _(server: StandIn) -> None:
    body = json.dumps({"model": MODEL, "messages": SUM}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert server.ask("POST", "/v1/chat/completions", body, headers).status == 400


@played("VB4", "its load rises and falls", "v load")
def _(server: StandIn) -> None:
    def load() -> int:
        return int(server.get("/load").json["server_load"])

    wait_for(lambda: load() == 0)
    at_once(partial(chat, server, count=20), lambda: wait_for(lambda: load() == 1))
    wait_for(lambda: load() == 0)


# Chats


@played("VC1", "log probabilities of chats: none, with no, some and too many alternatives", "v")
def _(server: StandIn) -> None:
    assert chat(server, logprobs=False).json["choices"][0]["logprobs"] is None
    for top in (0, 5):
        entries = chat(server, logprobs=True, top_logprobs=top).json["choices"][0]["logprobs"]["content"]
        assert {len(entry["top_logprobs"]) for entry in entries} == {top}
    assert [chat(server, logprobs=True, top_logprobs=top, stream=top == 21).status for top in (21, 30)] == [400, 400]
    assert chat(server).status == 200


@played("VC2", "log probabilities of the prompt", "v")
def _(server: StandIn) -> None:
    assert chat(server, prompt_logprobs=-1).status == 400
    assert chat(server).json["prompt_logprobs"] is None
    for top, count in ((0, 1), (1, 1), (2, 2)):
        assert len(chat(server, prompt_logprobs=top).json["prompt_logprobs"][3]) == count


@played("VC3", "one chat: the exact usage, and another turn", "v")
def _(server: StandIn) -> None:
    body = chat(server, count=5, logprobs=True, top_logprobs=5).json
    usage = body["usage"]
    assert (usage["completion_tokens"], body["choices"][0]["finish_reason"]) == (5, "length")
    assert usage["total_tokens"] == usage["prompt_tokens"] + 5
    turns = [*SUM, body["choices"][0]["message"], {"role": "user", "content": "express your result in json"}]
    assert chat(server, turns).json["usage"]["prompt_tokens"] > usage["prompt_tokens"]


@played("VC4", "a stream says what the whole says, and ends once", "v")
def _(server: StandIn) -> None:
    reply = chat(server, stream=True)
    choices = [chunk["choices"][0] for chunk in reply.chunks]
    assert reply.content == chat(server).content
    assert [choice["finish_reason"] for choice in choices] == [None] * (len(choices) - 1) + ["length"]
    assert choices[-1]["delta"]["content"]


@played("VC5", "usage in streams: none, at the end, in each chunk", "v")
def _(server: StandIn) -> None:
    ask = partial(chat, server, stream=True)
    assert not any(chunk.get("usage") for chunk in ask(stream_options={"include_usage": False}).chunks)
    *chunks, last = ask(stream_options={"include_usage": True, "continuous_usage_stats": False}).chunks
    assert not any(chunk.get("usage") for chunk in chunks)
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 10)
    found = ask(stream_options={"include_usage": True, "continuous_usage_stats": True}).chunks
    counts = [chunk["usage"]["completion_tokens"] for chunk in found]
    assert counts == sorted(counts)
    assert counts[-1] == 10


@played("VC6", "stream options without a stream are refused", "v")
def _(server: StandIn) -> None:
    for option in (None, True):
        assert chat(server, stream=False, stream_options={"include_usage": option}).status == 400


@played("VC7", "one of some choices, a schema, a pattern: kept, and another one when asked again", "v")
def _(server: StandIn) -> None:
    words = ["Python", "Java", "Rust", "Go"]

    def twice(demand: Any) -> list[str]:
        first = chat(server, count=1000, structured_outputs=demand).content
        turns = [*SUM, {"role": "assistant", "content": first}, {"role": "user", "content": "another one"}]
        return [first, chat(server, turns, 1000, structured_outputs=demand).content]

    chosen, persons, addresses = twice({"choice": words}), twice({"json": PERSON}), twice({"regex": ADDRESS})
    assert set(chosen) <= set(words)
    assert all(schema_problem(json.loads(text), PERSON) is None for text in persons)
    assert all(re.fullmatch(ADDRESS, text) for text in addresses)
    assert [len(set(texts)) for texts in (chosen, persons, addresses)] == [2, 2, 2]
    assert chat(server, structured_outputs={"regex": {"1": "Python"}}).status == 400
    entries = chat(server, structured_outputs={"choice": words}, logprobs=True, top_logprobs=5).json["choices"][0][
        "logprobs"
    ]
    assert all(top["logprob"] >= -9999 for entry in entries["content"] for top in entry["top_logprobs"])


@played("VC8", "response formats: a JSON object, a schema, text", "v")
def _(server: StandIn) -> None:
    schema = {"type": "object", "properties": {"result": {"type": "integer"}}, "required": ["result"]}
    assert isinstance(json.loads(chat(server, count=100, response_format={"type": "json_object"}).content), dict)
    form = {"type": "json_schema", "json_schema": {"name": "foo_test", "schema": schema}}
    assert type(json.loads(chat(server, count=100, response_format=form).content)["result"]) is int
    assert chat(server, response_format={"type": "text"}).content.startswith("An apple")


@played("VC9", "unknown fields, parts, roles of one's own, a seed that is too long", "v")
def _(server: StandIn) -> None:
    parts = [{"type": "text", "text": "what is 1+1?"}]
    for message in ({"role": "user", "content": "x", "extra_field": "0"}, {"role": "user", "content": parts}):
        assert chat(server, [message], seed=0).content
    said = [
        chat(server, [{"role": "my-custom-role", "content": content}]).content for content in ("what is 1+1?", parts)
    ]
    assert said[0] == said[1]
    assert [chat(server, seed=seed).status for seed in (-(2**63) - 1, 2**63)] == [400, 400]


@played("VC10", "the route of SageMaker answers as the chat", "v")
def _(server: StandIn) -> None:
    body = {"model": MODEL, "messages": SUM, "max_completion_tokens": 5, "temperature": 0.0, "logprobs": False}
    chat, other = (server.post(path, body).json for path in ("/v1/chat/completions", "/invocations"))
    assert (chat.keys(), chat["choices"]) == (other.keys(), other["choices"])


@played("VC11", "several choices, whole and streamed, with a seed, one alone", "v free")
def _(server: StandIn) -> None:
    choices = chat(server, count=20, temperature=0.7, n=3).json["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) > 1
    chunks = chat(server, count=15, temperature=0.7, n=2, stream=True).chunks
    assert {choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["delta"].get("content")} == {
        0,
        1,
    }
    assert [len(chat(server, n=count, seed=42).json["choices"]) for count in (2, 1)] == [2, 1]


@played("VC12", "an error of the engine, before and within a stream", "v")
def _(server: StandIn) -> None:
    body = {"model": MODEL, "messages": SUM, "stream": True}
    before = server.post("/v1/chat/completions", body, x_inference_fault="status:code=500")
    assert (before.status, "error" in before.json) == (500, True)
    within = server.post("/v1/chat/completions", body, x_inference_fault="error-mid-stream")
    assert "error" in within.chunks[-1]


@played("VC13", "usage though nobody asks for it", "v usage")
def _(server: StandIn) -> None:
    last = chat(server, stream=True).chunks[-1]
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 10)


@played("VC14", "biases of tokens that there are, and of those that there are not", "v")
def _(server: StandIn) -> None:
    assert chat(server, logit_bias={"1000": 1.0}).status == 200
    for token in ("99999999", "-1", "word"):
        assert chat(server, logit_bias={token: 1.0}).status == 400


@played("VC15", "bodies that are no object", "v")
def _(server: StandIn) -> None:
    for body in (b"[]", b'"text"', b"1", b"null"):
        assert server.ask("POST", "/v1/chat/completions", body).status == 400, body


@played("VC16", "the last message repeated, ids of tokens, a path before all others", "v root")
def _(server: StandIn) -> None:
    turns = [{"role": "user", "content": "tell me a common saying"}, {"role": "assistant", "content": "Here is one:"}]
    body = {"model": MODEL, "messages": turns, "continue_final_message": True, "add_generation_prompt": False}
    for path in ("/v1/chat/completions", "/llm/v1/chat/completions"):
        assert server.post(path, body, authorization="Bearer abc").status == 401
        right = {"authorization": "Bearer abc-123"}
        plain, echoed = (server.post(path, {**body, "echo": echo}, **right).content for echo in (False, True))
        assert echoed == f"Here is one:{plain}"
        choice = server.post(path, {**body, "return_token_ids": True}, **right).json
        assert choice["prompt_token_ids"]
        assert len(choice["choices"][0]["token_ids"]) == choice["usage"]["completion_tokens"]


# Completions


@played("VP1", "one completion: the exact usage; a prompt in tokens", "v")
def _(server: StandIn) -> None:
    body = complete(server).json
    assert (body["usage"]["prompt_tokens"], body["usage"]["completion_tokens"], body["usage"]["total_tokens"]) == (
        5,
        5,
        10,
    )
    assert body["choices"][0]["finish_reason"] == "length"
    choice = complete(server, [0, 0, 0, 0, 0]).json["choices"][0]
    assert (choice["text"] != "", choice["prompt_logprobs"]) == (True, None)


@played("VP2", "a prompt that is cut, at either side", "v")
def _(server: StandIn) -> None:
    for side, ids in (("right", [0, 1, 2, 3]), ("left", [4, 5, 6, 7])):
        more = {"return_token_ids": True, "truncate_prompt_tokens": 4, "truncation_side": side}
        assert complete(server, list(range(8)), **more).json["choices"][0]["prompt_token_ids"] == ids


@played("VP3", "log probabilities of completions: none, no, some and too many alternatives", "v")
def _(server: StandIn) -> None:
    assert complete(server, logprobs=None).json["choices"][0]["logprobs"] is None
    for count, least in ((0, 1), (5, 5)):
        assert len(complete(server, logprobs=count).json["choices"][0]["logprobs"]["top_logprobs"][0]) == least
    assert [complete(server, logprobs=21).status, complete(server, logprobs=30, stream=True).status] == [400, 400]


@played("VP4", "log probabilities of prompts; choices at once, whole and streamed", "v free")
def _(server: StandIn) -> None:
    prompts = ["A robot may not injure another robot", "My name is"]
    assert complete(server, prompts, prompt_logprobs=-1).status == 400
    assert [len(one["prompt_logprobs"]) for one in complete(server, prompts, prompt_logprobs=1).json["choices"]] == [
        7,
        3,
    ]
    more = {"n": 3, "max_tokens": 50, "temperature": 1.0, "seed": 42}
    texts = [choice["text"] for choice in complete(server, **more).json["choices"]]
    assert len(set(texts)) == 3
    pieces = {0: "", 1: "", 2: ""}
    for chunk in complete(server, stream=True, **more).chunks:
        pieces[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
    assert list(pieces.values()) == texts


@played("VP5", "usage in streamed completions, and options without a stream", "v")
def _(server: StandIn) -> None:
    for options in ({}, {"include_usage": False}, {"include_usage": False, "continuous_usage_stats": True}):
        assert not any(chunk.get("usage") for chunk in complete(server, stream=True, stream_options=options).chunks)
    found = complete(server, stream=True, stream_options={"include_usage": True, "continuous_usage_stats": True}).chunks
    assert [chunk["usage"]["completion_tokens"] for chunk in found] == [1, 2, 3, 4, 5, 5]
    for name in ("include_usage", "continuous_usage_stats"):
        assert [complete(server, stream_options={name: value}).status for value in (None, True)] == [400, 400]


@played("VP6", "several prompts at once, as texts and tokens, with several choices, streamed", "v free")
def _(server: StandIn) -> None:
    for prompts in ([NAME] * 2, [[0, 0, 0, 0, 0]] * 2):
        first, second = (choice["text"] for choice in complete(server, prompts).json["choices"])
        assert first == second
        texts = [choice["text"] for choice in complete(server, prompts, n=2, use_beam_search=True).json["choices"]]
        assert (texts[0] != texts[1], texts[:2]) == (True, texts[2:])
        streamed = ["", ""]
        for chunk in complete(server, prompts, stream=True).chunks:
            streamed[chunk["choices"][0]["index"]] += chunk["choices"][0]["text"]
        assert streamed == [first, second]


@played("VP7", "the prompt repeated, with its log probabilities", "v")
def _(server: StandIn) -> None:
    for count in (1, 0):
        choice = complete(server, echo=True, logprobs=count).json["choices"][0]
        found = choice["logprobs"]
        assert choice["text"].startswith(NAME)
        assert len(found["tokens"]) == len(found["text_offset"]) == 10
        assert (found["token_logprobs"][0], found["top_logprobs"][0]) == (None, None)
        assert {len(one) for one in found["top_logprobs"][1:]} == {1}


@played("VP8", "a schema, a pattern and a grammar that are wrong; and a grammar that is right", "v")
def _(server: StandIn) -> None:
    schema = {"type": "object", "properties": {"foo": "bar"}}
    broken = SQL.replace("select_statement\n", "select_statementinvalidsyntax\n", 1)
    for demand in ({"json": schema}, {"regex": r"[.*"}, {"grammar": broken}):
        assert complete(server, structured_outputs=demand).status == 400, demand
    said = complete(server, structured_outputs={"grammar": SQL}, max_tokens=60).json["choices"][0]["text"]
    assert said == "SELECT col_1  from table_1  where col_1 = 1 "


@played("VP9", "no prompt, and tokens that there are not", "v")
def _(server: StandIn) -> None:
    for prompt in ("", [], [""], [-1], [99999999], [[0, 99999999]], None):
        assert complete(server, prompt).status == 400, prompt


@played("VP10", "places of tokens in a text, in a stream too", "v")
def _(server: StandIn) -> None:
    whole = complete(server, logprobs=1).json["choices"][0]
    assert whole["logprobs"]["text_offset"][0] == 0
    chunks = complete(server, logprobs=1, stream=True).chunks
    places = [place for chunk in chunks for place in chunk["choices"][0]["logprobs"]["text_offset"]]
    assert places == whole["logprobs"]["text_offset"]
