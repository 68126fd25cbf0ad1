"""Compare output tensors with expected numbers, and say where they differ most.

Two numbers agree when `|got - expected| <= atol + rtol * |expected|` (the definition of numpy.isclose). Equal
infinities agree; not-a-number agrees only where it was expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.values import parse, to_array


def check_outputs(
    outputs: Mapping[str, Any], expected: Any, *, rtol: float, atol: float, dtype: str | None = None
) -> list[str]:
    """Check the outputs of a run and return the names of those that were compared.

    Args:
        outputs: Array by output name.
        expected: An object by output name (some or all), or the values alone when there is one output. A numpy array
            demands its own element type as well.
        rtol: Tolerance relative to the expected value.
        atol: Absolute tolerance, in the unit of the values.
        dtype: Element type that every compared output must have; None to take what a numpy array states.

    Raises:
        CheckFailure: A type, a shape or a value differs.
        ModelError: An output is unknown, is no tensor, or nothing was given to compare.
    """
    if rtol < 0 or atol < 0:
        raise ModelError(f"Tolerances are not negative: got rtol={rtol:g}, atol={atol:g}.")
    data = parse(expected)
    names = ", ".join(outputs)
    if not isinstance(data, Mapping):
        if len(outputs) != 1:
            raise ModelError(describe(f"ONNX model has {len(outputs)} outputs", expected=f"an object by name: {names}"))
        data = {next(iter(outputs)): data}
    if not data:
        raise ModelError(describe("Nothing to compare", expected=f"one or more of the outputs: {names}", got="none"))
    for name, wanted in data.items():
        if name not in outputs:
            raise ModelError(describe(f"Unknown ONNX output '{name}'", expected=f"one of: {names}"))
        _check_tensor(str(name), outputs[name], wanted, rtol, atol, dtype)
    return [str(name) for name in data]


def _check_tensor(name: str, got: Any, wanted: Any, rtol: float, atol: float, dtype: str | None) -> None:
    np = packages.numpy("Comparing ONNX outputs")
    if not isinstance(got, np.ndarray):
        raise ModelError(describe(f"ONNX output '{name}' is no tensor", expected="an array", got=type(got).__name__))
    demanded = dtype or (str(wanted.dtype) if isinstance(wanted, np.ndarray | np.generic) else None)
    expected = to_array(wanted)
    if not isinstance(wanted, np.ndarray | np.generic) and got.dtype.kind == "f" and expected.dtype.kind in "iuf":
        expected = expected.astype(got.dtype)  # text carries no type: 0.1 means the nearest number of the output's type
    if demanded is not None and str(got.dtype) != str(np.dtype(demanded)):
        raise CheckFailure(describe(f"ONNX output '{name}' has the wrong type", expected=demanded, got=str(got.dtype)))
    if got.shape != expected.shape:
        raise CheckFailure(
            describe(
                f"ONNX output '{name}' has the wrong shape",
                expected=_brackets(expected.shape),
                got=_brackets(got.shape),
            )
        )
    if got.dtype.kind in "OUSb" or expected.dtype.kind in "OUSb":
        if got.dtype.kind not in {"O", expected.dtype.kind}:
            raise CheckFailure(
                describe(f"ONNX output '{name}' has the wrong type", expected=str(expected.dtype), got=str(got.dtype))
            )
        wrong = np.asarray(got != expected)
        deviations = None
    else:
        # Wide types: the difference of two unsigned integers or halves must not wrap or overflow.
        wide_got, wide_expected = got.astype(np.longdouble), expected.astype(np.longdouble)
        with np.errstate(invalid="ignore", over="ignore"):
            deviations = np.abs(wide_got - wide_expected)
            close = deviations <= atol + rtol * np.abs(wide_expected)
        same = (wide_got == wide_expected) | (np.isnan(wide_got) & np.isnan(wide_expected))
        # An infinite expectation makes the tolerance infinite: there only equality counts.
        wrong = ~(same | (close & np.isfinite(wide_expected)))
        deviations = np.where(same, 0, np.where(np.isnan(deviations), np.inf, deviations))
    if wrong.any():
        raise CheckFailure(_differences(np, name, got, expected, wrong, deviations, rtol, atol))


def _differences(
    np: Any, name: str, got: Any, expected: Any, wrong: Any, deviations: Any, rtol: float, atol: float
) -> str:
    places = list(zip(*np.nonzero(wrong), strict=True)) if wrong.ndim else [()]
    if deviations is not None:
        places.sort(key=lambda place: -float(deviations[place]))
    worst = places[0]
    what = f"ONNX output '{name}' {got.dtype}{_brackets(got.shape)} differs in {len(places)} of {got.size} values"
    shown = f"{_value(got[worst])} at {_brackets(worst)}"
    if deviations is not None:
        shown += f" (greatest deviation {float(deviations[worst]):.6g}; allowed rtol={rtol:g}, atol={atol:g})"
    lines = [
        f"{_brackets(place)}: expected {_value(expected[place])}, got {_value(got[place])}" for place in places[:10]
    ]
    if len(places) > len(lines):
        lines.append(f"... and {len(places) - len(lines)} more")
    return describe(what, expected=_value(expected[worst]), got=shown, detail=("Differences, greatest first", lines))


def _value(item: Any) -> str:
    plain = item.item() if hasattr(item, "item") else item
    return f"{plain:.9g}" if isinstance(plain, float) else repr(plain)


def _brackets(items: Any) -> str:
    return f"[{','.join(str(int(item)) for item in items)}]"
