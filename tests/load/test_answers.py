"""Answers that come otherwise than they should: compressed, empty, unasked, from another address, too late."""

# ruff: noqa: E501 - answers and messages are quoted whole

from __future__ import annotations

import gzip
import json
import os
import socket
import zlib
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import brotli
import msgspec
import pytest
from wire_server import DONE, HOLD, STREAM_HEAD, WireServer, delta, piece

from InferenceLibrary.errors import MonitorError
from InferenceLibrary.keywords.shared.load_kinds import kind_of, prompts_of
from InferenceLibrary.load import line
from InferenceLibrary.load.connections import Raw
from InferenceLibrary.load.crew import Crew
from InferenceLibrary.load.digest import Digest
from InferenceLibrary.load.framing import read_head, shows_output
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.records import RecordStore
from InferenceLibrary.load.requests import Kind, Prompts
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.load.run import run

STREAM = (delta(role="assistant") + delta("one ") + delta("two") + delta(finish="stop") + DONE).encode()
PLAN = LoadPlan("http://x", Users(1), (Kind.chat(),), requests=1, judged=0)


def record(
    body: bytes, headers: str, *, plan: LoadPlan = PLAN, error: str | None = None, pieces: Sequence[bytes] = ()
) -> Record:
    """The record of an answer whose pieces were read 0.1 s apart; three of one size by default."""
    head = f"HTTP/1.1 200 OK\r\n{headers}content-length: {len(body)}\r\n\r\n".encode()
    size = -(-len(body) // 3)
    pieces = pieces or [body[at : at + size] for at in range(0, len(body), size)]
    parts: list[Any] = [head, 0.0]
    for number, one in enumerate(pieces, start=1):
        parts += [one, number / 10]
    raw = Raw(
        number=0, kind=0, prompt="Hi", scheduled=0.0, sent=0.0, connected=None, ended=parts[-1], parts=parts,
        head=read_head(head), head_end=len(head), error=error, detail="", warmup=False, cancelled=False, resent=False,
        said=b"", turn=1,
    )  # fmt: skip
    return Digest(plan, 0.0).record(raw)


def test_halves_of_characters_reach_no_record() -> None:
    """They cannot be encoded: one would end the worker, and the whole load with it."""
    half = "half \\ud83d"
    chunk = {"id": "HALF", "choices": [{"index": 0, "delta": {"content": "HALF"}, "finish_reason": "HALF"}]}
    stream = f"data: {json.dumps(chunk).replace('HALF', half)}\n\ndata: [DONE]\n\n".encode()
    made = record(stream, "content-type: text/event-stream\r\n")
    assert (made.answer_id, made.finish_reason) == ("half \ufffd", "half \ufffd")
    failed = record(f'data: {{"error": "{half}"}}\n\n'.encode(), "content-type: text/event-stream\r\n")
    assert (failed.error, failed.detail) == ("error event", "half \ufffd")
    for one in (made, failed):
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Record) == one


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(STREAM)),
        ("gzip", gzip.compress(STREAM[:100]) + gzip.compress(STREAM[100:])),
        ("deflate", zlib.compress(STREAM)),
        ("deflate, gzip", gzip.compress(zlib.compress(STREAM))),
        ("br", brotli.compress(STREAM)),
    ],
)
def test_a_compressed_answer_is_read(coding: str, packed: bytes) -> None:
    found = record(packed, f"content-type: text/event-stream\r\ncontent-encoding: {coding}\r\n")
    assert found.error is None, found.detail
    assert (found.output_tokens, found.answer_id, found.finish_reason) == (2, "c-1", "stop")
    assert found.first_token is not None
    assert found.first_token <= found.latency


def test_outputs_of_a_compressed_stream_have_the_times_of_their_reads() -> None:
    packer = zlib.compressobj(wbits=31)
    events = [delta(role="assistant"), delta("one "), delta("two") + DONE]
    pieces = [packer.compress(event.encode()) + packer.flush(zlib.Z_SYNC_FLUSH) for event in events]
    pieces[-1] += packer.flush()
    found = record(b"".join(pieces), "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n", pieces=pieces)
    assert found.arrivals == [0.2, 0.3]


@pytest.mark.parametrize(
    ("coding", "body", "detail"),
    [
        ("gzip", gzip.compress(STREAM)[:-10], "a body that ends before its Content-Encoding 'gzip' does"),
        ("br", STREAM, "a body that is not of its Content-Encoding 'br' ("),
        ("zstd", STREAM, "a body with Content-Encoding 'zstd', which was not asked for and is not known"),
    ],
)
def test_a_coding_that_cannot_be_undone_is_named(coding: str, body: bytes, detail: str) -> None:
    found = record(body, f"content-type: text/event-stream\r\ncontent-encoding: {coding}\r\n")
    assert found.error == "protocol"
    assert found.detail.startswith(detail)


def test_a_compressed_answer_that_was_cut_stays_cut() -> None:
    headers = "content-type: text/event-stream\r\ncontent-encoding: gzip\r\n"
    assert record(gzip.compress(STREAM)[:-10], headers, error="cut").error == "cut"


def test_a_whole_answer_without_output_fails() -> None:
    headers = "content-type: application/json\r\n"
    found = record(b'{"id": "c-1", "choices": []}', headers)
    assert (found.error, found.detail) == ("no output", "an answer without output")
    other = LoadPlan("http://x", Users(1), (Kind("health", "/health", method="GET"),), requests=1, judged=0)
    assert record(b"{}", headers, plan=other).error is None
    whole = b'{"id": "c-1", "choices": [{"index": 0, "message": {"content": "a b"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}}'
    found = record(whole, headers)
    # Nothing held it back: nobody asked for a stream.
    assert (found.error, found.output_tokens, found.held_back) == (None, 2, False)


