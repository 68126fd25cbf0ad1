"""What a job says of itself, in both eras of the worker and in that of its successor."""

from __future__ import annotations

import json
from typing import Any

import pytest

from InferenceLibrary.client.jobs import Job, improper_end
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.protocol.exchange import Exchange, Request

STREAM = (("content-type", "text/event-stream"),)


def job_of(*blocks: str | dict[str, Any], job_id: str = "j") -> Job:
    """Return a job from event blocks; an object stands for its data line."""
    raw = "".join(f"data: {json.dumps(block)}\n\n" if isinstance(block, dict) else f"{block}\n\n" for block in blocks)
    body = raw.encode()
    ends = [number + 2 for number in range(len(body)) if body[number : number + 2] == b"\n\n"]
    reads = tuple((0.1 * number, end) for number, end in enumerate(ends))
    exchange = Exchange(Request("POST", "http://host/execute"), 200, STREAM, body, reads)
    return Job(job_id, stream_of(exchange, ending=improper_end))


STARTED = {"type": "started", "job_id": "j", "model": "m", "started_at": "2025-10-05T00:00:00Z"}
TOKENS = [{"type": "token", "t": text, "i": index} for index, text in enumerate(("one", " two"))]
END = {"type": "end", "tokens_out": 2, "decode_time_ms": 9, "stop_reason": "max_tokens"}


def test_the_late_era() -> None:
    job = job_of(STARTED, *TOKENS, {**END, "stop_reason": "STOP_SEQUENCE", "stop_sequence_matched": "}"})
    assert job.types == ["started", "token", "token", "end"]
    assert (job.text, job.tokens) == ("one two", ["one", " two"])
    assert (job.stop_reason, job.stop_sequence_matched) == ("stop_sequence", "}")
    assert job.time_to_first_token == pytest.approx(0.1)
    assert job.gaps == [pytest.approx(0.1)]
    assert job.started == STARTED
    assert job.error is None
    assert job.stream.broken is None
    assert not job.was_cancelled


def test_the_first_era_and_a_type_that_stands_only_in_the_event_line() -> None:
    job = job_of('event: token\ndata: {"t": "x", "i": 0}', 'event: end\ndata: {"tokens_out": 1}')
    assert job.types == ["token", "end"]
    assert [event.name for event in job.events] == ["token", "end"]
    assert job.tokens == ["x"]


@pytest.mark.parametrize(
    "end",
    [
        {"type": "error", "code": "CANCELLED", "message": "by the client"},
        {"type": "end", "stop_reason": "cancelled"},
        {"type": "end", "stop_reason": "CANCELLED"},
    ],
)
def test_cancelled_in_all_its_forms(end: dict[str, Any]) -> None:
    job = job_of(STARTED, end)
    assert job.was_cancelled
    assert job.outcome == "cancelled"
    assert job.stream.broken is None


def test_an_error_is_a_proper_end() -> None:
    job = job_of({"type": "error", "code": "VRAM_OOM", "message": "full"})
    assert job.stream.broken is None
    assert job.error == {"type": "error", "code": "VRAM_OOM", "message": "full"}
    assert job.outcome == "error VRAM_OOM: full"


def test_the_successor_ends_with_done() -> None:
    job = job_of(STARTED, *TOKENS, "data: [DONE]")
    assert job.stream.broken is None
    assert (job.types[-1], job.end, job.stop_reason) == ("done", None, None)


@pytest.mark.parametrize(
    ("blocks", "said"),
    [
        ((), "an end without any event"),
        ((STARTED, *TOKENS), "an end without an end or error event, the last one was token"),
    ],
)
def test_ends_that_are_none(blocks: tuple[Any, ...], said: str) -> None:
    assert job_of(*blocks).stream.broken == said
