"""Rules of a worker's jobs: each kind fails for its own reason, and the good job keeps the rule."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from protocol.rules.exchanges import answer, found
from protocol.rules.typed_exchanges import JOB_ASKED, JOB_EVENTS, Change, drop, job, put

from InferenceLibrary.protocol.exchange import Ending
from InferenceLibrary.protocol.rules.book import judge

LAST = len(JOB_EVENTS) - 1
FAILED = {"type": "error", "code": "CANCELLED", "message": "Job cancelled by client"}
EARLY = frozenset({"W1", "W2", "W3", "W4", "W5"})


def insert(place: int, *events: Any) -> Change:
    return lambda old: [*old[:place], *copy.deepcopy(events), *old[place:]]


@pytest.mark.parametrize("named", [True, False])
def test_a_good_job_keeps_all_rules(named: bool) -> None:
    judgement = judge(job(named=named))
    assert judgement.broken == ()
    assert set(judgement.kept) >= EARLY


@pytest.mark.parametrize(
    ("change", "breach"),
    [
        (drop(0), ("W1", "start")),
        (insert(2, JOB_EVENTS[0]), ("W1", "start twice")),
        (drop(LAST), ("W1", "end")),
        (lambda events: [], ("W1", "end")),
        (insert(LAST, JOB_EVENTS[LAST]), ("W1", "end twice")),
        (lambda events: [*events, FAILED], ("W1", "end twice")),
        (lambda events: [*events[:3], FAILED, FAILED], ("W1", "end twice")),
        (lambda events: [*events, events[3]], ("W1", "after the end")),
        (lambda events: [*events[:3], FAILED, events[3]], ("W1", "after the end")),
        (drop(1, "type"), ("W2", "no type")),
        (lambda events: [b'event: other\ndata: {"type": "metrics"}\n\n', *events], ("W2", "other name")),
        (drop(0, "model"), ("W3", "missing")),
        (put(5, 1, "t"), ("W3", "wrong")),
        (put("soon", LAST, "decode_time_ms"), ("W3", "wrong")),
        (put(float("nan"), LAST, "decode_time_ms"), ("W3", "wrong")),
        (put("tired", LAST, "stop_reason"), ("W3", "stop_reason")),
        (drop(LAST, "stop_reason"), ("W3", "stop_reason")),
        (lambda events: [*events[:3], {"type": "error", "message": "x"}], ("W3", "error")),
        (put(5, 2, "i"), ("W4", "index")),
        (put(True, 2, "i"), ("W4", "index")),
        (drop(2), ("W4", "index")),
        (put(4, LAST, "tokens_out"), ("W4", "count")),
        (put("job-2", 0, "job_id"), ("W5", "job_id")),
        (put("the END", 1, "t"), ("W5", "stop")),
    ],
)
def test_a_job_breaks_the_rule(change: Change, breach: tuple[str, str]) -> None:
    assert breach in found(job(change))


def test_more_tokens_than_asked_for() -> None:
    assert found(job(asked={"max_tokens": 2})) == {("W5", "max_tokens")}


@pytest.mark.parametrize(
    "change",
    [
        lambda events: [*events[:3], FAILED],
        lambda events: [FAILED],
        lambda events: [*events[:LAST], "[DONE]"],
        put("eos", LAST, "stop_reason"),
    ],
)
def test_jobs_that_are_right(change: Change) -> None:
    assert not {name for name, _ in found(job(change)) if name.startswith("W")}


def test_a_job_that_we_broke_off_need_not_end() -> None:
    assert found(job(lambda events: events[:3], ending=Ending.CANCELLED)) == set()


@pytest.mark.parametrize(
    ("body", "kinds"),
    [
        ({"errors": [{"field": "prompt", "constraint": "non_empty", "message": "must not be empty"}]}, set()),
        ({"code": "VRAM_OOM", "message": "No memory", "retriable": True}, set()),
        ({"errors": []}, {("W6", "errors")}),
        ({"errors": [{"field": "prompt"}]}, {("W6", "errors")}),
        ({"errors": ["prompt"]}, {("W6", "errors")}),
        ({"code": "VRAM_OOM", "message": "No memory"}, {("W6", "keys")}),
        (["x"], {("W6", "keys")}),
    ],
)
def test_refusals(body: Any, kinds: set[tuple[str, str]]) -> None:
    assert found(answer("/execute", JOB_ASKED, body, status=400)) == kinds
