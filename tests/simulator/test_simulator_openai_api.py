"""The OpenAI API of the default personality, byte by byte."""

from __future__ import annotations

import json
import re
import socket
import sys
import time

import pytest


def test_health_has_an_empty_body_of_json_type(simulator):
    answer = simulator.request("GET", "/health")
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, "application/json", b"")


def test_head_gives_no_body(simulator):
    answer = simulator.request("HEAD", "/v1/models")
    assert (answer.status, answer.body) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_models(simulator):
    answer = simulator.request("GET", "/v1/models").json
    assert answer["object"] == "list"
    (model,) = answer["data"]
    assert {**model, "created": 0} == {
        "id": "fake-model",
        "object": "model",
        "created": 0,
        "owned_by": "vllm",
        "root": "fake-model",
        "parent": None,
        "max_model_len": 1024,
    }


def test_chat_in_one_piece(simulator):
    answer = simulator.chat("one two, three")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json
    assert body["id"].startswith("chatcmpl-")
    assert body["object"] == "chat.completion"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "one two, three", "refusal": None},
            "finish_reason": "stop",
            "logprobs": None,
        }
    ]
    assert body["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 4,
        "total_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def test_chat_stream_byte_by_byte(simulator):
    answer = simulator.chat("é 東京", stream=True, stream_options={"include_usage": True})
    assert answer.headers["content-type"] == "text/event-stream"
    found = re.search(rb'"id":"([^"]+)".*?"created":(\d+)', answer.body)
    base = (
        b'data: {"id":"%b","object":"chat.completion.chunk","created":%b,"model":"fake-model","choices":'
        % found.groups()
    )
    delta = b'[{"index":0,"delta":%b,"finish_reason":null}],"usage":null}\n\n'
    usage = (
        b'[],"usage":{"prompt_tokens":3,"completion_tokens":3,"total_tokens":6,'
        b'"prompt_tokens_details":{"cached_tokens":0}}}\n\n'
    )
    assert answer.body == (
        base
        + delta % b'{"role":"assistant","content":""}'
        + base
        + delta % '{"content":"é"}'.encode()
        + base
        + delta % '{"content":" 東"}'.encode()
        + base
        + delta % '{"content":"京"}'.encode()
        + base
        + b'[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}\n\n'
        + base
        + usage
        + b"data: [DONE]\n\n"
    )
    assert answer.raw.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    "text", ["one two three", 'quote " backslash \\ control \x01 \n', "😀👩‍👩‍👧 e\u0301 \u2028", "", "x" * 70]
)
@pytest.mark.parametrize("path", ["chat", "complete"])
def test_fast_and_general_stream_give_the_same_bytes(simulator, path, text):
    call = getattr(simulator, path)
    texts = []
    for fault in ("", "stall:seconds=0"):
        body = call(text, fault=fault, stream=True, stream_options={"include_usage": True}, max_tokens=50).body
        texts.append(re.sub(rb'"id":"[^"]+"|"created":\d+', b"", body))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("path", ["chat", "complete"])
def test_fast_and_general_whole_answer_give_the_same_bytes(simulator, path):
    call = getattr(simulator, path)
    for text in (
        "one two three",
        'quote " backslash \\ control \x01 \n',
        "😀👩‍👩‍👧 e\u0301 \u2028 \ue000\ue001",
        "",
        "x" * 70,
    ):
        texts = []
        for fault in ("", "stall:seconds=0"):
            body = call(text, fault=fault, max_tokens=50).body
            texts.append(re.sub(rb'"id":"[^"]+"|"created":\d+', b"", body))
        assert texts[0] == texts[1]
        answer = json.loads(body)
        assert (
            answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + answer["usage"]["completion_tokens"]
        )


@pytest.mark.parametrize("deviation", ["0", "0.3ms"])
def test_paced_and_general_stream_give_the_same_bytes(start_simulator, deviation):
    paces = ("--inter-token-latency", "1ms", "--inter-token-latency-std-dev", deviation)
    simulator = start_simulator("--mode", "echo", *paces)
    texts = []
    for fault in ("", "stall:seconds=0"):
        for text in ("one two three four", "one", ""):
            body = simulator.chat(text, fault=fault, stream=True, stream_options={"include_usage": True}).body
            texts.append(re.sub(rb'"id":"[^"]+"|"created":\d+', b"", body))
    assert texts[:3] == texts[3:]


