"""The stand-in by the choices of a dialect: each choice is seen from outside, on one server, and each may differ."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from likeness import served

from InferenceLibrary.simulator.personalities.likeness.constrained import demanded_text
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

DIALECT = """
name: mine
title: Mine
version: '2.1'
lacks: {old clients: it sends them chunks}
choices:
  flags: {tools: {kind: bool}, old: {kind: bool}, alias: {sets: served-model-name}}
  headers: {x-mine: 'v${version}'}
  json_type: application/json; charset=utf-8
  redirects: {'*': {status: 307, content_type: '', headers: {location: 'http://${host}${right}'}}}
  key: {guarded: '^/v1', open: [/v1/free], headers: [api-key]}
  body: {content_types: json, trailing: true}
  done: false
  fingerprint: fp
  finish_with_text: always
  routes:
    GET /health: {does: health}
    GET /version: {body: {version: $version}}
    GET /v1/free: {body: {free: true}}
    GET /old: {body: {old: true}, when: {old: true}}
    GET /new: {body: {new: true}, unless: {old: true}}
    POST /gone: {error: gone}
    GET /v1/models: {does: models}
    GET /v1/jobs/*: {body: {path: $path}}
    POST /v1/chat/completions: {does: chat}
    POST /v1/completions: {does: completions}
  shapes:
    default: {body: {error: {message: $message_of_error, type: $error_type, param: $param}}}
    bare: {body: {detail: $message_of_error}}
    plain: {body: $message_of_error, content_type: text/plain}
  errors:
    no route: {status: 404, shape: bare, message: No such thing}
    wrong method: {status: 405, shape: bare, message: Not so, headers: {allow: $value}}
    no key: {status: 401, shape: plain, message: A key}
    wrong key: {status: 403, shape: plain}
    missing: {status: 422, type: Missing, param: 'body.${field}'}
    type: {status: 422, type: Type, param: $field}
    model: {status: 404, type: Model, message: 'no ${value} here'}
    not json: {status: 400, type: Syntax}
    content type: {status: 415, type: Content}
    gone: {status: 410, type: Gone, message: Gone for good}
    range: {status: 400, type: Range}
  fields:
    chat completions: {n: {kind: integer, takes: [text], from: 1, to: 4}, temperature: {kind: number}}
    chat: {messages: {kind: list, required: true}}
  refuses:
    - {apis: [chat], if: {messages.*.role: {none_of: [user]}}, error: type,
       param: role, message: '${served} wants users'}
    - {apis: [chat], if: {messages.*: {has: {role: {equals: user}, content: {is: number}}}}, error: range}
    - {apis: [chat], if: {stop: {is: list, longer: 1}}, error: range, streamed: true}
  answers:
    chat:
      answer: {id: $id, choices: $choices, usage: $usage, by: '$nothing', was: $nothing|null}
      choice: {message: $message, finish_reason: $finish}
      message: {content: $content, tool_calls: $tool_calls}
      usage: {total: $total_tokens}
      chunk: {id: $id, choices: $choices}
      opening: {choice: {delta: {role: assistant}}, opened: true}
      piece: {choice: {delta: {content: $content}}}
      finish: {choice: {delta: {content: $content}, finish_reason: $finish}, mark: $last_fingerprint}
      usage_chunk: {usage: {total: $total_tokens}}
    models:
      answer: {data: $data}
      item: {id: $model}
"""
CHAT = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 16}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    path = tmp_path_factory.mktemp("dialect") / "mine.yaml"
    path.write_text(DIALECT)
    words = ("--as", str(path), "--alias", "m", "--scenario", "tiny", "--api-key", "K", "--old")
    with served(words, {}) as port:
        yield port


def ask(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, str], str]:
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    data = body if isinstance(body, str | None) else json.dumps(body)
    given = {"api-key": "K", "content-type": "application/json"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    line.request(method, path, data, given)
    answer = line.getresponse()
    text = answer.read().decode()
    line.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, text


def chat(port: int, **more: Any) -> tuple[int, dict[str, str], str]:
    return ask(port, "POST", "/v1/chat/completions", {**CHAT, **more})


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/health", 200, ""),
        ("GET", "/version", 200, '{"version":"2.1"}'),
        ("GET", "/v1/jobs/7/steps", 200, '{"path":"/v1/jobs/7/steps"}'),
        ("GET", "/old", 200, '{"old":true}'),
        ("GET", "/new", 404, '{"detail":"No such thing"}'),
        ("GET", "/version/", 307, ""),
        ("POST", "/version", 405, '{"detail":"Not so"}'),
        ("HEAD", "/version", 405, ""),
        ("POST", "/gone", 410, '{"error":{"message":"Gone for good","type":"Gone","param":null}}'),
        ("GET", "/v1/models", 200, '{"data":[{"id":"m"}]}'),
    ],
)
def test_a_route_does_what_the_dialect_says(port: int, method: str, path: str, status: int, text: str) -> None:
    assert ask(port, method, path, "{}" if method == "POST" else None)[::2] == (status, text)


def test_every_answer_has_the_headers_of_the_dialect(port: int) -> None:
    assert ask(port, "GET", "/version")[1]["x-mine"] == "v2.1"
    told = ask(port, "POST", "/version", {})[1]
    assert (told["allow"], told["content-type"]) == ("GET", "application/json; charset=utf-8")
    assert ask(port, "GET", "/version/")[1]["location"] == f"http://127.0.0.1:{port}/version"


@pytest.mark.parametrize(
    ("path", "headers", "status", "text"),
    [
        ("/v1/models", {"api_key": ""}, 403, "Incorrect API key provided"),
        ("/v1/models", {"api_key": "k"}, 403, "Incorrect API key provided"),
        ("/v1/models", {"api_key": "k", "authorization": "Bearer K"}, 200, '{"data":[{"id":"m"}]}'),
        ("/v1/free", {"api_key": "k"}, 200, '{"free":true}'),
        ("/version", {"api_key": "k"}, 200, '{"version":"2.1"}'),
    ],
)
def test_the_key_is_asked_for_where_the_dialect_says(
    port: int, path: str, headers: dict[str, str], status: int, text: str
) -> None:
    assert ask(port, "GET", path, None, **headers)[::2] == (status, text)


@pytest.mark.parametrize(
    ("more", "status", "kind", "param"),
    [
        ({"messages": None}, 422, "Missing", "body.messages"),
        ({"messages": "hi"}, 422, "Type", "messages"),
        ({"n": 2.5}, 422, "Type", "n"),
        ({"n": 9}, 400, "Range", "n"),
        ({"model": "other"}, 404, "Model", "model"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 422, "Type", "role"),
        ({"messages": [{"role": "user", "content": 5}]}, 400, "Range", None),
    ],
)
def test_a_request_is_refused_as_the_dialect_says(
    port: int, more: dict[str, Any], status: int, kind: str, param: str | None
) -> None:
    got, _, text = chat(port, **more)
    told = json.loads(text)["error"]
    assert (got, told["type"], told["param"]) == (status, kind, param)


def test_the_words_of_a_refusal_name_what_it_is_about(port: int) -> None:
    assert json.loads(chat(port, model="other")[2])["error"]["message"] == "no other here"
    wizard = [{"role": "wizard", "content": "x"}]
    assert json.loads(chat(port, messages=wizard)[2])["error"]["message"] == "m wants users"


def test_the_body_is_read_as_the_dialect_says(port: int) -> None:
    path = "/v1/chat/completions"
    assert ask(port, "POST", path, json.dumps(CHAT) + " x")[0] == 200
    assert ask(port, "POST", path, "hello")[0] == 400
    assert ask(port, "POST", path, CHAT, content_type="text/plain")[0] == 415


def test_an_answer_has_the_keys_of_its_template(port: int) -> None:
    status, _, text = chat(port, n="2")
    told = json.loads(text)
    assert status == 200
    # What is not there is left out, or is what the template has for it.
    assert list(told) == ["id", "choices", "usage", "was"]
    assert [one["message"] for one in told["choices"]] == [{"content": "The capital of France is Paris."}] * 2
    assert told["choices"][0]["finish_reason"] == "stop"


def test_a_stream_has_the_chunks_of_its_templates(port: int) -> None:
    text = chat(port, stream=True, stream_options={"include_usage": True})[2]
    frames = [json.loads(line[6:]) for line in text.splitlines() if line]
    assert frames[0]["opened"] is True
    pieces = [choice["delta"]["content"] for frame in frames[1:] for choice in frame["choices"]]
    assert "".join(pieces) == "The capital of France is Paris."
    # The end comes with the last piece, and [DONE] not at all.
    assert frames[-2]["choices"][0]["finish_reason"] == "stop"
    assert (frames[-1]["choices"], list(frames[-1]["usage"])) == ([], ["total"])
    last = chat(port, stream=True)[2].splitlines()[-2]
    assert json.loads(last[6:])["mark"] == "fp"


def test_old_clients_get_chunks_where_the_dialect_says_so(port: int) -> None:
    body = json.dumps({**CHAT, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.0\r\napi-key: K\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=15) as line:
        line.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        got = b"".join(iter(lambda: line.recv(65536), b""))
    assert b"transfer-encoding: chunked" in got
    assert got.endswith(b"\r\n0\r\n\r\n")


def test_a_refusal_may_come_in_the_stream(port: int) -> None:
    status, headers, text = chat(port, stream=True, stop=["a", "b"])
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert json.loads(text.removeprefix("data: "))["error"]["type"] == "Range"
    assert chat(port, stop=["a", "b"])[0] == 400


def test_an_answer_as_long_as_its_limit_is_cut(port: int) -> None:
    told = json.loads(chat(port, max_tokens=7)[2])
    assert told["choices"][0]["finish_reason"] == "length"
    more = json.loads(chat(port, max_tokens=8)[2])
    assert more["choices"][0]["finish_reason"] == "stop"


def test_a_dialect_that_does_what_nobody_can_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntitle: Mine\nversion: '1'\nchoices: {routes: {GET /a: {does: chatt}}}\n")
    said = (
        "does not start: inference-simulator: error: dialect mine: the stand-in cannot do 'chatt'; did you mean 'chat'"
    )
    with pytest.raises(ValueError, match=said), served(["--as", str(path)], {}):
        pass


@pytest.mark.parametrize("name", ["llama.cpp", "vllm"])
def test_a_streamed_response_may_call_a_tool(name: str) -> None:
    tool = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}
    body = {"input": "What is the weather in Paris?", "tools": [tool], "stream": True}
    with served(("--as", name), {}) as port:
        status, _, text = ask(port, "POST", "/v1/responses", body)
    assert status == 200
    assert "response.function_call_arguments.delta" in text


def test_the_metrics_of_a_real_server_count_its_answers() -> None:
    with served(["--as", "llama.cpp@b0", "--metrics", "--model", "tiny", "--scenario", "capitals"], {}) as port:
        counted = []
        for stream in (False, True):
            _, _, said = ask(
                port,
                "POST",
                "/v1/chat/completions",
                {
                    "messages": [{"role": "user", "content": "What is the capital of France?"}],
                    "stream": stream,
                    "stream_options": {"include_usage": True} if stream else None,
                },
            )
            told = said.rpartition('"completion_tokens":')[2]
            counted.append(int("".join(digit for digit in told.partition(",")[0] if digit.isdigit())))
            _, _, metrics = ask(port, "GET", "/metrics")
            assert f"llamacpp:tokens_predicted_total {sum(counted)}\n" in metrics
            assert "llamacpp:requests_processing 0\n" in metrics


def test_the_tokens_of_a_text_come_back() -> None:
    with served(["--as", "llama.cpp@b0", "--model", "tiny"], {}) as port:
        text = "Grüße aus 東京 🦙"
        tokens = json.loads(ask(port, "POST", "/tokenize", {"content": text})[2])["tokens"]
        assert json.loads(ask(port, "POST", "/detokenize", {"tokens": tokens})[2]) == {"content": text}
        assert json.loads(ask(port, "POST", "/detokenize", {"tokens": [*tokens, 7]})[2]) == {"content": f"{text} token"}


@pytest.mark.parametrize(
    ("demanded", "text"),
    [
        ({"choice": ["red", "blue"]}, "red"),
        ({"regex": "[0-9]{3}"}, "000"),
        ({"regex": r"(yes|no)-[^a-z ]+\d?x*$"}, "yes-!"),
        ({"regex": r"\w+@\w+\.com"}, "0@0.com"),
        ({"grammar": 'root ::= "yes" | "no"'}, "yes"),
        ({"grammar": 'start: "a" "b"\nother: "c"'}, "ab"),
        ({"json": {"type": "object"}}, None),
    ],
    ids=str,
)
def test_a_text_is_as_it_is_demanded(demanded: dict[str, Any], text: str | None) -> None:
    assert demanded_text(demanded) == text


@pytest.mark.parametrize("demanded", [{"regex": "["}, {"regex": r"(?=a)b"}, {"grammar": "root ::= other"}], ids=str)
def test_what_cannot_be_demanded_is_refused(demanded: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="Grammar error"):
        demanded_text(demanded)


def test_a_server_keeps_what_is_demanded_as_far_as_its_limit_reaches() -> None:
    with served(["--as", "vllm", "--model", "tiny"], {}) as port:
        body = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
        path = "/v1/chat/completions"
        for more, said in (
            ({"structured_outputs": {"choice": ["one two"]}}, ("one two", "stop")),
            ({"structured_outputs": {"choice": ["one two"]}, "max_tokens": 1}, ("one", "length")),
        ):
            choice = json.loads(ask(port, "POST", path, {**body, **more})[2])["choices"][0]
            assert (choice["message"]["content"], choice["finish_reason"]) == said
        status, _, text = ask(port, "POST", path, {**body, "structured_outputs": {"regex": "["}})
        assert (status, json.loads(text)["error"]["type"]) == (400, "BadRequestError")


def test_the_log_probabilities_of_a_prompt_are_those_of_its_tokens() -> None:
    """vLLM's `prompt_logprobs`: null for the first token, then by id the token and the next likeliest ones."""
    with served(("--as", "vllm"), {}) as port:
        asked = {"prompt": ["The capital of France is", "One"], "prompt_logprobs": 2, "max_tokens": 1}
        choices = json.loads(ask(port, "POST", "/v1/completions", asked)[2])["choices"]
        ids = json.loads(ask(port, "POST", "/tokenize", {"prompt": asked["prompt"][0]})[2])["tokens"]
        echoed = {"prompt": asked["prompt"][0], "echo": True, "logprobs": 1, "max_tokens": 2}
        scored = json.loads(ask(port, "POST", "/v1/completions", echoed)[2])["choices"][0]["logprobs"]
        asked = {"messages": [{"role": "user", "content": "a b"}], "prompt_logprobs": 0, "max_tokens": 1}
        of_chat = json.loads(ask(port, "POST", "/v1/chat/completions", asked)[2])["prompt_logprobs"]
        assert (
            json.loads(ask(port, "POST", "/v1/completions", {"prompt": "a"})[2])["choices"][0]["prompt_logprobs"]
            is None
        )
    first, second = (choice["prompt_logprobs"] for choice in choices)
    assert second == [None]
    assert [one is None for one in scored["token_logprobs"]] == [True, *[False] * 6]
    assert (scored["top_logprobs"][0], list(scored["top_logprobs"][1])) == (None, [" capital"])
    assert [next(iter(entry)) for entry in first[1:]] == [str(one) for one in ids[1:]]
    assert [[one["rank"] for one in entry.values()] for entry in first[1:]] == [[1, 2]] * 4
    assert first[1][str(ids[1])]["decoded_token"] == " capital"
    assert [len(entry) for entry in of_chat[1:]] == [1]


def test_litellm_counts_the_tokens_of_a_response() -> None:
    with served(("--as", "litellm", "--served-model-name", "mine"), {}) as port:
        counts = [
            json.loads(ask(port, "POST", "/v1/responses/input_tokens", {"model": "mine", "input": each})[2])
            for each in ("", "one", "one two three")
        ]
        assert [one["input_tokens"] - counts[0]["input_tokens"] for one in counts] == [0, 1, 3]
        assert json.loads(ask(port, "GET", "/model/info")[2])["data"][0]["model_name"] == "mine"


def test_the_tokens_of_llama_cpps_own_completion_are_those_that_it_knows() -> None:
    with served(("--as", "llama.cpp"), {}) as port:
        asked = {"prompt": "What is the capital of France?", "return_tokens": True, "n_probs": 1}
        told = json.loads(ask(port, "POST", "/completion", asked)[2])
        text = json.loads(ask(port, "POST", "/detokenize", {"tokens": told["tokens"]})[2])["content"]
    assert text == told["content"]
    assert [one["id"] for one in told["completion_probabilities"]] == told["tokens"]
