"""Gates on loads: what must fail does, whatever else is right."""

# ruff: noqa: E501 - answers and messages are quoted whole

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from assertionengine import AssertionOperator

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.route import Route
from InferenceLibrary.errors import CheckFailure, MonitorError
from InferenceLibrary.keywords.shared import test_facts
from InferenceLibrary.keywords.shared.load_limits import missed, read_limits, stopped_by
from InferenceLibrary.load import sweep
from InferenceLibrary.load.generation import Generation, OutputChunk
from InferenceLibrary.load.measurement import Measurement
from InferenceLibrary.load.plan import ASKED_TO_STOP, LoadPlan, Users
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.load.summaries import KIND, SCHEMA, read_summary
from InferenceLibrary.monitor.memory_record import GpuUsage, MemoryRecord, MemorySample
from InferenceLibrary.monitor.metrics import MetricsRecord

FACTS = WorkerFacts(1.0, 10.0, [0.0001] * 40, [0.0001], 1, [], 0, 0, None, 1)
BUSY = WorkerFacts(9.9, 10.0, [0.0001] * 40, [0.0001], 1, [], 0, 0, None, 1)
STOPPED = "30 of the last 100 requests failed, 20% are tolerated"


def load(count: int = 40, failed: int = 0, facts: WorkerFacts = FACTS, **more: Any) -> LoadResult:
    """A load of one user, whose last requests failed."""
    records = [
        Record(number, "chat", number, number, number + 0.5, status=200, first_token=0.05, **more)
        if number < count - failed
        else Record(number, "chat", number, number, number + 0.5, error="refused", detail="Connection refused")
        for number in range(count)
    ]
    return LoadResult(LoadPlan("http://x", Users(1)), 0.0, records, [facts], {"cpu": "a"}, 0.0)


def stopped(word: str) -> WorkerFacts:
    return WorkerFacts(1.0, 10.0, [0.0001] * 40, [0.0001], 1, [], 0, 0, word, 1)


@pytest.fixture
def lib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    monkeypatch.setattr(lib, "load", lambda found: found)
    yield lib
    lib.close()


def refused(lib: InferenceLibrary, found: LoadResult, *limits: str) -> str:
    with pytest.raises(CheckFailure) as caught:
        lib.load_should_meet(*limits, result=found)
    return str(caught.value)


def test_a_load_that_failed_whole_misses_each_limit(lib: InferenceLibrary) -> None:
    said = refused(lib, load(failed=40), "ttft_p99 < 1 s", "failures == 0", "requests >= 1").splitlines()
    assert said[0].startswith("The load of 'server' has no time to first token: got 0 of 40 requests succeeded")
    assert said[1] == "Failures of 'server': expected == 0, got 40."
    assert "    40 times refused" in said
    # A search takes it as a load that breaks the limits, and goes on.
    assert len(missed(load(failed=40), read_limits(["ttft_p99 < 1 s", "failures == 0", "requests >= 1"]))) == 2
    with pytest.raises(MonitorError, match=r"Unknown figure 'tftt_p99'.* did you mean"):
        lib.load_should_meet("failures == 0", "tftt_p99 < 1 s", result=load())


@pytest.mark.parametrize("early", ["by a condition", "by failures"])
def test_a_load_that_a_condition_ended_meets_nothing(lib: InferenceLibrary, early: str) -> None:
    found = load(facts=stopped(STOPPED)) if early == "by failures" else load()
    if early == "by a condition":
        found.stopped = "stopped: ttft_p99 3 s in the last 100 requests (ttft_p99 > 2 s)"
    assert refused(lib, found, "failures == 0").startswith(
        f"The load of 'server' ended early: got {found.stopped or STOPPED}."
    )


def test_what_was_measured_until_an_interruption_is_judged(lib: InferenceLibrary) -> None:
    lib.load_should_meet("failures == 0", "ttft_p99 < 1 s", result=load(facts=stopped(ASKED_TO_STOP)))


def test_an_inline_assertion_is_not_made_on_a_load_that_cannot_be_trusted(lib: InferenceLibrary) -> None:
    below = AssertionOperator["<"]
    with pytest.raises(CheckFailure, match=r"cannot be trusted: .* got a worker used 99% of its core"):
        lib.get_load_figure("ttft_p50", below, "1 s", result=load(facts=BUSY))
    assert lib.get_load_figure("ttft_p50", below, "1 s", result=load()) == pytest.approx(0.05)
    assert lib.get_load_figure("ttft_p50", result=load(facts=BUSY)) == pytest.approx(0.05)


