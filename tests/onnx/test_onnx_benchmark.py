"""Measurements of models: what is counted, what is compared, what is judged, and what cannot be measured."""

from __future__ import annotations

import dataclasses
import json
import mmap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from alarm import Interruption, interruption
from fake_gpu import FakeGpu

from InferenceLibrary.charts import Bar, bars_chart
from InferenceLibrary.context import Context
from InferenceLibrary.errors import CheckFailure, ModelError, MonitorError
from InferenceLibrary.keywords.onnx_measuring import OnnxMeasuringKeywords
from InferenceLibrary.onnx import benchmark as benchmark_module
from InferenceLibrary.onnx.benchmark import Plan, benchmark, own_memory
from InferenceLibrary.onnx.benchmark_record import Benchmark, Row, check_not_slower, read_benchmark
from InferenceLibrary.onnx.build import create_model
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions

MACHINE = {"cores": "2"}


def record(*rows: Row, machine: dict[str, str] | None = None) -> Benchmark:
    return Benchmark("net", 200, 20, rows, machine or MACHINE, "2026-11-29T00:00:00+00:00")


def row(times: list[float], provider: str = "CPU", batch: int = 4, **about: Any) -> Row:
    return Row(provider, batch, about.pop("io_binding", False), about.pop("first", 0.5), tuple(times), **about)


def test_rows_are_measured_by_provider_batch_and_binding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu()
    gpu.install(monkeypatch)
    model = load_model(create_model("mlp", tmp_path / "mlp.onnx"), LoadOptions(providers="cuda", memory_limit=10**9))
    monkeypatch.setattr("InferenceLibrary.onnx.running._DEVICES", {})  # the fake has no memory of a GPU
    plan = Plan(batches=(1, 4), runs=6, warmup=2, providers=("cuda", "cpu"), bindings=(False, True))
    found = benchmark(model, plan, timeout=60)
    assert [item.label for item in found.rows] == [
        "CUDA, batch 1", "CUDA, batch 1, bound", "CUDA, batch 4", "CUDA, batch 4, bound",
        "CPU, batch 1", "CPU, batch 1, bound", "CPU, batch 4", "CPU, batch 4, bound",
    ]  # fmt: skip
    for item in found.rows:
        assert len(item.times) == 6
        assert min(item.times) > 0
        assert item.first > 0
    assert gpu.open == 1, "only the loaded model itself is still there"
    assert found.machine["gpus"]


def test_the_first_run_is_none_of_those_that_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = iter([9.0, 5.0, 5.0, 1.0, 2.0, 3.0])
    monkeypatch.setattr(benchmark_module, "_timed", lambda *_args: next(taken))
    model = load_model(create_model("mlp", tmp_path / "mlp.onnx"))
    [item] = benchmark(model, Plan(runs=3, warmup=3), timeout=60).rows
    assert (item.first, item.times) == (9.0, (1.0, 2.0, 3.0))


