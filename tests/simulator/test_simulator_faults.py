"""Every fault does what it says, seen in the bytes, next to the same request without it."""

from __future__ import annotations

import base64
import gzip
import json
import re
import struct

import pytest

from InferenceLibrary.simulator.faults.catalogue import KINDS, parse_fault, parse_faults

# The wire rules of level "must" or "should", by their numbers in the rulebook.
RULES = (
    [f"F{n}" for n in range(1, 13)]
    + [f"C{n}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 22, 23)]
    + [f"T{n}" for n in range(1, 9)]
    + [f"N{n}" for n in (1, 2, 3, 4, 6, 7, 8, 9)]
    + [f"X{n}" for n in (1, 2, 4, 5, 6, 7)]
    + [f"E{n}" for n in range(1, 6)]
    + ["M1", "M2"]
    + [f"R{n}" for n in range(1, 10)]
    + [f"RS{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12)]
    + [f"A{n}" for n in range(1, 9)]
)
TOOLS = {
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "f",
                "parameters": {
                    "type": "object",
                    "properties": {"city": {"enum": ["a city with a long name"]}},
                    "required": ["city"],
                },
            },
        }
    ],
    "tool_choice": "required",
}
TEXT = "one two three four five"


def test_every_rule_has_a_fault_that_breaks_it():
    covered = {rule for kind in KINDS.values() for rule in kind.breaks}
    assert [rule for rule in RULES if rule not in covered] == []
    assert len(RULES) == 89


def test_every_fault_has_a_test():
    tested = {name.partition(":")[0] for name in (*STREAM, *WHOLE, *OTHERS)} | ELSEWHERE
    assert sorted(set(KINDS) - tested) == []
    assert sorted(tested - set(KINDS)) == []


def chunks(answer):
    return [item for item in answer.data if isinstance(item, dict)]


def choices(answer):
    return [choice for chunk in chunks(answer) for choice in chunk["choices"]]


def text_of(answer):
    return "".join(choice.get("delta", choice).get("content") or choice.get("text", "") for choice in choices(answer))


def finishes(answer):
    return [choice["finish_reason"] for choice in choices(answer) if choice["finish_reason"] is not None]


def ends_cleanly(answer):
    return answer.raw.endswith(b"\r\n0\r\n\r\n")


def ids(answer):
    return {chunk["id"] for chunk in chunks(answer)}


def wire_events(answer):
    return answer.body.split(b"\n\n")