def test_a_load_that_cannot_be_trusted_is_not_as_fast_as_expected(
    lib: InferenceLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = SimpleNamespace(name="one", model="m-7b", profile=SimpleNamespace(name="vllm"))
    monkeypatch.setattr(lib.context.servers, "get", lambda _: server)
    assert lib.latency_should_be_as_expected(load()) == pytest.approx(0.5)
    with pytest.raises(CheckFailure, match="cannot be trusted"):
        lib.latency_should_be_as_expected(load(facts=BUSY))


def test_a_worker_that_tells_nothing_is_a_doubt(lib: InferenceLibrary) -> None:
    found = load()
    found.workers = []
    assert found.doubts == ["0 of 1 workers told how they fared"]
    assert "cannot be trusted" in refused(lib, found, "failures == 0")
    assert "Failures of" not in refused(lib, found, "failures == 0")


def test_failures_of_the_server_are_told_beside_doubts(lib: InferenceLibrary) -> None:
    said = refused(lib, load(failed=3, facts=BUSY), "failures == 0").splitlines()
    assert said[0].startswith("The load of 'server' cannot be trusted")
    assert "Failures of 'server': expected == 0, got 3." in said
    assert "    3 times refused" in said


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("error_rate_drift <= 1 %", "error_rate_drift of the load of 'server' cannot be told: expected 40 requests or more, got 3."),
        ("repeated_ids == 0", "repeated_ids of the load of 'server' cannot be told: expected an answer with an id, got 0."),
        ("held_back == 0", "held_back of the load of 'server' cannot be told: expected an answer that succeeded and came in chunks, got 0."),
    ],
)  # fmt: skip
def test_a_total_of_nothing_does_not_pass(lib: InferenceLibrary, limit: str, said: str) -> None:
    assert refused(lib, load(3), limit).splitlines()[0] == said
    lib.load_should_meet(limit, result=distinct())


def distinct() -> LoadResult:
    """Streams of two chunks, each answer with an id of its own."""
    found = load(second_token=0.1)
    for one in found.records:
        one.answer_id = f"id-{one.number}"
    return found


@pytest.mark.parametrize(
    "limit",
    [
        "error_rate <= 1",
        "error_rate < 100 %",
        "error_rate <= 5",
        "delivered >= 98",
        "failures < inf",
        "rate_p50 > -inf",
    ],
)
def test_a_limit_that_says_nothing_is_refused(lib: InferenceLibrary, limit: str) -> None:
    with pytest.raises(MonitorError, match=r"says nothing: expected|cannot be read"):
        lib.load_should_meet(limit, result=load())
    lib.load_should_meet("error_rate <= 1 %", "delivered >= 0.98", "delivered <= 1", "error_rate >= 0", result=load())


def test_the_narrower_of_two_limits_on_a_figure_counts(lib: InferenceLibrary) -> None:
    assert lib.get_load_goodput("ttft < 10 ms", "ttft < 10 s", result=load()) == 0
    assert lib.get_load_goodput("ttft < 10 s", result=load()) > 0.9


def test_a_load_is_not_stopped_by_what_is_known_at_its_end() -> None:
    with pytest.raises(MonitorError, match=r"expected a figure of requests, got 'delivered < 98 %'"):
        stopped_by(read_limits(["delivered < 98 %"]))


def test_a_search_that_is_interrupted_keeps_what_it_found(
    lib: InferenceLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = SimpleNamespace(own_headers={}, listed=None, route=Route())
    known = SimpleNamespace(waivers=())
    server = SimpleNamespace(name="one", model="m", base_url="http://127.0.0.1:1", pid=None, known=known, client=client)
    monkeypatch.setattr(lib.context.servers, "get", lambda _: server)
    monkeypatch.setattr(test_facts, "note_load", lambda *_: None)

    def run(plan: LoadPlan) -> LoadResult:
        if plan.schedule == Users(4):
            raise KeyboardInterrupt
        return replace(load(), plan=plan)

    monkeypatch.setattr(sweep, "run", run)
    with pytest.raises(KeyboardInterrupt):
        lib.find_max_load("ttft_p50 < 1 s", requests=40)
    [path] = tmp_path.rglob("*rising*.json")
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert [(step["level"], step["kept"]) for step in kept["steps"]] == [(1, True), (2, True)]


# What a load is compared with.


def test_a_figure_that_a_load_has_lost_is_not_left_out(lib: InferenceLibrary, tmp_path: Path) -> None:
    load(rate=50.0).save(tmp_path)
    with pytest.raises(
        MonitorError,
        match=r"The tokens per second of a request of two loads .*: expected both .*, got none in the load\.",
    ):
        lib.compare_with_baseline(tmp_path, result=load())
    load().save(tmp_path)
    with pytest.raises(MonitorError, match=r"got none in the baseline\."):
        lib.compare_with_baseline(tmp_path, figures="ttft,rate", result=load(rate=50.0))
    assert [one.figure for one in lib.compare_with_baseline(tmp_path, result=load(rate=50.0))] == ["ttft", "latency"]


def test_a_misspelt_figure_is_not_left_out(lib: InferenceLibrary, tmp_path: Path) -> None:
    load().save(tmp_path)
    with pytest.raises(MonitorError, match=r"Unknown figure 'tftt'"):
        lib.compare_with_baseline(tmp_path, figures="latency,tftt", result=load())
    with pytest.raises(MonitorError, match=r"percentile cannot be used: expected 0 to 100, got 200"):
        lib.compare_with_baseline(tmp_path, percentile=200, result=load())


def test_a_load_that_fails_more_often_is_worse(lib: InferenceLibrary, tmp_path: Path) -> None:
    load().save(tmp_path)
    with pytest.raises(
        CheckFailure, match=r"More requests of 'server' fail than of its baseline: .* got 20 of 40 for 0 of 40"
    ):
        lib.compare_with_baseline(tmp_path, result=load(failed=20))
    # One of forty may be chance.
    assert lib.compare_with_baseline(tmp_path, result=load(failed=1))[0].verdict == "same"
    load(failed=20).save(tmp_path)
    assert lib.compare_with_baseline(tmp_path, result=load())[0].verdict == "same"


def test_a_baseline_that_cannot_be_trusted_proves_nothing(lib: InferenceLibrary, tmp_path: Path) -> None:
    load(facts=BUSY).save(tmp_path)
    with pytest.raises(CheckFailure, match=r"The baseline of 'server' cannot be trusted: .* got a worker used 99%"):
        lib.compare_with_baseline(tmp_path, result=load())
    lib.compare_with_baseline(tmp_path, undecided=True, result=load())
    slower = load()
    for one in slower.records:
        one.first_token = 0.4
    with pytest.raises(CheckFailure, match=r"got ttft worse"):
        lib.compare_with_baseline(tmp_path, result=slower)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("samples", None, r"Expected `object`, got `null` - at `\$\.samples`"),
        ("samples", {"ttft": [0.1, float("nan")]}, "values of ttft that are not numbers"),
        ("samples", {"ttft": []}, "values of ttft that are not numbers"),
        ("totals", {"requests": 3}, "no totals of requests and failures"),
        ("machine", ["a"], r"Expected `object`, got `array` - at `\$\.machine`"),
    ],
)
def test_a_summary_that_somebody_changed(tmp_path: Path, key: str, value: object, problem: str) -> None:
    data = load().summary()
    assert (data["kind"], data["schema"]) == (KIND, SCHEMA)
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({**data, key: value}), encoding="utf-8")
    with pytest.raises(MonitorError, match=rf"is not whole: expected .*, got {problem}\. Hint: "):
        read_summary(path)


