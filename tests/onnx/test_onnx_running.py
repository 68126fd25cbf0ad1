"""Runs of every element type, control flow, sequences, external data, with and without IO binding; bad models."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from fake_gpu import CUDA, FakeGpu

from InferenceLibrary.errors import ModelError
from InferenceLibrary.onnx.build import create_model
from InferenceLibrary.onnx.element_types import ELEMENT_TYPES
from InferenceLibrary.onnx.made_inputs import make_inputs
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions


def made(kind: str, folder: Path, **options: Any) -> Any:
    dtype = options.pop("dtype", "float32")
    return load_model(create_model(kind, folder / f"{kind}.onnx", dtype=dtype), LoadOptions(**options))


@pytest.mark.parametrize("dtype", [item.name for item in ELEMENT_TYPES])
def test_every_element_type_goes_in_and_comes_out(dtype: str, tmp_path: Path) -> None:
    model = made("identity", tmp_path, dtype=dtype)
    feed = make_inputs(model.inputs, batch=3, dimensions={"columns": 2}, seed=5)
    got = model.run(feed).outputs["y"]
    assert got.shape == (3, 2)
    assert str(got.dtype) == ("object" if dtype == "str" else dtype)
    assert (got == feed["x"]).all()


def test_control_flow_sequences_and_maps(tmp_path: Path) -> None:
    choose = made("choose", tmp_path)
    for positive, expected in ((True, [1.0, -2.0]), (False, [-1.0, 2.0])):
        assert choose.run({"positive": positive, "x": [1, -2]}).outputs["y"].tolist() == expected
    repeat = made("repeat", tmp_path)
    assert repeat.run({"times": 3, "x": [1, 0.5]}).outputs["y"].tolist() == [8.0, 4.0]
    assert [part.tolist() for part in made("parts", tmp_path).run([1, 2]).outputs["parts"]] == [[1, 2], [2, 4]]
    outputs = made("zipmap", tmp_path).run([[0, 0], [1000, 0]]).outputs
    assert outputs["label"].tolist() == [0, 0]
    assert outputs["probabilities"] == [{0: 0.5, 1: 0.5}, {0: 1.0, 1: 0.0}]


def test_the_models_inside_onnxruntime_run() -> None:
    folder = Path(onnxruntime.__file__).parent / "datasets"
    iris = load_model(folder / "logreg_iris.onnx")
    outputs = iris.run(np.ones((3, 2), np.float32)).outputs
    assert outputs["label"].shape == (3,)
    assert sum(outputs["probabilities"][0].values()) == pytest.approx(1, abs=1e-5)
    mul = load_model(folder / "mul_1.onnx")
    assert mul.run(make_inputs(mul.inputs, seed=1)).outputs[mul.outputs[0].name].shape == (3, 2)


@pytest.mark.parametrize("kind", ["matmul", "external", "mlp"])
def test_io_binding_gives_the_same(kind: str, tmp_path: Path) -> None:
    plain, bound = made(kind, tmp_path), made(kind, tmp_path, io_binding=True)
    kept = []
    for seed, batch in enumerate((1, 4, 4, 2)):
        feed = make_inputs(plain.inputs, batch=batch, seed=seed)
        kept.append((bound.run(feed).outputs["y"], plain.run(feed).outputs["y"]))
    # The memory of the first results is not that of later runs.
    for got, expected in kept:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("kind", "dtype"), [("zipmap", "float32"), ("identity", "str"), ("identity", "bfloat16")])
def test_what_cannot_be_bound_says_so(kind: str, dtype: str, tmp_path: Path) -> None:
    model = made(kind, tmp_path, dtype=dtype, io_binding=True)
    with pytest.raises(ModelError, match="io_binding cannot be used: expected tensors of numbers that numpy has, got "):
        model.run(make_inputs(model.inputs))


def test_a_cuda_graph_needs_the_shapes_of_its_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu()
    gpu.install(monkeypatch)
    model = made("matmul", tmp_path, providers="cuda,cpu", cuda_graph=True)
    assert gpu.asked == [[(CUDA, {"device_id": "0", "enable_cuda_graph": "1"}), ("CPUExecutionProvider", {})]]
    # The fake has no memory of a GPU: the same binding is tried on that of the host.
    model.active = ["CPUExecutionProvider"]
    for _ in range(2):
        assert model.run([[1, 1], [0, 1]]).outputs["y"].tolist() == [[5, 7, 9], [4, 5, 6]]
    with pytest.raises(
        ModelError, match=r"'x' has the wrong shape: expected \[2, 2\], as in the run that the CUDA graph"
    ):
        model.run([[1, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device_id": 1}, "device_id belongs to another provider: expected one of: CUDA, Dml, .*, got CPU"),
        ({"memory_limit": 10**9}, "memory_limit belongs to another provider: expected one of: CUDA, .*, got CPU"),
        ({"cuda_graph": True}, "cuda_graph belongs to another provider: expected one of: CUDA, Tensorrt, got CPU"),
        ({"provider_options": {"CUDA": {}}}, "provider_options names 'cuda': expected one of the providers .*: CPU"),
        ({"threads": 0}, "threads cannot be used: expected a whole number above 0, got 0"),
        ({"memory_limit": 0, "providers": "cuda"}, "memory_limit cannot be used: expected a size above 0"),
        ({"device_id": -1, "providers": "cuda"}, "device_id cannot be used: expected 0 or more, got -1"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit_are_refused(
    options: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeGpu().install(monkeypatch)
    with pytest.raises(ModelError, match=message):
        made("matmul", tmp_path, **options)


def test_a_device_that_does_not_exist_is_named_with_those_that_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from InferenceLibrary.monitor.gpu import GpuStatus

    FakeGpu().install(monkeypatch)
    monkeypatch.setattr("InferenceLibrary.onnx.options.gpu_status", lambda: GpuStatus(("Card A", "Card B")))
    made("matmul", tmp_path, providers="cuda", device_id=1)
    with pytest.raises(ModelError, match=r"does not exist: expected one of: 0 \(Card A\), 1 \(Card B\), got 2\."):
        made("matmul", tmp_path, providers="cuda", device_id=2)


def test_options_reach_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = FakeGpu()
    gpu.install(monkeypatch)
    made("matmul", tmp_path, providers="cuda", memory_limit=10**9, provider_options={"CUDA": {"use_tf32": 0}})
    limits = {"gpu_mem_limit": "1000000000", "arena_extend_strategy": "kSameAsRequested", "use_tf32": "0"}
    assert gpu.asked == [[(CUDA, {"device_id": "0", **limits})]]
    options = LoadOptions(graph_optimization="basic", threads=3, session_config={"session.set_denormal_as_zero": "1"})
    made_options = options.for_session(onnxruntime)
    assert made_options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert made_options.intra_op_num_threads == 3
    assert made_options.get_session_config_entry("session.set_denormal_as_zero") == "1"


def test_memory_that_cannot_be_had_is_told_and_the_model_lives_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = made("repeat", tmp_path)
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("ConstantOfShape", ["shape"], ["y"])],
        "huge",
        [helper.make_tensor_value_info("shape", TensorProto.INT64, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    made_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made_model.ir_version = 8
    save(made_model, str(tmp_path / "huge.onnx"))
    model = load_model(tmp_path / "huge.onnx")
    with pytest.raises(ModelError) as error:
        model.run([2**22, 2**20])
    assert str(error.value) == (
        "ONNX model 'huge' failed: got out of memory for 1.76e+04 GB in operator ConstantOfShape. "
        "Hint: a smaller batch, memory_limit=, or a machine with more memory"
    )
    assert capfd.readouterr() == ("", "")
    assert any("Failed to allocate memory" in line for line in model.notes), "what the runtime wrote is kept"
    assert model.take_notes() == model.notes
    assert model.take_notes() == []
    assert model.run([1, 2]).outputs["y"].tolist() == [[0, 0]]


def test_memory_of_a_device_that_cannot_be_had_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running MatMul node. "
        "Name:'/layer/MatMul' Status Message: /onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc:129 "
        "CUDA failure 2: out of memory ; GPU=0 ; hostname=box ; expr=cudaMalloc((void**)&p, size); "
    )
    gpu = FakeGpu(error=words)
    gpu.install(monkeypatch)
    model = made("matmul", tmp_path, providers="cuda")
    with pytest.raises(ModelError) as error:
        model.run([[1, 1]])
    assert str(error.value).startswith("ONNX model 'matmul' failed: got out of memory in operator MatMul. Hint: ")
    model.close()
    del error
    assert gpu.open == 0, "the session was released"


def changed(path: Path, **changes: Any) -> Path:
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    if "opset" in changes:
        model.opset_import[0].version = changes["opset"]
    if "ir" in changes:
        model.ir_version = changes["ir"]
    if "operator" in changes:
        model.graph.node[0].op_type = changes["operator"]
    if "domain" in changes:
        model.graph.node[0].domain = changes["domain"]
        model.opset_import.append(onnx.helper.make_opsetid(changes["domain"], 1))
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"opset": 99}, "opset 99 is newer than this onnxruntime knows"),
        ({"ir": 99}, "IR version 99 is newer than this onnxruntime knows (at most "),
        ({"operator": "Zap"}, "operator Zap is not in opset 17 of this onnxruntime"),
        ({"operator": "Zap", "domain": "my.own"}, "operator my.own:Zap is not in this onnxruntime"),
    ],
)  # fmt: skip
def test_a_model_for_another_runtime_is_refused_by_its_reason(
    changes: dict[str, Any], reason: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = changed(create_model("matmul", tmp_path / "m.onnx"), **changes)
    with pytest.raises(ModelError) as error:
        load_model(path)
    assert str(error.value).startswith(f"ONNX model '{path}' cannot be loaded: got {reason}")
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_external_data_that_is_missing_or_short_is_named(tmp_path: Path) -> None:
    path = create_model("external", tmp_path / "m.onnx")
    data = tmp_path / "m.data"
    whole = data.read_bytes()
    assert load_model(path).run([[1, 0]]).outputs["y"].tolist() == [[1, 2, 3]]
    data.write_bytes(whole[:10])
    with pytest.raises(ModelError, match="its external data is too short: tensor W ends at byte 24, the file has 10"):
        load_model(path)
    data.unlink()
    with pytest.raises(ModelError, match=f"its external data '{data}' does not exist"):
        load_model(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 12345678\n",
            "is a Git LFS pointer: expected the model itself, got a text of 71 bytes that names it. "
            "Hint: git lfs pull fetches it",
        ),
        (b"\n<!DOCTYPE html><html>", "is a web page: expected the model itself, got HTML. Hint: download the file"),
    ],
)
def test_what_stands_in_place_of_a_model_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError) as error:
        load_model(path)
    assert str(error.value).startswith(f"ONNX model '{path}' {message}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    path = create_model("matmul", tmp_path / "m.onnx")
    path.chmod(0)
    with pytest.raises(ModelError, match="cannot be read: got Permission denied"):
        load_model(path)


def test_metadata_is_told(tmp_path: Path) -> None:
    metadata = made("matmul", tmp_path).metadata
    assert metadata["producer"] == "robotframework-inferencelibrary"
    assert json.dumps(metadata["custom"]) == "{}"


def test_values_come_from_files(tmp_path: Path) -> None:
    model = made("add", tmp_path)
    left, right = np.float32([[1, 2]]), np.float32([[3, 4]])
    np.save(tmp_path / "left.npy", left)
    np.savez(tmp_path / "both.npz", left=left, right=right)
    (tmp_path / "both.json").write_text('{"left": [[1, 2]], "right": [[3, 4]]}')
    for inputs in (
        {"left": str(tmp_path / "left.npy"), "right": right},
        str(tmp_path / "both.npz"),
        tmp_path / "both.json",
    ):
        assert model.run(inputs).outputs["total"].tolist() == [[4, 6]]
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    (tmp_path / "broken.json").write_text("{")
    np.save(tmp_path / "pickled.npy", np.array([{}], object))
    for name in ("broken.npy", "broken.npz", "broken.json", "pickled.npy"):
        with pytest.raises(ModelError, match=f"{name}' cannot be read: got "):
            model.run(str(tmp_path / name))


def test_scalars_and_free_dimensions_are_made_up(tmp_path: Path) -> None:
    choose = made("choose", tmp_path)
    assert [value.shape for value in make_inputs(choose.inputs, dimensions={"n": 5}).values()] == [(), (5,)]
    matmul = made("matmul", tmp_path)
    first, again = make_inputs(matmul.inputs, seed=1), make_inputs(matmul.inputs, seed=1)
    assert (first["x"] == again["x"]).all()
    assert (first["x"] != make_inputs(matmul.inputs, seed=2)["x"]).all()
    drawn = make_inputs(matmul.inputs, batch=500, low=3, high=4)["x"]
    assert drawn.shape == (500, 2)
    assert 3 <= drawn.min() < 3.1
    assert 3.9 < drawn.max() <= 4


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"dimensions": {"n": 2}}, "Unknown dimension 'n': expected one of: batch"),
        ({"dimensions": {"batch": -1}}, "Dimension 'batch' cannot be used: expected 0 or more, got -1"),
        ({"batch": 0}, "batch cannot be used"),
        ({"low": 2, "high": 1}, "The range is empty: expected low at most high, got 2 and 1"),
    ],
)
def test_inputs_that_cannot_be_made_up_are_refused(wanted: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=message):
        make_inputs(made("matmul", tmp_path).inputs, **wanted)
    with pytest.raises(ModelError, match=r"The range does not fit: expected 0 to 255 \(uint8\)"):
        make_inputs(made("identity", tmp_path, dtype="uint8").inputs, high=300)
