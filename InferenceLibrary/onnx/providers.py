"""Execution providers: the names people write, what this onnxruntime has, what a session really uses."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.extras import gpu_command
from InferenceLibrary.onnx import packages

_SUFFIX = "ExecutionProvider"

GPU_PROVIDERS = {
    f"{name}{_SUFFIX}" for name in ("CUDA", "Tensorrt", "NvTensorRTRTX", "ROCM", "MIGraphX", "Dml", "CoreML", "WebGpu")
}
"""Providers that compute on a GPU or a like device."""


class ProviderMissing(ModelError):
    """A provider that exists, but not in this build of onnxruntime."""


def available_providers() -> list[str]:
    """Return the providers that this build of onnxruntime has, best first. A GPU need not be there for it to be listed.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    return list(packages.onnxruntime("Listing ONNX providers").get_available_providers())


def resolve_providers(asked: str | Sequence[str]) -> list[str]:
    """Return full provider names: `CPU`, `cuda,cpu` or `['CUDAExecutionProvider']` in any case.

    Raises:
        ModelError: A name is unknown to onnxruntime, or none was given.
        ProviderMissing: A provider is not in this build.
        MissingExtraError: onnxruntime is not installed.
    """
    names = [part.strip() for part in asked.split(",")] if isinstance(asked, str) else [str(part) for part in asked]
    names = [name for name in names if name]
    if not names:
        raise ModelError("No ONNX provider was named: expected one or more such as CPU or CUDA.")
    return [_resolve(name) for name in names]


def _resolve(name: str) -> str:
    runtime: Any = packages.onnxruntime("Choosing an ONNX provider")
    known: dict[str, str] = {short_name(full).lower(): full for full in runtime.get_all_providers()}
    available = list(runtime.get_available_providers())
    full = known.get(short_name(name).lower())
    usable = ", ".join(map(short_name, available))
    if full is None:
        close = difflib.get_close_matches(short_name(name).lower(), list(known), n=1)
        hint = f"did you mean {short_name(known[close[0]])}?" if close else None
        raise ModelError(describe(f"Unknown ONNX provider '{name}'", expected=f"one of: {usable}", hint=hint))
    if full not in available:
        raise ProviderMissing(
            describe(
                f"ONNX provider {full} is not in this onnxruntime {runtime.__version__}",
                expected=f"one of: {usable}",
                hint=_how_to_get(full),
            )
        )
    return full


def short_name(provider: str) -> str:
    """Return `CUDA` for `CUDAExecutionProvider`, whatever its case."""
    return provider[: -len(_SUFFIX)] if provider.lower().endswith(_SUFFIX.lower()) else provider


def _how_to_get(provider: str) -> str:
    if provider in {"CUDAExecutionProvider", "TensorrtExecutionProvider"}:
        return gpu_command()
    return "install the build of onnxruntime that has it"
