"""Is a model the same everywhere: on two providers, from run to run, alone and in a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.compare import check_outputs
from InferenceLibrary.onnx.model import OnnxModel, load_model
from InferenceLibrary.onnx.values import to_feed


def check_providers_agree(
    model: OnnxModel,
    one: str,
    other: str,
    inputs: Any,
    *,
    judge: Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]],
    timeout: float,
) -> list[str]:
    """Load a model on two providers, run both on the same inputs, and compare.

    Args:
        model: The model whose file and options are used.
        one: Name of the provider that is judged.
        other: Name of the provider that it is compared with.
        inputs: As for a run.
        judge: Compares the outputs of the first with those of the second and returns the names compared.
        timeout: Seconds for each load and each run.

    Raises:
        CheckFailure: They differ; the message begins with the two names.
        ModelError: They are one provider, one did not start, or the model fails on it.
    """
    found: list[dict[str, Any]] = []
    active: list[str] = []
    for name in (one, other):
        options = dataclasses.replace(model.options, providers=name, **_without_gpu(name))
        loaded = load_model(model.path, options, timeout=timeout)
        try:
            active.append(loaded.active[0])
            found.append(loaded.run(inputs, timeout=timeout).outputs)
        finally:
            loaded.close()
    if active[0] == active[1]:
        raise ModelError(
            describe("One provider agrees with itself", expected="two providers", got=f"{one} and {other}")
        )
    try:
        return judge(found[0], found[1])
    except CheckFailure as error:
        raise CheckFailure(f"{one} and {other} do not agree on '{model.name}': {error}") from None


def _without_gpu(provider: str) -> dict[str, Any]:
    """On the CPU the options that belong to a GPU are left out."""
    if provider.strip().lower().startswith("cpu"):
        return {"device_id": 0, "memory_limit": None, "cuda_graph": False, "provider_options": {}}
    return {"provider_options": {}}


def check_deterministic(model: OnnxModel, inputs: Any, *, runs: int, timeout: float) -> None:
    """Run a model several times on the same inputs; every bit of every output must stay.

    Raises:
        CheckFailure: A run gave something else; the message names the run and the worst element.
        ModelError: Fewer than two runs were asked for, or the model failed.
    """
    if runs < 2:
        raise ModelError(describe("runs cannot be used", expected="2 or more", got=str(runs)))
    first = _copied(model.run(inputs, timeout=timeout).outputs)
    for number in range(2, runs + 1):
        again = model.run(inputs, timeout=timeout).outputs
        try:
            check_outputs(again, first, rtol=0.0, atol=0.0, allow_nonfinite=True)
        except CheckFailure as error:
            raise CheckFailure(f"ONNX model '{model.name}' is not deterministic: run {number}: {error}") from None


def check_batch_invariant(
    model: OnnxModel, inputs: Any, *, rtol: float | None, atol: float | None, timeout: float
) -> int:
    """Run a batch at once and each of its rows alone; the rows must agree. Return the number of rows.

    Raises:
        CheckFailure: A row differs; the message names it.
        ModelError: The inputs are not a batch of at least two rows, an output has no row for each, or the model failed.
    """
    np = packages.numpy("Running an ONNX model")
    feed = to_feed(inputs, model.inputs)
    free = {port.name for port in model.inputs if port.shape and not isinstance(port.shape[0], int)}
    rows = {array.shape[0] for name, array in feed.items() if name in free and hasattr(array, "shape")}
    if len(rows) != 1 or min(rows) < 2:
        raise ModelError(
            describe(
                f"ONNX model '{model.name}' was given no batch",
                expected="inputs with the same free first dimension, of 2 or more",
                got=f"sizes {sorted(rows)}" if rows else "no input with a free first dimension",
            )
        )
    size = int(rows.pop())
    whole = _copied(model.run(feed, timeout=timeout).outputs)
    for name, value in whole.items():
        if not isinstance(value, np.ndarray | list) or len(value) != size:
            raise ModelError(
                describe(f"ONNX output '{name}' has no row for each of the batch", expected=f"{size} rows first")
            )
    for row in range(size):
        alone = {name: array[row : row + 1] if name in free else array for name, array in feed.items()}
        expected = {name: value[row : row + 1] for name, value in whole.items()}
        try:
            check_outputs(model.run(alone, timeout=timeout).outputs, expected, rtol=rtol, atol=atol)
        except CheckFailure as error:
            raise CheckFailure(
                f"ONNX model '{model.name}' depends on its batch: row {row} alone and among {size}: {error}"
            ) from None
    return size


def _copied(outputs: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.copy() if hasattr(value, "copy") else value for name, value in outputs.items()}