@pytest.mark.parametrize(
    ("data", "shows"),
    [
        (delta("a"), True),
        (delta("\n"), True),
        ('{"delta":{"reasoning_content":"so"}}', True),
        ('{"delta":{"tool_calls":[{"index":0}]}}', True),
        ('{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}', True),
        (delta(role="assistant"), False),
        (delta(""), False),
        ('{"delta":{"role":"assistant","content":null,"tool_calls":[]}}', False),
        (DONE, False),
    ],
)
def test_what_is_output(data: str, shows: bool) -> None:
    assert shows_output(data.encode()) == shows


def test_a_user_leaves_after_the_first_output_and_not_before(wire: Callable[..., WireServer]) -> None:
    server = wire(
        [STREAM_HEAD, 0.05, piece(delta(role="assistant")), 0.05, piece(delta("")), 0.05, piece(delta("a")), HOLD]
    )
    [one] = run(LoadPlan(server.url, Users(1), requests=1, cancel=1.0, judged=0)).records
    assert (one.cancelled, one.error) == (True, None)
    assert one.first_token is not None


def test_what_nobody_asked_for_and_what_was_repeated_is_told() -> None:
    facts = WorkerFacts(1.0, 10.0, [0.0001], [0.0001], 1, [], 0, 2, None, 1)
    records = [Record(number, "chat", number, number, number + 0.5, status=200) for number in range(5)]
    plan = LoadPlan("http://x", Users(1), prompts=Prompts(("Hi", "Ho"), vary=False))
    found = LoadResult(plan, 0.0, records, [facts], {}, 0.0)
    assert "bytes that nobody had asked for came on idle connections 2 times" in found.remarks
    assert "prompts were repeated (2 for 5 requests): a cache may have answered" in found.remarks


@pytest.mark.parametrize(
    ("error", "detail", "remark"),
    [
        ("status 500", "CUDA out of memory. Tried to allocate 2 GiB", "memory ran out: use a smaller model or free the GPU"),
        ("error event", "{'message': 'EngineCore encountered an issue.'}", "its engine died: the cause stands further up in the server's log; start it anew"),
        ("status 400", "out of memory is what I was told", None),
        ("rules", "'CUDA out of memory' stands in the text", None),
    ],
)  # fmt: skip
def test_what_a_server_lost_is_read_from_its_answers(error: str, detail: str, remark: str | None) -> None:
    records = [Record(number, "chat", number, number, number + 0.5, error="refused") for number in range(3)]
    records.append(Record(3, "chat", 3, 3, 4, error=error, detail=detail))
    facts = WorkerFacts(1.0, 10.0, [0.0001], [0.0001], 1, [], 0, 0, None, 1)
    found = LoadResult(LoadPlan("http://x", Users(1)), 0.0, records, [facts], {}, 0.0)
    assert found.remarks == ([f"an answer tells what went wrong: {remark}"] if remark else [])


def test_each_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
        assert line._address_of("both", port) == both[1]
    assert line._address_of("both", port) == both[0]  # each request says why it was refused


def test_a_host_that_does_not_exist_is_told_before_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(MonitorError, match=r"The host of 'http://nowhere:1' cannot be found: got .*Name or service"):
        run(LoadPlan("http://nowhere:1", Users(1), requests=1))


def test_what_workers_do_not_deliver_in_time_is_told() -> None:
    reading, writing = os.pipe()
    crew = Crew.__new__(Crew)
    with os.fdopen(reading) as source, os.fdopen(writing, "w"):
        silent: Any = SimpleNamespace(source=source, done=False, counts=(5, 3, 0, 2), maker=None)
        crew._members, crew._workers, crew.store = [silent], [silent], RecordStore()
        crew.follow(within=60, silence=0.05)
        assert crew.lost == "interrupted: 0 of 5 requests were told of in time"
        silent.done = True
        assert crew.lost is None


GIVEN = {
    "prompt": None, "prompts": None, "seed": 0, "prompt_tokens": 32, "shared_prefix": 0, "tokenizer": None,
    "kinds": None, "model": "m", "max_tokens": 4, "stream": True, "extra": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"prompt": "Hi", "shared_prefix": 8}, {}, r"Prompts that are given share no prefix: expected shared_prefix= without prompt=\."),
        ({"shared_prefix": 32}, {}, r"Prompts of chat cannot be made: .* got prompt_tokens=32, shared_prefix=32\."),
        ({"prompt_tokens": 0}, {}, r"Prompts of chat cannot be made: .* got prompt_tokens=0, shared_prefix=0\."),
        ({"shared_prefix": 64}, {"prompt_tokens": 50}, r"Prompts of kind 1 cannot be made: .* got prompt_tokens=50, shared_prefix=64\."),
        ({}, {"weight": -1}, r"The weight of kind 1 of the load is out of range: expected 0 or more, got -1\."),
        ({}, {"weight": float("nan")}, r"expected 0 or more, got nan\."),
        ({}, {"weight": float("inf")}, r"expected 0 or more, got inf\."),
    ],
)  # fmt: skip
def test_prompts_and_weights_that_cannot_be_are_refused(
    given: dict[str, Any], kind: dict[str, Any], message: str
) -> None:
    whole = {**GIVEN, **given}
    with pytest.raises(MonitorError, match=message):
        kind_of(kind, 1, whole, prompts_of(whole))


def test_kinds_of_their_own_lengths_share_a_longer_prefix() -> None:
    whole = {**GIVEN, "shared_prefix": 64}
    found = kind_of({"prompt_tokens": 80}, 1, whole, prompts_of(whole))
    assert found.prompts is not None
    assert len(found.prompts.text(0).split()) == 80
