"""Judge outputs by what they mean: the highest values, the one highest, the direction of a vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.compare import brackets, check_finite, expected_by_name
from InferenceLibrary.onnx.element_types import is_float
from InferenceLibrary.onnx.values import to_array


def top(values: Any, k: int) -> Any:
    """Return the indices of the `k` highest values along the last dimension, the highest first, ties by index.

    Raises:
        ModelError: It is not a tensor of numbers with at least `k` values in its last dimension.
    """
    np = packages.numpy("Ranking an ONNX output")
    if not isinstance(values, np.ndarray) or (values.dtype.kind not in "iuf" and not is_float(values.dtype)):
        raise ModelError(describe("Only a tensor of numbers has highest values", got=type(values).__name__))
    if values.ndim == 0 or not 1 <= k <= values.shape[-1]:
        raise ModelError(
            describe(
                f"The {k} highest values cannot be told",
                expected=f"1 to {values.shape[-1]} of the last dimension" if values.ndim else "at least one dimension",
                got=brackets(values.shape),
            )
        )
    wide = values.astype("float64") if is_float(values.dtype) else values
    return np.argsort(-wide if is_float(wide.dtype) else -wide.astype(object), axis=-1, kind="stable")[..., :k]


def check_top(outputs: Mapping[str, Any], expected: Any, k: int) -> list[str]:
    """Check that the `k` highest values of each row stand at the expected places, in order.

    Args:
        outputs: Arrays by output name.
        expected: As for `check_outputs`: the values, whose highest are looked for as well.
        k: How many.

    Returns:
        The names that were compared.

    Raises:
        CheckFailure: A row has other highest values; the message names the first such row.
        ModelError: An output is unknown, or not a tensor of numbers.
    """
    np = packages.numpy("Ranking an ONNX output")
    wanted = expected_by_name(outputs, expected)
    for name, value in wanted.items():
        got, sought = outputs[name], to_array(value)
        _same_shape(name, got, sought)
        check_finite(f"'{name}'", got)
        found, right = top(got, k), top(sought, k)
        wrong = (
            np.argwhere((found != right).any(axis=-1)) if found.ndim > 1 else np.zeros((int((found != right).any()), 0))
        )
        if len(wrong):
            row = tuple(int(part) for part in wrong[0])
            raise CheckFailure(
                describe(
                    f"ONNX output '{name}' has other highest values in {len(wrong)} of {found[..., 0].size} rows",
                    expected=f"{brackets(right[row])} in row {brackets(row)}",
                    got=brackets(found[row]),
                )
            )
    return list(wanted)


def cosine(got: Any, expected: Any) -> Any:
    """Return the cosine of the angle between each vector along the last dimension and the expected one.

    Raises:
        CheckFailure: A vector has no direction: its length is zero.
    """
    np = packages.numpy("Comparing directions")
    one, other = np.asarray(got).astype("float64"), np.asarray(expected).astype("float64")
    lengths = np.linalg.norm(one, axis=-1) * np.linalg.norm(other, axis=-1)
    if (lengths == 0).any():
        raise CheckFailure("A vector of length zero has no direction: expected numbers other than zero.")
    return np.clip((one * other).sum(axis=-1) / lengths, -1.0, 1.0)


def check_cosine(outputs: Mapping[str, Any], expected: Any, least: float) -> list[str]:
    """Check that each vector points where the expected one does: their cosine is at least `least`.

    Raises:
        CheckFailure: A vector points elsewhere, or has the length zero.
        ModelError: An output is unknown, or `least` is not a cosine.
    """
    np = packages.numpy("Comparing directions")
    if not -1 <= least <= 1:
        raise ModelError(describe("A cosine is from -1 to 1", got=f"{least:g}"))
    wanted = expected_by_name(outputs, expected)
    for name, value in wanted.items():
        got, sought = outputs[name], to_array(value)
        _same_shape(name, got, sought)
        check_finite(f"'{name}'", got)
        found = np.asarray(cosine(got, sought))
        if (found < least).any():
            row = np.unravel_index(int(found.argmin()), found.shape) if found.ndim else ()
            raise CheckFailure(
                describe(
                    f"ONNX output '{name}' points elsewhere in {int((found < least).sum())} of {found.size} vectors",
                    expected=f"a cosine of at least {least:.6g}",
                    got=f"{float(found.min()):.6g} in row {brackets(row)}",
                )
            )
    return list(wanted)


def _same_shape(name: str, got: Any, expected: Any) -> None:
    if not hasattr(got, "shape") or got.ndim == 0:
        raise ModelError(describe(f"ONNX output '{name}' has no rows", expected="a tensor with at least one dimension"))
    if got.shape != expected.shape:
        raise CheckFailure(
            describe(
                f"ONNX output '{name}' has the wrong shape", expected=brackets(expected.shape), got=brackets(got.shape)
            )
        )
