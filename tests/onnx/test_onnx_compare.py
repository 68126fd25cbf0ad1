"""The comparison of outputs: what agrees, and what a difference says."""

# ruff: noqa: E501 - messages are quoted whole

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.errors import CheckFailure, ModelError
from InferenceLibrary.onnx.compare import check_outputs
from InferenceLibrary.onnx.element_types import numpy_type, of_dtype

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def check(
    got: object,
    expected: object,
    *,
    rtol: float | None = 0.0,
    atol: float | None = 0.0,
    dtype: str | None = None,
    allow_nonfinite: bool = False,
) -> list[str]:
    array = np.asarray(got)
    return check_outputs({"y": array}, expected, rtol=rtol, atol=atol, dtype=dtype, allow_nonfinite=allow_nonfinite)


@given(
    st.lists(st.tuples(finite, finite), min_size=1, max_size=8),
    st.sampled_from([0.0, 1e-6, 1e-3, 0.5]),
    st.sampled_from([0.0, 1e-3, 1.0]),
)
def test_agreement_is_that_of_numpy(pairs: list[tuple[float, float]], rtol: float, atol: float) -> None:
    got = np.float64([pair[0] for pair in pairs])
    expected = np.float64([pair[1] for pair in pairs])
    agrees = bool(np.isclose(got, expected, rtol=rtol, atol=atol).all())
    if agrees:
        assert check(got, expected, rtol=rtol, atol=atol) == ["y"]
    else:
        with pytest.raises(CheckFailure):
            check(got, expected, rtol=rtol, atol=atol)


def test_difference_names_the_worst_place_and_lists_the_others() -> None:
    got = np.float32([[1, 2], [3, 4.5]])
    with pytest.raises(CheckFailure) as error:
        check(got, [[1, 2.25], [3, 4]], rtol=1e-3)
    assert str(error.value).splitlines() == [
        "ONNX output 'y' float32[2,2] differs in 2 of 4 values: expected 4, got 4.5 at [1,1] "
        "(greatest deviation 0.5; allowed rtol=0.001, atol=0).",
        "Differences, greatest first:",
        "    [1,1]: expected 4, got 4.5",
        "    [0,1]: expected 2.25, got 2",
    ]


def test_only_ten_differences_are_listed() -> None:
    with pytest.raises(CheckFailure, match=r"differs in 500 of 500 values") as error:
        check(np.ones(500), np.zeros(500))
    assert str(error.value).splitlines()[-1] == "    ... and 490 more"


@pytest.mark.parametrize(
    ("got", "expected", "message"),
    [
        (np.float32([1]), [1, 2], "wrong shape: expected [2], got [1]"),
        (np.float32([[1]]), [1], "wrong shape: expected [1], got [1,1]"),
        (np.float32([1]), np.float64([1]), "wrong type: expected float64, got float32"),
        (np.float32([np.nan]), [1.0], "got nan at [0] (greatest deviation inf"),
        (np.float32([np.inf]), [1.0], "got inf at [0] (greatest deviation inf"),
        (np.float32([1]), [np.inf], "expected inf, got 1 at [0]"),
        (np.float32([np.inf]), [-np.inf], "expected -inf, got inf at [0]"),
        (np.uint8([0]), [255], "greatest deviation 255"),
        (np.bool_([True]), [False], "expected False, got True at [0]"),
        (np.bool_([True]), [1], "wrong type: expected int64, got bool"),
        (np.array(["a"], object), ["b"], "expected 'b', got 'a' at [0]"),
        (np.float32(1.5), 1.0, "expected 1, got 1.5 at []"),
    ],
)  # fmt: skip
def test_differences_of_every_kind_fail(got: object, expected: object, message: str) -> None:
    with pytest.raises(CheckFailure) as error:
        check(got, expected, rtol=0.01, allow_nonfinite=True)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (np.float32([np.nan, np.inf]), [np.nan, np.inf]),
        (np.float32([0.1]), [0.1]),
        (np.float32([0.1]), "[0.1]"),
        (np.int64([2**60 + 1]), [2**60 + 1]),
        (np.array(["a", "b"], object), ["a", "b"]),
        (np.bool_([True]), [True]),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32)),
    ],
)  # fmt: skip
def test_equal_values_of_every_kind_pass_without_tolerance(got: object, expected: object) -> None:
    assert check(got, expected, allow_nonfinite=True) == ["y"]


def test_a_demanded_type_is_checked() -> None:
    assert check(np.float32([1]), [1], dtype="float32") == ["y"]
    with pytest.raises(CheckFailure, match="expected float16, got float32"):
        check(np.float32([1]), [1], dtype="float16")


def test_nothing_to_compare_never_passes() -> None:
    with pytest.raises(ModelError, match="Nothing to compare: expected one or more of the outputs: y, got none"):
        check([1], {})


