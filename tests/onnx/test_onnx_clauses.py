"""Checks of ONNX models: each clause of what may fail them fails once, through the keyword."""

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure, ModelError, MonitorError
from InferenceLibrary.onnx import placement as placements
from InferenceLibrary.onnx.benchmark_record import Benchmark, Row
from InferenceLibrary.onnx.placement import Placement

MACHINE = {"gpus": "no", "cpu": "one"}
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


def benchmark(seconds: float, *, batch: int = 1, machine: dict[str, str] | None = None) -> Benchmark:
    times = tuple(seconds * (1 + index / 1000) for index in range(50))
    row = Row("CPU", batch, False, 0.5, times)
    return Benchmark("net", 50, 5, (row,), machine or MACHINE, "2026-11-29T00:00:00+00:00")


@pytest.mark.parametrize(
    ("now", "error", "told"),
    [
        (benchmark(0.03), CheckFailure, "became slower"),
        (benchmark(0.01, machine={"gpus": "one", "cpu": "one"}), MonitorError, "measured elsewhere"),
        (benchmark(0.01, batch=2), MonitorError, "no row in common"),
    ],
    ids=["slower", "another machine", "no row in common"],
)
def test_slower_models(lib: InferenceLibrary, tmp_path: Path, now: Any, error: type[Exception], told: str) -> None:
    baseline = tmp_path / "baseline.json"
    benchmark(0.01).save(baseline)
    with pytest.raises(error, match=told):
        lib.onnx_model_should_not_be_slower(baseline, benchmark=now)


def test_a_model_that_is_as_fast_as_before(lib: InferenceLibrary, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.json"
    benchmark(0.01).save(baseline)
    lib.onnx_model_should_not_be_slower(baseline, benchmark=benchmark(0.01))


def test_a_baseline_that_is_missing(lib: InferenceLibrary, tmp_path: Path) -> None:
    with pytest.raises(MonitorError, match="does not exist"):
        lib.onnx_model_should_not_be_slower(tmp_path / "none.json", benchmark=benchmark(0.01))


def profiled(lib: InferenceLibrary, monkeypatch: pytest.MonkeyPatch, profile: Any) -> None:
    """Have the profiler say this of a model that is loaded on a GPU."""
    model = SimpleNamespace(name="net", inputs=[], active=[CUDA, CPU], notes=[], note_mark=0)
    monkeypatch.setattr(lib.context.onnx_models, "get", lambda _: model)
    monkeypatch.setattr(lib, "onnx_notes", lambda _: nullcontext())
    monkeypatch.setattr(placements, "profile_placement", profile)


def test_what_the_gpu_computes_in_part_or_not_at_all(lib: InferenceLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Placement({CUDA: Counter(MatMul=2)}, {CUDA: 1.0})
    part = Placement({CUDA: Counter(MatMul=1), CPU: Counter(Add=1)}, {CUDA: 0.5, CPU: 0.5})
    none = Placement({CPU: Counter(Add=1)}, {CPU: 1.0})
    profiled(lib, monkeypatch, lambda *_, **__: whole)
    lib.onnx_model_should_run_on_gpu({})
    profiled(lib, monkeypatch, lambda *_, **__: part)
    with pytest.raises(CheckFailure, match=r"runs on the GPU in part: .*Add \(1\)"):
        lib.onnx_model_should_run_on_gpu({})
    profiled(lib, monkeypatch, lambda *_, **__: none)
    with pytest.raises(CheckFailure, match="does not run on a GPU"):
        lib.onnx_model_should_run_on_gpu({})


def test_a_model_that_cannot_be_profiled(lib: InferenceLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any, **__: Any) -> Placement:
        raise ModelError("it cannot be profiled")

    profiled(lib, monkeypatch, refused)
    with pytest.raises(ModelError, match="cannot be profiled"):
        lib.onnx_model_should_run_on_gpu({})


def test_what_is_not_a_batch(lib: InferenceLibrary, tmp_path: Path) -> None:
    lib.load_onnx_model(lib.create_onnx_model("mlp", tmp_path / "mlp.onnx"))
    lib.onnx_model_should_be_batch_invariant(batch=2)
    with pytest.raises(ModelError, match="was given no batch"):
        lib.onnx_model_should_be_batch_invariant(batch=1)


def test_an_output_without_a_row_for_each(lib: InferenceLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    port = SimpleNamespace(name="x", shape=("batch", 2), type="tensor(float)", dtype="float32")
    answer = SimpleNamespace(outputs={"y": np.zeros(3)})
    model = SimpleNamespace(name="net", inputs=[port], run=lambda *_, **__: answer)
    monkeypatch.setattr(lib.context.onnx_models, "get", lambda _: model)
    monkeypatch.setattr("InferenceLibrary.onnx.agreement.to_feed", lambda *_: {"x": np.zeros((2, 2))})
    with pytest.raises(ModelError, match="'y' has no row for each of the batch"):
        lib.onnx_model_should_be_batch_invariant({"x": [[0, 0], [0, 0]]})
