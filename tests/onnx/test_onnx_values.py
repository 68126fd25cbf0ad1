"""What becomes of inputs: lossless conversion for texts and lists, strictness for arrays, one line for the rest."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from InferenceLibrary.errors import ModelError
from InferenceLibrary.onnx.arrays import to_plain
from InferenceLibrary.onnx.element_types import numpy_type, of_dtype
from InferenceLibrary.onnx.values import Port, parse, to_array, to_feed

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
        ("[[1, 2", [X], "ONNX values cannot be read: expected JSON such as [[1, 2]] or {\"x\": [[1, 2]]}, a .npy, .npz or .json file, or numpy arrays, got '[[1, 2'."),
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
        ([[None, 2]], [X], "ONNX input 'x': ONNX values are not numbers, texts or booleans: expected one kind of value, got [[None, 2]]."),
        ([1], [MASK], "ONNX input 'mask': ONNX values do not fit their type: expected bool, got 1 at [0]."),
        (1, [Port("s", "seq(tensor(float))", None)], "ONNX input 's' is a sequence: expected a list of tensors, got int."),
        ([["a"]], [Port("s", "seq(tensor(float))", None)], "ONNX input 's': ONNX values do not fit their type: expected float32, got 'a' at [0]."),
        ({1: 2.0}, [Port("m", "map(int64,tensor(float))", None)], "Unknown ONNX input '1': expected one of: m map(int64,tensor(float))[...]."),
        ([1], [Port("m", "map(int64,tensor(float))", None)], "ONNX input 'm' cannot be given: expected a tensor or a sequence of tensors, got map(int64,tensor(float))."),
        ({"X": [[1, 2]]}, [X, IDS], "Unknown ONNX input 'X': expected one of: x float32[batch,2], ids int64[batch,?]."),
        ({"idz": [[1]], "x": [[1, 2]]}, [X, IDS], "Unknown ONNX input 'idz': expected one of: x float32[batch,2], ids int64[batch,?]. Hint: did you mean 'ids'?"),
        ([[1, float("nan")]], [X], "ONNX input 'x' is not finite: expected finite numbers, got nan at [0,1]. Hint: allow_nonfinite=True takes them"),
        (np.float32([[np.inf, 1]]), [X], "ONNX input 'x' is not finite: expected finite numbers, got inf at [0,0]. Hint: allow_nonfinite=True takes them"),
        ([[1e39, 1]], [X], "ONNX input 'x': ONNX values do not fit their type: expected float32 (at most 3.40282e+38, at least 1.4e-45), got 1e+39 at [0,0]."),
        ([[10**400, 1]], [X], "ONNX input 'x': ONNX values do not fit their type: expected float32, got a number of 401 digits."),
        ("/no/such/file.npy", [X], "File of values '/no/such/file.npy' does not exist."),
        ({"ids": [[1], [2]], "mask": [True]}, [IDS, MASK], "ONNX input 'mask' has the wrong shape: expected batch = 2 as in input 'ids', got [1]."),
    ],
)  # fmt: skip
def test_unfit_inputs_are_refused_in_one_line(inputs: object, ports: list[Port], message: str) -> None:
    with pytest.raises(ModelError) as error:
        to_feed(inputs, ports)
    assert str(error.value) == message


FLOATS = ["float16", "float32", "float64", "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]  # fmt: skip
WHOLE = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.mark.parametrize(
    ("values", "dtype", "message"),
    [
        ([300], "int8", "expected int8 (-128 to 127), got 300 at [0]."),
        ([[0, -1]], "uint8", "expected uint8 (0 to 255), got -1 at [0,1]."),
        ([0.5], "int32", "expected int32, got 0.5 at [0]."),
        ([float("nan")], "int64", "expected int64, got nan at [0]."),
        ([float("inf")], "uint64", "expected uint64, got inf at [0]."),
        ([1, 70000], "float16", "expected float16 (at most 65504, at least 5.96e-08), got 70000 at [1]."),
        ([1.0, 1e-9], "float16", "expected float16 (at most 65504, at least 5.96e-08), got 1e-09 at [1]."),
        ([3.4e38, 3.5e38], "float32", "expected float32 (at most 3.40282e+38, at least 1.4e-45), got 3.5e+38 at [1]."),
        ([3.4e38, -3.5e38], "bfloat16", "expected bfloat16 (at most 3.38953e+38, at least 9.18e-41), got 3.4e+38 at [0]."),
        ([448, 500], "float8_e4m3fn", "expected float8_e4m3fn (at most 448, at least 0.00195), got 500 at [1]."),
        (9.3e18, "int64", "expected int64 (-9223372036854775808 to 9223372036854775807), got 9.3e+18 at []."),
        (2**64, "uint64", "expected uint64, got 18446744073709551616."),
        ([True], "float32", "expected float32, got True at [0]."),
    ],
)  # fmt: skip
def test_a_number_that_does_not_fit_is_refused_in_every_type(values: object, dtype: str, message: str) -> None:
    with pytest.raises(ModelError) as error:
        to_array(values, dtype)
    assert str(error.value) == f"ONNX values do not fit their type: {message}"


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_ends_of_a_type_with_fractions_fit_and_what_is_beyond_does_not(dtype: str) -> None:
    wanted = numpy_type(dtype)
    about = ml_dtypes.finfo(wanted)
    high, small = float(about.max), float(about.smallest_subnormal)
    kept = to_array([high, -high, small, 0.0], dtype)
    assert kept.dtype == wanted
    assert [float(item) for item in kept] == [high, -high, small, 0.0]
    for beyond in ([high * 1.5], [-high * 1.5], [small / 4]) if dtype != "float64" else ([10**309],):
        with pytest.raises(ModelError, match="do not fit their type"):
            to_array(beyond, dtype)


def test_whole_numbers_beyond_64_bits_are_rounded_to_types_with_fractions() -> None:
    assert to_array(2**64, "float32") == np.float32(2.0**64)
    assert to_array([[1, -(2**70)], [0.5, 3]], "float64").tolist() == [[1.0, -(2.0**70)], [0.5, 3.0]]
    for data, dtype in (
        ([2**64, None], "float32"),
        ([2**64, True], "float32"),
        (2**64, "float16"),
        (10**400, "float64"),
    ):
        with pytest.raises(ModelError, match="ONNX values"):
            to_array(data, dtype)
    with pytest.raises(
        ModelError, match=r"expected at most 64 bits, got 18446744073709551616\. Hint: give dtype=float64"
    ):
        to_array(2**64)


@pytest.mark.parametrize("dtype", WHOLE)
def test_the_ends_of_a_whole_type_fit_and_what_is_beyond_does_not(dtype: str) -> None:
    about = np.iinfo(dtype)
    for kept in (about.min, about.max):
        assert int(to_array([kept], dtype)[0]) == kept
    for beyond in (about.min - 1, about.max + 1, float(about.max) * 2, 2.0 ** (about.bits - (about.min < 0))):
        with pytest.raises(ModelError, match="do not fit their type"):
            to_array([beyond], dtype)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float8_e5m2"])
def test_what_is_not_finite_may_be_asked_for(dtype: str) -> None:
    feed = to_feed([float("nan"), float("inf")], [Port("x", f"tensor({of_dtype(numpy_type(dtype)).onnx})", ("n",))], allow_nonfinite=True)  # type: ignore[union-attr]  # fmt: skip
    assert str(feed["x"].astype("float64").tolist()) == "[nan, inf]"


def test_fractions_become_the_nearest_number_of_the_type() -> None:
    assert to_array([0.1], "float32")[0] == np.float32(0.1)
    assert float(to_array([257], "bfloat16")[0]) == 256


def test_foreign_types_are_taken_as_arrays_and_become_lists() -> None:
    array = to_array([[1.5, -2]], "bfloat16")
    feed = to_feed(array, [Port("x", "tensor(bfloat16)", ("n", 2))])
    assert feed["x"].dtype == np.dtype(ml_dtypes.bfloat16)
    assert to_plain(array) == [[1.5, -2.0]]
    with pytest.raises(ModelError, match=r"wrong type: expected bfloat16, got float32\. Hint: .*dtype=bfloat16"):
        to_feed(np.float32([[1, 2]]), [Port("x", "tensor(bfloat16)", ("n", 2))])


def test_sequences_of_tensors_are_lists() -> None:
    port = Port("s", "seq(tensor(float))", None)
    feed = to_feed({"s": [[1, 2], np.float32([3])]}, [port])
    assert [item.tolist() for item in feed["s"]] == [[1.0, 2.0], [3.0]]
    assert port.dtype is None


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