def test_outputs_are_found_by_name() -> None:
    outputs = {"a": np.float32([1]), "b": np.float32([2])}
    assert check_outputs(outputs, {"b": [2]}, rtol=0, atol=0) == ["b"]
    with pytest.raises(ModelError, match="Unknown ONNX output 'c': expected one of: a, b"):
        check_outputs(outputs, {"c": [2]}, rtol=0, atol=0)
    with pytest.raises(ModelError, match="ONNX model has 2 outputs: expected an object by name: a, b"):
        check_outputs(outputs, [1], rtol=0, atol=0)


PROBABILITIES = [{0: 0.25, 1: 0.75}, {0: 0.5, 1: 0.5}]
"""What a ZipMap gives: a map from class to probability for each row."""


@pytest.mark.parametrize("expected", [PROBABILITIES, '[{"0": 0.25, "1": 0.75}, {"0": 0.5, "1": 0.5}]'])
def test_sequences_of_maps_are_compared_key_by_key(expected: object) -> None:
    assert check_outputs({"p": PROBABILITIES}, expected) == ["p"]
    assert check_outputs({"p": PROBABILITIES}, {"p": PROBABILITIES}) == ["p"]


@pytest.mark.parametrize(
    ("got", "expected", "message"),
    [
        (PROBABILITIES, '[{"0": 0.25, "1": 0.75}, {"0": 0.5, "1": 0.75}]', "'p'[1][1] float32[] differs in 1 of 1 values: expected 0.75, got 0.5 at []"),
        (PROBABILITIES, '[{"0": 0.25, "1": 0.75}]', "'p' has the wrong length: expected 1 items, got 2 items."),
        (PROBABILITIES, '[{"0": 0.25, "2": 0.75}, {"0": 0.5, "1": 0.5}]', "'p'[0] has other keys: expected 0, 2, got 0, 1."),
        (PROBABILITIES, '[{"0": 0.25}, {"0": 0.5, "1": 0.5}]', "'p'[0] has other keys: expected 0, got 0, 1."),
        (PROBABILITIES, "[1, 2]", "'p'[0] is a map: expected an object by key to compare it with, got a int."),
        (PROBABILITIES, "3", "'p' is a list: expected a list to compare it with, got a int."),
        ([{0: np.nan}], "[{\"0\": NaN}]", "'p'[0][0] is not finite: expected finite numbers, got nan at []."),
        ([np.float32([1, 2]), np.float32([3])], [[1, 2], [4]], "'p'[1] float32[1] differs in 1 of 1 values: expected 4, got 3 at [0]"),
        ({"a": "x"}, {"a": "y"}, "'p'[a] <U1[] differs in 1 of 1 values: expected 'y', got 'x' at []"),
        ({"a": 1}, {"a": [1]}, "'p'[a] is a int: expected one value to compare it with, got a list."),
    ],
)  # fmt: skip
def test_sequences_and_maps_that_differ_fail(got: object, expected: object, message: str) -> None:
    with pytest.raises(CheckFailure) as error:
        check_outputs({"p": got}, expected)
    assert f"ONNX output {message}" in str(error.value)


@pytest.mark.parametrize(
    ("dtype", "beyond"), [("float32", 2e-5), ("float64", 1e-7), ("float16", 0.02), ("bfloat16", 0.05)]
)
def test_tolerances_are_those_of_the_type(dtype: str, beyond: float) -> None:
    wanted = numpy_type(dtype)
    element = of_dtype(wanted)
    assert element is not None
    got = np.array([1.0]).astype(wanted)
    check(got, np.array([1 + element.rtol / 2]).astype(wanted), rtol=None, atol=None)
    with pytest.raises(CheckFailure, match=f"allowed rtol={element.rtol:g}, atol={element.atol:g}"):
        check(got, np.array([1.0 + beyond]).astype(wanted), rtol=None, atol=None)
    with pytest.raises(CheckFailure, match="rtol=0, atol=0"):
        check(np.int32([7]), [8], rtol=None, atol=None)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_refused_even_where_they_were_expected(value: float) -> None:
    with pytest.raises(
        CheckFailure, match=f"'y' is not finite: expected finite numbers, got {value} at \\[1\\], and 1 more"
    ):
        check(np.float32([1, value, value]), [1, value, value])


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_foreign_types_are_compared(dtype: str) -> None:
    wanted = numpy_type(dtype)
    got = np.array([1.5, 2]).astype(wanted)
    assert check(got, [1.5, 2], dtype=dtype) == ["y"]
    with pytest.raises(
        CheckFailure, match=f"'y' {dtype}\\[2\\] differs in 1 of 2 values: expected 3, got 2 at \\[1\\]"
    ):
        check(got, [1.5, 3])
    with pytest.raises(CheckFailure, match=f"wrong type: expected float32, got {dtype}"):
        check(got, [1.5, 2], dtype="float32")


def test_negative_tolerance_is_refused() -> None:
    with pytest.raises(ModelError, match="not negative: got rtol=-1"):
        check([1], [1], rtol=-1)


@pytest.mark.parametrize("bar", [float("nan"), float("inf")])
def test_a_tolerance_that_is_not_finite_is_refused(bar: float) -> None:
    with pytest.raises(ModelError, match="Tolerances are finite"):
        check([1], [2], atol=bar)
