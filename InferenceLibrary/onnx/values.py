"""Values in and out: JSON, lists and numpy arrays become the arrays that a model declares, and back.

Text and lists carry no exact element type, so they take the declared one when nothing is lost (1 becomes 1.0, but 1.5
never becomes 1). A numpy array carries its type on purpose: another one than the declared is refused, not converted.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages

_NUMPY_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "str",
}


@dataclass(frozen=True)
class Port:
    """An input or output of a model.

    Args:
        name: Its name in the graph.
        onnx_type: Type as onnxruntime writes it: `tensor(float)`.
        shape: One item per dimension: a number, a name for a free dimension, or None for a free one without a name.
            None instead of the tuple when the rank is not declared.
    """

    name: str
    onnx_type: str
    shape: tuple[int | str | None, ...] | None

    @property
    def dtype(self) -> str | None:
        """Name of the numpy type, None for what numpy has no type for (sequences, maps, bfloat16)."""
        return _NUMPY_TYPES.get(self.onnx_type)

    def __str__(self) -> str:
        return f"{self.name} {self.dtype or self.onnx_type}{self.shown_shape}"

    @property
    def shown_shape(self) -> str:
        """The shape for people: `[batch,4]`, `[?,3]`, `[...]` when the rank is free."""
        if self.shape is None:
            return "[...]"
        return f"[{','.join('?' if item is None else str(item) for item in self.shape)}]"


def parse(value: Any) -> Any:
    """Return what a text means as JSON or as a Python literal; anything else as it is.

    Raises:
        ModelError: The text is neither.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        pass
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError):
        shown = value if len(value) <= 60 else value[:57] + "..."
        raise ModelError(
            describe(
                "ONNX values cannot be read",
                expected='JSON such as [[1, 2]] or {"x": [[1, 2]]}, or numpy arrays',
                got=f"'{shown}'",
            )
        ) from None


def to_feed(inputs: Any, ports: Sequence[Port]) -> dict[str, Any]:
    """Return one array per input of a model.

    Args:
        inputs: JSON text, list, number or array for a model with one input; else an object by input name.
        ports: The declared inputs.

    Raises:
        ModelError: A name is unknown or missing, a type would lose values, or a shape does not fit.
    """
    data = parse(inputs)
    names = ", ".join(map(str, ports))
    if not isinstance(data, Mapping):
        if len(ports) != 1:
            raise ModelError(
                describe(
                    f"ONNX model has {len(ports)} inputs", expected=f"an object by name: {names}", got=_shape_word(data)
                )
            )
        data = {ports[0].name: data}
    unknown = [str(name) for name in data if name not in {port.name for port in ports}]
    if unknown:
        raise ModelError(describe(f"Unknown ONNX input '{unknown[0]}'", expected=f"one of: {names}"))
    missing = [port.name for port in ports if port.name not in data]
    if missing:
        raise ModelError(
            describe(f"ONNX input '{missing[0]}' is missing", expected=names, got=", ".join(map(str, data)) or "none")
        )
    free: dict[str, tuple[int, str]] = {}
    return {port.name: _fit(port, data[port.name], free) for port in ports}


def to_array(value: Any, dtype: str | None = None) -> Any:
    """Return a numpy array of text, list, number or array; of the named type when one is given.

    Raises:
        ModelError: The rows differ in length, the type is unknown, or the values do not fit it.
    """
    np = packages.numpy("Making a tensor")
    data = parse(value)
    try:
        array = np.asarray(data)
    except ValueError:
        raise ModelError("ONNX values are ragged: expected rows of one length.") from None
    if array.dtype == object:
        raise ModelError(
            describe("ONNX values are no numbers, texts or booleans", expected="one kind of value", got=repr(data)[:60])
        )
    if dtype is None:
        return array
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise ModelError(
            describe(f"Unknown element type '{dtype}'", expected=f"one of: {', '.join(_NUMPY_TYPES.values())}")
        ) from None
    if array.size and not _keeps_values(np, array, wanted):
        raise ModelError(
            describe("ONNX values do not fit their type", expected=str(wanted), got=_first_misfit(np, array, wanted))
        )
    return array.astype(wanted)


def to_plain(value: Any) -> Any:
    """Return lists, numbers and texts instead of numpy arrays, ready for JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value


def _fit(port: Port, value: Any, free: dict[str, tuple[int, str]]) -> Any:
    np = packages.numpy("Running an ONNX model")
    if port.dtype is None:
        raise ModelError(
            describe(
                f"ONNX input '{port.name}' cannot be given", expected="a tensor that numpy has", got=port.onnx_type
            )
        )
    wanted = np.dtype(port.dtype)
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        same = array.dtype.kind in "UO" if port.dtype == "str" else array.dtype == wanted
        if not same:
            raise ModelError(
                describe(
                    f"ONNX input '{port.name}' has the wrong type",
                    expected=str(wanted),
                    got=str(array.dtype),
                    hint=f"Create Tensor    ...    dtype={wanted}",
                )
            )
    else:
        try:
            array = to_array(value, port.dtype)
        except ModelError as error:
            raise ModelError(f"ONNX input '{port.name}': {error}") from None
    _check_shape(port, tuple(array.shape), free)
    return array.astype(object) if port.dtype == "str" else array


def _check_shape(port: Port, shape: tuple[int, ...], free: dict[str, tuple[int, str]]) -> None:
    if port.shape is None:
        return
    got = f"[{','.join(map(str, shape))}]"
    if len(shape) != len(port.shape) or any(
        isinstance(declared, int) and declared != actual for declared, actual in zip(port.shape, shape, strict=True)
    ):
        raise ModelError(describe(f"ONNX input '{port.name}' has the wrong shape", expected=port.shown_shape, got=got))
    for declared, actual in zip(port.shape, shape, strict=True):
        if isinstance(declared, str):
            size, first = free.setdefault(declared, (actual, port.name))
            if size != actual:
                raise ModelError(
                    describe(
                        f"ONNX input '{port.name}' has the wrong shape",
                        expected=f"{declared} = {size} as in input '{first}'",
                        got=got,
                    )
                )


def _keeps_values(np: Any, array: Any, wanted: Any) -> bool:
    if wanted.kind == "U" or array.dtype.kind == "U":
        return bool(wanted.kind == array.dtype.kind)
    if wanted.kind == "b" or array.dtype.kind == "b":
        return bool(wanted.kind == array.dtype.kind)
    if wanted.kind in "iu":
        info = np.iinfo(wanted)
        whole = array.dtype.kind in "iu" or bool((np.isfinite(array) & (array == np.trunc(array))).all())
        return whole and bool((array >= info.min).all() and (array <= info.max).all())
    return bool(wanted.kind == "f")


def _first_misfit(np: Any, array: Any, wanted: Any) -> str:
    for index, item in np.ndenumerate(array):
        if not _keeps_values(np, np.asarray(item), wanted):
            place = ",".join(map(str, index))
            return f"{item.item() if hasattr(item, 'item') else item!r} at [{place}]"
    return str(array.dtype)


def _shape_word(data: Any) -> str:
    return f"{type(data).__name__} without names"
