"""Faults that need a request of their own, seen next to the same request without them."""

from __future__ import annotations

import base64
import struct

import pytest
from simulator.faults.answers import TEXT, TOOLS, choices, chunks, not_json


def ask(simulator, path, body, fault, method="POST", **headers):
    sent = {"X-Inference-Fault": fault} if fault else {}
    return simulator.request(method, path, body, {**sent, **headers})


def both(simulator, path, body, fault):
    """Return the answer without and with the fault."""
    return ask(simulator, path, body, ""), ask(simulator, path, body, fault)


def _tools(simulator, fault, **more):
    return simulator.chat("x", fault=fault, **{**TOOLS, **more})


def _deltas(answer):
    return [call for choice in choices(answer) for call in choice["delta"].get("tool_calls", ())]


def _tool_index(simulator, _):
    assert not any("index" in delta for delta in _deltas(_tools(simulator, "tool-index-missing", stream=True)))


def _tool_wrong_index(simulator, _):
    assert {delta["index"] for delta in _deltas(_tools(simulator, "tool-index-wrong", stream=True))} == {1}


def _tool_name(simulator, fault):
    assert not any("name" in delta["function"] for delta in _deltas(_tools(simulator, fault, stream=True)))


def _tool_id(simulator, fault):
    assert not any("id" in delta for delta in _deltas(_tools(simulator, fault, stream=True)))
    assert "id" not in _tools(simulator, fault).json["choices"][0]["message"]["tool_calls"][0]


def _tool_repeated(simulator, fault):
    found = _deltas(_tools(simulator, fault, stream=True))
    assert len(found) > 2
    assert all(delta["id"] and delta["function"]["name"] for delta in found)


def _tool_broken(simulator, fault):
    joined = "".join(delta["function"]["arguments"] for delta in _deltas(_tools(simulator, fault, stream=True)))
    assert not_json(joined)
    assert not_json(_tools(simulator, fault).json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])


def _tool_object(simulator, fault):
    call = _tools(simulator, fault).json["choices"][0]["message"]["tool_calls"][0]
    assert call["function"]["arguments"] == {"city": "a city with a long name"}


def _tool_misfit(simulator, fault):
    joined = "".join(delta["function"]["arguments"] for delta in _deltas(_tools(simulator, fault, stream=True)))
    assert joined == "{}"


def _tool_finish(simulator, fault):
    assert _tools(simulator, fault).json["choices"][0]["finish_reason"] == "stop"
    assert _tools(simulator, "").json["choices"][0]["finish_reason"] == "tool_calls"


def _tool_choice(simulator, fault):
    assert "tool_calls" not in _tools(simulator, fault).json["choices"][0]["message"]
    assert _tools(simulator, fault, tool_choice="none").json["choices"][0]["message"]["tool_calls"]


def _tool_unknown(simulator, fault):
    call = _tools(simulator, fault).json["choices"][0]["message"]["tool_calls"][0]
    assert call["function"]["name"] == "self_destruct"


