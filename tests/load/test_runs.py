"""Whole loads against the simulator and against servers that are wrong byte by byte."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import contextlib
import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from machine import patience
from wire_server import DONE, END_OF_BODY, HOLD, STREAM_HEAD, WireServer, delta, piece

from InferenceLibrary.errors import MonitorError
from InferenceLibrary.load.engine import LoadEngine
from InferenceLibrary.load.figures import FIGURES, TOTALS
from InferenceLibrary.load.plan import LoadPlan, Rate, Replay, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.requests import Kind, Prompts
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.load.run import InterruptedLoad, Progress, run
from InferenceLibrary.load.summaries import read_summary
from InferenceLibrary.load.sweep import SweepStep, knee, sweep

FIRST, GAP = 0.03, 0.005
CHAT = Kind.chat(model="fake-model", max_tokens=12)


@contextlib.contextmanager
def simulator(gap: float = GAP) -> Iterator[str]:
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--max-num-seqs", "1000"]
    command += ["--time-to-first-token", f"{FIRST}s", "--inter-token-latency", f"{gap}s", "--mode", "echo"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline().rpartition(b':')[2])}"
        process.kill()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with simulator() as url:
        yield url


@pytest.fixture
def slow_url() -> Iterator[str]:
    """Answers that last, so that an interruption finds some of them open."""
    with simulator(gap=0.06) as url:
        yield url


@pytest.fixture(scope="module")
def result(url: str) -> LoadResult:
    kinds = (
        Kind.chat(model="fake-model", max_tokens=12),
        Kind.chat(model="fake-model", name="whole", stream=False, max_tokens=12),
    )
    return run(LoadPlan(url, Users(4), kinds, Prompts(tokens=8), requests=40, warmup=4, seed=3))


def test_a_load_measures_what_was_set(result: LoadResult) -> None:
    assert (len(result.records), len(result.measured), result.failures) == (44, 40, 0), result.errors
    assert [one.number for one in result.records] == list(range(44))
    assert {one.kind for one in result.measured} == {"chat", "whole"}
    streamed = [one for one in result.measured if one.kind == "chat"]
    # Lower ends are exact; a busy machine delays, and never hastens.
    assert all(one.first_token >= FIRST - 0.001 for one in streamed if one.first_token is not None)
    assert all(one.latency >= FIRST + 7 * GAP - 0.001 for one in streamed)
    for one in streamed:
        gaps = FIGURES["itl"].values(one)
        assert len(gaps) == 7
        assert one.first_token is not None
        assert FIRST + 7 * GAP - 0.001 <= one.first_token + sum(gaps) <= one.latency + 0.001
        if min(gaps) > 0.001:  # else two chunks came at once, and the rate counts from the first burst
            assert one.rate == pytest.approx(7 / sum(gaps), rel=0.01)
    assert all(one.token_source == "usage" and one.output_tokens == 8 for one in result.measured)
    assert all(one.broken == [] for one in result.measured)
    assert result.totals["output_tokens"] == 320
    assert result.repeated_ids == 0
    assert 0 < max(open_ for _, open_ in result.concurrency_over_time()) <= 4
    assert result.goodput(ttft=60) > 0
    assert result.goodput(ttft=FIRST / 2) == 0
    assert result.distributions["latency"].count == 40


def test_a_result_is_kept_and_read_again(result: LoadResult, tmp_path: Path) -> None:
    summary, lines, table = result.save(tmp_path / "load")
    data = read_summary(summary)
    assert data["figures"]["ttft"]["count"] == len(data["samples"]["ttft"])
    assert data["totals"]["requests"] == 40
    assert tuple(data["totals"]) == TOTALS
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(rows) == 44
    assert len(next(row for row in rows if row["kind"] == "chat")["arrivals"]) == 8
    with table.open() as file:
        assert [int(row["number"]) for row in csv.DictReader(file)] == list(range(44))
    summary.write_text('{"kind": "inference-load", "schema": 2}')
    with pytest.raises(
        MonitorError, match="expected kind 'inference-load', schema 1, got kind 'inference-load', schema 2"
    ):
        read_summary(summary)
    summary.write_text("[")
    with pytest.raises(MonitorError, match="cannot be read"):
        read_summary(summary)
    with pytest.raises(MonitorError, match="does not exist"):
        read_summary(tmp_path / "none.json")


def test_an_open_loop_starts_on_time_with_any_number_of_workers(url: str) -> None:
    told: list[Progress] = []
    found = run(
        LoadPlan(url, Rate(40, poisson=True), (CHAT,), Prompts(tokens=4), duration=1.0, workers=2, seed=5), told.append
    )
    expected = _until(Rate(40, poisson=True).arrivals(5), 1.0)
    assert [one.scheduled for one in found.records] == pytest.approx(expected)
    assert all(one.sent >= one.scheduled for one in found.records)
    assert found.failures == 0, found.errors
    assert len(found.workers) == 2
    assert told
    assert "requests answered" in str(told[-1])


def _until(times: Iterator[float], end: float) -> list[float]:
    return [when for when in itertools.islice(times, 1000) if when <= end]


def test_a_trace_is_replayed_and_answers_belong_to_their_requests(url: str) -> None:
    kind = Kind.chat(model="fake-model", max_tokens=40, expect_prompt=True)
    found = run(LoadPlan(url, Replay((0, 0, 0.05, 0.05)), (kind,), Prompts(tokens=5)))
    assert [one.scheduled for one in found.records] == pytest.approx([0, 0, 0.05, 0.05])
    assert found.failures == 0, found.errors


def test_an_answer_to_another_request_fails(wire: Callable[..., WireServer]) -> None:
    server = wire(_stream("something else"))
    found = run(LoadPlan(server.url, Users(1), (Kind.chat(expect_prompt=True),), requests=2, judged=0))
    assert found.errors == {"wrong answer": 2}
    assert found.repeated_ids == 0
    assert "1 requests were sent again: the server had closed their idle connections" in found.remarks
    # Both answers have one id: where they count as good, that is said.
    found = run(LoadPlan(server.url, Users(1), requests=2, judged=0))
    assert found.repeated_ids == 1
    assert "1 answers have the id of another one" in found.remarks


def _stream(text: str) -> list[bytes]:
    return [STREAM_HEAD, piece(delta(role="assistant")), piece(delta(text)), piece(delta(finish="stop")), piece(DONE), END_OF_BODY]  # fmt: skip


HEAD = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"


@pytest.mark.parametrize(
    ("script", "error", "detail"),
    [
        ([HEAD % (b"500 No", 2, b"{}")], "status 500", "{}"),
        ([b""], "connection", "the server closed the connection before an answer"),
        ([STREAM_HEAD, piece(delta("a"))], "cut", "the server closed the connection after a part of the answer"),
        ([STREAM_HEAD, piece(delta("a")), HOLD], "stall", "nothing came for 0.3 s"),
        ([STREAM_HEAD, b"zz\r\n"], "protocol", "a chunk without a size"),
        ([b"SSH-2.0-x\r\n\r\n"], "protocol", "an answer that is not HTTP/1: b'SSH-2.0-x\\r\\n\\r\\n'"),
        ([STREAM_HEAD, piece(delta(role="assistant")), piece(delta(finish="stop")), piece(DONE), END_OF_BODY], "no output", "a stream without output"),
        ([STREAM_HEAD, piece(delta("a")), piece('data: {"error": {"message": "out of memory"}}\n\n'), END_OF_BODY], "error event", "{'message': 'out of memory'}"),
        ([STREAM_HEAD, piece(delta("a")), piece("data: {not json\n\n"), piece(delta(finish="stop")), piece(DONE), END_OF_BODY], "rules", None),
    ],
)  # fmt: skip
def test_each_failure_has_its_kind(
    wire: Callable[..., WireServer], script: list[Any], error: str, detail: str | None
) -> None:
    server = wire(script)
    found = run(LoadPlan(server.url, Users(1), requests=1, idle=0.3))
    assert found.errors == {error: 1}, found.records
    if detail is not None:
        assert found.records[0].detail == detail
    else:
        assert found.broken
    assert found.totals["error_rate"] == 1
    with pytest.raises(MonitorError, match="has no time to first token: got 0 of 1 requests succeeded"):
        found.get("ttft_p50")


def test_nobody_listens() -> None:
    found = run(LoadPlan("http://127.0.0.1:9", Users(1), requests=1))
    assert found.errors == {"refused": 1}


def test_too_many_errors_stop_the_run(wire: Callable[..., WireServer]) -> None:
    server = wire([HEAD % (b"503 Busy", 2, b"{}")])
    found = run(LoadPlan(server.url, Users(2), requests=5000, max_error_rate=0.5))
    assert len(found.records) < 100
    assert found.remarks[-1].endswith("requests failed, 50% are tolerated")


def test_a_share_is_cancelled_and_does_not_count_as_failed(slow_url: str) -> None:
    found = run(LoadPlan(slow_url, Users(4), (CHAT,), Prompts(tokens=8), requests=24, cancel=0.5))
    cancelled = [one for one in found.records if one.cancelled]
    assert 5 <= len(cancelled) <= 19
    assert found.failures == 0, found.errors
    assert len(found.succeeded) == 24 - len(cancelled)
    # Each left after its first output, and before the last.
    assert all(1 <= len(one.arrivals) < 8 for one in cancelled)


def test_an_interruption_keeps_what_was_measured(tmp_path: Path, slow_url: str) -> None:
    told: list[float] = []

    def interrupt() -> None:
        told.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    interruption = threading.Timer(patience(1.2), interrupt)
    interruption.start()
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            run(LoadPlan(slow_url, Users(2), (CHAT,), Prompts(tokens=4), duration=300))
    finally:
        interruption.cancel()
    returned = time.monotonic() - told[0]
    kept = caught.value.load  # type: ignore[attr-defined]
    assert isinstance(kept, InterruptedLoad)
    began = time.monotonic()
    found = kept.result()
    # What the workers have is fetched when it is asked for, so the interruption does not wait for it.
    assert returned < max(0.2, time.monotonic() - began)
    assert kept.result() is found
    assert len(found.succeeded) > 2
    assert found.failures == 0, found.errors
    assert 1 <= sum(one.cancelled for one in found.records) <= 2
    kept.redact = lambda text: text.replace("chatcmpl", "***")
    kept.kept_in = tmp_path
    kept.close()
    assert "chatcmpl" not in (tmp_path / "requests.jsonl").read_text() + (tmp_path / "requests.csv").read_text()
    assert "***" in (tmp_path / "requests.jsonl").read_text()
    assert kept.name == "server"


def test_a_sweep_ends_where_the_limits_break(url: str) -> None:
    plan = LoadPlan(url, Users(1), (CHAT,), Prompts(tokens=4), requests=8)
    steps = sweep(plan, [1, 2, 4], lambda found: found.plan.schedule != Users(2))
    assert [step.level for step in steps if step.kept] in ([1], [])
    assert len(steps) <= 2
    with pytest.raises(MonitorError, match="levels of a sweep do not rise"):
        sweep(plan, [2, 1], lambda _: True)
    with pytest.raises(MonitorError, match="A trace has no level"):
        sweep(replace(plan, schedule=Replay((0,))), [1], lambda _: True)


FACTS = WorkerFacts(1.0, 10.0, [0.0001] * 100, [0.0001], 1, [], 0, 0, None, 1)


def made(facts: WorkerFacts = FACTS, count: int = 10, each: float = 1.0) -> LoadResult:
    records = [
        Record(number, "chat", number * each, number * each, (number + 1) * each, status=200) for number in range(count)
    ]
    return LoadResult(LoadPlan("http://x", Rate(1), requests=count), 0.0, records, [facts], {}, 0.0)


@pytest.mark.parametrize(
    ("facts", "doubt"),
    [
        ({}, None),
        ({"lateness": [0.0] * 50 + [0.03] * 50}, "requests began 30.0 ms late (p99), 5 ms are tolerated"),
        ({"lateness": [0.0] * 999 + [1.0]}, "90.0% of the asked load was delivered, 98% are needed"),
        ({"cpu": 9.9}, "a worker used 99% of its core: give it workers= beside it"),
        ({"clock_steps": 2}, "the wall clock was set 2 times during the run"),
        ({"stalls": [0.03] * 5}, "a worker stood still for 150 ms in all"),
    ],
)
def test_a_client_that_was_the_bottleneck_is_told(facts: dict[str, Any], doubt: str | None) -> None:
    plain = {name: getattr(FACTS, name) for name in WorkerFacts.__struct_fields__}
    assert made(WorkerFacts(**{**plain, **facts})).doubts == ([doubt] if doubt else [])


@pytest.mark.parametrize(
    ("late", "doubt"), [(0.02, None), (0.1, "91.0% of the asked load was delivered, 98% are needed")]
)
def test_users_that_wait_for_the_client_are_told(late: float, doubt: str | None) -> None:
    facts = WorkerFacts(1.0, 10.0, [0.0001] * 9 + [late], [0.0001], 1, [], 0, 0, None, 1)
    records = made(each=0.1).records
    found = LoadResult(LoadPlan("http://x", Users(1), requests=10), 0.0, records, [facts], {}, 0.0)
    assert found.delivered < 0.985
    assert found.doubts == ([doubt] if doubt else [])
    assert (f"{found.delivered:.1%} of the asked load was delivered" in found.remarks) == (found.delivered < 0.98)


def test_a_rate_that_cannot_be_held_is_told(url: str) -> None:
    found = run(LoadPlan(url, Rate(1e6), (CHAT,), Prompts(tokens=4), requests=500, judged=0))
    assert found.doubts[0].endswith("% of the asked load was delivered, 98% are needed")


def test_a_stall_of_the_client_is_flagged(url: str) -> None:
    stalled: list[int] = []

    def stall(progress: Progress) -> None:
        if not progress.finished or stalled:
            return  # before its first answer the worker may not measure yet
        for line in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # others end meanwhile
                pid, _, rest = line.read_text().partition(" ")
                parent = int(rest.rpartition(")")[2].split()[1])
                if parent == os.getpid() and "load.worker" in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(int(pid), signal.SIGSTOP)
                    time.sleep(0.1)
                    os.kill(int(pid), signal.SIGCONT)
                    stalled.append(int(pid))

    plan = LoadPlan(url, Users(2), (CHAT,), Prompts(tokens=4), duration=60)
    found = run(plan, stall, watch=lambda _: "it stalled" if stalled else None)
    assert len(stalled) == 1
    assert max(found.workers[0].stalls) > 0.09
    assert any(remark.startswith("the client stalled") for remark in found.remarks)


def test_a_stall_just_before_the_end_is_noted(url: str) -> None:
    def stalls_and_stops(_engine: LoadEngine) -> bool:
        time.sleep(0.2)
        return True

    engine = LoadEngine(LoadPlan(url, Users(1), (CHAT,), Prompts(tokens=4)), 0, time.monotonic(), stalls_and_stops)
    engine.run()
    assert engine.stopped is not None
    assert max(engine.stalls) > 0.19


def test_the_knee_is_where_throughput_stops_to_rise() -> None:
    rates = {1: 10.0, 2: 20.0, 4: 39.0, 8: 42.0, 16: 43.0}
    steps = [SweepStep(level, made(count=int(rate * 10), each=1 / rate), True) for level, rate in rates.items()]
    found = knee(steps)
    assert found is not None
    assert found.level == 4
    assert knee(steps[:2]) is None
    straight, rising = (
        [SweepStep(level, made(count=int(rate * 10), each=1 / rate), True) for level, rate in enumerate(one, start=1)]
        for one in ([10.0, 20.3, 30.0, 40.0], [10.0, 10.5, 20.0, 40.0])
    )
    assert knee(straight) is None, "chance does not bend a line"
    assert knee(rising) is None, "a curve that bends upwards has no knee"