def test_a_paced_stream_waits_for_a_client_that_does_not_read(start_simulator):
    count = 40_000
    simulator = start_simulator("--max-model-len", "100000", "--inter-token-latency", "1us", "--control-port", "0")
    asked = {
        "model": "fake-model",
        "messages": [{"role": "user", "content": "x"}],
        "stream": True,
        "max_tokens": count,
        "ignore_eos": True,
    }
    body = json.dumps(asked).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", simulator.port))
        sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        before = -1
        while (sent := simulator.stats()["bytes_sent"]) != before or not sent:
            before = sent
            time.sleep(0.2)
        found = b"".join(iter(lambda: sock.recv(65536), b""))
    assert before < 0.9 * len(found), "it went on although nobody read"
    assert found.count(b'"delta":{"content"') == count
    assert found.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert simulator.stats()["generated_tokens"] == count


def test_whole_answers_wait_for_a_client_that_does_not_read(start_simulator):
    count, size = 12, 100_000
    simulator = start_simulator("--max-model-len", "200000")
    asked = {
        "model": "fake-model",
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": size,
        "ignore_eos": True,
    }
    body = json.dumps(asked).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", simulator.port))
        last = b"Connection: close\r\n"
        for number in range(count):
            more = last if number == count - 1 else b""
            sock.sendall(head + more + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        found = b"".join(iter(lambda: sock.recv(65536), b""))
    assert found.count(b'"completion_tokens":%d,' % size) == found.count(b"HTTP/1.1 200 OK") == count


@pytest.mark.parametrize("count", [1023, 1024, 1025, 2500])
def test_long_streams_are_whole(start_simulator, count):
    simulator = start_simulator("--max-model-len", "10000")
    answer = simulator.chat("x", stream=True, max_tokens=count, ignore_eos=True, stream_options={"include_usage": True})
    assert answer.raw.endswith(b"\r\n0\r\n\r\n")
    assert len(answer.data) == count + 4
    assert answer.data[-2]["usage"]["completion_tokens"] == count


@pytest.mark.skipif(sys.platform != "linux", reason="reads tcp_info")
def test_one_write_a_token_when_asked(start_simulator):
    segments = []
    for flags in ([], ["--one-write-per-token"]):
        simulator = start_simulator("--mode", "echo", *flags)
        body = json.dumps(
            {"model": "fake-model", "messages": [{"role": "user", "content": "a " * 60}], "stream": True}
        ).encode()
        head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        with simulator.connect() as sock:
            sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            found = b""
            while not found.endswith(b"\r\n0\r\n\r\n"):
                found += sock.recv(65536)
            info = sock.getsockopt(socket.IPPROTO_TCP, 11, 192)
        # tcpi_data_segs_in; the kernel may join some of them on their way.
        segments.append(int.from_bytes(info[152:156], sys.byteorder))
    assert segments[0] <= 3
    assert segments[1] > 20


def test_stream_and_one_piece_say_the_same(start_simulator):
    simulator = start_simulator("--seed", "7")
    for prompt in ("a", "b", "c"):
        whole = simulator.chat(prompt).json["choices"][0]["message"]["content"]
        chunks = simulator.chat(prompt, stream=True).data
        parts = [chunk["choices"][0]["delta"].get("content", "") for chunk in chunks[:-1]]
        assert "".join(parts) == whole


def test_same_seed_same_answers_in_another_process(start_simulator):
    texts = []
    for _ in range(2):
        simulator = start_simulator("--seed", "7")
        texts.append([re.sub(rb'"created":\d+', b"", simulator.chat(prompt).body) for prompt in ("a", "b")])
    assert texts[0] == texts[1]


def test_seed_of_the_request_decides_without_one_of_the_server(start_simulator):
    simulator = start_simulator()
    texts = {simulator.chat("a", seed=3).json["choices"][0]["message"]["content"] for _ in range(3)}
    others = {simulator.chat("a").json["choices"][0]["message"]["content"] for _ in range(8)}
    assert len(texts) == 1
    assert len(others) > 1


def test_max_tokens_stops_with_length(simulator):
    for name in ("max_tokens", "max_completion_tokens"):
        body = simulator.chat("one two three four", **{name: 2}).json
        assert body["choices"][0]["message"]["content"] == "one two"
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"]["completion_tokens"] == 2


def test_an_answer_that_fills_the_limit_was_ended_by_it(start_simulator, tmp_path):
    file = tmp_path / "scripted.yaml"
    file.write_text("rules:\n  - answer: {text: one two}")
    for simulator in (start_simulator("--mode", "echo"), start_simulator("--scenario", str(file))):
        ends = [simulator.chat("one two", max_tokens=limit).json["choices"][0] for limit in (1, 2, 3)]
        assert [end["finish_reason"] for end in ends] == ["length", "length", "stop"]
        assert [end["message"]["content"] for end in ends[1:]] == ["one two", "one two"]
    # What a scenario claims is said.
    file.write_text("rules:\n  - answer: {text: one two, finish_reason: stop}")
    claimed = start_simulator("--scenario", str(file)).chat("x", max_tokens=2)
    assert claimed.json["choices"][0]["finish_reason"] == "stop"


def test_ignore_eos_fills_the_limit(start_simulator):
    body = start_simulator().chat("x", max_tokens=700, ignore_eos=True).json
    assert (body["usage"]["completion_tokens"], body["choices"][0]["finish_reason"]) == (700, "length")


@pytest.mark.parametrize("stop", ["thr", ["nowhere", " three"], "two t"])
def test_stop_strings_never_show(simulator, stop):
    answer = simulator.chat("one two three four", stop=stop, stream=True)
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in answer.data[:-1])
    assert (
        text
        == "one two three four"[
            : min(
                "one two three four".find(s)
                for s in ([stop] if isinstance(stop, str) else stop)
                if s in "one two three four"
            )
        ]
    )
    assert answer.data[-2]["choices"][0]["finish_reason"] == "stop"


