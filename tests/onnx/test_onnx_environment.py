"""Why a GPU cannot be used for ONNX models: each thing that may be missing is found and told by name."""

from __future__ import annotations

import ctypes
import re
import sys
from typing import Any

import onnxruntime
import pytest
from robot.api import SkipExecution

from InferenceLibrary.context import Context
from InferenceLibrary.keywords.monitors import MonitorKeywords
from InferenceLibrary.monitor.gpu import GpuStatus
from InferenceLibrary.onnx import environment
from InferenceLibrary.onnx.environment import gpu_inference

CARD = GpuStatus(("Fake Card",))


class Machine:
    """A machine with a GPU, its driver, the GPU build and all libraries, of which some can be taken away."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.status = CARD
        self.providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
        self.missing: set[str] = set()
        self.looked_for: list[str] = []
        monkeypatch.setattr(environment, "gpu_status", lambda: self.status)
        monkeypatch.setattr("InferenceLibrary.monitor.gpu.gpu_status", lambda: self.status)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: self.providers)
        monkeypatch.setattr(onnxruntime, "cuda_version", "13.0", raising=False)
        monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("looked for CUDA"), raising=False)
        monkeypatch.setattr(ctypes, "CDLL", self.load)

    def load(self, name: str) -> Any:
        self.looked_for.append(name)
        if name in self.missing:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")
        return object()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(environment.sys, "platform", "linux")
    return Machine(monkeypatch)


def test_a_whole_machine_is_available(machine: Machine, capfd: pytest.CaptureFixture[str]) -> None:
    found = gpu_inference()
    assert found.available
    assert found.gpus == ("Fake Card",)
    assert found.notes == ["looked for CUDA"]
    assert machine.looked_for == ["libcudart.so.13", "libcublasLt.so.13", "libcudnn.so.9"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        ("libcudart.so.13", "needs CUDA 13, and libcudart.so.13 cannot be loaded: .*No such file"),
        ("libcublasLt.so.13", "needs CUDA 13, and libcublasLt.so.13 cannot be loaded: "),
        ("libcudnn.so.9", r"needs cuDNN 9, and libcudnn.so.9 cannot be loaded: .*onnxruntime-gpu\[cudnn\]"),
    ],
)
def test_a_missing_library_is_named(library: str, reason: str, machine: Machine) -> None:
    machine.missing = {library}
    assert not gpu_inference().available
    assert re.search(reason, gpu_inference().reason)


def test_no_driver_and_no_gpu_come_first(machine: Machine) -> None:
    machine.status = GpuStatus((), "No NVIDIA GPU can be used here: no driver.")
    machine.missing = {"libcudart.so.13"}
    assert gpu_inference().reason == "No NVIDIA GPU can be used here: no driver."


def test_a_wheel_without_gpu_says_what_to_install(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.providers = ["CPUExecutionProvider"]
    assert "is a build without CUDA. Hint: pip uninstall onnxruntime, then pip install" in gpu_inference().reason
    machine.providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "cuda_version", "")
    assert "is a build without CUDA" in gpu_inference().reason


def test_no_onnxruntime_says_what_to_install(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert gpu_inference().reason.endswith("Hint: pip install onnxruntime-gpu onnx numpy ml_dtypes pillow protobuf")


def test_windows_has_names_of_its_own(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.sys, "platform", "win32")
    assert gpu_inference().available
    assert machine.looked_for == ["cudart64_13.dll", "cublasLt64_13.dll", "cudnn64_9.dll"]


def test_the_keyword_skips_by_the_reason_only_when_onnx_is_asked_for(machine: Machine) -> None:
    keywords = MonitorKeywords()
    keywords.context = Context()
    machine.missing = {"libcudnn.so.9"}
    keywords.skip_unless_gpu_is_available()
    with pytest.raises(SkipExecution, match="needs cuDNN 9"):
        keywords.skip_unless_gpu_is_available(onnx=True)
    machine.missing = set()
    keywords.skip_unless_gpu_is_available(onnx=True)
    machine.status = GpuStatus((), "no driver")
    with pytest.raises(SkipExecution, match="no driver"):
        keywords.skip_unless_gpu_is_available(onnx=True)
