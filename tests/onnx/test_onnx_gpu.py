"""On an NVIDIA GPU itself: what the other tests show with faked providers. `make test-gpu` runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from InferenceLibrary.errors import ModelError
from InferenceLibrary.onnx.build import create_model
from InferenceLibrary.onnx.compare import check_outputs
from InferenceLibrary.onnx.environment import gpu_inference
from InferenceLibrary.onnx.language.generate import generate
from InferenceLibrary.onnx.language.make import TRAINED
from InferenceLibrary.onnx.language.model import language_model
from InferenceLibrary.onnx.made_inputs import make_inputs
from InferenceLibrary.onnx.model import load_model
from InferenceLibrary.onnx.options import LoadOptions
from InferenceLibrary.onnx.placement import check_on_gpu, profile_placement

pytestmark = pytest.mark.gpu

CUDA: dict[str, Any] = {"providers": "CUDA,CPU", "provider_options": {"CUDA": {"use_tf32": 0}}}


@pytest.fixture(autouse=True)
def _on_a_gpu() -> None:
    found = gpu_inference()
    if not found.available:
        pytest.skip(found.reason)


@pytest.mark.parametrize("kind", ["matmul", "mlp", "sigmoid", "add", "external", "log", "center"])
def test_outputs_are_those_of_the_cpu(kind: str, tmp_path: Path) -> None:
    path = create_model(kind, tmp_path / "m.onnx")
    gpu, cpu = load_model(path, LoadOptions(**CUDA)), load_model(path)
    feed = make_inputs(cpu.inputs, batch=33, seed=2, low=0.25, high=2)
    check_outputs(gpu.run(feed).outputs, cpu.run(feed).outputs, rtol=1e-4, atol=1e-5)
    check_on_gpu(gpu, profile_placement(gpu, feed))


@pytest.mark.parametrize("options", [{"io_binding": True}, {"cuda_graph": True, "providers": "CUDA"}])
def test_bound_and_captured_runs_give_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    path = create_model("mlp", tmp_path / "m.onnx")
    plain, other = load_model(path, LoadOptions(**CUDA)), load_model(path, LoadOptions(**{**CUDA, **options}))
    for seed in range(4):
        feed = make_inputs(plain.inputs, batch=8, seed=seed)
        np.testing.assert_allclose(other.run(feed).outputs["y"], plain.run(feed).outputs["y"], rtol=1e-6)


def test_a_limit_of_memory_is_told_and_the_model_goes_on(tmp_path: Path) -> None:
    path = create_model("matmul", tmp_path / "m.onnx")
    model = load_model(path, LoadOptions(providers="CUDA", memory_limit=16_000_000))
    with pytest.raises(ModelError, match="out of memory"):
        model.run({"x": np.ones((20_000_000, 2), np.float32)})
    assert model.run([[1, 1]]).outputs["y"].tolist() == [[5, 7, 9]]


def test_a_device_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="device_id names a GPU that does not exist"):
        load_model(create_model("matmul", tmp_path / "m.onnx"), LoadOptions(providers="CUDA", device_id=99))


def test_the_language_model_says_the_same() -> None:
    gpu, cpu = language_model(load_model(TRAINED, LoadOptions(**CUDA))), language_model(load_model(TRAINED))
    prompt = cpu.tokenizer.chat([{"role": "user", "content": "Count to 60."}])
    assert generate(gpu, prompt, max_tokens=120).tokens == generate(cpu, prompt, max_tokens=120).tokens