def test_n_choices(simulator):
    body = simulator.chat("one two", n=3).json
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"]["completion_tokens"] == 6
    data = simulator.chat("one two", n=2, stream=True).data
    for index in (0, 1):
        mine = [chunk["choices"][0] for chunk in data[:-1] if chunk["choices"][0]["index"] == index]
        assert "".join(choice["delta"].get("content", "") for choice in mine) == "one two"
        assert [choice["finish_reason"] for choice in mine].count("stop") == 1


def test_completions_with_several_prompts(simulator):
    body = simulator.complete(["one", "two three"], n=2).json
    assert body["object"] == "text_completion"
    assert [(choice["index"], choice["text"]) for choice in body["choices"]] == [
        (0, "one"),
        (1, "one"),
        (2, "two three"),
        (3, "two three"),
    ]
    assert body["usage"]["total_tokens"] == 3 + 6
    assert simulator.complete([1, 2, 3]).json["usage"]["prompt_tokens"] == 3
    assert simulator.complete([[1, 2], [3]]).json["usage"]["prompt_tokens"] == 3


def test_completions_echo_and_logprobs(simulator):
    body = simulator.complete("one two", echo=True, logprobs=2).json
    choice = body["choices"][0]
    assert choice["text"] == "one twoone two"
    assert choice["logprobs"]["text_offset"] == [0, 3, 7, 10]
    assert choice["logprobs"]["token_logprobs"][0] is None
    assert all(value <= 0 for value in choice["logprobs"]["token_logprobs"][1:])
    assert simulator.complete("one", logprobs=21).status == 400


def test_chat_logprobs_join_to_the_content(simulator):
    choice = simulator.chat("one two", logprobs=True, top_logprobs=3).json["choices"][0]
    entries = choice["logprobs"]["content"]
    assert "".join(entry["token"] for entry in entries) == "one two"
    assert all(entry["logprob"] <= 0 and len(entry["top_logprobs"]) == 3 for entry in entries)


