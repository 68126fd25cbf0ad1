"""Small ONNX models made on the spot, and a second opinion on what they compute."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.files import replaced
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.element_types import ELEMENT_TYPES
from InferenceLibrary.onnx.graphs import KINDS, element_of, graph_of
from InferenceLibrary.onnx.values import Port, to_feed

_OPSET = 17
_OPSET_OF_FLOAT8, _IR_OF_FLOAT8 = 19, 9
_IR_VERSION = 8
"""Old enough for every onnxruntime since 1.12."""


def create_model(kind: str, path: Path, *, dtype: str = "float32") -> Path:
    """Write a model of the named kind and return its path.

    - `matmul`: `y = x @ [[1, 2, 3], [4, 5, 6]]`, x float32[batch,2], y float32[batch,3];
    - `external`: the same, its weights in a second file beside it, `<name>.data`;
    - `mlp`: `y = relu(x @ W1 + b1) @ W2 + b2`, x float32[batch,3], hidden 4, y float32[batch,2];
    - `sigmoid`: `y = 1 / (1 + exp(-x))`, float32[batch,4];
    - `add`: `total = left + right`, two inputs and one output, float32[batch,2];
    - `identity`: `y = x` in the element type `dtype`, [rows,columns];
    - `choose`: an If: `y = x` when `positive` is true, else `-x`, float32[n];
    - `repeat`: a Loop: x doubled `times` times, float32[n];
    - `zipmap`: two classes: their `probabilities` as a sequence of maps, the `label` int64[batch], of float32[batch,2];
    - `parts`: a sequence of two tensors, x and 2x, float32[n];
    - `log`: `y = log(x)`, which is infinite at 0 and NaN below, float32[batch,2];
    - `noise`: `y = x + noise`, another one in every run, float32[batch,2];
    - `center`: `y = x - mean over the batch`, so that each row depends on the others, float32[batch,2].

    Raises:
        ModelError: The kind or the type is unknown, or the file cannot be written.
        MissingExtraError: The package onnx is not installed.
    """
    if kind not in KINDS:
        raise ModelError(describe(f"Unknown kind of ONNX model '{kind}'", expected=f"one of: {', '.join(KINDS)}"))
    element = element_of(dtype)
    if element is None:
        names = ", ".join(item.name for item in ELEMENT_TYPES)
        raise ModelError(describe(f"Unknown element type '{dtype}'", expected=f"one of: {names}"))
    onnx = packages.onnx("Creating an ONNX model")
    opset = _OPSET_OF_FLOAT8 if element.foreign else _OPSET
    imports = [onnx.helper.make_opsetid("", opset)]
    if kind == "zipmap":
        imports.append(onnx.helper.make_opsetid("ai.onnx.ml", 3))
    model = onnx.helper.make_model(
        graph_of(kind, element), opset_imports=imports, producer_name="robotframework-inferencelibrary"
    )
    model.ir_version = _IR_OF_FLOAT8 if element.foreign else _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    with replaced(path, "ONNX model") as part:
        if kind == "external":
            _save_with_data(onnx, model, part, path)
        else:
            part.write_bytes(model.SerializeToString())
    return path


def _save_with_data(onnx: Any, model: Any, part: Path, path: Path) -> None:
    """Write a model as `part`, and its tensors beside `path`, where the model says that they are."""
    data = path.with_suffix(".data")
    with replaced(data, "Data of an ONNX model") as values, tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "model.onnx"
        onnx.save(model, str(whole), save_as_external_data=True, location=data.name, size_threshold=0)
        shutil.copyfile(whole, part)
        shutil.copyfile(whole.with_name(data.name), values)


def reference_outputs(path: Path, inputs: Any) -> dict[str, Any]:
    """Return the outputs that the reference evaluator of the package onnx computes, with numpy alone.

    It shares no code with onnxruntime, so it is a second opinion on what a provider computed.

    Raises:
        ModelError: The file is missing or broken, or the inputs do not fit.
        MissingExtraError: The package onnx is not installed.
    """
    onnx = packages.onnx("Computing reference outputs")
    from onnx.reference import ReferenceEvaluator

    if not path.is_file():
        raise ModelError(describe(f"ONNX model '{path}' does not exist"))
    try:
        model = onnx.load(str(path))
    except importlib.import_module("google.protobuf.message").DecodeError as error:
        raise ModelError(describe(f"ONNX model '{path}' cannot be read", got=str(error))) from error
    constants = {item.name for item in model.graph.initializer}
    ports = [_port(onnx, item) for item in model.graph.input if item.name not in constants]
    with packages.numpy("Computing reference outputs").errstate(all="ignore"):  # exp(100) before 1.0 is not an error
        values = ReferenceEvaluator(model).run(None, to_feed(inputs, ports))
    outputs: Mapping[str, Any] = dict(zip([item.name for item in model.graph.output], values, strict=True))
    return dict(outputs)


def _port(onnx: Any, item: Any) -> Port:
    tensor = item.type.tensor_type
    name = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else (dim.dim_param or None) for dim in tensor.shape.dim
        )
    return Port(item.name, f"tensor({name})", shape)
