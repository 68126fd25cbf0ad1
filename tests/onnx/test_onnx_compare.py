"""The comparison of outputs: what agrees, and what a difference says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from InferenceLibrary.errors import CheckFailure, ModelError
from InferenceLibrary.onnx.compare import check_outputs

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def check(
    got: object, expected: object, *, rtol: float = 0.0, atol: float = 0.0, dtype: str | None = None
) -> list[str]:
    return check_outputs({"y": np.asarray(got)}, expected, rtol=rtol, atol=atol, dtype=dtype)


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
        check(got, expected, rtol=0.01)
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
    assert check(got, expected) == ["y"]


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
    with pytest.raises(ModelError, match="'a' is no tensor: expected an array, got list"):
        check_outputs({"a": [{0: 0.5}]}, {"a": [1]}, rtol=0, atol=0)


def test_negative_tolerance_is_refused() -> None:
    with pytest.raises(ModelError, match="not negative"):
        check([1], [1], rtol=-1)