def test_content_parts(simulator):
    parts = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "x"}}]
    assert simulator.chat(parts).json["choices"][0]["message"]["content"] == "one"


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"{", 400, None),
        (b"[]", 400, None),
        (b"null", 400, None),
        (b"7", 400, None),
        (b"", 400, None),
        (b'{"model": NaN}', 400, None),
        (b'"\xff"', 400, None),
        (b"[" * 100_000, 400, None),
        ({"model": 3}, 400, "model"),
        ({"model": "other", "messages": [{"role": "user", "content": "hi"}]}, 404, "model"),
        ({"messages": []}, 400, "messages"),
        ({"messages": None}, 400, "messages"),
        ({}, 400, "messages"),
        ({"messages": "hi"}, 400, "messages"),
        ({"messages": ["hi"]}, 400, "messages"),
        ({"messages": [{"content": "hi"}]}, 400, "messages"),
        ({"messages": [{"role": "user", "content": 3}]}, 400, "messages[0].content"),
        ({"messages": [], "max_tokens": 0}, 400, "max_tokens"),
        ({"messages": [], "max_tokens": "5"}, 400, "max_tokens"),
        ({"messages": [], "max_tokens": True}, 400, "max_tokens"),
        ({"messages": [], "n": 0}, 400, "n"),
        ({"messages": [], "stream": "yes"}, 400, "stream"),
        ({"messages": [], "stream_options": {"include_usage": True}}, 400, "stream_options"),
        ({"messages": [], "temperature": 2.1}, 400, "temperature"),
        ({"messages": [], "stop": [1]}, 400, "stop"),
        ({"messages": [], "top_logprobs": 2}, 400, "top_logprobs"),
        ({"messages": [], "max_tokens": 2000}, 400, "messages"),
        ({"messages": [{"role": "user", "content": "a " * 1100}]}, 400, "messages"),
    ],
)
def test_wrong_requests_are_named_and_the_next_is_served(simulator, body, status, param):
    stream = {**body, "stream": True} if isinstance(body, dict) and "stream" not in body else body
    for sent in (body, stream):
        if isinstance(sent, dict) and sent.get("stream_options") and sent.get("stream"):
            continue
        answer = simulator.request("POST", "/v1/chat/completions", sent)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        error = answer.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert (error["code"], error["param"]) == ("model_not_found" if status == 404 else None, param)
    assert simulator.chat().status == 200


def test_unknown_paths_and_methods(simulator):
    unknown = simulator.request("GET", "/nowhere")
    assert (unknown.status, unknown.json["error"]["code"]) == (404, None)
    answer = simulator.request("GET", "/v1/chat/completions")
    assert (answer.status, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_wrong_content_type(simulator):
    body = b'{"model":"fake-model","messages":[{"role":"user","content":"a"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    assert b" 415 " in simulator.raw(head + b"Content-Length: %d\r\n\r\n" % len(body) + body).splitlines()[0]


def test_api_key(start_simulator):
    simulator = start_simulator("--api-key", "top-secret", "--control-port", "0")
    assert simulator.request("GET", "/health").status == 200
    assert simulator.chat().status == 401
    answer = simulator.request("GET", "/v1/models", headers={"Authorization": "Bearer wrong"})
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    for header in ({"Authorization": "Bearer top-secret"}, {"X-API-Key": "top-secret"}):
        assert simulator.request("GET", "/v1/models", headers=header).status == 200
    assert b"top-secret" not in simulator.control("GET", "/requests").raw


def test_http_1_0_streams_until_the_connection_closes(simulator):
    body = b'{"model":"fake-model","stream":true,"messages":[{"role":"user","content":"one"}]}'
    head = b"POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    raw = simulator.raw(head % len(body) + body)
    assert b"transfer-encoding" not in raw
    assert raw.endswith(b"data: [DONE]\n\n")


def test_pipelined_requests_are_answered_in_order(simulator):
    with simulator.connect() as sock:
        sock.sendall(
            b"GET /v1/models HTTP/1.1\r\nHost: t\r\n\r\n" * 99
            + b"GET /nowhere HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
        )
        raw = b""
        while part := sock.recv(65536):
            raw += part
    assert re.findall(rb"HTTP/1.1 (\d+)", raw) == [b"200"] * 99 + [b"404"]


def test_scenario_by_name(start_simulator):
    simulator = start_simulator("--scenario", "capitals")
    body = simulator.chat("What is the capital of France?").json
    assert body["choices"][0]["message"]["content"] == "The capital of France is Paris."
    assert simulator.complete("The capital of France is").json["choices"][0]["text"] == " Paris."
    data = simulator.chat("Capital of France?", stream=True).data
    assert len(data) == 1 + 7 + 2
