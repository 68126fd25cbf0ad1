"""Values in and out: JSON, lists and numpy arrays become the arrays that a model declares, and back.

Text and lists carry no exact element type, so they take the declared one when every number fits it: 1 becomes 1.0 and
0.1 the nearest float32, but 1.5 never becomes 1, 70000 never an infinite float16. A numpy array carries its type on
purpose: another one than the declared is refused, not converted.
"""

from __future__ import annotations

import ast
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.arrays import as_array, misfit
from InferenceLibrary.onnx.element_types import ElementType, is_float, of_dtype, of_tensor
from InferenceLibrary.onnx.value_files import is_value_file, load_values


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
    def element(self) -> ElementType | None:
        """The element type of a tensor, or of the tensors of a sequence; None for maps and what else there is."""
        inner = self.onnx_type.removeprefix("seq(").removesuffix(")") if self.is_sequence else self.onnx_type
        return of_tensor(inner)

    @property
    def is_sequence(self) -> bool:
        """Whether it is a sequence of tensors."""
        return self.onnx_type.startswith("seq(tensor(")

    @property
    def dtype(self) -> str | None:
        """Name of the numpy type of a tensor, None for what is not a tensor."""
        return self.element.name if self.element is not None and not self.is_sequence else None

    def __str__(self) -> str:
        return f"{self.name} {self.dtype or self.onnx_type}{self.shown_shape}"

    @property
    def shown_shape(self) -> str:
        """The shape for people: `[batch,4]`, `[?,3]`, `[...]` when the rank is free."""
        if self.shape is None:
            return "[...]"
        return f"[{','.join('?' if item is None else str(item) for item in self.shape)}]"


def parse(value: Any) -> Any:
    """Return what a text means as a file of values, as JSON or as a Python literal; anything else as it is.

    Raises:
        ModelError: The text is none of them, or the file cannot be read.
    """
    if isinstance(value, Path):
        return load_values(value)
    if not isinstance(value, str):
        return value
    if is_value_file(value):
        return load_values(Path(value))
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
                expected='JSON such as [[1, 2]] or {"x": [[1, 2]]}, a .npy, .npz or .json file, or numpy arrays',
                got=f"'{shown}'",
            )
        ) from None


def to_feed(inputs: Any, ports: Sequence[Port], *, allow_nonfinite: bool = False) -> dict[str, Any]:
    """Return one array per input of a model; a list of arrays for a sequence.

    Args:
        inputs: JSON text, a file, list, number or array for a model with one input; else an object by input name.
        ports: The declared inputs.
        allow_nonfinite: Take NaN and infinite numbers too.

    Raises:
        ModelError: A name is unknown or missing, a number does not fit its type or is not finite, or a shape differs.
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
        close = difflib.get_close_matches(unknown[0], [port.name for port in ports], n=1)
        hint = f"did you mean '{close[0]}'?" if close else None
        raise ModelError(describe(f"Unknown ONNX input '{unknown[0]}'", expected=f"one of: {names}", hint=hint))
    missing = [port.name for port in ports if port.name not in data]
    if missing:
        raise ModelError(
            describe(f"ONNX input '{missing[0]}' is missing", expected=names, got=", ".join(map(str, data)) or "none")
        )
    free: dict[str, tuple[int, str]] = {}
    return {port.name: _fit(port, data[port.name], free, allow_nonfinite) for port in ports}


def to_array(value: Any, dtype: str | None = None) -> Any:
    """Return a numpy array of text, file, list, number or array; of the named type when one is given.

    Raises:
        ModelError: The rows differ in length, the type is unknown, or a number does not fit it.
    """
    return as_array(parse(value), dtype)


def _fit(port: Port, value: Any, free: dict[str, tuple[int, str]], allow_nonfinite: bool) -> Any:
    if port.element is None:
        raise ModelError(
            describe(
                f"ONNX input '{port.name}' cannot be given",
                expected="a tensor or a sequence of tensors",
                got=port.onnx_type,
            )
        )
    if port.is_sequence:
        items = parse(value)
        if not isinstance(items, list | tuple):
            raise ModelError(
                describe(f"ONNX input '{port.name}' is a sequence", expected="a list of tensors", got=_kind_of(items))
            )
        return [_tensor(port, port.element, item, allow_nonfinite) for item in items]
    array = _tensor(port, port.element, value, allow_nonfinite)
    _check_shape(port, tuple(array.shape), free)
    return array


def _tensor(port: Port, element: ElementType, value: Any, allow_nonfinite: bool) -> Any:
    np = packages.numpy("Running an ONNX model")
    value = parse(value)
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if of_dtype(array.dtype) != element:
            raise ModelError(
                describe(
                    f"ONNX input '{port.name}' has the wrong type",
                    expected=element.name,
                    got=str(array.dtype),
                    hint=f"Create Tensor    ...    dtype={element.name}",
                )
            )
    else:
        try:
            array = to_array(value, element.name)
        except ModelError as error:
            raise ModelError(f"ONNX input '{port.name}': {error}") from None
    if not allow_nonfinite:
        _refuse_nonfinite(np, port, array)
    return array.astype(object) if element.name == "str" else array


def _refuse_nonfinite(np: Any, port: Port, array: Any) -> None:
    if not is_float(array.dtype):
        return
    finite = np.isfinite(array)
    if not finite.all():
        raise ModelError(
            describe(
                f"ONNX input '{port.name}' is not finite",
                expected="finite numbers",
                got=misfit(array, finite),
                hint="allow_nonfinite=True takes them",
            )
        )


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


def _kind_of(data: Any) -> str:
    return type(data).__name__


def _shape_word(data: Any) -> str:
    return f"{_kind_of(data)} without names"
