"""A provider counts as used when it is active and computes something, not when it was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from InferenceLibrary.context import Context
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.keywords.onnx_sessions import OnnxSessionKeywords
from InferenceLibrary.onnx.model import OnnxModel

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def keywords(active: list[str], placement: dict[str, int] | None, notes: list[str]) -> OnnxSessionKeywords:
    group = OnnxSessionKeywords()
    group.context = Context()
    model = OnnxModel("net", Path("net.onnx"), [CUDA], active, placement, notes, 0.1, [], [])
    group.context.onnx_models.add(model)
    return group


@pytest.mark.parametrize("placement", [{CUDA: 3}, {CUDA: 1, CPU: 2}, None])
@pytest.mark.parametrize("provider", ["CUDA", "cuda", CUDA])
def test_a_provider_that_computes_is_used(placement: dict[str, int] | None, provider: str) -> None:
    keywords([CUDA, CPU], placement, []).onnx_provider_should_be_used(provider)


def test_an_active_provider_that_computes_nothing_is_not_used() -> None:
    with pytest.raises(CheckFailure) as error:
        keywords([CUDA, CPU], {CPU: 3}, []).onnx_provider_should_be_used("CUDA")
    assert str(error.value) == (
        "ONNX provider CUDAExecutionProvider computes no node of 'net': "
        "expected at least one node, got CUDA (0 nodes), CPU (3 nodes)."
    )


def test_a_provider_that_is_left_out_is_not_used() -> None:
    with pytest.raises(CheckFailure) as error:
        keywords([CPU], {CPU: 1}, ["no libcudart"]).onnx_provider_should_be_used("CUDA")
    first, *rest = str(error.value).splitlines()
    assert first.startswith("ONNX provider CUDA is not used by 'net': expected CUDA, got CPU (1 node). Hint: ")
    assert rest == ["What onnxruntime said:", "    no libcudart"]
