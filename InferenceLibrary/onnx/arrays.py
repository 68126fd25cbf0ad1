"""Arrays of lists and numbers, without a change of any value that the reader would not expect; and back to lists."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.element_types import fits, is_float, numpy_type, of_dtype


def as_array(data: Any, dtype: str | None = None) -> Any:
    """Return a numpy array of lists, a number or an array; of the named type when one is given.

    Raises:
        ModelError: The rows differ in length, the type is unknown, or a number does not fit it.
    """
    np = packages.numpy("Making a tensor")
    try:
        array = np.asarray(data)
    except ValueError:
        raise ModelError("ONNX values are ragged: expected rows of one length.") from None
    wanted = None if dtype is None else numpy_type(dtype)
    if array.dtype == object and wanted is not None and is_float(wanted) and _all_numbers(data):
        # Whole numbers beyond 64 bits are near a float all the same.
        with contextlib.suppress(OverflowError):
            array = np.asarray(data, np.float64)
    if array.dtype == object:
        raise ModelError(_not_values(data, dtype))
    if wanted is None:
        return array
    if array.size:
        fitting = fits(array, wanted)
        if not fitting.all():
            first = array[tuple(np.argwhere(~fitting)[0])] if array.ndim else array[()]
            raise ModelError(
                describe(
                    "ONNX values do not fit their type",
                    expected=_range(first, wanted),
                    got=misfit(array, fitting),
                )
            )
    return array.astype(wanted)


def to_plain(value: Any) -> Any:
    """Return lists, numbers and texts instead of numpy arrays, ready for JSON."""
    if hasattr(value, "tolist"):
        known = of_dtype(value.dtype)
        return (value.astype("float64") if known is not None and known.foreign else value).tolist()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def _range(value: Any, wanted: Any) -> str:
    """The type, and its range where that is what a number breaks."""
    np = packages.numpy("Making a tensor")
    number = value.dtype.kind in "iuf" and bool(np.isfinite(value))
    if number and wanted.kind in "iu" and value == np.trunc(value):
        info = np.iinfo(wanted)
        return f"{wanted} ({info.min} to {info.max})"
    if number and is_float(wanted):
        known = of_dtype(wanted)
        source = packages.ml_dtypes("Making a tensor") if known is not None and known.foreign else np
        return f"{wanted} (at most {float(source.finfo(wanted).max):.6g}, at least {_smallest(source, wanted):.3g})"
    return "str" if wanted.kind == "U" else str(wanted)


def _smallest(source: Any, wanted: Any) -> float:
    return float(source.finfo(wanted).smallest_subnormal)


def misfit(array: Any, fitting: Any) -> str:
    """Return the first value that does not fit, and where it stands: `300 at [0,2]`."""
    np = packages.numpy("Making a tensor")
    place = tuple(int(part) for part in np.argwhere(~fitting)[0]) if array.ndim else ()
    item = array[place]
    return f"{item.item() if hasattr(item, 'item') else item!r} at [{','.join(map(str, place))}]"


def _not_values(data: Any, dtype: str | None) -> str:
    huge = _first_huge(data)
    if huge is not None:
        shown = str(huge) if len(str(huge)) <= 24 else f"a number of {len(str(huge))} digits"
        hint = "give dtype=float64 to have the nearest number that it holds." if dtype is None else None
        return describe("ONNX values do not fit their type", expected=dtype or "at most 64 bits", got=shown, hint=hint)
    return describe("ONNX values are not numbers, texts or booleans", expected="one kind of value", got=repr(data)[:60])


def _all_numbers(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return all(map(_all_numbers, data))
    return isinstance(data, int | float) and not isinstance(data, bool)


def _first_huge(data: Any) -> int | None:
    if isinstance(data, int) and not -(2**63) <= data < 2**64:
        return data
    if isinstance(data, list | tuple):
        return next((found for item in data if (found := _first_huge(item)) is not None), None)
    return None
