"""Long loads: what the client keeps stays small, what becomes worse is told, and a condition ends them early."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tracemalloc
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from InferenceLibrary.errors import CheckFailure, MonitorError
from InferenceLibrary.keywords.shared.load_limits import read_limits, stopped_by
from InferenceLibrary.load import run as running
from InferenceLibrary.load.plan import LoadPlan, Rate, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.records import RecordStore
from InferenceLibrary.load.requests import Kind, Prompts
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.load.run import run

CHAT = Kind.chat(model="fake-model", max_tokens=4)
FACTS = WorkerFacts(1.0, 10.0, [0.0001], [0.0001], 1, [], 0, 0, None, 1)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--max-num-seqs", "100"]
    with subprocess.Popen([*command, "--inter-token-latency", "1ms"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline().rpartition(b':')[2])}"
        process.kill()


def record(number: int, ttft: float = 0.05, error: str | None = None) -> Record:
    micros = array("I", [round(ttft * 1e6) + step * 10_000 + number % 97 for step in range(16)]).tobytes()
    return Record(
        number, "chat", number * 0.01, number * 0.01, number * 0.01 + 0.3, status=200, first_token=ttft, error=error,
        rate=100.0, micros=micros, token_a_chunk=True, output_tokens=16, token_source="usage", answer_id=f"id-{number}",
    )  # fmt: skip


def result(records: list[Record]) -> LoadResult:
    return LoadResult(LoadPlan("http://x", Users(4)), 0.0, records, [FACTS], {}, 0.0)


def test_records_in_a_file_are_those_in_memory(tmp_path: Path) -> None:
    mixed = [record(number * 7 % 500) for number in range(500)]
    mixed[3].warmup = False
    found = []
    for few in (1000, 20):
        store = RecordStore(few)
        for one in mixed:
            store.add(msgspec.msgpack.encode(one))
        assert len(store) == 500
        records = store.records()
        assert [one.number for one in records] == list(range(500))
        assert [one.number for one in records[490:]] == list(range(490, 500))
        assert records[-1].number == 499
        whole = result(records)  # type: ignore[arg-type]
        folder = tmp_path / str(few)
        found.append([whole.summary(), *(path.read_bytes() for path in whole.save(folder))])
        assert whole.succeeded[7].number == 7
    assert found[0] == found[1]


def peak_of(count: int) -> int:
    """Bytes that the client takes at most for so many records: from their arrival to the files."""
    tracemalloc.start()
    try:
        store = RecordStore(100)
        for number in range(count):
            store.add(msgspec.msgpack.encode(record(number)))
        with tempfile.TemporaryDirectory() as folder:
            result(store.records()).save(Path(folder))  # type: ignore[arg-type]
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_memory_of_the_client_does_not_grow_with_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("InferenceLibrary.load.result._KEPT", 100)
    for name in ("_RESAMPLES", "_MEANS"):
        monkeypatch.setattr(f"InferenceLibrary.load.counted.{name}", 40)
    few, many = peak_of(400), peak_of(1_600)
    a_request = (many - few) / 1_200
    # A record is some 700 bytes as an object with its bytes; what is kept of it are counts and places.
    assert a_request < 350, f"{a_request:.0f} bytes a request"


@pytest.mark.parametrize("hold", [0, 10**9])
def test_what_a_worker_leaves_in_files_is_not_lost(
    url: str, hold: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(running, "HOLD", hold)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plan = LoadPlan(url, Rate(300), (CHAT,), Prompts(tokens=4), requests=240, warmup=10, workers=2)
    found = run(plan)
    assert [one.number for one in found.records] == list(range(250))
    assert found.failures == 0, found.errors
    assert all(one.broken == [] for one in found.measured)
    assert list(tmp_path.iterdir()) == []


def test_a_condition_ends_a_load(url: str) -> None:
    conditions = read_limits(["latency_p50 > 1 s", "ttft_p50 < 10 s"])
    found = run(LoadPlan(url, Users(4), (CHAT,), Prompts(tokens=4), duration=600), watch=stopped_by(conditions))
    assert len(found.measured) >= 20
    assert found.failures == 0, found.errors
    assert found.stopped is not None
    assert found.stopped.startswith("stopped: ttft_p50 ")
    assert found.stopped.endswith("requests (ttft_p50 < 10 s)")
    assert found.stopped in found.remarks


def test_a_condition_that_does_not_hold_ends_nothing() -> None:
    latest = [record(number) for number in range(100)]
    assert stopped_by(read_limits(["ttft_p99 > 1 s", "server_rate_p50 < 5", "error_rate > 1 %"]))(latest) is None
    latest[50].error = "cut"
    latest[51].error = "cut"
    said = stopped_by(read_limits(["error_rate > 1 %"]))(latest)
    assert said == "stopped: error_rate 2 % in the last 100 requests (error_rate > 1 %)"


def test_what_becomes_worse_is_a_drift() -> None:
    steady = result([record(number) for number in range(400)])
    assert steady.get("ttft_drift") == 0
    assert steady.get("itl_drift") == pytest.approx(0, abs=0.01)
    assert steady.get("error_rate_drift") == 0
    slower = result([record(number, 0.05 + number / 400 * 0.05) for number in range(400)])
    assert slower.get("ttft_drift") == pytest.approx(0.66, abs=0.02)
    failing = result([record(number, error="cut" if number >= 350 else None) for number in range(400)])
    assert failing.get("error_rate_drift") == 0.5
    read_limits(["ttft_drift < 10 %"])[0].check(steady)
    with pytest.raises(CheckFailure, match=r"Ttft_drift of 'server': expected < 10 %, got 6\d\.\d %\."):
        read_limits(["ttft_drift < 10 %"])[0].check(slower)
    with pytest.raises(CheckFailure, match=r"Error_rate_drift of 'server': expected <= 1 %, got 50 %\."):
        read_limits(["error_rate_drift <= 1 %"])[0].check(failing)
    with pytest.raises(
        MonitorError, match=r"A drift of time to first token cannot be told: expected 40 values or more, got 3"
    ):
        result([record(number) for number in range(3)]).get("ttft_drift")


def test_many_open_requests_are_counted_at_even_steps() -> None:
    few = result([record(number) for number in range(100)]).concurrency_over_time()
    many = result([record(number) for number in range(6000)]).concurrency_over_time()
    assert len(few) > 100
    assert len(many) == 5001
    assert 30 <= max(open_ for _, open_ in many) <= max(open_ for _, open_ in few) <= 31


def test_warmup_does_not_count() -> None:
    records = [record(number) for number in range(10)]
    for one in records[:4]:
        one.warmup = True
    found = result(records)
    assert len(found.measured) == 6
    assert found.tally.requests == 6
    assert found.totals["requests"] == 6
    assert replace(found, records=[]).totals["requests"] == 0
