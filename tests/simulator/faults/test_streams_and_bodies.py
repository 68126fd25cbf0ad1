"""Faults of streams and of whole answers, seen in the bytes, next to the same request without them."""

from __future__ import annotations

import gzip
import re

import pytest
from simulator.faults.answers import TEXT, choices, chunks, ends_cleanly, finishes, ids, not_json, text_of, wire_events

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
    "malformed-json": lambda a: a.body.endswith(b"}") and not_json(a.body),
    "not-json": lambda a: a.status == 200 and a.headers["content-type"].startswith("text/html"),
    "empty-body": lambda a: (a.status, a.body) == (200, b""),
    "wrong-content-type": lambda a: a.headers["content-type"] == "text/plain" and a.json,
    "wrong-content-length": lambda a: int(a.headers["content-length"]) == len(a.body) + 10,
    "bad-chunk": lambda a: b"\r\n\r\nxyz\r\n" in a.raw,
    "cut-after-events": lambda a: 0 < len(a.body) < int(a.headers["content-length"]),
    "close-before-status": lambda a: a.raw == b"",
    "close-before-status:how=reset": lambda a: a.raw == b"",
    "error-as-200": lambda a: a.status == 200 and a.json["error"]["type"] == "server_error",
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
