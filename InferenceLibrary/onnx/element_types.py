"""The element types of ONNX tensors: their names, their numpy types, and which numbers fit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages


@dataclass(frozen=True)
class ElementType:
    """One element type.

    Args:
        onnx: Its name as onnxruntime writes it inside `tensor(...)`.
        name: Its numpy name, `str` for texts.
        number: Its number in TensorProto.DataType.
        foreign: Whether numpy itself lacks it: then the package ml_dtypes has it, and onnxruntime takes its bits.
        rtol: Relative tolerance by which two right providers may differ, unless a test says otherwise.
        atol: Absolute tolerance, in the unit of the values.
    """

    onnx: str
    name: str
    number: int
    foreign: bool = False
    rtol: float = 0.0
    atol: float = 0.0


ELEMENT_TYPES = (
    ElementType("float", "float32", 1, rtol=1e-5, atol=1e-6),
    ElementType("double", "float64", 11, rtol=1e-9, atol=1e-12),
    ElementType("float16", "float16", 10, rtol=1e-2, atol=1e-3),
    ElementType("bfloat16", "bfloat16", 16, foreign=True, rtol=2e-2, atol=1e-2),
    ElementType("float8e4m3fn", "float8_e4m3fn", 17, foreign=True, rtol=0.13, atol=2**-9),
    ElementType("float8e4m3fnuz", "float8_e4m3fnuz", 18, foreign=True, rtol=0.13, atol=2**-10),
    ElementType("float8e5m2", "float8_e5m2", 19, foreign=True, rtol=0.26, atol=2**-16),
    ElementType("float8e5m2fnuz", "float8_e5m2fnuz", 20, foreign=True, rtol=0.26, atol=2**-17),
    ElementType("int8", "int8", 3),
    ElementType("int16", "int16", 5),
    ElementType("int32", "int32", 6),
    ElementType("int64", "int64", 7),
    ElementType("uint8", "uint8", 2),
    ElementType("uint16", "uint16", 4),
    ElementType("uint32", "uint32", 12),
    ElementType("uint64", "uint64", 13),
    ElementType("bool", "bool", 9),
    ElementType("string", "str", 8),
)

_BY_ONNX = {item.onnx: item for item in ELEMENT_TYPES}
_BY_NAME = {item.name: item for item in ELEMENT_TYPES}


def of_tensor(onnx_type: str) -> ElementType | None:
    """Return the element type of `tensor(float)`; None for what is not a tensor, or of an unknown type."""
    inner = onnx_type.removeprefix("tensor(").removesuffix(")")
    return _BY_ONNX.get(inner) if onnx_type == f"tensor({inner})" else None


def of_dtype(dtype: Any) -> ElementType | None:
    """Return the element type of a numpy type, None for one that ONNX does not have."""
    return _BY_NAME.get("str" if dtype.kind in "UO" else str(dtype))


def numpy_type(name: str) -> Any:
    """Return the numpy type of a name such as `float16` or `bfloat16`.

    Raises:
        ModelError: The type does not exist.
        MissingExtraError: ml_dtypes, which has this type, is not installed.
    """
    np = packages.numpy("Making a tensor")
    known = _BY_NAME.get(name)
    if known is not None and known.foreign:
        return np.dtype(getattr(packages.ml_dtypes(f"A tensor of {name}"), name))
    try:
        return np.dtype(name)
    except TypeError:
        names = ", ".join(item.name for item in ELEMENT_TYPES)
        raise ModelError(describe(f"Unknown element type '{name}'", expected=f"one of: {names}")) from None


def is_float(dtype: Any) -> bool:
    """Whether a numpy type holds fractions, those of ml_dtypes included."""
    known = of_dtype(dtype)
    return dtype.kind == "f" or (known is not None and known.foreign)


def fits(array: Any, wanted: Any) -> Any:
    """Return, element by element, whether a value can become one of another type.

    Whole types take whole numbers within their range. Types with fractions round to the nearest number, but a number
    beyond their range (which would become infinite) and one that would vanish to zero do not fit.
    """
    np = packages.numpy("Making a tensor")
    textual = {"U", "O", "b"}
    if wanted.kind in textual or array.dtype.kind in textual:
        same = wanted.kind == array.dtype.kind
        return np.full(array.shape, same)
    if wanted.kind in "iu":
        info = np.iinfo(wanted)
        if array.dtype.kind in "iu":
            return (array >= info.min) & (array <= info.max)
        whole = np.isfinite(array) & (array == np.trunc(array))
        # The largest 64-bit numbers are not floats: the first float beyond them is.
        return whole & (array >= float(info.min)) & (array < float(info.max) + (1 if info.bits < 53 else 0))
    if not is_float(wanted):
        return np.zeros(array.shape, bool)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        became = array.astype(wanted)
    wide = became.astype(np.float64)
    given = array.astype(np.float64) if is_float(array.dtype) else array
    kept = np.isfinite(wide) & ((wide != 0) | (given == 0))
    unending = ~np.isfinite(given) & ((wide == given) | (np.isnan(wide) & np.isnan(given)))
    return kept & np.isfinite(given) | unending


def foreign_bits(array: Any) -> Any:
    """Return the bits of an array of a type that numpy lacks, as whole numbers of the same size."""
    np = packages.numpy("Running an ONNX model")
    return np.ascontiguousarray(array).view(np.uint16 if array.dtype.itemsize == 2 else np.uint8)
