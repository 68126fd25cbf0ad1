"""Models made, loaded and run on the CPU; the silent fallback from a GPU is played with a session that does it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from alarm import Interruption, interruption

from InferenceLibrary.errors import MissingExtraError, ModelError
from InferenceLibrary.onnx.background import run_interruptibly
from InferenceLibrary.onnx.build import create_model, reference_outputs
from InferenceLibrary.onnx.compare import check_outputs
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions
from InferenceLibrary.onnx.providers import ProviderMissing, resolve_providers
from InferenceLibrary.onnx.stderr import CapturedStderr

CASES = {
    "matmul": ("[[1, 2], [0, 1]]", {"y": [[9, 12, 15], [4, 5, 6]]}),
    # x = [1, 2, 3]: before = [-1.5, 1.75, 1.5, -1.75], hidden = [0, 1.75, 1.5, 0]
    "mlp": ("[[1, 2, 3]]", {"y": [[0.25 - 1.75 + 0.75, -0.5 + 3.5 + 0.75]]}),
    "sigmoid": ("[[0, 1, -1, 100]]", {"y": [[0.5, 0.7310585786, 0.2689414214, 1.0]]}),
    "add": ('{"left": [[1, 2]], "right": [[10, 20]]}', {"total": [[11, 22]]}),
}


@pytest.mark.parametrize("kind", CASES)
def test_models_compute_what_is_known_of_them(kind: str, models: dict[str, Path]) -> None:
    inputs, expected = CASES[kind]
    model = load_model(models[kind])
    result = model.run(inputs)
    exact = kind != "sigmoid"
    check_outputs(result.outputs, expected, rtol=0 if exact else 1e-6, atol=0, dtype="float32")
    check_outputs(result.outputs, reference_outputs(models[kind], inputs), rtol=1e-6, atol=0)
    assert model.active == ["CPUExecutionProvider"]
    assert model.placement is None or sum(model.placement.values()) > 0
    assert str(result).startswith(f"{kind}: ")
    assert "float32[" in str(model)


def test_wrong_weights_would_be_noticed(tmp_path: Path) -> None:
    """The reference evaluator and onnxruntime are two: a changed file changes both, a changed expectation fails."""
    model = load_model(create_model("matmul", tmp_path / "m.onnx"))
    with pytest.raises(AssertionError, match="differs in 1 of 3 values"):
        check_outputs(model.run("[[1, 2]]").outputs, {"y": [[9, 12, 15.5]]}, rtol=1e-3, atol=0)


def broken(folder: Path, kind: str, models: dict[str, Path]) -> Path:
    path = folder / f"{kind}.onnx"
    whole = models["mlp"].read_bytes()
    if kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({"empty": b"", "truncated": whole[: len(whole) // 2], "garbage": b"not a model" * 20}[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "does not exist. Hint: Create Onnx Model makes one"),
        ("empty", "is empty: expected a .onnx file, got 0 bytes."),
        ("folder", "is a folder: expected a .onnx file."),
        ("truncated", "cannot be loaded: got Load model from"),
        ("garbage", "cannot be loaded: got Load model from"),
    ],
)
def test_bad_files_give_one_line(
    kind: str, message: str, tmp_path: Path, models: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    path = broken(tmp_path, kind, models)
    with pytest.raises(ModelError) as error:
        load_model(path)
    text = str(error.value)
    assert text.startswith(f"ONNX model '{path}' {message}")
    assert "\n" not in text
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ("CUDAA", ModelError, r"Unknown ONNX provider 'CUDAA': expected one of: .*CPU\. Hint: did you mean CUDA\?"),
        ("", ModelError, "No ONNX provider was named"),
        ([], ModelError, "No ONNX provider was named"),
        (
            "MIGraphX",
            ProviderMissing,
            r"MIGraphXExecutionProvider is not in this onnxruntime .*: expected one of: .*CPU",
        ),
    ],
)
def test_unfit_providers_are_refused(asked: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        resolve_providers(asked)


@pytest.mark.parametrize("asked", ["CPU", "cpu", "CPUExecutionProvider", "cpuexecutionprovider", ["CPU"], " CPU ,"])
def test_provider_names_have_short_forms(asked: Any) -> None:
    assert resolve_providers(asked) == ["CPUExecutionProvider"]


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this onnxruntime has CUDA"
)
def test_cuda_in_a_cpu_build_says_what_to_install() -> None:
    with pytest.raises(ProviderMissing, match=r"CUDAExecutionProvider is not in this .* Hint: .*onnxruntime-gpu"):
        resolve_providers("CUDA")


class FallenBack:
    """A session as a GPU build makes it without a GPU: it complains on standard error and takes the CPU."""

    def __init__(self, path: str, options: Any, providers: list[str]) -> None:
        os.write(2, b"\x1b[1;31m[E:onnxruntime] libcublasLt.so.13: cannot open shared object file\x1b[m\n")
        self._real = _session(path, options, providers=["CPUExecutionProvider"])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


_session = onnxruntime.InferenceSession


@pytest.fixture
def gpu_build_without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("CUDA not found"), raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FallenBack)


@pytest.mark.usefixtures("gpu_build_without_gpu")
def test_silent_fallback_is_a_failure(models: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ModelError) as error:
        load_model(models["mlp"], LoadOptions(providers="CUDA"))
    first, heading, *said = str(error.value).splitlines()
    assert first.startswith(
        "ONNX provider CUDAExecutionProvider did not start for 'mlp.onnx': "
        "expected CUDAExecutionProvider, got CPUExecutionProvider. Hint: "
    )
    assert heading == "What onnxruntime said:"
    assert said == ["    CUDA not found", "    [E:onnxruntime] libcublasLt.so.13: cannot open shared object file"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("gpu_build_without_gpu")
def test_fallback_that_is_allowed_is_told(models: dict[str, Path], capfd: pytest.CaptureFixture[str]) -> None:
    model = load_model(models["mlp"], LoadOptions(providers="CUDA,CPU", fallback=True))
    assert model.active == ["CPUExecutionProvider"]
    assert model.notes == ["CUDA not found", "[E:onnxruntime] libcublasLt.so.13: cannot open shared object file"]
    assert capfd.readouterr().err == ""


def test_a_closed_model_says_so(models: dict[str, Path]) -> None:
    model = load_model(models["add"])
    model.close()
    model.close()
    with pytest.raises(ModelError, match="'add' is closed"):
        model.run("[]")


@pytest.mark.parametrize(
    ("module", "purpose"), [("onnxruntime", "Loading an ONNX model"), ("onnx", "Creating an ONNX model")]
)
def test_missing_package_names_the_extra(
    module: str, purpose: str, tmp_path: Path, models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    call = {
        "onnx": lambda: create_model("mlp", tmp_path / "m.onnx"),
        "onnxruntime": lambda: load_model(models["mlp"]),
    }[module]
    with pytest.raises(MissingExtraError) as error:
        call()
    assert str(error.value) == (
        f"{purpose} needs the package '{module}', which is not installed. "
        "Hint: pip install onnxruntime onnx numpy ml_dtypes pillow protobuf"
    )


def endless_model(path: Path) -> Path:
    """A loop of 2**62 rounds: nothing but cancelling ends it."""
    from onnx import TensorProto, helper, save

    body = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go"]), helper.make_node("Add", ["v_in", "v_in"], ["v"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v_in", TensorProto.FLOAT, [1]),
        ],
        [
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, [1]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["rounds", "", "x"], ["y"], body=body)],
        "endless",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [helper.make_tensor("rounds", TensorProto.INT64, [], [2**62])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    save(model, str(path))
    return path


def native_calls() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "inference-native-call"]


def test_a_run_that_does_not_end_is_cancelled(tmp_path: Path) -> None:
    model = load_model(endless_model(tmp_path / "endless.onnx"))
    with pytest.raises(ModelError, match=r"'endless' was not done: expected an answer within 0\.2 s, got none\."):
        model.run("[1]", timeout=0.2)
    for thread in native_calls():
        thread.join(10)
    assert not native_calls(), "the native call went on"


def test_a_run_obeys_a_signal(tmp_path: Path) -> None:
    """Robot's timeouts and Ctrl-C are exceptions raised by a signal handler in the main thread."""
    model = load_model(endless_model(tmp_path / "endless.onnx"))

    with interruption(0.2), pytest.raises(Interruption):
        model.run("[1]", timeout=60)
    for thread in native_calls():
        thread.join(10)
    assert not native_calls(), "the native call went on"


