"""Small ONNX models made on the spot, with weights that are known and exact.

All weights are small multiples of 1/4, so that products and sums are exact in float32, in float16 and in the TF32 mode
of GPUs: a right provider gives the very same numbers everywhere.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.values import Port, to_feed

_OPSET = 17
_IR_VERSION = 8
"""Old enough for every onnxruntime since 1.12."""


def create_model(kind: str, path: Path) -> Path:
    """Write a model of the named kind and return its path.

    - `matmul`: `y = x @ [[1, 2, 3], [4, 5, 6]]`, x float32[batch,2], y float32[batch,3];
    - `mlp`: `y = relu(x @ W1 + b1) @ W2 + b2`, x float32[batch,3], hidden 4, y float32[batch,2];
    - `sigmoid`: `y = 1 / (1 + exp(-x))`, float32[batch,4];
    - `add`: `total = left + right`, two inputs and one output, float32[batch,2].

    Raises:
        ModelError: The kind is unknown.
        MissingExtraError: The package onnx is not installed.
    """
    builders: dict[str, Callable[[Any, Any], Any]] = {
        "matmul": _matmul,
        "mlp": _mlp,
        "sigmoid": _sigmoid,
        "add": _add,
    }
    if kind not in builders:
        raise ModelError(describe(f"Unknown kind of ONNX model '{kind}'", expected=f"one of: {', '.join(builders)}"))
    onnx = packages.onnx("Creating an ONNX model")
    graph = builders[kind](onnx.helper, packages.numpy("Creating an ONNX model"))
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", _OPSET)], producer_name="robotframework-inferencelibrary"
    )
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


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
    with packages.numpy("Computing reference outputs").errstate(all="ignore"):  # exp(100) on the way to 1.0 is no error
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


def _matmul(helper: Any, np: Any) -> Any:
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    return helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        "matmul",
        [_floats(helper, "x", ["batch", 2])],
        [_floats(helper, "y", ["batch", 3])],
        [_constant("W", weights)],
    )


def _mlp(helper: Any, np: Any) -> Any:
    return helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "W1", "b1"], ["before"]),
            helper.make_node("Relu", ["before"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "W2", "b2"], ["y"]),
        ],
        "mlp",
        [_floats(helper, "x", ["batch", 3])],
        [_floats(helper, "y", ["batch", 2])],
        [
            _constant("W1", np.array([[1, -1, 0.5, 2], [0, 1, -0.5, 1], [-1, 0.25, 1, -2]], np.float32)),
            _constant("b1", np.array([0.5, 0, -1, 0.25], np.float32)),
            _constant("W2", np.array([[1, 0], [-1, 2], [0.5, 0.5], [0.25, -1]], np.float32)),
            _constant("b2", np.array([0.25, -0.5], np.float32)),
        ],
    )


def _sigmoid(helper: Any, _np: Any) -> Any:
    return helper.make_graph(
        [helper.make_node("Sigmoid", ["x"], ["y"])],
        "sigmoid",
        [_floats(helper, "x", ["batch", 4])],
        [_floats(helper, "y", ["batch", 4])],
    )


def _add(helper: Any, _np: Any) -> Any:
    return helper.make_graph(
        [helper.make_node("Add", ["left", "right"], ["total"])],
        "add",
        [_floats(helper, "left", ["batch", 2]), _floats(helper, "right", ["batch", 2])],
        [_floats(helper, "total", ["batch", 2])],
    )


def _floats(helper: Any, name: str, shape: list[int | str]) -> Any:
    return helper.make_tensor_value_info(name, 1, shape)  # 1 is TensorProto.FLOAT


def _constant(name: str, values: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)
