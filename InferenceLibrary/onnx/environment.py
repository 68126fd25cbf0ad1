"""Whether ONNX models can be computed on a GPU here: driver, build of onnxruntime, CUDA, cuDNN, each looked for."""

from __future__ import annotations

import contextlib
import ctypes
import io
import sys
from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.errors import MissingExtraError
from InferenceLibrary.extras import gpu_command
from InferenceLibrary.monitor.gpu import gpu_status
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.stderr import CapturedStderr

_BUILD_HINT = gpu_command()


@dataclass(frozen=True)
class GpuInference:
    """Whether onnxruntime can use an NVIDIA GPU here.

    Args:
        reason: Why not, with what to do about it; empty when it can.
        gpus: Names of the GPUs.
        notes: What onnxruntime said while it looked for the libraries of CUDA.
    """

    reason: str = ""
    gpus: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)

    @property
    def available(self) -> bool:
        return not self.reason


def gpu_inference() -> GpuInference:
    """Return whether onnxruntime can use an NVIDIA GPU here, or the first thing that is missing."""
    status = gpu_status()
    if not status.available:
        return GpuInference(status.reason)
    try:
        runtime = packages.onnxruntime("Inference on a GPU")
    except MissingExtraError as error:
        return GpuInference(str(MissingExtraError(error.package, "onnx-gpu", "Inference on a GPU")), status.names)
    version = str(getattr(runtime, "cuda_version", "") or "")
    if "CUDAExecutionProvider" not in runtime.get_available_providers() or not version:
        return GpuInference(
            f"onnxruntime {runtime.__version__} is a build without CUDA. Hint: {_BUILD_HINT}", status.names
        )
    notes = preload(runtime)
    major = version.split(".", maxsplit=1)[0]
    for what, library, extra in (
        (f"CUDA {major}", _library("cudart", major), "cuda"),
        (f"CUDA {major}", _library("cublasLt", major), "cuda"),
        ("cuDNN 9", _library("cudnn", "9"), "cudnn"),
    ):
        missing = _missing(library)
        if missing:
            return GpuInference(
                f"onnxruntime {runtime.__version__} needs {what}, and {library} cannot be loaded: {missing}. "
                f"Hint: pip install 'onnxruntime-gpu[{extra}]'",
                status.names,
                notes,
            )
    return GpuInference("", status.names, notes)


def preload(runtime: Any) -> list[str]:
    """Have onnxruntime load the libraries of CUDA from wheels; return what it printed about it."""
    if not hasattr(runtime, "preload_dlls"):
        return []
    printed = io.StringIO()
    captured = CapturedStderr()
    with captured, contextlib.redirect_stdout(printed):
        runtime.preload_dlls()
    return [line for line in printed.getvalue().splitlines() if line.strip()] + captured.lines


def _library(name: str, major: str) -> str:
    return f"{name}64_{major}.dll" if sys.platform == "win32" else f"lib{name}.so.{major}"


def _missing(library: str) -> str:
    try:
        ctypes.CDLL(library)
    except OSError as error:
        return str(error).rstrip(".")
    return ""