def test_errors_of_the_call_reach_the_caller() -> None:
    def fail() -> None:
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        run_interruptibly(fail, 5, lambda: None)
    assert run_interruptibly(lambda: 7, 5, lambda: None) == 7


def test_standard_error_comes_back_after_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    captured = CapturedStderr()

    def write_and_fail() -> None:
        with captured:
            os.write(2, b"inside\n\n")
            raise KeyError

    with pytest.raises(KeyError):
        write_and_fail()
    os.write(2, b"outside\n")
    assert captured.lines == ["inside"]
    assert capfd.readouterr().err == "outside\n"


def test_run_failure_of_a_model_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from onnx import TensorProto, helper, save

    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["y"])],
        "gather",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor("table", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 8
    save(made, str(tmp_path / "gather.onnx"))
    model = load_model(tmp_path / "gather.onnx")
    np.testing.assert_array_equal(model.run([2, 0]).outputs["y"], np.float32([3, 1]))
    with pytest.raises(ModelError, match=r"ONNX model 'gather' failed: got .*out of (data )?bounds") as error:
        model.run([7])
    assert "\n" not in str(error.value)
    assert capfd.readouterr().err == ""


def test_a_run_measures_itself(models: dict[str, Path]) -> None:
    started = time.perf_counter()
    result = load_model(models["mlp"]).run("[[1, 2, 3]]")
    assert 0 < result.elapsed < time.perf_counter() - started


def test_a_process_can_end_after_a_cancelled_run(tmp_path: Path) -> None:
    """Native code in a daemon thread must not be cut off by the end of the interpreter: that aborts the process."""
    path = endless_model(tmp_path / "endless.onnx")
    code = (
        "import sys\nfrom InferenceLibrary.errors import ModelError\n"
        "from InferenceLibrary.onnx.model import load_model\n"
        "try: load_model(sys.argv[1]).run('[1]', timeout=0.1)\n"
        "except ModelError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "was not done" in ended.stdout


@pytest.mark.parametrize("kind", ["matmul", "external"])
def test_a_model_that_cannot_be_written_whole_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path = create_model(kind, tmp_path / "x.onnx")
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert len(before) == (2 if kind == "external" else 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(ModelError, match=r"x\.(onnx|data)' cannot be written: got No space left on device"):
        create_model(kind, path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("kind", ["matmul", "external"])
def test_a_place_that_cannot_be_written_is_told_with_what_to_do(tmp_path: Path, kind: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"cannot be written: got .*\. Hint: give a file name in a directory that you"):
        create_model(kind, tmp_path / "file" / "x.onnx")
    pipe = tmp_path / "x.data"
    os.mkfifo(pipe)
    with pytest.raises(ModelError, match="got a pipe in its place, which is not a regular file"):
        create_model(kind, tmp_path / "x.onnx" if kind == "external" else pipe)
    assert pipe.is_fifo()