# Fault to (what the clean stream is like, what the broken one is like); the request asks for usage.
STREAM = {
    "wrong-id": lambda a: len(ids(a)) == 2,
    "empty-id": lambda a: "" in ids(a),
    "wrong-created": lambda a: len({chunk["created"] for chunk in chunks(a)}) == 2,
    "wrong-model": lambda a: len({chunk["model"] for chunk in chunks(a)}) == 2,
    "missing-key": lambda a: not any("created" in chunk for chunk in chunks(a)),
    "wrong-object": lambda a: {chunk["object"] for chunk in chunks(a)} == {"thing"},
    "missing-choice-key": lambda a: sum("finish_reason" not in choice for choice in choices(a)) == 1,
    "wrong-choice-index": lambda a: [choice["index"] for choice in choices(a)].count(99) == 1,
    "role-missing": lambda a: not any("role" in choice["delta"] for choice in choices(a)),
    "role-repeated": lambda a: sum("role" in choice["delta"] for choice in choices(a)) == 6,
    "wrong-role": lambda a: choices(a)[0]["delta"]["role"] == "user",
    "double-finish": lambda a: finishes(a) == ["stop", "stop"],
    "no-finish": lambda a: finishes(a) == [],
    "empty-finish": lambda a: finishes(a) == [""],
    "unknown-finish": lambda a: finishes(a) == ["tired"],
    "finish-with-text": lambda a: choices(a)[-1]["delta"] == {"content": " five"} and finishes(a) == ["stop"],
    "text-after-finish": lambda a: choices(a)[-1]["delta"] == {"content": " five"} and choices(a)[-2]["finish_reason"],
    "swapped-tokens": lambda a: text_of(a) == " twoone three four five",
    "lost-token": lambda a: text_of(a) == "one two four five",
    "doubled-token": lambda a: text_of(a) == "one two three three four five",
    "text-not-counted": lambda a: text_of(a) == TEXT + " five" and chunks(a)[-1]["usage"]["total_tokens"] == 10,
    "error-mid-stream": lambda a: list(a.data[2]) == ["error"] and a.data[3:] == ["[DONE]"],
    "error-then-continues": lambda a: b'"error":' in a.body and b'"finish_reason":"stop"' in a.body,
    "error-as-text": lambda a: a.data[2:] == ["The engine died", "[DONE]"],
    "usage-off-by-one": lambda a: chunks(a)[-1]["usage"]["total_tokens"] == 11,
    "usage-details-too-large": lambda a: chunks(a)[-1]["usage"]["prompt_tokens_details"]["cached_tokens"] == 6,
    "missing-usage": lambda a: not any(chunk["usage"] for chunk in chunks(a)),
    "usage-with-choices": lambda a: len(chunks(a)[-1]["choices"]) == 1,
    "usage-key-missing": lambda a: sum("usage" in chunk for chunk in chunks(a)) == 1,
    "missing-done": lambda a: isinstance(a.data[-1], dict) and ends_cleanly(a),
    "double-done": lambda a: a.data[-2:] == ["[DONE]", "[DONE]"],
    "data-after-done": lambda a: a.data[-2] == "[DONE]" and isinstance(a.data[-1], dict),
    "malformed-json": lambda a: len(re.findall(rb"^data: \{.*[^}]\n\n", a.body, re.MULTILINE)) == 1,
    "data-not-object": lambda a: b"data: []\n\n" in a.body,
    "invalid-utf8": lambda a: _is_invalid(a.body),
    "character-over-events": lambda a: _is_invalid(a.body) and not any(_valid(part) for part in wire_events(a)[1:3]),
    "unknown-field": lambda a: b"\npayload: x\ndata: {" in a.body,
    "line-ends:kind=cr": lambda a: b"\n" not in a.body and a.body.endswith(b"data: [DONE]\r\r"),
    "line-ends": lambda a: a.body.endswith(b"data: [DONE]\r\n\r\n") and not re.search(rb"[^\r]\n", a.body),
    "no-space": lambda a: b"data: " not in a.body and a.body.endswith(b"data:[DONE]\n\n"),
    "data-in-lines": lambda a: len(a.data) == 9 and a.body.count(b"\ndata: ") == 8 + 8,
    "comments": lambda a: a.body[:14] == b": keep-alive\n\n" and a.body.count(b": keep") == len(a.data),
    "byte-order-mark": lambda a: a.body.startswith(b"\xef\xbb\xbfdata: "),
    "unfinished-event": lambda a: re.search(rb"\[DONE\]\n$", a.body) and a.body[-2:] != b"\n\n" and ends_cleanly(a),
    "cut-after-events:events=3": lambda a: len(a.data) == 3 and not ends_cleanly(a),
    "cut-after-events": lambda a: len(a.data) == 1 and not ends_cleanly(a),
    "cut-in-json": lambda a: a.body.count(b"\n\n") == 1 and not a.body.endswith(b"\n\n") and not ends_cleanly(a),
    "cut-in-character": lambda a: a.body.endswith(b"\xc3") and not ends_cleanly(a),
    "missing-last-chunk": lambda a: a.data[-1] == "[DONE]" and not ends_cleanly(a),
    "bad-chunk": lambda a: b"\r\nxyz\r\n" in a.raw and ends_cleanly(a),
    "wrong-content-length": lambda a: a.headers["content-length"] == "100010" and a.raw.endswith(b"[DONE]\n\n"),
    "wrong-content-type": lambda a: a.headers["content-type"] == "text/plain" and len(a.data) == 9,
    "huge-header": lambda a: len(a.headers["x-padding"]) == 100_000,
    "many-headers": lambda a: len(a.headers) > 1000,
    "keep-alive-closed": lambda a: a.headers["keep-alive"] == "timeout=60" and ends_cleanly(a),
    "slow-drip:size=7,pause=0.0001": lambda a: len(a.data) == 9,
    "split-events": lambda a: len(a.data) == 9 and len(re.findall(rb"(?:^|\r\n)[0-9a-f]+\r\n", a.raw)) > 24,
    "buffered": lambda a: len(a.data) == 9 and len(re.findall(rb"\r\n[0-9a-f]+\r\ndata", a.raw)) == 1,
    "stall:seconds=10ms": lambda a: len(a.data) == 9,
}  # fmt: skip
WHOLE = {
    "missing-key": lambda a: "created" not in a.json,
    "wrong-object": lambda a: a.json["object"] == "thing",
    "missing-choice-key": lambda a: "finish_reason" not in a.json["choices"][0],
    "wrong-choice-index": lambda a: a.json["choices"][0]["index"] == 99,
    "wrong-role": lambda a: a.json["choices"][0]["message"]["role"] == "user",
    "content-null": lambda a: a.json["choices"][0]["message"]["content"] is None,
    "no-finish": lambda a: a.json["choices"][0]["finish_reason"] is None,
    "empty-finish": lambda a: a.json["choices"][0]["finish_reason"] == "",
    "usage-off-by-one": lambda a: a.json["usage"]["total_tokens"] == 11,
    "missing-usage": lambda a: "usage" not in a.json,
    "malformed-json": lambda a: a.body.endswith(b"}") and _not_json(a.body),
    "not-json": lambda a: a.status == 200 and a.headers["content-type"].startswith("text/html"),
    "empty-body": lambda a: (a.status, a.body) == (200, b""),
    "wrong-content-type": lambda a: a.headers["content-type"] == "text/plain" and a.json,
    "wrong-content-length": lambda a: int(a.headers["content-length"]) == len(a.body) + 10,
    "bad-chunk": lambda a: b"\r\n\r\nxyz\r\n" in a.raw,
    "cut-after-events": lambda a: 0 < len(a.body) < int(a.headers["content-length"]),
    "close-before-status": lambda a: a.raw == b"",
    "close-before-status:how=reset": lambda a: a.raw == b"",
    "error-as-200": lambda a: a.status == 200 and a.json["error"]["code"] == 500,
    "redirect-loop": lambda a: (a.status, a.headers["location"]) == (307, "/v1/chat/completions"),
    "status": lambda a: a.status == 503 and a.json["error"]["message"] == "Injected failure",
    "status:code=429,retry_after=7": lambda a: (a.status, a.headers["retry-after"]) == (429, "7"),
    "retry-after-nonsense": lambda a: (a.status, a.headers["retry-after"]) == (429, "soon"),
    "early-response": lambda a: (a.status, a.headers["connection"]) == (413, "close"),
    "huge-body:bytes=200000": lambda a: len(a.body) == 200_000,
    "compression-bomb:bytes=3000000": lambda a: len(gzip.decompress(a.body)) == 3_000_000 and len(a.body) < 10_000,
}  # fmt: skip


