"""Two loads compared: what is the same, what differs, what cannot be told."""

from __future__ import annotations

import random
from typing import Any

import pytest

from InferenceLibrary.errors import MonitorError
from InferenceLibrary.load import machine
from InferenceLibrary.load.compare import compare_rounds, compare_summaries, compare_values, needed, other_machine
from InferenceLibrary.load.figures import read_figure
from InferenceLibrary.monitor import gpu


def sample(center: float, count: int, seed: int) -> list[float]:
    draw = random.Random(seed)
    return [center * draw.lognormvariate(0, 0.2) for _ in range(count)]


@pytest.mark.parametrize(
    ("figure", "factor", "count", "verdict"),
    [
        ("ttft", 1.0, 2000, "same"),
        ("ttft", 1.3, 2000, "worse"),
        ("ttft", 0.7, 2000, "better"),
        ("rate", 1.3, 2000, "better"),
        ("rate", 0.7, 2000, "worse"),
        ("ttft", 1.1, 20, "cannot tell"),
    ],
)
def test_verdicts(figure: str, factor: float, count: int, verdict: str) -> None:
    found = compare_values(figure, sample(factor, count, 1), sample(1.0, count, 2))
    assert found.verdict == verdict
    assert f": {verdict}; " in str(found)
    assert found.ratio.low <= found.ratio.estimate <= found.ratio.high
    assert found.visible > 0.1


def test_equal_servers_are_seldom_called_different() -> None:
    wrong = 0
    for seed in range(60):
        verdict = compare_values("ttft", sample(1, 60, seed), sample(1, 60, 1000 + seed), tolerance=0).verdict
        wrong += verdict in {"worse", "better"}
    assert wrong <= 9  # 3 are expected; more than 9 come once in a thousand runs


@pytest.mark.parametrize(("rank", "count"), [(50, 6), (10, 36), (90, 36), (99, 368), (100, 2)])
def test_few_values_tell_nothing(rank: float, count: int) -> None:
    assert needed(rank) == count
    few = compare_values("ttft", [9.0] * (count - 1), [1.0] * 400, rank=rank)
    assert few.verdict == "cannot tell"
    assert str(few).endswith(f"{count - 1} values for 400 where each needs {count}")
    assert compare_values("ttft", [9.0] * count, [1.0] * 400, rank=rank).verdict == "worse"


@pytest.mark.parametrize(
    ("factors", "verdict"),
    [
        ([1.0, 1.01, 0.99, 1.02, 1.03, 1.0], "same"),
        ([1.3, 1.4, 1.3, 1.2, 1.3, 1.5], "worse"),
        ([0.7, 0.8, 0.7, 0.8, 0.8, 0.8], "better"),
        ([1.3, 1.4, 1.3, 1.05, 1.3, 1.5], "cannot tell"),
    ],
)
def test_rounds_are_compared_pair_by_pair(factors: list[float], verdict: str) -> None:
    # The machine slows down from round to round, which both servers share.
    before = [[round_ + 1.0, round_ + 1.0] for round_ in range(6)]
    now = [[factor * one[0]] for factor, one in zip(factors, before, strict=True)]
    found = compare_rounds("ttft", now, before)
    assert found.verdict == verdict
    assert (found.ratio.low, found.ratio.high) == pytest.approx((min(factors), max(factors)))


def test_rounds_that_cannot_be_compared() -> None:
    with pytest.raises(MonitorError, match="expected 6 rounds or more, got 5"):
        compare_rounds("ttft", [[1.0]] * 5, [[1.0]] * 5)
    with pytest.raises(MonitorError, match="expected positive values in every round, got 1 rounds without"):
        compare_rounds("ttft", [[1.0]] * 6, [[1.0]] * 5 + [[]])
    with pytest.raises(MonitorError, match="tolerance cannot be used"):
        compare_rounds("ttft", [[1.0]] * 6, [[1.0]] * 6, tolerance=2)


def test_names_of_figures_are_read() -> None:
    figure, reduce = read_figure("ttft_p99", ["failures"])
    assert (figure, reduce([1.0, 2.0])) == ("ttft", pytest.approx(1.99))
    with pytest.raises(MonitorError, match=r"Unknown figure 'tftp99': .* Hint: did you mean 'ttft_p99'\?"):
        read_figure("tftp99", ["failures"])
    with pytest.raises(MonitorError, match=r"did you mean 'failures'\?"):
        read_figure("failure", ["failures"])
    with pytest.raises(MonitorError, match="Unknown percentile"):
        read_figure("ttft_p101", [])


def test_another_gpu_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    def facts(*names: str) -> dict[str, str]:
        machine._gpus.cache_clear()
        monkeypatch.setattr(gpu, "gpu_status", lambda: gpu.GpuStatus(names, "" if names else "none here"))
        return machine.machine_facts()

    before, now = facts("L4", "L4"), facts()
    machine._gpus.cache_clear()
    assert other_machine({"machine": now}, {"machine": before}) == ["gpus none for L4, L4"]
    assert other_machine({"machine": now}, {"machine": dict(now)}) == []


def test_summaries_need_the_same_figures_and_name_another_machine() -> None:
    now: dict[str, Any] = {"samples": {"ttft": [1.0, 1.1], "rate": [1.0]}, "machine": {"cpu": "a", "cores": "2"}}
    before: dict[str, Any] = {"samples": {"ttft": [1.0, 1.1]}, "machine": {"cpu": "b", "cores": "2"}}
    assert [one.figure for one in compare_summaries(now, before)] == ["ttft"]
    assert other_machine(now, before) == ["cpu a for b"]
    with pytest.raises(MonitorError, match=r"expected both to have it, got none in the load\."):
        compare_summaries({"samples": {}}, before)
    with pytest.raises(MonitorError, match="Two loads have no figure to compare"):
        compare_summaries(now, {"samples": {}})
    with pytest.raises(MonitorError, match="tolerance cannot be used"):
        compare_values("ttft", [1.0], [1.0], tolerance=float("nan"))
    with pytest.raises(MonitorError, match="cannot be compared"):
        compare_values("ttft", [], [1.0])