def test_memory_is_back_after_unloading(tmp_path: Path) -> None:
    """A model of some 50 MB, again and again: what a closed one held is not kept for the next."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights = numpy_helper.from_array(np.ones((3500, 3500), np.float32), "W")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3500])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3500])],
        [weights],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    save(made, str(tmp_path / "large.onnx"))
    del made, graph, weights
    left = []
    for _ in range(4):
        model = load_model(tmp_path / "large.onnx")
        model.run(np.ones((1, 3500), np.float32))
        model.close()
        left.append(own_memory() or 0)
    assert max(left[1:]) - left[0] < 20_000_000


def test_figures_of_a_row() -> None:
    item = row([0.001, 0.002, 0.003, 0.010], host_growth=2_000_000, device_growth=-5_000_000)
    assert item.latency("p50") == pytest.approx(0.0025)
    assert item.latency("max") == 0.010
    assert item.latency("min") == 0.001
    assert item.latency("mean") == pytest.approx(0.004)
    assert item.throughput == pytest.approx(1000)
    assert str(item) == (
        "CPU, batch 4: median 2.5 ms, p99 9.79 ms, 1000 items/s, first run 500 ms, host +2 MB, device -5 MB"
    )
    for rank in ("p101", "often", ""):
        with pytest.raises(MonitorError, match="Unknown percentile"):
            item.latency(rank)


def test_memory_growth_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[mmap.mmap] = []

    def leaky(*_args: object) -> float:
        # Pages of its own: what malloc hands out may be memory that this process held before.
        kept.append(mmap.mmap(-1, 4_000_000))
        kept[-1].write(b"x" * 4_000_000)
        return 0.001

    monkeypatch.setattr(benchmark_module, "_timed", leaky)
    model = load_model(create_model("mlp", tmp_path / "mlp.onnx"))
    [item] = benchmark(model, Plan(runs=20, warmup=1), timeout=60).rows
    assert item.host_growth is not None
    assert item.host_growth > 40_000_000  # of 80 MB: what the process frees meanwhile counts against it
    for pages in kept:
        pages.close()
    assert own_memory() is not None


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"batches": ()}, "batch cannot be used: expected sizes above 0"),
        ({"batches": (0,)}, "batch cannot be used"),
        ({"runs": 1}, "runs cannot be used: expected 2 or more, got 1"),
        ({"warmup": 0}, "warmup cannot be used"),
        ({"bindings": ()}, "Nothing to measure"),
    ],
)
def test_plans_that_measure_nothing_are_refused(plan: dict[str, Any], message: str, tmp_path: Path) -> None:
    model = load_model(create_model("mlp", tmp_path / "mlp.onnx"))
    with pytest.raises(ModelError, match=message):
        benchmark(model, Plan(**plan), timeout=60)


def test_a_measurement_that_takes_too_long_says_how_far_it_came(tmp_path: Path) -> None:
    model = load_model(create_model("mlp", tmp_path / "mlp.onnx"))
    with pytest.raises(
        ModelError, match=r"was not measured: expected 100000000 runs .* within 0\.3 s, got \d+ with batch 1"
    ):
        benchmark(model, Plan(runs=10**8), timeout=0.3)


def test_a_measurement_obeys_a_signal(tmp_path: Path) -> None:
    model = load_model(create_model("mlp", tmp_path / "mlp.onnx"))
    with interruption(0.3), pytest.raises(Interruption):
        benchmark(model, Plan(runs=10**8), timeout=60)


def test_records_are_kept_whole(tmp_path: Path) -> None:
    found = record(row([0.1, 0.2], io_binding=True, host_growth=5), row([0.3, 0.4], "CUDA", device_growth=7))
    found.save(tmp_path / "new" / "b.json")
    assert read_benchmark(tmp_path / "new" / "b.json") == dataclasses.replace(found, rows=list(found.rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "kind None, schema None"),
        ('{"kind": "onnx-benchmark", "schema": 2}', "schema 2"),
        ('{"kind": "onnx-benchmark", "schema": 1}', "cannot be read"),
    ],
)
def test_files_that_are_not_baselines_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    with pytest.raises(MonitorError, match=r"does not exist. Hint: Benchmark Onnx Model"):
        read_benchmark(path)
    path.write_text(text)
    with pytest.raises(MonitorError, match=message):
        read_benchmark(path)


STEADY = [0.010 + 0.0001 * (number % 10) for number in range(100)]


def test_a_model_that_became_slower_fails_and_one_that_did_not_passes() -> None:
    base = record(row(STEADY))
    for factor, tolerance in ((1.0, 0.1), (1.3, 0.5), (0.5, 0.0)):
        [line] = check_not_slower(record(row([item * factor for item in STEADY])), base, tolerance)
        assert line.startswith("CPU, batch 4: ")
    with pytest.raises(
        CheckFailure, match=r"became slower \(CPU, batch 4\): expected at most 1\.1 times .*, got 1\.3 \[1\.2"
    ):
        check_not_slower(record(row([item * 1.3 for item in STEADY])), base, 0.1)
    # Three runs cannot tell.
    check_not_slower(record(row([0.013, 0.009, 0.013])), record(row([0.010, 0.010, 0.010])), 0.1)


def test_what_cannot_be_compared_is_refused() -> None:
    base = record(row(STEADY))
    with pytest.raises(
        MonitorError, match="measured elsewhere: expected the same machine and versions, got cores 64 for 2"
    ):
        check_not_slower(record(row(STEADY), machine={"cores": "64"}), base, 0.1)
    with pytest.raises(MonitorError, match="no row in common: expected CPU, batch 4, got CPU, batch 4, bound"):
        check_not_slower(record(row(STEADY, io_binding=True)), base, 0.1)
    for tolerance in (-0.1, float("nan"), float("inf")):
        with pytest.raises(MonitorError, match="tolerance cannot be used"):
            check_not_slower(base, base, tolerance)


def test_one_row_is_chosen_or_refused() -> None:
    found = record(row([1.0, 1.0]), row([2.0, 2.0], "CUDA"), row([3.0, 3.0], "CUDA", io_binding=True))
    assert found.row("cuda", io_binding=True).times == (3.0, 3.0)
    with pytest.raises(
        MonitorError, match=r"Several rows fit .*: expected one of: CUDA, batch 4; CUDA, batch 4, bound"
    ):
        found.row("CUDA")
    with pytest.raises(MonitorError, match=r"No row fits .*: expected one of: CPU, batch 4; CUDA"):
        found.row(batch=3)


def keywords(*rows: Row) -> OnnxMeasuringKeywords:
    group = OnnxMeasuringKeywords()
    group.context = Context()
    group.context.onnx_benchmarks.add(record(*rows))
    return group


def test_getters_judge() -> None:
    group = keywords(row([0.010, 0.020], host_growth=10_000_000))
    assert group.get_onnx_latency("<", "16 ms") == pytest.approx(0.015)
    assert group.get_onnx_latency(first=True) == 0.5
    assert group.get_onnx_throughput(">", 200) == pytest.approx(4 / 0.015)
    assert group.get_onnx_memory_growth("<", "11 MB") == 10_000_000
    for call in (
        lambda: group.get_onnx_latency("<", "14 ms"),
        lambda: group.get_onnx_latency("<", "400 ms", first=True),
        lambda: group.get_onnx_throughput(">", 300),
        lambda: group.get_onnx_memory_growth("<", "9 MB"),
    ):
        with pytest.raises(CheckFailure):
            call()
    with pytest.raises(MonitorError, match="Memory of the device was not seen: expected an NVIDIA GPU"):
        group.get_onnx_memory_growth("<", "9 MB", where="device")


def test_the_picture_has_a_bar_for_each_row() -> None:
    bars = [Bar("batch 1", "CPU", 2.0, 4.0), Bar("batch 1", "CUDA", 1.0), Bar("batch 4", "CPU", 3.0, 3.0)]
    picture = ET.fromstring(bars_chart("A <model>", "about it", [("ms a run", bars)]))
    rects = [item for item in picture.iter("{http://www.w3.org/2000/svg}rect") if item.get("rx") is None]
    heights = [float(item.get("height", "0")) for item in rects]
    assert len(heights) == 3
    assert heights[0] == pytest.approx(2 * heights[1], abs=0.3)
    assert heights[2] == pytest.approx(3 * heights[1], abs=0.3)
    texts = [item.text for item in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert {"A <model>", "about it", "CPU", "CUDA", "batch 1", "batch 4", "ms a run"} <= set(texts)
    for value in (float("nan"), -1.0):
        with pytest.raises(ValueError, match="finite and not negative"):
            bars_chart("", "", [("", [Bar("a", "b", value)])])
    with pytest.raises(ValueError, match="finite"):
        bars_chart("", "", [])


def test_the_file_is_json(tmp_path: Path) -> None:
    record(row([0.1, 0.2])).save(tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text())["rows"][0]["times"] == [0.1, 0.2]
