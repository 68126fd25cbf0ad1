"""Judgements on the CPU and against faked providers: placement, agreement, batches, rankings, golden files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_gpu import CPU, CUDA, FakeGpu

from InferenceLibrary.context import Context
from InferenceLibrary.errors import CheckFailure, ModelError
from InferenceLibrary.keywords.onnx_judging import OnnxJudgingKeywords
from InferenceLibrary.keywords.onnx_sessions import OnnxSessionKeywords
from InferenceLibrary.onnx.agreement import check_batch_invariant, check_deterministic
from InferenceLibrary.onnx.build import create_model
from InferenceLibrary.onnx.made_inputs import make_inputs
from InferenceLibrary.onnx.model import OnnxResult, load_model
from InferenceLibrary.onnx.options import LoadOptions
from InferenceLibrary.onnx.placement import check_on_gpu, profile_placement, read_profile
from InferenceLibrary.onnx.ranking import check_cosine, check_top, cosine, top


def made(kind: str, folder: Path, **options: Any) -> Any:
    return load_model(create_model(kind, folder / f"{kind}.onnx"), LoadOptions(**options))


def judging(outputs: dict[str, Any] | None = None) -> tuple[OnnxJudgingKeywords, OnnxResult]:
    keywords = OnnxJudgingKeywords()
    keywords.context = Context()
    return keywords, OnnxResult("net", outputs or {"y": np.float32([[1, 2]])}, 0.0)


def test_the_profile_says_who_computed_what(tmp_path: Path) -> None:
    model = made("mlp", tmp_path)
    placement = profile_placement(model, make_inputs(model.inputs, batch=2))
    assert dict(placement.operators) == {CPU: {"FusedGemm": 1, "Gemm": 1}}
    assert placement.share(CPU) == 1
    assert placement.seconds[CPU] > 0
    assert str(placement) == "CPU 2 of 2 nodes, 100% of the time"


def test_a_model_on_the_cpu_does_not_run_on_a_gpu(tmp_path: Path) -> None:
    model = made("mlp", tmp_path)
    placement = profile_placement(model, make_inputs(model.inputs))
    with pytest.raises(
        CheckFailure, match=r"does not run on a GPU: expected nodes .*, got CPU 2 of 2 nodes.* Hint: load"
    ):
        check_on_gpu(model, placement)


def test_a_model_whose_every_node_is_on_the_gpu_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpu().install(monkeypatch)
    model = made("mlp", tmp_path, providers="cuda")
    placement = profile_placement(model, make_inputs(model.inputs))
    assert check_on_gpu(model, placement, least=1.0) == CUDA


@pytest.fixture
def partly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    FakeGpu(left_on_cpu=("ReduceMean",)).install(monkeypatch)
    return made("center", tmp_path, providers="cuda,cpu")


def test_a_partial_fallback_names_the_operators(partly: Any) -> None:
    placement = profile_placement(partly, make_inputs(partly.inputs, batch=3))
    with pytest.raises(CheckFailure) as error:
        check_on_gpu(partly, placement)
    text = str(error.value)
    assert (
        "'center' runs on the GPU in part: expected every operator on the GPU, got elsewhere: ReduceMean (1);" in text
    )
    assert "CUDA 1 of 2 nodes" in text
    assert check_on_gpu(partly, placement, allowed_on_cpu=["reducemean"]) == CUDA
    with pytest.raises(CheckFailure, match="spends too little time on the GPU: expected at least 100% of the time"):
        check_on_gpu(partly, placement, allowed_on_cpu=["ReduceMean"], least=1.0)
    with pytest.raises(ModelError, match="least is a share: expected 0 to 1, got 50"):
        check_on_gpu(partly, placement, least=50)


def test_a_gpu_that_is_active_and_computes_nothing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpu(left_on_cpu=("Sigmoid",)).install(monkeypatch)
    model = made("sigmoid", tmp_path, providers="cuda,cpu")
    placement = profile_placement(model, make_inputs(model.inputs))
    with pytest.raises(CheckFailure, match=r"does not run on a GPU: .* Hint: CUDA is active and computes nothing"):
        check_on_gpu(model, placement)


def node(name: str, provider: str, duration: int) -> dict[str, Any]:
    about = {"provider": provider, "op_name": name}
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": duration, "args": about}


def test_the_first_run_counts_nodes_but_not_time() -> None:
    events = [node("A", CUDA, 1000), node("B", CPU, 1000), node("A", CUDA, 30), node("B", CPU, 10)]
    placement = read_profile([{"cat": "Session", "name": "model_run"}, *events], 2)
    assert placement.seconds == {CUDA: pytest.approx(30e-6), CPU: pytest.approx(10e-6)}
    assert (placement.nodes(CUDA), placement.nodes(CPU), placement.runs) == (1, 1, 1)
    assert placement.share(CUDA) == pytest.approx(0.75)
    with pytest.raises(ModelError, match="names no node"):
        read_profile([], 1)


def test_providers_that_agree_pass_and_others_name_the_worst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keywords = OnnxSessionKeywords()
    keywords.context = Context()
    judge = OnnxJudgingKeywords()
    judge.context = keywords.context
    gpu = FakeGpu()
    gpu.install(monkeypatch)
    keywords.load_onnx_model(create_model("mlp", tmp_path / "mlp.onnx"), providers="cuda", memory_limit="1 GB")
    judge.providers_should_agree("CUDA", "CPU", batch=3)
    gpu.wrong = 0.5
    with pytest.raises(
        CheckFailure, match=r"^CUDA and CPU do not agree on 'mlp': ONNX output 'y' float32\[3,2\] differs in 6"
    ):
        judge.providers_should_agree("CUDA", "CPU", batch=3)
    judge.providers_should_agree("CUDA", "CPU", by="argmax", batch=3)
    judge.providers_should_agree("CUDA", "CPU", atol=0.6)
    with pytest.raises(ModelError, match="One provider agrees with itself: expected two providers, got cpu and CPU"):
        judge.providers_should_agree("cpu", "CPU")
    assert gpu.open == 1, "what was loaded for the comparison is closed"


def test_a_model_that_varies_is_not_deterministic(tmp_path: Path) -> None:
    model = made("mlp", tmp_path)
    check_deterministic(model, make_inputs(model.inputs), runs=3, timeout=10)
    noise = made("noise", tmp_path)
    with pytest.raises(CheckFailure, match=r"^ONNX model 'noise' is not deterministic: run 2: ONNX output 'y'"):
        check_deterministic(noise, make_inputs(noise.inputs), runs=3, timeout=10)
    with pytest.raises(ModelError, match="runs cannot be used: expected 2 or more, got 1"):
        check_deterministic(model, make_inputs(model.inputs), runs=1, timeout=10)


def test_rows_that_depend_on_each_other_are_found(tmp_path: Path) -> None:
    model = made("mlp", tmp_path)
    feed = make_inputs(model.inputs, batch=3)
    assert check_batch_invariant(model, feed, rtol=None, atol=None, timeout=10) == 3
    center = made("center", tmp_path)
    with pytest.raises(CheckFailure, match=r"^ONNX model 'center' depends on its batch: row 0 alone and among 3: "):
        check_batch_invariant(center, make_inputs(center.inputs, batch=3), rtol=None, atol=None, timeout=10)
    for unfit in (make_inputs(model.inputs, batch=1), {"x": [[1, 2, 3]]}):
        with pytest.raises(ModelError, match=r"was given no batch: expected inputs .* of 2 or more, got sizes \[1\]"):
            check_batch_invariant(model, unfit, rtol=None, atol=None, timeout=10)
    choose = made("choose", tmp_path)
    assert check_batch_invariant(choose, {"positive": True, "x": [1, 2]}, rtol=None, atol=None, timeout=10) == 2


def test_the_highest_values_are_found_by_place() -> None:
    assert top(np.float32([[3, 1, 4], [5, 5, 2]]), 2).tolist() == [[2, 0], [0, 1]]
    assert top(np.uint8([0, 255, 3]), 3).tolist() == [1, 2, 0]
    assert top(np.int64([-(2**63), 2**63 - 1]), 1).tolist() == [1]
    for values, k in ((np.float32([1, 2]), 3), (np.float32([1, 2]), 0), (np.float32(1), 1), ([1, 2], 1)):
        with pytest.raises(ModelError):
            top(values, k)


def test_rankings_that_differ_name_the_row() -> None:
    outputs = {"y": np.float32([[1, 2, 3], [3, 2, 1]])}
    assert check_top(outputs, [[0.1, 0.2, 0.3], [9, 8, 7]], 3) == ["y"]
    with pytest.raises(
        CheckFailure, match=r"other highest values in 1 of 2 rows: expected \[0,2\] in row \[1\], got \[0,1\]"
    ):
        check_top(outputs, [[1, 2, 3], [3, 1, 2]], 2)
    assert check_top(outputs, [[1, 2, 3], [3, 1, 2]], 1) == ["y"]
    with pytest.raises(CheckFailure, match="wrong shape"):
        check_top(outputs, [[1, 2, 3]], 1)
    with pytest.raises(CheckFailure, match="is not finite"):
        check_top({"y": np.float32([np.nan, 1])}, [0, 1], 1)
    with pytest.raises(CheckFailure, match=r"in 1 of 1 rows: expected \[1\] in row \[\], got \[0\]"):
        check_top({"y": np.float32([1, 0])}, [0, 1], 1)


def test_directions_that_differ_name_the_row() -> None:
    outputs = {"y": np.float32([[1, 0], [0, 2]])}
    assert check_cosine(outputs, [[5, 0], [0, 1]], 0.999) == ["y"]
    with pytest.raises(
        CheckFailure, match=r"in 1 of 2 vectors: expected a cosine of at least 0\.999, got 0 in row \[1\]"
    ):
        check_cosine(outputs, [[5, 0], [1, 0]], 0.999)
    with pytest.raises(CheckFailure, match="length zero has no direction"):
        check_cosine(outputs, [[5, 0], [0, 0]], 0.5)
    with pytest.raises(ModelError, match="A cosine is from -1 to 1: got 2"):
        check_cosine(outputs, [[5, 0], [1, 0]], 2)
    assert cosine([1, 1], [1, 0]) == pytest.approx(0.5**0.5)


def test_golden_files_are_written_when_asked_for_and_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for suffix in ("npz", "json"):
        golden = str(tmp_path / "new" / f"golden.{suffix}")
        keywords, result = judging()
        with pytest.raises(ModelError, match="does not exist"):
            keywords.outputs_should_match(golden, result=result)
        keywords.outputs_should_match(golden, result=result, update=True)
        keywords.outputs_should_match(golden, result=result)
        _, other = judging({"y": np.float32([[1, 2.5]])})
        with pytest.raises(CheckFailure, match=r"differs in 1 of 2 values: expected 2, got 2\.5"):
            keywords.outputs_should_match(golden, result=other)
    keywords.outputs_should_match(result, result=result)


@pytest.mark.parametrize(
    ("outputs", "path", "error", "message"),
    [
        ({"y": np.float32([np.nan])}, "golden.npz", CheckFailure, "'y' is not finite"),
        ({"y": [{0: 1.0}]}, "golden.npz", ModelError, "'y' does not go into a .npz file: .* Hint: use a .json"),
        ({"y": np.float32([1])}, "golden.npy", ModelError, r"cannot be written: expected \.npz or \.json, got \.npy"),
        ({"y": np.float32([1])}, [1], ModelError, "Nothing to update: expected the path of"),
    ],
)  # fmt: skip
def test_what_cannot_be_golden_is_refused(
    outputs: dict[str, Any], path: Any, error: type[Exception], message: str, tmp_path: Path
) -> None:
    keywords, result = judging(outputs)
    with pytest.raises(error, match=message):
        keywords.outputs_should_match(tmp_path / path if isinstance(path, str) else path, result=result, update=True)
    assert list(tmp_path.iterdir()) == []


def test_judging_by_rank_or_direction_takes_no_tolerance() -> None:
    keywords, result = judging()
    keywords.outputs_should_match([[3, 7]], by="argmax", result=result)
    keywords.outputs_should_match([[3, 7]], by="top-k", k=2, result=result)
    keywords.outputs_should_match([[2, 4.01]], by="cosine", result=result)
    with pytest.raises(CheckFailure, match="other highest values"):
        keywords.outputs_should_match([[7, 3]], by="argmax", result=result)
    with pytest.raises(CheckFailure, match="points elsewhere"):
        keywords.outputs_should_match([[7, 3]], by="cosine", result=result)
    with pytest.raises(ModelError, match="rtol does not belong to by=cosine"):
        keywords.outputs_should_match([[2, 4]], by="cosine", rtol=0.1, result=result)


def test_getters_of_ranks_and_directions() -> None:
    keywords, result = judging()
    assert keywords.get_onnx_top_indices(k=2, result=result) == [[1, 0]]
    assert keywords.get_onnx_cosine_similarity([2, 4], ">=", 0.999, result=result) == pytest.approx(1)
    with pytest.raises(CheckFailure, match=r"Cosine similarity: expected >= 0\.9, got 0"):
        keywords.get_onnx_cosine_similarity([2, -1], ">=", 0.9, result=result)
    with pytest.raises(ModelError, match="Vectors do not fit"):
        keywords.get_onnx_cosine_similarity([1, 2, 3], result=result)


def test_finiteness_is_judged_by_itself() -> None:
    keywords, result = judging({"y": np.float32([1]), "z": [{0: float("inf")}]})
    with pytest.raises(CheckFailure, match=r"'z'\[0\]\[0\] is not finite"):
        keywords.outputs_should_be_finite(result=result)
    keywords, result = judging()
    keywords.outputs_should_be_finite(result=result)


def test_golden_json_is_readable(tmp_path: Path) -> None:
    keywords, result = judging({"y": np.float32([[1, 2]]), "p": [{0: 0.5}]})
    keywords.outputs_should_match(tmp_path / "g.json", result=result, update=True)
    assert json.loads((tmp_path / "g.json").read_text()) == {"y": [[1.0, 2.0]], "p": [{"0": 0.5}]}
    keywords.outputs_should_match(tmp_path / "g.json", result=result)
