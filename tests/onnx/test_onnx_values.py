"""What becomes of inputs: lossless conversion for texts and lists, strictness for arrays, one line for the rest."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from InferenceLibrary.errors import ModelError
from InferenceLibrary.onnx.values import Port, parse, to_array, to_feed, to_plain

X = Port("x", "tensor(float)", ("batch", 2))
IDS = Port("ids", "tensor(int64)", ("batch", None))
MASK = Port("mask", "tensor(bool)", ("batch",))
WORDS = Port("words", "tensor(string)", None)


@pytest.mark.parametrize(
    "given_value", ["[[1, 2]]", [[1, 2]], ((1, 2),), "((1, 2),)", np.float32([[1, 2]]), '{"x": [[1, 2]]}']
)
def test_every_form_gives_the_declared_type(given_value: object) -> None:
    feed = to_feed(given_value, [X])
    assert feed["x"].dtype == np.float32
    assert feed["x"].tolist() == [[1, 2]]


def test_several_inputs_by_name() -> None:
    feed = to_feed('{"ids": [[1, 2, 3]], "mask": [true], "words": ["a", "b"]}', [IDS, MASK, WORDS])
    assert feed["ids"].dtype == np.int64
    assert feed["mask"].dtype == np.bool_
    assert feed["words"].dtype == object
    assert to_feed({"ids": "[[4]]", "mask": [False], "words": np.array(["c"])}, [IDS, MASK, WORDS])["ids"].tolist() == [
        [4]
    ]


@pytest.mark.parametrize(
    ("inputs", "ports", "message"),
    [
        ("[[1, 2", [X], "ONNX values cannot be read: expected JSON such as [[1, 2]] or {\"x\": [[1, 2]]}, or numpy arrays, got '[[1, 2'."),
        ({"y": [[1, 2]]}, [X], "Unknown ONNX input 'y': expected one of: x float32[batch,2]."),
        ({"ids": [[1]]}, [IDS, MASK], "ONNX input 'mask' is missing: expected ids int64[batch,?], mask bool[batch], got ids."),
        ({}, [X], "ONNX input 'x' is missing: expected x float32[batch,2], got none."),
        ([1, 2], [IDS, MASK], "ONNX model has 2 inputs: expected an object by name: ids int64[batch,?], mask bool[batch], got list without names."),
        ([[1, 2, 3]], [X], "ONNX input 'x' has the wrong shape: expected [batch,2], got [1,3]."),
        ([1, 2], [X], "ONNX input 'x' has the wrong shape: expected [batch,2], got [2]."),
        ([[1, 2], [3]], [X], "ONNX input 'x': ONNX values are ragged: expected rows of one length."),
        (np.zeros((1, 2)), [X], "ONNX input 'x' has the wrong type: expected float32, got float64. Hint: Create Tensor ... dtype=float32"),
        ([["a", "b"]], [X], "ONNX input 'x': ONNX values do not fit their type: expected float32, got 'a' at [0,0]."),
        ([[1.5, 2]], [IDS], "ONNX input 'ids': ONNX values do not fit their type: expected int64, got 1.5 at [0,0]."),
        ([[None, 2]], [X], "ONNX input 'x': ONNX values are no numbers, texts or booleans: expected one kind of value, got [[None, 2]]."),
        ([1], [MASK], "ONNX input 'mask': ONNX values do not fit their type: expected bool, got 1 at [0]."),
        ([1], [Port("s", "seq(tensor(float))", None)], "ONNX input 's' cannot be given: expected a tensor that numpy has, got seq(tensor(float))."),
        ({"ids": [[1], [2]], "mask": [True]}, [IDS, MASK], "ONNX input 'mask' has the wrong shape: expected batch = 2 as in input 'ids', got [1]."),
    ],
)  # fmt: skip
def test_unfit_inputs_are_refused_in_one_line(inputs: object, ports: list[Port], message: str) -> None:
    with pytest.raises(ModelError) as error:
        to_feed(inputs, ports)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("values", "dtype", "got"),
    [([300], "int8", "300 at [0]"), ([[0, -1]], "uint8", "-1 at [0,1]"), ([0.5], "int32", "0.5 at [0]"), ([float("nan")], "int64", "nan at [0]")],
)  # fmt: skip
def test_values_never_change_silently(values: list[float], dtype: str, got: str) -> None:
    with pytest.raises(ModelError, match=f"expected {dtype}, got") as error:
        to_array(values, dtype)
    assert got in str(error.value)


def test_unknown_type_lists_the_known_ones() -> None:
    with pytest.raises(ModelError, match=r"Unknown element type 'floot': expected one of: float32, float64"):
        to_array([1], "floot")


@given(arrays.arrays(dtype=st.sampled_from(["float32", "float64", "int64", "int8", "uint16", "bool"]), shape=arrays.array_shapes(max_dims=3, max_side=4)))  # fmt: skip
def test_there_and_back_changes_nothing(array: np.ndarray) -> None:  # type: ignore[type-arg]
    back = to_array(to_plain(array), str(array.dtype))
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


def test_nested_results_become_plain() -> None:
    assert to_plain({"a": (np.int64(3), [np.float32([1, 2])]), "b": "x"}) == {"a": [3, [[1.0, 2.0]]], "b": "x"}


def test_what_is_no_text_is_not_parsed() -> None:
    assert parse([1]) == [1]
