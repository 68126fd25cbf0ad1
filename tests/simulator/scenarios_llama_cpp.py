"""What the tests of llama.cpp's server ask of its start, its chats and its completions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from openai import OpenAI
from simulator.public_scenarios import StandIn, at_once, played, wait_for

SECRET = "sk-this-is-the-secret-key"
STORY = (
    "Once upon a time a little girl lived near the forest with her cat. Every morning she walked to the old well, "
    "where a small bird sang for her. One day the bird was gone, and the well was dry. So she asked the wind, and "
    "the wind told her of a king who kept all birds in a golden cage. She went to him, and opened it. Then the water "
    "came back."
)
BOOK = [{"role": "system", "content": "Book"}, {"role": "user", "content": "What is the best book"}]
LIFE = "I believe the meaning of life is"
NEVER = ["the", "The", "to", "a", "an", "be", "is", "was", "but", "and", "so", "you", "he", "she", "we", "they", "it"]
LLAMA3 = (
    "<|start_header_id|>system<|end_header_id|>\n\nBook<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
    "What is the best book<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
)


def commands(folder: Path) -> dict[str, tuple[Sequence[str], Mapping[str, str]]]:
    """Return the command line of each stand-in, and what its environment has."""
    story = folder / "story.yaml"
    story.write_text(f"rules:\n  - answer: {{text: '{STORY}'}}\n")
    llama = ["--as", "llama.cpp", "-c", "512"]
    told = [*llama, "-m", "stories260K.gguf", "--scenario", str(story), "-np", "2"]
    found: dict[str, list[str]] = {
        "story": [*told, "--seed", "42", "--metrics", "--slot-save-path", str(folder)],
        "slow": [*told, "--inter-token-latency", "20ms"],
        "free": [*llama, "-m", "stories260K.gguf", "--scenario=", "-np", "4"],
        "split": [*llama, "-m", "stories15M-q8_0-00001-of-00003.gguf", "--scenario", str(story)],
        "closed": [*llama, "--no-slots"],
        "page": [*llama, "--webui", "--scenario", str(story), "--chat-template", "llama3", "--verbose"],
        "named": [*llama, "--alias", "tinyllama-2,fim,code", "--tags", "chat,fim,small"],
        "command-r": [*llama, "--chat-template", "command-r"],
        "tiny": llama,
        "batched": [*llama, "--batch-size", "64", "--scenario", str(story)],
    }
    return {name: (words, {}) for name, words in found.items()}


def client(server: StandIn, key: str = "dummy", path: str = "/v1") -> OpenAI:
    return OpenAI(api_key=key, base_url=f"http://127.0.0.1:{server.port}{path}", max_retries=0)


# The start


@played("LB1", "a server that is up is healthy", "story")
def _(server: StandIn) -> None:
    assert server.get("/health").json == {"status": "ok"}


@played("LB2", "the properties: file, slots, the context of a slot, the seed", "story")
def _(server: StandIn) -> None:
    props = server.get("/props").json
    usual = props["default_generation_settings"]
    assert ".gguf" in props["model_path"]
    assert (props["total_slots"], usual["n_ctx"], usual["params"]["seed"]) == (2, 256, 42)


@played("LB3", "the list of models has the one that is served", "story")
def _(server: StandIn) -> None:
    assert [one["id"] for one in server.get("/models").json["data"]] == ["stories260K.gguf"]


@played("LB4", "the slots, and 501 where they are switched off", "closed")
def _(server: StandIn) -> None:
    reply = server.get("/slots")
    assert (reply.status, reply.json["error"]["code"]) == (501, 501)
    other = StandIn(["--as", "llama.cpp", "-np", "2", "-c", "512"])
    slots = other.get("/slots").json
    other.close()
    assert [slot["n_ctx"] for slot in slots] == [256, 256]
    assert "params" not in slots[0]


@played("LB5", "a model in several files is named by the first", "split")
def _(server: StandIn) -> None:
    assert "little girl" in server.complete("Hello", n_predict=16, temperature=0.0)["content"]


@played("LB6", "the page, and 404 without it", "page")
def _(server: StandIn) -> None:
    assert "<!doctype html>" in server.get("/").text
    other = StandIn(["--as", "llama.cpp", "--no-webui"])
    status = other.get("/").status
    other.close()
    assert status == 404


@played("LB7", "aliases and tags of a model", "named")
def _(server: StandIn) -> None:
    (model,) = server.get("/models").json["data"]
    assert set(model["aliases"]) == {"tinyllama-2", "fim", "code"}
    assert set(model["tags"]) == {"chat", "fim", "small"}
    assert model["id"] == "code"


# Chats


def _check_chat(server: StandIn, **more: Any) -> Any:
    body = server.chat(**more).json
    (choice,) = body["choices"]
    assert "cmpl" in body["id"]
    assert body["system_fingerprint"].startswith("b")
    assert body["usage"]["completion_tokens"] == 8
    assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "length")
    assert choice["message"]["content"].startswith("Once upon a time")
    return body


@played("LC1", "chats: system prompts, parts, limits, templates by name or text", "story")
def _(server: StandIn) -> None:
    _check_chat(server)
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "the best book"}]
    body = server.post("/chat/completions", {"messages": [{"role": "user", "content": parts}], "max_tokens": 8}).json
    assert body["usage"]["completion_tokens"] == 8
    plain = "This is not a chat template, it is"
    for template, begins in (("chatml", "<|im_start|>system\nBook<|im_end|>"), (plain, plain)):
        other = StandIn(["--as", "llama.cpp", "--chat-template", template, "--verbose"])
        prompt = other.chat().json["__verbose"]["prompt"]
        other.close()
        assert prompt.startswith(begins)


@played("LC2", "a streamed chat: role first, one id, the end without content, usage at the end", "story")
def _(server: StandIn) -> None:
    chunks = server.chat(stream=True, stream_options={"include_usage": True}).chunks
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": None}
    assert len({chunk["id"] for chunk in chunks}) == 1
    middle = [chunk["choices"][0] for chunk in chunks[1:-1]]
    assert all("role" not in choice["delta"] for choice in middle)
    assert "content" not in middle[-1]["delta"]
    assert middle[-1]["finish_reason"] == "length"
    assert chunks[-1]["usage"]["completion_tokens"] == 8


@played("LC3", "a chat by OpenAI's client", "story")
def _(server: StandIn) -> None:
    reply = client(server).chat.completions.create(model="gpt-3.5-turbo-instruct", messages=BOOK, max_tokens=8)  # type: ignore[call-overload]
    assert reply.system_fingerprint.startswith("b")
    assert reply.choices[0].finish_reason == "length"


@played("LC4", "another template, seen in the verbose prompt", "page")
def _(server: StandIn) -> None:
    assert server.chat().json["__verbose"]["prompt"].endswith(LLAMA3)


@played("LC5", "an answer that the client has begun, as text or parts", "page")
def _(server: StandIn) -> None:
    for begun in ("Whill", [{"type": "text", "text": "Wh"}, {"type": "text", "text": "ill"}]):
        body = {"max_tokens": 8, "messages": [*BOOK, {"role": "assistant", "content": begun}]}
        told = server.post("/chat/completions", body).json["__verbose"]
        assert told["prompt"].endswith(f"{LLAMA3}Whill")


@played("LC6", "a template is applied, and nothing generated", "command-r")
def _(server: StandIn) -> None:
    messages = [{"role": "system", "content": "You are a test."}, {"role": "user", "content": "Hi there"}]
    assert server.post("/apply-template", {"messages": messages}).json["prompt"] == (
        "<|START_OF_TURN_TOKEN|><|SYSTEM_TOKEN|>You are a test.<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|>"
        "<|USER_TOKEN|>Hi there<|END_OF_TURN_TOKEN|><|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>"
    )


@played("LC7", "response formats, and those that are refused", "story")
def _(server: StandIn) -> None:
    for form, said in (
        ({"type": "json_object", "schema": {"const": "42"}}, '"42"'),
        ({"type": "json_schema", "json_schema": {"schema": {"const": "foooooo"}}}, '"foooooo"'),
        ({"type": "json_object"}, "{"),
    ):
        assert said in server.chat(response_format=form, max_tokens=10).content
    for form in (
        {"type": "sound"},
        {"type": "json_object", "schema": 123},
        {"type": "json_object", "schema": {"type": 123}},
        {"type": "json_object", "schema": {"type": "hiccup"}},
    ):
        reply = server.chat(response_format=form)
        assert (reply.status, "error" in reply.json) == (400, True), form


@played("LC8", "a schema or a grammar beside the format", "story")
def _(server: StandIn) -> None:
    assert server.chat(json_schema={"const": "42"}).content == '"42"'
    assert server.chat(grammar='root ::= "a"{5,5}').content == "aaaaa"
    assert server.chat(grammar="root ::= other").status == 400


@played("LC9", "messages that are refused", "story")
def _(server: StandIn) -> None:
    twice = [{"role": "user", "content": "test"}, *[{"role": "assistant", "content": "test"}] * 2]
    for messages in (
        None, "string", [123], [{}], [{"role": 123}], [{"role": "system", "content": 123}],
        [{"role": "system", "content": "test"}, {}], twice,
    ):  # fmt: skip
        reply = server.post("/chat/completions", {"messages": messages})
        assert reply.status in {400, 500}, messages
        assert "error" in reply.json


@played("LC10", "times of each token in a stream", "story")
def _(server: StandIn) -> None:
    chunks = server.chat(stream=True, timings_per_token=True, stream_options={"include_usage": True}).chunks
    assert "timings" not in chunks[0]
    counts = [chunk["timings"]["predicted_n"] for chunk in chunks[1:] if "timings" in chunk]
    assert counts == [*range(1, 9), 8]
    assert {"prompt_per_second", "predicted_per_second"} <= chunks[-1]["timings"].keys()


@played("LC11", "log probabilities, whole and streamed", "story")
def _(server: StandIn) -> None:
    whole = server.chat(logprobs=True, top_logprobs=10).json["choices"][0]
    entries = whole["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == whole["message"]["content"]
    assert all(entry["logprob"] <= 0 and entry["bytes"] and len(entry["top_logprobs"]) == 10 for entry in entries)
    chunks = server.chat(logprobs=True, top_logprobs=10, stream=True).chunks
    pieces = [one["choices"][0] for one in chunks if one["choices"] and one["choices"][0]["delta"].get("content")]
    shown = [entry["token"] for piece in pieces for entry in piece["logprobs"]["content"]]
    assert shown == [piece["delta"]["content"] for piece in pieces]


@played("LC12", "tokens that a bias rules out are not said", "free")
def _(server: StandIn) -> None:
    ids = server.post("/tokenize", {"content": " " + " ".join(NEVER) + " "}).json["tokens"]
    limits = {"max_tokens": 64, "ignore_eos": True, "seed": 1}
    assert " the " in server.chat(**limits).content
    said = server.chat(logit_bias=dict.fromkeys(map(str, ids), -100), **limits).content
    assert said
    assert not [word for word in NEVER if f" {word} " in said]


@played("LC13", "a prompt beyond the context, streamed too", "page")
def _(server: StandIn) -> None:
    for stream in (False, True):
        reply = server.post("/chat/completions", {"messages": BOOK * 100, "stream": stream})
        error = reply.json["error"]
        assert (reply.status, error["type"], error["n_ctx"]) == (400, "exceed_context_size_error", 512)
        assert error["n_prompt_tokens"] > 0


@played("LC14", "progress with the prompt, and what was known of it", "batched")
def _(server: StandIn) -> None:
    body = {"messages": [{"role": "user", "content": "This is a test " * 30}], "max_tokens": 10, "stream": True}
    for known in (False, True):
        chunks = server.post("/chat/completions", {**body, "return_progress": True}).chunks
        told = [chunk["prompt_progress"] for chunk in chunks if "prompt_progress" in chunk]
        assert (told[0]["cache"] > 0, told[0]["processed"]) == (known, told[0]["cache"])
        assert told[-1]["processed"] == told[-1]["total"] > 120
        assert [one["processed"] for one in told] == sorted({one["processed"] for one in told})
        assert len(told) == (2 if known else 4)


@played("LC15", "two choices", "story")
def _(server: StandIn) -> None:
    choices = server.chat(n=2).json["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert {choice["finish_reason"] for choice in choices} == {"length"}


# Completions


@played("LP1", "a completion of its own: counts, times, tokens when they are asked for", "story")
def _(server: StandIn) -> None:
    body = server.complete("Tell me of a girl")
    assert (body["timings"]["prompt_n"], body["timings"]["predicted_n"], body["truncated"]) == (5, 8, False)
    assert (body["has_new_line"], body["tokens"], body["stop_type"]) == (False, [], "limit")
    tokens = server.complete(LIFE, return_tokens=True)["tokens"]
    assert len(tokens) == 8
    assert all(type(token) is int for token in tokens)


@played("LP2", "the same streamed", "story")
def _(server: StandIn) -> None:
    *pieces, last = server.complete(LIFE, stream=True)
    assert all(piece["stop"] is False and piece["tokens"] for piece in pieces)
    assert (last["stop"], last["stop_type"], last["timings"]["predicted_n"]) == (True, "limit", 8)
    settings = last["generation_settings"]
    assert (settings["n_predict"], settings["seed"]) == (8, 42)


@played("LP3", "a stream says what the whole says", "story")
def _(server: StandIn) -> None:
    chunks = server.complete(LIFE, stream=True)
    assert "".join(chunk["content"] for chunk in chunks) == server.complete(LIFE)["content"]


@played("LP4", "a completion by OpenAI's client, whole and streamed", "story")
def _(server: StandIn) -> None:
    create = partial(client(server).completions.create, model="davinci-002", prompt=LIFE, max_tokens=8)
    whole = create()
    assert whole.system_fingerprint.startswith("b")
    assert whole.choices[0].finish_reason == "length"
    assert "".join(chunk.choices[0].text for chunk in create(stream=True)) == whole.choices[0].text


@played("LP5", "stop texts in a stream", "story")
def _(server: StandIn) -> None:
    stream = client(server).completions.create(
        model="m", prompt=LIFE, max_tokens=60, stop=["her cat", "x"], stream=True
    )
    assert "".join(chunk.choices[0].text for chunk in stream).endswith("near the forest with ")


@played("LP6", "one seed says the same, others say something else", "free")
def _(server: StandIn) -> None:
    said = {
        seed: {server.complete(seed=seed, temperature=1.0, n_predict=40)["content"] for _ in range(3)}
        for seed in range(4)
    }
    assert all(len(texts) == 1 for texts in said.values())
    assert len(set.union(*said.values())) > 1
    assert len({server.complete(temperature=0.0)["content"] for _ in range(3)}) == 1


@played("LP7", "the size of a batch changes nothing", "batched")
def _(server: StandIn) -> None:
    assert len({server.complete(seed=42, temperature=0.0)["content"] for _ in range(4)}) == 1


@played("LP8", "a prompt that is known says the same as one that is not, and a long one is refused", "free")
def _(server: StandIn) -> None:
    ask = partial(server.complete, seed=42, temperature=1.0)
    first, second = ask(cache_prompt=True), ask(cache_prompt=False)
    assert first["content"] == second["content"]
    assert (ask(cache_prompt=True)["timings"]["cache_n"] > 0, second["timings"]["cache_n"]) == (True, 0)
    assert server.post("/completion", {"prompt": LIFE * 100}).status == 400


@played("LP9", "prompts as tokens, several, and mixed", "free")
def _(server: StandIn) -> None:
    tokens = server.post("/tokenize", {"content": LIFE, "add_special": True}).json["tokens"]
    ask = partial(server.complete, temperature=0.0)
    assert type(ask(tokens)["content"]) is str
    for prompts in ([tokens, tokens], [tokens[1:], LIFE]):
        one, other = ask(prompts)
        assert one["content"] == other["content"]
    assert type(ask([1, 2, 3, LIFE, 7, 8, LIFE])["content"]) is str


@played("LP10", "requests at once in several slots", "slow")
def _(server: StandIn) -> None:
    def busy() -> int:
        return sum(slot["is_processing"] for slot in server.get("/slots").json)

    calls = [partial(server.complete, prompt, n_predict=30) for prompt in ("One.", "Two.", "Three.")]
    results = at_once(*calls, lambda: wait_for(lambda: busy() == 2))
    assert all(len(result["content"]) > 10 for result in results[:3])


@played("LP11", "some fields of an answer only", "story")
def _(server: StandIn) -> None:
    body = server.complete(LIFE, response_fields=["content", "generation_settings/n_predict", "prompt"])
    assert (body["generation_settings/n_predict"], body["prompt"].endswith(LIFE), len(body)) == (8, True, 3)
    assert "generation_settings" in server.complete(LIFE, response_fields=[])


@played("LP12", "probabilities of tokens: whole, streamed, after sampling", "story")
def _(server: StandIn) -> None:
    found = server.complete(LIFE, n_probs=10, n_predict=5)["completion_probabilities"]
    assert len(found) == 5
    assert all(one["logprob"] <= 0 and len(one["top_logprobs"]) == 10 for one in found)
    for chunk in server.complete(LIFE, n_probs=10, n_predict=5, stream=True)[:-1]:
        assert len(chunk["completion_probabilities"]) == 1
    after = server.complete(LIFE, n_probs=10, post_sampling_probs=True)["completion_probabilities"]
    assert all(len(one["top_probs"]) == 10 and any(top["prob"] == 1.0 for top in one["top_probs"]) for one in after)


@played("LP13", "tokens that are never said, by id or text, as pairs or an object", "free")
def _(server: StandIn) -> None:
    ids = server.post("/tokenize", {"content": " " + " ".join(NEVER) + " "}).json["tokens"]
    limits = {"n_predict": 64, "ignore_eos": True, "seed": 1}
    assert " the " in server.complete(**limits)["content"]
    for names in (ids, [f" {word} " for word in NEVER]):
        for bias in (
            [[name, -100] for name in names],
            {str(name): -100 for name in names},
            [[name, False] for name in names],
        ):
            said = server.complete(logit_bias=bias, **limits)["content"]
            assert not [word for word in NEVER if f" {word} " in said]


@played("LP14", "a client that leaves frees its slot", "slow")
def _(server: StandIn) -> None:
    server.leave("/completion", {"prompt": LIFE, "n_predict": 60})
    wait_for(lambda: not any(slot["is_processing"] for slot in server.get("/slots").json))
