"""Inputs for any model: numbers drawn under a seed, in the shapes and types that the model declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.element_types import is_float, numpy_type
from InferenceLibrary.onnx.values import Port


def make_inputs(
    ports: Sequence[Port],
    *,
    seed: int = 0,
    batch: int = 1,
    dimensions: Mapping[str, int] | None = None,
    low: float | None = None,
    high: float | None = None,
) -> dict[str, Any]:
    """Return arrays by input name.

    Fractions are drawn evenly from `low` to `high` (-1 to 1), whole numbers too (0 to 1: an index of almost any
    vocabulary), truth values by chance, texts are short words. The first dimension has the size `batch` when it is
    free; other free dimensions have the size that `dimensions` gives by name, else 1.

    Args:
        ports: The declared inputs.
        seed: The same seed gives the same values.
        batch: Size of a free first dimension.
        dimensions: Sizes of free dimensions by name; they win over `batch`.
        low: Lowest value.
        high: Highest value, included for whole numbers.

    Raises:
        ModelError: An input is not a tensor, a name of a dimension is unknown, or a size or range cannot be used.
    """
    np = packages.numpy("Making inputs")
    sizes = {str(name): size for name, size in (dimensions or {}).items()}
    known = {dim for port in ports for dim in port.shape or () if isinstance(dim, str)}
    for name, size in sizes.items():
        if name not in known:
            raise ModelError(
                describe(
                    f"Unknown dimension '{name}'", expected=f"one of: {', '.join(sorted(known)) or 'none is free'}"
                )
            )
        if not isinstance(size, int) or size < 0:
            raise ModelError(describe(f"Dimension '{name}' cannot be used", expected="0 or more", got=repr(size)))
    if batch < 1:
        raise ModelError(describe("batch cannot be used", expected="a whole number above 0", got=str(batch)))
    if low is not None and high is not None and low > high:
        raise ModelError(describe("The range is empty", expected="low at most high", got=f"{low:g} and {high:g}"))
    draw = np.random.default_rng(seed)
    firsts = {port.shape[0] for port in ports if port.shape and isinstance(port.shape[0], str)}
    made: dict[str, Any] = {}
    for port in ports:
        if port.dtype is None:
            raise ModelError(
                describe(f"ONNX input '{port.name}' cannot be made up", expected="a tensor", got=port.onnx_type)
            )
        shape = tuple(
            _size(dim, place, batch, sizes, firsts)
            for place, dim in enumerate((None,) if port.shape is None else port.shape)
        )
        made[port.name] = _drawn(np, draw, port.dtype, shape, low, high)
    return made


def _size(dim: int | str | None, place: int, batch: int, sizes: Mapping[str, int], firsts: set[Any]) -> int:
    if isinstance(dim, int):
        return dim
    if isinstance(dim, str):
        # A name that is some input's first dimension is the batch wherever it stands.
        return sizes.get(dim, batch if dim in firsts else 1)
    return batch if place == 0 else 1


def _drawn(np: Any, draw: Any, dtype: str, shape: tuple[int, ...], low: float | None, high: float | None) -> Any:
    if dtype == "str":
        return np.array([f"word{number}" for number in draw.integers(0, 100, shape).ravel()], object).reshape(shape)
    if dtype == "bool":
        return draw.integers(0, 2, shape).astype(bool)
    wanted = numpy_type(dtype)
    if wanted.kind in "iu":
        bounds = (int(0 if low is None else low), int(1 if high is None else high))
        info = np.iinfo(wanted)
        if bounds[0] < info.min or bounds[1] > info.max:
            raise ModelError(
                describe("The range does not fit", expected=f"{info.min} to {info.max} ({dtype})", got=f"{bounds}")
            )
        return draw.integers(bounds[0], bounds[1], shape, dtype=np.int64, endpoint=True).astype(wanted)
    if not is_float(wanted):
        raise ModelError(describe("Values cannot be made up", expected="numbers, texts or truth values", got=dtype))
    return draw.uniform(-1.0 if low is None else low, 1.0 if high is None else high, shape).astype(wanted)