def _unasked_usage(simulator, fault):
    assert [chunk["usage"] for chunk in chunks(simulator.chat("one", fault=fault, stream=True)) if chunk["usage"]] == [
        {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    ]


def _over_limit(simulator, fault):
    body = simulator.chat(TEXT, fault=fault, max_tokens=2).json
    assert body["usage"]["completion_tokens"] == 3


def _length_as_stop(simulator, fault):
    assert simulator.chat(TEXT, fault=fault, max_tokens=2).json["choices"][0]["finish_reason"] == "stop"


def _logprobs(simulator, fault):
    body = simulator.chat("one", fault=fault, logprobs=True).json
    assert body["choices"][0]["logprobs"]["content"][0]["logprob"] > 0


def _lenient(body, good):
    def check(simulator, fault):
        asked = {"messages": [{"role": "user", "content": "x"}], **body}
        clean, broken = both(simulator, "/v1/chat/completions", asked, fault)
        assert (clean.status, broken.status) == good

    return check


def _error_as_500(simulator, fault):
    answer = simulator.chat(fault=fault, max_tokens=-1)
    assert (answer.status, answer.json["error"]["code"]) == (500, 500)


def _error_key(simulator, fault):
    assert set(simulator.chat(fault=fault, model="x").json["error"]) == {"message", "param", "code"}


def _error_leaks(simulator, fault):
    assert "/srv/engine" in simulator.chat(fault=fault, model="x").json["error"]["message"]


def _flat(simulator, fault):
    assert "message" in simulator.chat(fault=fault, model="x").json


def _in_stream(simulator, fault):
    answer = simulator.chat(fault=fault, model="x", stream=True)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert answer.data[0]["error"]["code"] == "model_not_found"


def _stop(expected):
    def check(simulator, fault):
        answer = simulator.chat(TEXT, fault=fault, stop=" three")
        assert answer.json["choices"][0]["message"]["content"] == expected

    return check


def _echo(simulator, fault):
    clean, broken = both(simulator, "/v1/completions", {"prompt": "one", "echo": True}, fault)
    assert [answer.json["choices"][0]["text"] for answer in (clean, broken)] == ["oneone", "one"]


def _n(simulator, fault):
    assert len(simulator.chat("one", fault=fault, n=3).json["choices"]) == 1


def _format(simulator, fault):
    answer = simulator.chat("one", fault=fault, response_format={"type": "json_object"})
    assert answer.json["choices"][0]["message"]["content"] == "one"


def _any_type(simulator, fault):
    body = b'{"model":"fake-model","messages":[{"role":"user","content":"x"}]}'
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    tail = b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert b" 200 " in simulator.raw(head + b"X-Inference-Fault: " + fault.encode() + b"\r\n" + tail)
    assert b" 415 " in simulator.raw(head + tail)


def _models(check):
    def run(simulator, fault):
        assert check([model["id"] for model in ask(simulator, "/v1/models", None, fault, "GET").json["data"]])

    return run


def _embed(body, check):
    def run(simulator, fault):
        clean, broken = both(simulator, "/v1/embeddings", {"input": ["a", "b"], **body}, fault)
        assert check(broken)
        assert not (clean.status == 200 and check(clean))

    return run


def _rank(check, **body):
    def run(simulator, fault):
        documents = {"query": "a b", "documents": ["c", "a b", "b"]}
        found = [answer.json["results"] for answer in both(simulator, "/v1/rerank", {**documents, **body}, fault)]
        assert [check(results) for results in found] == [False, True]

    return run


def _big_endian(answer):
    numbers = base64.b64decode(answer.json["data"][0]["embedding"])
    return abs(sum(value * value for value in struct.unpack(">384f", numbers)) - 1) < 1e-4


def _coarse(answer):
    numbers = struct.unpack("<384f", base64.b64decode(answer.json["data"][0]["embedding"]))
    return all(abs(value - round(value, 3)) < 1e-6 for value in numbers)


def _typed(check, path="/v1/responses", **body):
    base = {
        "/v1/responses": {"input": TEXT},
        "/v1/messages": {"model": "fake-model", "max_tokens": 50, "messages": [{"role": "user", "content": TEXT}]},
    }[path]

    def run(simulator, fault):
        clean, broken = both(simulator, path, {**base, "stream": True, **body}, fault)
        assert check(broken), broken.body.decode()
        try:
            holds = check(clean)
        except (KeyError, IndexError):
            holds = False
        assert not holds

    return run


def _kinds(answer):
    return [item.get("type") for item in answer.data]


def _store(simulator, fault):
    body = ask(simulator, "/v1/responses", {"input": "x", "store": False}, fault).json
    assert simulator.request("GET", f"/v1/responses/{body['id']}").status == 200


OTHERS = {
    "tool-index-missing": _tool_index,
    "tool-index-wrong": _tool_wrong_index,
    "tool-name-missing": _tool_name,
    "tool-id-missing": _tool_id,
    "tool-id-repeated": _tool_repeated,
    "tool-arguments-broken": _tool_broken,
    "tool-arguments-object": _tool_object,
    "tool-arguments-misfit": _tool_misfit,
    "tool-finish-stop": _tool_finish,
    "ignores-tool-choice": _tool_choice,
    "tool-name-unknown": _tool_unknown,
    "unasked-usage": _unasked_usage,
    "ignores-max-tokens": _over_limit,
    "length-as-stop": _length_as_stop,
    "wrong-logprobs": _logprobs,
    "accepts-stream-options": _lenient({"stream_options": {"include_usage": True}}, (400, 200)),
    "accepts-any-model": _lenient({"model": "other"}, (404, 200)),
    "empty-messages-as-500": _lenient({"messages": []}, (400, 500)),
    "error-as-500": _error_as_500,
    "error-key-missing": _error_key,
    "error-leaks": _error_leaks,
    "flat-error": _flat,
    "error-in-stream": _in_stream,
    "ignores-stop": _stop(TEXT),
    "stop-string-flushed": _stop("one two th"),
    "ignores-echo": _echo,
    "ignores-n": _n,
    "ignores-response-format": _format,
    "accepts-any-content-type": _any_type,
    "models-doubled": _models(lambda ids: ids == ["fake-model"] * 2),
    "model-unlisted": _models(lambda ids: ids == ["fake-model-other"]),
    "no-models": _models(lambda ids: ids == []),
    "embedding-index-wrong": _embed({}, lambda a: [item["index"] for item in a.json["data"]] == [1, 2]),
    "embedding-big-endian": _embed({"encoding_format": "base64"}, _big_endian),
    "embedding-base64-coarse": _embed({"encoding_format": "base64"}, _coarse),
    "embedding-lengths-differ": _embed({}, lambda a: [len(item["embedding"]) for item in a.json["data"]] == [384, 383]),
    "embedding-noise": _embed(
        {"input": ["a", "a"]}, lambda a: a.json["data"][0]["embedding"] != a.json["data"][1]["embedding"]
    ),
    "embedding-differs-in-batch": _embed(
        {"input": ["a", "a"]}, lambda a: a.json["data"][0]["embedding"] != a.json["data"][1]["embedding"]
    ),
    "accepts-empty-input": _embed({"input": ""}, lambda a: a.status == 200),
    "rerank-worst-first": _rank(lambda results: [item["index"] for item in results] == [0, 2, 1]),
    "rerank-index-twice": _rank(lambda results: [item["index"] for item in results] == [1, 1, 0]),
    "rerank-score-missing": _rank(lambda results: ["relevance_score" in item for item in results] == [0, 1, 1]),
    "ignores-top-n": _rank(lambda results: len(results) == 3, top_n=1),
    "done-after-typed": _typed(lambda a: a.body.endswith(b"data: [DONE]\n\n")),
    "event-name-differs": _typed(lambda a: b"event: something\ndata: {" in a.body),
    "event-type-missing": _typed(lambda a: None in _kinds(a)),
    "sequence-gap": _typed(lambda a: a.data[-1]["sequence_number"] == len(a.data)),
    "terminal-event-missing": _typed(lambda a: _kinds(a)[-1] == "response.output_item.done"),
    "terminal-event-twice": _typed(lambda a: _kinds(a)[-2:] == ["response.completed"] * 2),
    "start-event-late": _typed(lambda a: _kinds(a)[1] == "response.created"),
    "done-event-missing": _typed(lambda a: "response.content_part.done" not in _kinds(a)),
    "item-id-changes": _typed(lambda a: len({item["item_id"] for item in a.data if "item_id" in item}) == 2),
    "done-text-differs": _typed(lambda a: TEXT + " more" in [item.get("text") for item in a.data]),
    "done-arguments-differ": _typed(
        lambda a: [item["arguments"][-1] for item in a.data if "arguments" in item] == [" "],
        tools=[{"type": "function", "name": "f", "parameters": TOOLS["tools"][0]["function"]["parameters"]}],
        tool_choice="required",
    ),
    "usage-of-chat": _typed(lambda a: "prompt_tokens" in a.data[-1]["response"]["usage"]),
    "incomplete-as-completed": _typed(lambda a: _kinds(a)[-1] == "response.completed", max_output_tokens=2),
    "ignores-store": _store,
    "block-stop-missing": _typed(lambda a: "content_block_stop" not in _kinds(a), "/v1/messages"),
    "block-index-wrong": _typed(lambda a: {item["index"] for item in a.data if "index" in item} == {1}, "/v1/messages"),
    "message-usage-missing": _typed(lambda a: b"usage" not in a.body, "/v1/messages"),
    "signature-missing": _typed(
        lambda a: b"signature_delta" not in a.body, "/v1/messages", thinking={"type": "enabled"}
    ),
    "error-event-wrong": _typed(lambda a: a.data[-1] == {"message": "The engine died"}, "/v1/messages"),
}


@pytest.mark.parametrize("fault", sorted(OTHERS))
def test_other_faults(simulator, fault):
    OTHERS[fault](simulator, fault)
