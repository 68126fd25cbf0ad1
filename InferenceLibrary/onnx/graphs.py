"""The graphs of the small models: what each computes, with weights that are known and exact.

All weights are small multiples of 1/4, so that products and sums are exact in float32, in float16 and in the TF32 mode
of GPUs: a right provider gives the very same numbers everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.element_types import ELEMENT_TYPES, ElementType

Kind = Literal[
    "matmul", "mlp", "sigmoid", "add", "identity", "choose", "repeat", "external", "zipmap", "parts", "log", "noise",
    "center",
]  # fmt: skip
KINDS = get_args(Kind)

FLOAT, INT64, BOOL = 1, 7, 9
"""Numbers of TensorProto.DataType."""


def graph_of(kind: str, element: ElementType) -> Any:
    """Return the graph of a kind; `element` is the type of `identity`."""
    helper = packages.onnx("Creating an ONNX model").helper
    if kind == "identity":
        return _identity(helper, element)
    builders: dict[str, Callable[[Any, Any], Any]] = {
        "matmul": _matmul,
        "external": _matmul,
        "mlp": _mlp,
        "sigmoid": _sigmoid,
        "add": _add,
        "choose": _choose,
        "repeat": _repeat,
        "zipmap": _zipmap,
        "parts": _parts,
        "log": _log,
        "noise": _noise,
        "center": _center,
    }
    return builders[kind](helper, packages.numpy("Creating an ONNX model"))


def element_of(dtype: str) -> ElementType | None:
    """Return the element type of a numpy name such as `bfloat16`."""
    return next((item for item in ELEMENT_TYPES if item.name == dtype), None)


def floats(helper: Any, name: str, shape: list[int | str] | None) -> Any:
    """Return the declaration of a float32 tensor."""
    return helper.make_tensor_value_info(name, FLOAT, shape)


def constant(name: str, values: Any) -> Any:
    """Return an initializer."""
    from onnx import numpy_helper

    return numpy_helper.from_array(values, name)


def _matmul(helper: Any, np: Any) -> Any:
    weights = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    return helper.make_graph(
        [helper.make_node("MatMul", ["x", "W"], ["y"])],
        "matmul",
        [floats(helper, "x", ["batch", 2])],
        [floats(helper, "y", ["batch", 3])],
        [constant("W", weights)],
    )


def _mlp(helper: Any, np: Any) -> Any:
    return helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "W1", "b1"], ["before"]),
            helper.make_node("Relu", ["before"], ["hidden"]),
            helper.make_node("Gemm", ["hidden", "W2", "b2"], ["y"]),
        ],
        "mlp",
        [floats(helper, "x", ["batch", 3])],
        [floats(helper, "y", ["batch", 2])],
        [
            constant("W1", np.array([[1, -1, 0.5, 2], [0, 1, -0.5, 1], [-1, 0.25, 1, -2]], np.float32)),
            constant("b1", np.array([0.5, 0, -1, 0.25], np.float32)),
            constant("W2", np.array([[1, 0], [-1, 2], [0.5, 0.5], [0.25, -1]], np.float32)),
            constant("b2", np.array([0.25, -0.5], np.float32)),
        ],
    )


def _sigmoid(helper: Any, _np: Any) -> Any:
    return _one_node(helper, "Sigmoid", 4)


def _log(helper: Any, _np: Any) -> Any:
    return _one_node(helper, "Log", 2)


def _one_node(helper: Any, operator: str, width: int) -> Any:
    return helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"])],
        operator.lower(),
        [floats(helper, "x", ["batch", width])],
        [floats(helper, "y", ["batch", width])],
    )


def _add(helper: Any, _np: Any) -> Any:
    return helper.make_graph(
        [helper.make_node("Add", ["left", "right"], ["total"])],
        "add",
        [floats(helper, "left", ["batch", 2]), floats(helper, "right", ["batch", 2])],
        [floats(helper, "total", ["batch", 2])],
    )


def _identity(helper: Any, element: ElementType) -> Any:
    return helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "identity",
        [helper.make_tensor_value_info("x", element.number, ["rows", "columns"])],
        [helper.make_tensor_value_info("y", element.number, ["rows", "columns"])],
    )


def _choose(helper: Any, _np: Any) -> Any:
    def branch(name: str, operator: str) -> Any:
        return helper.make_graph(
            [helper.make_node(operator, ["x"], [f"{name}_y"])], name, [], [floats(helper, f"{name}_y", ["n"])]
        )

    return helper.make_graph(
        [
            helper.make_node(
                "If",
                ["positive"],
                ["y"],
                then_branch=branch("then", "Identity"),
                else_branch=branch("otherwise", "Neg"),
            )
        ],
        "choose",
        [helper.make_tensor_value_info("positive", BOOL, []), floats(helper, "x", ["n"])],
        [floats(helper, "y", ["n"])],
    )


def _repeat(helper: Any, _np: Any) -> Any:
    body = helper.make_graph(
        [helper.make_node("Identity", ["go_in"], ["go"]), helper.make_node("Add", ["v_in", "v_in"], ["v"])],
        "body",
        [
            helper.make_tensor_value_info("i", INT64, []),
            helper.make_tensor_value_info("go_in", BOOL, []),
            floats(helper, "v_in", ["n"]),
        ],
        [helper.make_tensor_value_info("go", BOOL, []), floats(helper, "v", ["n"])],
    )
    return helper.make_graph(
        [helper.make_node("Loop", ["times", "", "x"], ["y"], body=body)],
        "repeat",
        [helper.make_tensor_value_info("times", INT64, []), floats(helper, "x", ["n"])],
        [floats(helper, "y", ["n"])],
    )


def _zipmap(helper: Any, _np: Any) -> Any:
    value_map = helper.make_map_type_proto(INT64, helper.make_tensor_type_proto(FLOAT, []))
    return helper.make_graph(
        [
            helper.make_node("Softmax", ["x"], ["p"], axis=-1),
            helper.make_node("ArgMax", ["p"], ["label"], axis=-1, keepdims=0),
            helper.make_node("ZipMap", ["p"], ["probabilities"], domain="ai.onnx.ml", classlabels_int64s=[0, 1]),
        ],
        "zipmap",
        [floats(helper, "x", ["batch", 2])],
        [
            helper.make_tensor_value_info("label", INT64, ["batch"]),
            helper.make_value_info("probabilities", helper.make_sequence_type_proto(value_map)),
        ],
    )


def _parts(helper: Any, _np: Any) -> Any:
    parts = helper.make_sequence_type_proto(helper.make_tensor_type_proto(FLOAT, None))
    return helper.make_graph(
        [
            helper.make_node("Add", ["x", "x"], ["doubled"]),
            helper.make_node("SequenceConstruct", ["x", "doubled"], ["parts"]),
        ],
        "parts",
        [floats(helper, "x", ["n"])],
        [helper.make_value_info("parts", parts)],
    )


def _noise(helper: Any, _np: Any) -> Any:
    return helper.make_graph(
        [
            helper.make_node("RandomUniformLike", ["x"], ["noise"]),
            helper.make_node("Add", ["x", "noise"], ["y"]),
        ],
        "noise",
        [floats(helper, "x", ["batch", 2])],
        [floats(helper, "y", ["batch", 2])],
    )


def _center(helper: Any, _np: Any) -> Any:
    return helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[0], keepdims=1),
            helper.make_node("Sub", ["x", "mean"], ["y"]),
        ],
        "center",
        [floats(helper, "x", ["batch", 2])],
        [floats(helper, "y", ["batch", 2])],
    )