def _is_invalid(data):
    return not _valid(data)


def _valid(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _not_json(data):
    try:
        json.loads(data)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("fault", sorted(STREAM))
def test_faults_of_streams(simulator, fault):
    asked = {"stream": True, "stream_options": {"include_usage": True}}
    clean = simulator.chat(TEXT, **asked)
    assert len(clean.data) == 9
    assert ends_cleanly(clean)
    broken = simulator.chat(TEXT, fault=fault, **asked)
    assert STREAM[fault](broken), broken.raw.decode("utf-8", "replace")
    if fault not in {
        "stall:seconds=10ms",
        "slow-drip:size=7,pause=0.0001",
        "split-events",
        "buffered",
        "keep-alive-closed",
    }:
        try:
            holds = STREAM[fault](clean)
        except (KeyError, IndexError, TypeError, AttributeError):
            holds = False
        assert not holds, "the test would pass without the fault"


@pytest.mark.parametrize("fault", sorted(WHOLE))
def test_faults_of_bodies(simulator, fault):
    broken = simulator.chat(TEXT, fault=fault)
    assert WHOLE[fault](broken), broken.raw.decode("utf-8", "replace")
    clean = simulator.chat(TEXT)
    try:
        holds = WHOLE[fault](clean)
    except (KeyError, IndexError, TypeError, ValueError, OSError):
        holds = False
    assert not holds, "the test would pass without the fault"


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
    assert _not_json(joined)
    assert _not_json(_tools(simulator, fault).json["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"])


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
        clean, broken = both(simulator, "/v1/chat/completions", {"messages": [], **body}, fault)
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
    assert answer.data[0]["error"]["code"] == 404


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
    body = b'{"messages":[]}'
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
    "empty-messages-as-500": _lenient({}, (200, 500)),
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
    "embedding-lengths-differ": _embed({}, lambda a: [len(item["embedding"]) for item in a.json["data"]] == [384, 383]),
    "embedding-noise": _embed(
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


# Shown by the tests below, or in the tests of the process.
ELSEWHERE = {
    "refuse-connection",
    "endless-stream",
    "endless-line",
    "accepts-any-key",
    "stuck-after-error",
    "metrics-frozen",
    "first-request-hangs",
    "exit-at-start",
    "never-listen",
    "never-ready",
    "ignore-term",
    "crash-after",
    "out-of-memory",
    "log-flood",
    "forked-child",
}


def test_endless_stream_goes_on_until_the_client_leaves(simulator):
    simulator.control("POST", "/stats/reset")
    body = json.dumps({"messages": [{"role": "user", "content": "a b"}], "stream": True, "max_tokens": 5}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Inference-Fault: endless-stream:pause=1ms\r\n"
    with simulator.connect() as sock:
        sock.sendall(head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        found = b""
        while found.count(b"data: ") < 100:
            found += sock.recv(65536)
    while simulator.stats()["in_flight"]:
        pass
    assert simulator.stats()["cancelled"] == 1
    assert b"[DONE]" not in found


def test_endless_line(simulator):
    answer = simulator.chat("x", fault="endless-line:bytes=1000000", stream=True)
    assert max(map(len, answer.body.split(b"\n"))) > 900_000


def test_reset_is_a_reset(simulator):
    body = json.dumps({"messages": [{"role": "user", "content": TEXT}], "stream": True}).encode()
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Inference-Fault: cut-after-events:events=2,how=reset\r\n"
    )
    found = b""
    with simulator.connect() as sock:
        sock.sendall(head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        try:
            while part := sock.recv(65536):
                found += part
        except ConnectionResetError:
            found += b"reset"
    assert found.count(b"data: ") == 2
    assert found.endswith(b"reset")


def test_refused_connections(start_simulator):
    simulator = start_simulator("--fault", "refuse-connection:first=2")
    found = []
    for _ in range(3):
        try:
            found.append(simulator.request("GET", "/health").raw[:12])
        except ConnectionError:
            found.append(b"")
    assert found == [b"", b"", b"HTTP/1.1 200"]


def test_early_response_does_not_wait_for_the_body(simulator):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nX-Inference-Fault: early-response\r\n"
    assert simulator.raw(head + b"Content-Length: 1000\r\n\r\n").startswith(b"HTTP/1.1 413 ")


def test_accepts_any_key(start_simulator):
    simulator = start_simulator("--api-key", "key-of-the-house", "--fault", "accepts-any-key")
    assert simulator.chat().status == 200
    assert simulator.request("GET", "/v1/models").status == 401


def test_stuck_after_error(start_simulator):
    simulator = start_simulator("--fault", "stuck-after-error", "--control-port", "0")
    assert simulator.chat().status == 200
    assert simulator.chat(model="other").status == 404
    with simulator.connect() as sock:
        sock.settimeout(0.3)
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 14\r\n\r\n" + b'{"prompt":"a"}')
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert simulator.control("DELETE", "/faults").status == 204
    assert simulator.chat().status == 200


def test_first_request_hangs(start_simulator):
    simulator = start_simulator("--fault", "first-request-hangs")
    assert simulator.request("GET", "/health").status == 200
    with simulator.connect() as sock:
        sock.settimeout(0.3)
        sock.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: t\r\nContent-Length: 14\r\n\r\n" + b'{"prompt":"a"}')
        with pytest.raises(TimeoutError):
            sock.recv(1)
    assert simulator.chat().status == 200


def test_metrics_frozen(start_simulator):
    simulator = start_simulator("--fault", "metrics-frozen")
    before = simulator.request("GET", "/metrics").body
    simulator.chat()
    assert simulator.request("GET", "/metrics").body == before


def test_when_a_fault_strikes(start_simulator):
    for when, expected in (
        ("first=2", [503, 503, 200, 200, 200]),
        ("after=3", [200, 200, 200, 503, 503]),
        ("after=1,first=1", [200, 503, 200, 200, 200]),
        ("every=2", [503, 200, 503, 200, 503]),
        ("path=/v1/completions", [200] * 5),
    ):
        simulator = start_simulator("--fault", f"status:{when}")
        assert [simulator.chat().status for _ in range(5)] == expected


def test_faults_by_chance_are_repeatable(start_simulator):
    found = [[start_simulator("--fault", "status:percent=50", "--seed", "3")] for _ in range(2)]
    runs = [[simulator.chat().status for _ in range(30)] for (simulator,) in found]
    assert runs[0] == runs[1]
    assert 3 < runs[0].count(503) < 27


def test_several_faults_in_one_header(simulator):
    answer = simulator.chat(TEXT, fault="wrong-id; missing-done", stream=True)
    assert len(ids(answer)) == 2
    assert "[DONE]" not in answer.data
    assert [fault.text for fault in parse_faults("status:code=500,first=2, missing-done")] == [
        "status:code=500,first=2",
        "missing-done",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nothing", "unknown fault 'nothing'"),
        ("status:code", "no parameter 'code'"),
        ("status:code=-1", "below 0"),
        ("stall:before=lunch", "'lunch' is none of headers, first-token, event, end"),
        ("stall:seconds=long", "'long' is no duration"),
        ("status:every=0", "at least 1"),
    ],
)
def test_wrong_faults_are_refused(text, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        parse_fault(text)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/score",
    ],
)
def test_no_fault_upsets_an_answer_that_it_is_not_for(start_simulator, path):
    simulator = start_simulator("--mode", "echo")
    body = {
        "model": "fake-model",
        "messages": [{"role": "user", "content": "a b"}],
        "prompt": "a b",
        "input": "a b",
        "query": "a b",
        "documents": ["a", "b"],
        "text_1": "a",
        "text_2": "b",
        "max_tokens": 5,
    }
    without_end = {"stall", "huge-body", "compression-bomb", "endless-stream", "endless-line", "slow-drip"}
    without_end |= {"stuck-after-error", "first-request-hangs"}
    for kind in KINDS.values():
        if not kind.of_process and kind.name not in without_end:
            for stream in (False, True):
                simulator.request("POST", path, {**body, "stream": stream}, {"X-Inference-Fault": kind.name})
    assert simulator.errors() == ""


def test_catalogue_is_printed(run_cli):
    text = run_cli("--list-faults").stdout
    listed = json.loads(run_cli("--list-faults", "--json").stdout)
    assert {entry["name"] for entry in listed} == set(KINDS)
    assert all(entry["name"] in text for entry in listed)
    assert "--fault stall:seconds=2" in text
    assert "[F10] and the like are the ids of the wire rules" in text
