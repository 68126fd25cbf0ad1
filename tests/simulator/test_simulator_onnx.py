"""Answers by inference: the APIs, true counts, seeds, stops, log probabilities, shared steps, and who leaves."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest

FRANCE = "What is the capital of France?"
PARIS = "The capital of France is Paris."


@pytest.fixture(scope="module")
def onnx(start_shared):
    flags = ["--mode", "onnx", "--onnx-model", "trained", "--onnx-device", "cpu", "--embedding-model", "topics"]
    return start_shared(*flags, "--control-port", "0", "--max-num-seqs", "4", "--max-model-len", "4096")


def text_of(answer):
    return "".join(
        event["choices"][0]["delta"].get("content", "")
        for event in answer.data
        if isinstance(event, dict) and event["choices"]
    )


def test_every_api_answers_by_inference(onnx):
    assert onnx.chat(FRANCE).json["choices"][0]["message"]["content"] == PARIS
    stream = onnx.chat(FRANCE, stream=True)
    assert text_of(stream) == PARIS
    assert stream.data[-1] == "[DONE]"
    message = {"model": "fake-model", "max_tokens": 40, "messages": [{"role": "user", "content": FRANCE}]}
    assert onnx.request("POST", "/v1/messages", message).json["content"][0]["text"] == PARIS
    response = onnx.request("POST", "/v1/responses", {"model": "fake-model", "input": FRANCE}).json
    assert response["output"][0]["content"][0]["text"] == PARIS
    for path, body in (("/v1/messages", message), ("/v1/responses", {"model": "fake-model", "input": FRANCE})):
        events = onnx.request("POST", path, {**body, "stream": True}).data
        deltas = [event["delta"] for event in events if event["type"].endswith("delta") and "delta" in event]
        assert "".join(one if isinstance(one, str) else one.get("text", "") for one in deltas) == PARIS
    continued = onnx.complete("The capital of", max_tokens=8, temperature=0).json["choices"][0]["text"]
    assert continued


CHANGING = {"id", "item_id", "created_at", "completed_at"}


def without_ids(value):
    """What is another in every answer taken out."""
    if isinstance(value, dict):
        return {key: without_ids(item) for key, item in value.items() if key not in CHANGING}
    return [without_ids(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/messages"])
def test_typed_streams_are_those_of_the_whole_answer(onnx, path):
    """Token by token, and the same events as those of an answer that is sent as a whole: a fault asks for that."""
    body = {"model": "fake-model", "stream": True, "stop_sequences": ["never"]}
    body |= (
        {"input": FRANCE}
        if path == "/v1/responses"
        else {"messages": [{"role": "user", "content": FRANCE}], "max_tokens": 40}
    )

    def seen(fault):
        headers = {"X-Inference-Fault": fault} if fault else None
        return without_ids(onnx.request("POST", path, body, headers).data)

    streamed, whole = seen(""), seen("many-headers")
    assert streamed == whole
    if path == "/v1/responses":
        assert [event["sequence_number"] for event in streamed] == list(range(len(streamed)))


def test_a_streamed_response_is_kept_whole(onnx):
    events = onnx.request("POST", "/v1/responses", {"model": "fake-model", "input": FRANCE, "stream": True}).data
    kept = onnx.request("GET", f"/v1/responses/{events[-1]['response']['id']}").json
    assert kept["output"][0]["content"][0]["text"] == PARIS
    assert kept["status"] == "completed"


def test_a_typed_stream_comes_while_the_model_speaks(onnx):
    body = {"model": "fake-model", "stream": True, "max_tokens": 3000}
    body["messages"] = [{"role": "user", "content": "Count to 60."}]
    data = json.dumps(body).encode()
    before = onnx.stats()
    line = onnx.connect()
    line.sendall(f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    seen = b""
    while b"text_delta" not in seen:
        seen += line.recv(200)
    line.close()
    while onnx.stats()["running"]:
        pass
    after = onnx.stats()
    assert after["cancelled"] + after["completed"] - before["cancelled"] - before["completed"] == 1
    assert b"message_stop" not in seen


def test_counts_are_those_of_the_model_everywhere(onnx):
    usage = onnx.chat(FRANCE).json["usage"]
    asked = {"messages": [{"role": "user", "content": FRANCE}]}
    tokens = onnx.request("POST", "/tokenize", asked).json
    assert usage["prompt_tokens"] == tokens["count"] == len(tokens["tokens"]) == 11
    assert onnx.request("POST", "/detokenize", {"tokens": tokens["tokens"]}).json["prompt"] == FRANCE
    assert usage["completion_tokens"] == 7
    last = onnx.chat(FRANCE, stream=True, stream_options={"include_usage": True}).data[-2]
    assert last["usage"] == usage
    body = {"model": "fake-model", "max_tokens": 40, **asked}
    usage = onnx.request("POST", "/v1/messages", body).json["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (11, 7)
    assert onnx.request("POST", "/v1/messages/count_tokens", body).json == {"input_tokens": 11}
    assert onnx.complete("Hello", max_tokens=3, ignore_eos=True).json["usage"]["completion_tokens"] == 3
    several = onnx.complete(["Hello", "Name a color."], max_tokens=2, n=2).json
    assert len(several["choices"]) == 4
    system = onnx.chat(FRANCE, messages=[{"role": "system", "content": "Hello"}, *asked["messages"]]).json["usage"]
    assert system["prompt_tokens"] == 14


@pytest.mark.parametrize("stream", [False, True])
def test_stops_and_limits_end_an_answer(onnx, stream):
    def said(**more):
        answer = onnx.chat("Count to 20.", stream=stream, **more)
        if not stream:
            choice = answer.json["choices"][0]
            return choice["message"]["content"], choice["finish_reason"]
        return text_of(answer), answer.data[-2]["choices"][0]["finish_reason"]

    assert said(max_tokens=3) == ("1, 2, 3,", "length")
    assert said(stop=["4, 5"]) == ("1, 2, 3, ", "stop")
    assert said(stop="never") == (", ".join(map(str, range(1, 21))) + ".", "stop")
    assert len(said(max_tokens=200, ignore_eos=True)[0]) > 400


def test_seeds_repeat_and_differ(onnx):
    def color(**more):
        return onnx.chat("Name a color.", **more).json["choices"][0]["message"]["content"]

    assert len({color(temperature=1, seed=4) for _ in range(5)}) == 1
    assert len({color(temperature=1, seed=seed) for seed in range(15)}) > 2
    assert len({color(temperature=1) for _ in range(20)}) > 1
    assert len({color() for _ in range(3)}) == 1
    assert len({color(temperature=1, top_p=0.01, seed=seed) for seed in range(5)}) == 1
    choices = onnx.chat("Name a color.", temperature=1, seed=1, n=8).json["choices"]
    assert len({choice["message"]["content"] for choice in choices}) > 1
    assert color(temperature=1, seed=-3) == color(temperature=1, seed=-3)


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_are_those_of_the_model(onnx, stream):
    answer = onnx.chat("Name a color.", logprobs=True, top_logprobs=5, stream=stream)
    if stream:
        choices = [event["choices"][0] for event in answer.data if isinstance(event, dict)]
        entries = [entry for choice in choices if choice.get("logprobs") for entry in choice["logprobs"]["content"]]
    else:
        entries = answer.json["choices"][0]["logprobs"]["content"]
    assert len(entries) == 2
    for entry in entries:
        values = [other["logprob"] for other in entry["top_logprobs"]]
        assert values == sorted(values, reverse=True)
        assert sum(map(math.exp, values)) <= 1 + 1e-9
        assert entry["top_logprobs"][0]["token"] == entry["token"]
        assert bytes(entry["bytes"]).decode() == entry["token"]
    assert -3 < entries[0]["logprob"] < -1, "one of six colors"
    assert entries[1]["logprob"] > -0.01, "the full stop"
    bare = onnx.chat("Name a color.", logprobs=True).json["choices"][0]["logprobs"]["content"]
    assert bare[0]["top_logprobs"] == []
    assert onnx.complete("Hello", echo=True, logprobs=1).status == 400


def test_answers_at_once_share_steps_and_keep_apart(onnx):
    before = onnx.stats()["inference"]
    questions = [f"What is the capital of {country}?" for country in ("France", "Italy", "Spain", "Japan")] * 4
    with ThreadPoolExecutor(len(questions)) as pool:
        answers = list(pool.map(lambda text: onnx.chat(text, stream=True), questions))
    cities = ["Paris", "Rome", "Madrid", "Tokyo"] * 4
    for answer, city in zip(answers, cities, strict=True):
        assert text_of(answer).endswith(f" is {city}.")
    after = onnx.stats()
    assert after["running"] == 0
    steps, rows = (after["inference"][key] - before[key] for key in ("steps", "rows"))
    assert rows > steps, "steps are shared"


def test_who_leaves_frees_the_place(onnx):
    body = {
        "model": "fake-model",
        "messages": [{"role": "user", "content": "Count to 60."}],
        "max_tokens": 4000,
        "ignore_eos": True,
    }
    data = json.dumps({"model": "fake-model", "stream": True, **body}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode()
    before = onnx.stats()
    lines = [onnx.connect() for _ in range(4)]
    for line in lines:
        line.sendall(head + data)
    for line in lines:
        seen = b""
        while b'"content":"3,"' not in seen and b'" 3,"' not in seen:
            seen += line.recv(65536)
    for line in lines:
        line.close()
    # All four places were taken by answers of 4000 tokens.
    assert onnx.chat(FRANCE).json["choices"][0]["message"]["content"] == PARIS
    after = onnx.stats()
    assert after["cancelled"] - before["cancelled"] == 4
    assert after["running"] == 0
    assert after["generated_tokens"] - before["generated_tokens"] < 4 * 4000
    while onnx.stats()["inference"]["running"]:
        pass
    # Had they stayed in the batch, it would have made 4000 steps.
    assert onnx.stats()["inference"]["steps"] - before["inference"]["steps"] < 3500


def test_a_whole_answer_that_nobody_waits_for_is_dropped(onnx):
    data = json.dumps(
        {
            "model": "fake-model",
            "messages": [{"role": "user", "content": "Count to 60."}],
            "max_tokens": 4000,
            "ignore_eos": True,
        }
    ).encode()
    before = onnx.stats()
    line = onnx.connect()
    line.sendall(
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data
    )
    while not onnx.stats()["running"]:
        pass
    line.close()
    while onnx.stats()["running"] or onnx.stats()["inference"]["running"]:
        pass
    after = onnx.stats()
    assert after["cancelled"] == before["cancelled"] + 1
    assert after["inference"]["steps"] - before["inference"]["steps"] < 3500


def test_embeddings_and_rankings_mean_something(onnx):
    def vectors(**more):
        body = {"model": "fake-model", "input": ["The dog barks.", "A puppy sleeps.", "Paris is a city."], **more}
        return [item["embedding"] for item in onnx.request("POST", "/v1/embeddings", body).json["data"]]

    def likeness(one, other):
        return sum(a * b for a, b in zip(one, other, strict=True))

    dog, puppy, paris = vectors()
    assert len(dog) == 64
    assert likeness(dog, dog) == pytest.approx(1, abs=1e-5)
    assert likeness(dog, puppy) > 0.5 > abs(likeness(dog, paris))
    short = vectors(dimensions=16)
    assert len(short[0]) == 16
    assert likeness(short[0], short[0]) == pytest.approx(1, abs=1e-5)
    assert onnx.request("POST", "/v1/embeddings", {"input": "a", "dimensions": 65}).status == 400
    ranked = {"query": "a small dog", "documents": ["Paris is a city", "My puppy sleeps", "The price of cars"]}
    results = onnx.request("POST", "/rerank", ranked).json["results"]
    assert results[0]["index"] == 1
    assert results[0]["relevance_score"] > results[1]["relevance_score"]
    scores = onnx.request("POST", "/score", {"text_1": "a dog", "text_2": ["a puppy", "the sea"]}).json["data"]
    assert scores[0]["score"] > scores[1]["score"]


def test_what_does_not_fit_is_refused(onnx):
    assert onnx.chat("Hello", max_tokens=5000).status == 400
    assert (
        onnx.chat("Hello", messages=[{"role": "function", "content": "Hello"}])
        .json["error"]["message"]
        .startswith("The model has no control token '<|function|>'")
    )
    assert onnx.request("POST", "/detokenize", {"tokens": [999999]}).status == 400
    assert onnx.complete([999999]).status == 400
    assert onnx.control("PATCH", "/config", {"mode": "echo"}).status == 422


def test_faults_strike_what_was_inferred(onnx):
    broken = onnx.chat(FRANCE, fault="cut-after-events:events=3", stream=True)
    assert broken.data[-1] != "[DONE]"
    assert onnx.chat(FRANCE, fault="status:code=503").status == 503


def test_a_scenario_comes_before_the_model(start_simulator):
    simulator = start_simulator("--mode", "onnx", "--onnx-model", "trained", "--scenario", "capitals")
    assert "Paris" in simulator.chat(FRANCE).json["choices"][0]["message"]["content"]
    errors = simulator.errors()
    assert "answers by inference on CPU" in errors or "answers by inference on CUDA" in errors


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--mode", "onnx"], "--mode onnx: needs --onnx-model, an .onnx file or 'trained'"),
        (["--onnx-model", "trained"], "--onnx-model: needs --mode onnx"),
        (["--mode", "onnx", "--onnx-model", "trained", "--as", "worker"], "stands behind --as openai only, not worker"),
        (["--embedding-model", "topics", "--as", "router"], "--embedding-model: stands behind --as openai only"),
        (["--mode", "onnx", "--onnx-model", "/no/such.onnx"], "--onnx-model: ONNX model '/no/such.onnx' does not exist."),
        (["--embedding-model", "/no/such.onnx"], "--embedding-model: ONNX model '/no/such.onnx' does not exist."),
        (["--mode", "onnx", "--onnx-model", "trained", "--onnx-device", "tpu"], "'tpu' is none of 'auto', 'cpu', 'cuda'"),
    ],
)  # fmt: skip
def test_starts_that_cannot_be_are_refused_in_one_line(run_cli, flags, message):
    done = run_cli(*flags, "--port", "0")
    assert done.returncode != 0
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