def test_a_plan_of_several_workers_needs_the_word_of_each() -> None:
    found = load()
    found.plan = replace(found.plan, workers=2)
    assert found.doubts == ["1 of 2 workers told how they fared"]


# What is measured beside loads.


def watched(gpu: float | None = None) -> MemoryRecord:
    record = MemoryRecord("grown", 0.1, 0.0)
    for number in range(20):
        usage = None if gpu is None else GpuUsage(number, utilisation=gpu)
        record.add(MemorySample(number, 1, 100_000_000 + number * 1_000_000, gpus=usage))
    return record


@pytest.mark.parametrize("limit", ["nan %", "inf %", "nan MB"])
def test_a_limit_of_growth_is_a_number(lib: InferenceLibrary, limit: str) -> None:
    with pytest.raises(MonitorError, match=rf"got '{limit}'"):
        lib.memory_should_not_grow_by_more_than(limit, monitor=watched())


@pytest.mark.parametrize("least", ["0 %", "-5 %", "nan %", "200 %", "some"])
def test_a_gpu_that_did_nothing_was_not_used(lib: InferenceLibrary, least: str) -> None:
    with pytest.raises(MonitorError, match=rf"expected a share above zero, such as 20 %, got '{least}'"):
        lib.gpu_should_have_been_used(least=least, monitor=watched(gpu=0.0))
    with pytest.raises(CheckFailure, match="The GPU did not work for 'grown'"):
        lib.gpu_should_have_been_used(monitor=watched(gpu=0.0))


def test_a_metric_that_was_hardly_ever_read_is_not_judged(lib: InferenceLibrary) -> None:
    equal, readings = AssertionOperator["=="], [(0.0, (3.0,)), (1.0, (3.0,))]
    seldom = MetricsRecord("one", 1.0, ("failures",), 0.0, readings, missed=3, problem="connection refused")
    with pytest.raises(CheckFailure, match=r"got one: 2 readings of 1 metrics, 3 failed \(connection refused\)"):
        lib.get_measured_metric("failures", equal, 0, statistic="rise", monitor=seldom)
    assert lib.get_measured_metric("failures", monitor=seldom) == 3
    seldom.missed = 1
    lib.get_measured_metric("failures", equal, 0, statistic="rise", monitor=seldom)


def test_nothing_keeps_a_bar_of_nan(lib: InferenceLibrary) -> None:
    chunks = tuple(OutputChunk(0.1 * number) for number in range(1, 6))
    measured = Measurement("one", [Generation(0.0, chunks, 5, "usage", 1.0)])
    lib.measured_tokens_per_second_should_be_at_least(5, measurement=measured)
    with pytest.raises(CheckFailure, match=r"expected at least nan tokens/s, got 10 tokens/s"):
        lib.measured_tokens_per_second_should_be_at_least(float("nan"), measurement=measured)
