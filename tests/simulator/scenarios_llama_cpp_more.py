"""What the tests of llama.cpp's server ask of vectors, templates, adapters, tools, other APIs and many models."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from simulator.public_scenarios import NOT_PLAYED, StandIn, at_once, played
from simulator.scenarios_llama_cpp import LIFE, STORY, client

TOOL = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TOOLS = [{"type": "function", "function": TOOL}]
ANTHROPIC = [{"name": "get_weather", "input_schema": TOOL["parameters"]}]
DOCUMENTS = [
    "A machine is a physical system that uses power to apply forces.",
    "Learning is the process of acquiring new understanding.",
    "Machine learning is a field of study in artificial intelligence.",
    "Paris, capitale de la France, est une grande ville européenne.",
]
THINKING = (
    "{% for message in messages %}{{ message.content }}{% endfor %}{{ strftime_now('%d %b %Y') }}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
"""A template that tells the day, and whose model always thinks."""


def commands(folder: Path) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    """Return the command line of each stand-in, and what its environment has."""
    template = folder / "thinking.jinja"
    template.write_text(THINKING)
    story = folder / "tale.yaml"
    story.write_text(f"rules:\n  - answer: {{text: '{STORY}'}}\n")
    llama = ["--as", "llama.cpp", "-c", "512"]
    found: dict[str, list[str]] = {
        "vectors": [*llama, "--embeddings", "--pooling", "last"],
        "vector each": [*llama, "--embeddings", "--pooling", "none"],
        "ranks": [*llama, "--reranking"],
        "fill": [*llama, "-m", "stories260K-infill.gguf"],
        "adapters": [*llama, "-m", "moe.gguf", "--lora", "shakespeare.gguf", "--scenario", str(story), "-np", "4"],
        "draft": [*llama, "--model-draft", "stories15M-q4_0.gguf", "--scenario", str(story)],
        "plain": [*llama, "-np", "2", "--scenario", str(story), "--metrics"],
        "thinks": [*llama, "--reasoning", "auto", "--chat-template-file", str(template)],
        "prefixed": [*llama, "--chat-template", "chatml", "--system-message-prefix", '{{ "PRE" + "FIX:" }}'],
        "budget": [*llama, "--reasoning-budget", "1", "--reasoning-budget-message", "!!!ABORT REASONING"],
        "thoughts": [*llama, "--reasoning", "on"],
    }
    return {name: (words, {}) for name, words in found.items()}


# Vectors and ranks


def _embed(server: StandIn, given: Any, **more: Any) -> Any:
    reply = server.post("/v1/embeddings", {"input": given, **more})
    assert reply.status == 200, reply.text
    return [one["embedding"] for one in reply.json["data"]]


@played("LE1", "vectors: as many as texts, in their order, of length 1", "vectors")
def _(server: StandIn) -> None:
    texts = [LIFE, "This is a test", "This is another test"]
    found = _embed(server, texts)
    assert [_embed(server, text)[0] for text in texts] == found
    assert all(abs(sum(x * x for x in one) - 1) < 1e-3 for one in found)


@played("LE2", "vectors of tokens, of mixed lists and of objects", "vectors")
def _(server: StandIn) -> None:
    parts = {"content": [{"type": "text", "text": "string"}]}
    for given, count in (
        ("string", 1), ([12, 34, 56], 1), ([12, 34, "string", 56], 1), (["one", "two"], 2), (["one", [12, 34]], 2),
        ([[12, 34], [12, "string", 34]], 2), ({"prompt_string": "string"}, 1), (parts, 1),
        (["one", {"prompt_string": "two"}, parts], 3),
    ):  # fmt: skip
        assert len(_embed(server, given)) == count, given
    assert _embed(server, ["string", parts])[0] == _embed(server, parts)[0]
    for given in ([], {"content": "string"}, {"content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}):
        assert server.post("/v1/embeddings", {"input": given}).status == 400, given


@played("LE3", "a vector for each token, on the server's own route only", "vector each")
def _(server: StandIn) -> None:
    assert len(server.post("/embeddings", {"input": "hello hello hello"}).json[0]["embedding"]) > 1
    assert server.post("/v1/embeddings", {"input": "hello hello hello"}).status == 400


@played("LE4", "a text beyond the batch", "vectors")
def _(server: StandIn) -> None:
    reply = server.post("/v1/embeddings", {"input": "This is a test " * 512})
    assert (reply.status, "too large" in reply.json["error"]["message"]) == (500, True)


@played("LE5", "the same text has the same vector, in a batch and alone", "vectors")
def _(server: StandIn) -> None:
    assert _embed(server, [LIFE] * 5) == _embed(server, LIFE) * 5


@played("LE6", "usage, and OpenAI's client", "vectors")
def _(server: StandIn) -> None:
    one, two = (server.post("/v1/embeddings", {"input": given}).json["usage"] for given in (LIFE, [LIFE, LIFE]))
    assert one["prompt_tokens"] == one["total_tokens"] == two["prompt_tokens"] / 2
    found = client(server).embeddings.create(model="text-embedding-3-small", input=[LIFE, "a test"])
    assert all(len(each.embedding) > 1 for each in found.data)


@played("LE7", "vectors as base64", "vectors")
def _(server: StandIn) -> None:
    raw = base64.b64decode(_embed(server, LIFE, encoding_format="base64")[0])
    floats = struct.unpack(f"{len(raw) // 4}f", raw)
    assert all(abs(x - y) < 1e-3 for x, y in zip(floats, _embed(server, LIFE)[0], strict=True))


@played("LE8", "ranks: best first, the most that is wanted, another form, what is refused", "ranks")
def _(server: StandIn) -> None:
    ask = {"query": "Machine learning is", "documents": DOCUMENTS}
    results = server.post("/rerank", ask).json["results"]
    by_score = sorted(results, key=lambda one: one["relevance_score"])
    assert (by_score[-1]["index"], by_score[0]["index"]) == (2, 3)
    assert [len(server.post("/rerank", {**ask, "top_n": top}).json["results"]) for top in (2, 99)] == [2, 4]
    assert len(server.post("/rerank", {"query": "x", "texts": DOCUMENTS, "top_n": 2}).json) == 2
    for documents in ([], None, 123, [1, 2, 3]):
        assert server.post("/rerank", {**ask, "documents": documents}).status == 400, documents


# Tokens, templates, text between texts


@played("LT1", "tokens and back, with the first token, with their pieces", "plain")
def _(server: StandIn) -> None:
    text = "This is a test string with unicode 媽 and emoji 🤗"
    tokens = server.post("/tokenize", {"content": text}).json["tokens"]
    assert server.post("/detokenize", {"tokens": tokens}).json["content"] == text
    assert server.post("/tokenize", {"content": text, "add_special": True}).json["tokens"] == [1, *tokens]
    pieces = server.post("/tokenize", {"content": text, "with_pieces": True}).json["tokens"]
    assert "".join(one["piece"] for one in pieces) == text


@played("LT2", "text between a prefix and a suffix, with other files, and what is refused", "fill")
def _(server: StandIn) -> None:
    ask = {"input_prefix": "int main() {\n", "prompt": "    int n_threads = llama_", "input_suffix": "}\n"}
    extra = [{"filename": "llama.h", "text": "int32_t llama_n_threads();\n"}]
    for more in ({}, {"input_extra": extra}):
        assert server.post("/infill", {**ask, **more}).json["content"]
    for wrong in ({}, {"filename": "ok"}, {"filename": 123, "text": "abc"}, {"filename": 123, "text": 456}):
        reply = server.post("/infill", {**ask, "input_extra": [wrong]})
        assert (reply.status, "error" in reply.json) == (400, True)


def _prompt(server: StandIn, **more: Any) -> str:
    messages = [{"role": "user", "content": "What is today?"}]
    return str(server.post("/apply-template", {"messages": messages, **more}).json["prompt"])


@played("LT3", "a template with thinking on and off", "thinks")
def _(server: StandIn) -> None:
    assert _prompt(server).endswith("<think>\n")
    other = StandIn(["--as", "llama.cpp", "--reasoning", "off", "--chat-template", THINKING])
    prompt = _prompt(other)
    other.close()
    assert prompt.endswith("<think>\n</think>")


@played("LT4", "the day in a prompt, no opening, a text before the system's", "prefixed")
def _(server: StandIn) -> None:
    user = {"role": "user", "content": "hello"}
    for content, begins in (
        ("existing", "PREFIX:existing<"),
        ([{"type": "text", "text": "existing"}], "PREFIX:\nexisting<"),
    ):
        prompt = _prompt(server, messages=[{"role": "system", "content": content}, user])
        assert prompt.startswith(f"<|im_start|>system\n{begins}")
    assert _prompt(server).startswith("<|im_start|>system\nPREFIX:<|im_end|>")
    assert _prompt(server).endswith("<|im_start|>assistant\n")
    assert "assistant" not in _prompt(server, add_generation_prompt=False)
    other = StandIn(["--as", "llama.cpp", "--chat-template", THINKING])
    prompt = _prompt(other)
    other.close()
    assert date.today().strftime("%d %b %Y") in prompt


@played("LT5", "an answer that ignores its end, and tells so in its settings", "plain")
def _(server: StandIn) -> None:
    body = server.complete("Once upon a time", ignore_eos=True)
    assert body["tokens_predicted"] == 8
    assert [one["bias"] for one in body["generation_settings"]["logit_bias"]] == [None, None]
    assert server.complete("Once upon a time")["generation_settings"]["logit_bias"] == []


# Adapters, slots, drafts


@played("LL1", "adapters scaled for all requests, and for one", "adapters")
def _(server: StandIn) -> None:
    ask = partial(server.complete, "Look in thy glass", seed=42, temperature=0.0)
    assert server.get("/lora-adapters").json[0]["scale"] == 1.0
    said = {}
    for scale in (0.0, 1.0):
        assert server.post("/lora-adapters", [{"id": 0, "scale": scale}]).status == 200
        said[scale] = ask()["content"]
    assert said[0.0].startswith("Once upon a time")
    assert said[1.0] != said[0.0]
    each = at_once(*(partial(ask, lora=[{"id": 0, "scale": scale}]) for scale in (0.0, 0.0, 1.0, 1.0)))
    assert [one["content"] for one in each] == [said[0.0]] * 2 + [said[1.0]] * 2


@played("LL2", "a slot is saved, restored in another, and forgets", "story")
def _(server: StandIn) -> None:
    def known(text: str, slot: int) -> int:
        return int(server.complete(text, id_slot=slot)["timings"]["cache_n"])

    server.post("/slots/1?action=erase", {})
    assert known("What is the capital of France?", 1) == 0
    saved = server.post("/slots/1?action=save", {"filename": "slot1.bin"}).json["n_saved"]
    assert known("What is the capital of Germany?", 1) == 5
    server.post("/slots/0?action=erase", {})
    assert server.post("/slots/0?action=restore", {"filename": "slot1.bin"}).json["n_restored"] == saved > 0
    assert known("What is the capital of Germany?", 0) == 5
    assert server.post("/slots/0?action=restore", {"filename": "none.bin"}).status == 400


@played("LL3", "a draft model changes nothing of the answer", "draft")
def _(server: StandIn) -> None:
    assert STORY.startswith(server.complete(LIFE, temperature=0.0, top_k=1)["content"])


@played("LL4", "what an idle slot knew is found again", "plain")
def _(server: StandIn) -> None:
    first = server.complete("The knight rode far away", id_slot=0)["timings"]
    server.complete("Quite another thing", id_slot=0)
    again = server.complete("The knight rode far away", id_slot=0)["timings"]
    assert (first["cache_n"], again["cache_n"]) == (0, 4)
    assert again["prompt_n"] < first["prompt_n"]


# Tools and thoughts


def _called(server: StandIn, **more: Any) -> Any:
    body = {
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        "max_tokens": 512,
        "tools": TOOLS,
    }
    return server.post("/v1/chat/completions", {**body, **more})


@played("LTC1", "a tool that must be called", "tiny")
def _(server: StandIn) -> None:
    messages = [{"role": "user", "content": "Write an example"}]
    message = _called(server, messages=messages, tool_choice="required", parallel_tool_calls=False).json["choices"][0][
        "message"
    ]
    (call,) = message["tool_calls"]
    assert (call["function"]["name"], message["content"] or "") == ("get_weather", "")
    assert "city" in json.loads(call["function"]["arguments"])


@played("LTC2", "tools that are called, and not, whole and streamed", "tiny")
def _(server: StandIn) -> None:
    for stream in (False, True):
        assert "get_weather" in _called(server, stream=stream).text
        for more in ({"tools": []}, {"tool_choice": "none"}):
            assert '"tool_calls":[' not in _called(server, stream=stream, **more).text


@played("LTC3", "the result of a tool is used", "tiny")
def _(server: StandIn) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    turns = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    assert "sunny" in _called(server, messages=turns).content


@played("LTC4", "thoughts apart from the answer, whole and streamed", "thoughts")
def _(server: StandIn) -> None:
    message = server.chat("Hello", max_tokens=60).json["choices"][0]["message"]
    assert (message["reasoning_content"][:9], message["content"][:5]) == ("Let me th", "Hello")
    deltas = [chunk["choices"][0]["delta"] for chunk in server.chat("Hello", max_tokens=60, stream=True).chunks]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message["reasoning_content"]


@played("LTC5", "a budget ends the thoughts", "budget")
def _(server: StandIn) -> None:
    for more, count in (({}, 1), ({"thinking_budget_tokens": 5}, 5)):
        thought = server.chat("Tell me a short story.", **more).json["choices"][0]["message"]["reasoning_content"]
        before, found, _ = thought.partition("!!!ABORT REASONING")
        assert (found != "", len(before.replace(".", " .").split())) == (True, count)


# Messages and responses


def _message(server: StandIn, content: Any = "Say hello", **more: Any) -> Any:
    messages = (
        content
        if isinstance(content, list) and content and "role" in content[0]
        else [{"role": "user", "content": content}]
    )
    return server.post("/v1/messages", {"model": "test", "max_tokens": 50, "messages": messages, **more})


@played("LA1", "messages: usage, system, parts, turns", "tiny")
def _(server: StandIn) -> None:
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "?"},
    ]
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": " the answer?"}]
    for given, more in (("Hi", {}), ("Hi", {"system": "Be helpful."}), (parts, {}), (turns, {})):
        body = _message(server, given, **more).json
        assert (body["type"], body["role"], body["content"][0]["type"]) == ("message", "assistant", "text")
        assert {"cache_read_input_tokens", "input_tokens", "output_tokens"} <= body["usage"].keys()
        assert "timings" not in body


@played("LA2", "streamed messages: the order of their events", "tiny")
def _(server: StandIn) -> None:
    kinds = [chunk["type"] for chunk in _message(server, stream=True).chunks]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}


@played("LA3", "tokens are counted without a limit", "tiny")
def _(server: StandIn) -> None:
    ask = {"model": "test", "messages": [{"role": "user", "content": "Hello"}]}
    short, long = (
        server.post("/v1/messages/count_tokens", {**ask, **more}).json for more in ({}, {"system": "Be good."})
    )
    assert 0 < short["input_tokens"] < long["input_tokens"]
    assert "output_tokens" not in short


@played("LA4", "tools of messages: used, their result, with text beside it, an error", "tiny")
def _(server: StandIn) -> None:
    body = _message(server, "What's the weather in Paris?", tools=ANTHROPIC, max_tokens=200).json
    (block,) = [one for one in body["content"] if one["type"] == "tool_use"]
    assert (body["stop_reason"], block["name"], block["input"]) == ("tool_use", "get_weather", {"city": "Paris"})
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}
    for last in ([result], [{"type": "text", "text": "Here:"}, result], [{**result, "is_error": True}]):
        turns = [
            {"role": "user", "content": "What's the weather?"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "get_weather", "input": {}}]},
            {"role": "user", "content": last},
        ]
        assert _message(server, turns).json["content"][0]["type"] == "text"


@played("LA5", "a picture for a model without eyes, and for one with", "tiny")
def _(server: StandIn) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": "What is this?"}]
    reply = _message(server, parts)
    assert (reply.status, "image input is not supported" in reply.text) == (500, True)
    other = StandIn(["--as", "llama.cpp", "--mmproj", "mmproj.gguf"])
    seen = _message(other, parts)
    other.close()
    assert seen.json["content"][0]["text"]


@played("LA6", "stop texts and sampling of messages", "plain")
def _(server: StandIn) -> None:
    body = _message(server, stop_sequences=["little", "END"]).json
    assert (body["content"][0]["text"], body["stop_sequence"]) == ("Once upon a time a ", "little")
    for more in ({"temperature": 0.5}, {"top_p": 0.9}, {"top_k": 40}, {"metadata": {"user_id": "u"}}):
        assert _message(server, **more).status == 200


@played("LA7", "no messages, and an empty list of them", "tiny")
def _(server: StandIn) -> None:
    assert server.post("/v1/messages", {"model": "test", "max_tokens": 50}).status >= 400
    assert server.post("/v1/messages", {"model": "test", "max_tokens": 50, "messages": []}).status == 200


@played("LA8", "streamed tools of messages: one block after the other", "tiny")
def _(server: StandIn) -> None:
    chunks = _message(server, "What's the weather?", tools=ANTHROPIC, max_tokens=400, stream=True).chunks
    starts = [chunk for chunk in chunks if chunk["type"] == "content_block_start"]
    assert "tool_use" in {one["content_block"]["type"] for one in starts}
    assert [one["index"] for one in starts] == list(range(len(starts)))
    stops = [chunk["index"] for chunk in chunks if chunk["type"] == "content_block_stop"]
    assert stops == [one["index"] for one in starts]
    assert _message(server, thinking={"type": "enabled", "budget_tokens": 20}).status == 200


NOT_PLAYED["LA9"] = (
    "Responses: formats, ids, events: the recorded build ignores the format that a response is asked for"
)
