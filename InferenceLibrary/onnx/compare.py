"""Compare outputs with expected values, and say where they differ most.

Two numbers agree when `|got - expected| <= atol + rtol * |expected|` (the definition of numpy.isclose). Numbers that
are not finite agree with nothing, unless a test says so: then equal infinities agree, and NaN where NaN was expected.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.element_types import is_float, numpy_type, of_dtype
from InferenceLibrary.onnx.values import parse, to_array


def check_outputs(
    outputs: Mapping[str, Any],
    expected: Any,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    dtype: str | None = None,
    allow_nonfinite: bool = False,
) -> list[str]:
    """Check the outputs of a run and return the names of those that were compared.

    Args:
        outputs: By output name: an array, or lists and dictionaries for sequences and maps.
        expected: An object by output name (some or all), or the values alone when there is one output. A numpy array
            demands its own element type as well.
        rtol: Tolerance relative to the expected value; None for that of the output's element type.
        atol: Absolute tolerance, in the unit of the values; None for that of the output's element type.
        dtype: Element type that every compared output must have; None to take what a numpy array states.
        allow_nonfinite: Let NaN agree with NaN, and an infinite number with its equal; else an output that holds one
            fails.

    Raises:
        CheckFailure: A type, a shape or a value differs, or a number is not finite.
        ModelError: An output is unknown, or nothing was given to compare.
    """
    for name, given in (("rtol", rtol), ("atol", atol)):
        if given is not None and not (math.isfinite(given) and given >= 0):
            raise ModelError(f"Tolerances are finite and not negative: got {name}={given:g}.")
    bar = _Bar(rtol, atol, dtype, allow_nonfinite)
    wanted = expected_by_name(outputs, expected)
    for name, value in wanted.items():
        _check(f"'{name}'", outputs[name], value, bar)
    return list(wanted)


def expected_by_name(outputs: Mapping[str, Any], expected: Any) -> dict[str, Any]:
    """Return what is expected of each output that is compared.

    Raises:
        ModelError: An output is unknown, several outputs need names, or nothing was given to compare.
    """
    data = parse(expected)
    names = ", ".join(outputs)
    if len(outputs) == 1:
        only, value = next(iter(outputs.items()))
        # A map's own keys need no name of the output before them.
        if not isinstance(data, Mapping) or (data and isinstance(value, Mapping) and only not in data):
            data = {only: data}
    elif not isinstance(data, Mapping):
        raise ModelError(describe(f"ONNX model has {len(outputs)} outputs", expected=f"an object by name: {names}"))
    if not data:
        raise ModelError(describe("Nothing to compare", expected=f"one or more of the outputs: {names}", got="none"))
    for name in data:
        if name not in outputs:
            raise ModelError(describe(f"Unknown ONNX output '{name}'", expected=f"one of: {names}"))
    return dict(data)


@dataclass(frozen=True)
class _Bar:
    rtol: float | None
    atol: float | None
    dtype: str | None
    allow_nonfinite: bool

    def of(self, got: Any) -> tuple[float, float]:
        """Relative and absolute tolerance for the element type of an output."""
        known = of_dtype(got.dtype)
        rtol = (known.rtol if known else 0.0) if self.rtol is None else self.rtol
        return rtol, (known.atol if known else 0.0) if self.atol is None else self.atol


def _check(name: str, got: Any, wanted: Any, bar: _Bar) -> None:
    """Compare a tensor, or the parts of a sequence or map; `name` says where: `'probabilities'[0][1]`."""
    np = packages.numpy("Comparing ONNX outputs")
    if isinstance(got, Mapping):
        _check_map(name, got, wanted, bar)
    elif isinstance(got, list | tuple):
        if not isinstance(wanted, list | tuple):
            raise CheckFailure(_wrong_kind(name, "a list", wanted, got))
        if len(got) != len(wanted):
            raise CheckFailure(
                describe(
                    f"ONNX output {name} has the wrong length", expected=f"{len(wanted)} items", got=f"{len(got)} items"
                )
            )
        for place, (one, other) in enumerate(zip(got, wanted, strict=True)):
            _check(f"{name}[{place}]", one, other, bar)
    elif isinstance(got, np.ndarray | np.generic):
        _check_tensor(name, np.asarray(got), wanted, bar)
    elif isinstance(wanted, Mapping | list | tuple):
        raise CheckFailure(_wrong_kind(name, "one value", wanted, got))
    else:
        wanted = np.asarray(wanted) if isinstance(wanted, str) else wanted  # a text here is a value, not JSON
        # A number of a map comes as a Python float; the model computed it in single precision.
        _check_tensor(name, np.asarray(got, np.float32 if isinstance(got, float) else None), wanted, bar)


def _check_map(name: str, got: Mapping[Any, Any], wanted: Any, bar: _Bar) -> None:
    if not isinstance(wanted, Mapping):
        raise CheckFailure(_wrong_kind(name, "an object by key", wanted, got))
    # The keys of JSON are texts, those of a map may be numbers.
    found = {str(key): value for key, value in got.items()}
    sought = {str(key): value for key, value in wanted.items()}
    if set(found) != set(sought):
        raise CheckFailure(
            describe(f"ONNX output {name} has other keys", expected=", ".join(sought), got=", ".join(found) or "none")
        )
    for key, value in sought.items():
        _check(f"{name}[{key}]", found[key], value, bar)


def _wrong_kind(name: str, fitting: str, wanted: Any, got: Any) -> str:
    return describe(
        f"ONNX output {name} is {'a map' if isinstance(got, Mapping) else f'a {type(got).__name__}'}",
        expected=f"{fitting} to compare it with",
        got=f"a {type(wanted).__name__}",
    )


def _check_tensor(name: str, got: Any, wanted: Any, bar: _Bar) -> None:
    np = packages.numpy("Comparing ONNX outputs")
    demanded = bar.dtype or (str(wanted.dtype) if isinstance(wanted, np.ndarray | np.generic) else None)
    expected = to_array(wanted)
    if not isinstance(wanted, np.ndarray | np.generic) and is_float(got.dtype) and expected.dtype.kind in "iuf":
        expected = expected.astype(got.dtype)  # text carries no type: 0.1 means the nearest number of the output's type
    if demanded is not None and str(got.dtype) != str(numpy_type(demanded)) and not _texts(got, numpy_type(demanded)):
        raise CheckFailure(describe(f"ONNX output {name} has the wrong type", expected=demanded, got=str(got.dtype)))
    if got.shape != expected.shape:
        raise CheckFailure(
            describe(
                f"ONNX output {name} has the wrong shape", expected=brackets(expected.shape), got=brackets(got.shape)
            )
        )
    numeric = _numeric(got.dtype) and _numeric(expected.dtype)
    if not numeric:
        if got.dtype.kind not in {"O", expected.dtype.kind}:
            raise CheckFailure(
                describe(f"ONNX output {name} has the wrong type", expected=str(expected.dtype), got=str(got.dtype))
            )
        wrong = np.asarray(got != expected)
        if wrong.any():
            raise CheckFailure(_differences(np, name, got, expected, wrong, None, (0.0, 0.0)))
        return
    if not bar.allow_nonfinite:
        check_finite(name, got)
    rtol, atol = bar.of(got)
    # Wide types: the difference of two unsigned integers or halves must not wrap or overflow.
    wide_got, wide_expected = _widened(got), _widened(expected)
    with np.errstate(invalid="ignore", over="ignore"):
        deviations = np.abs(wide_got - wide_expected)
        close = deviations <= atol + rtol * np.abs(wide_expected)
    same = (wide_got == wide_expected) | (np.isnan(wide_got) & np.isnan(wide_expected))
    # An infinite expectation makes the tolerance infinite: there only equality counts.
    wrong = ~(same | (close & np.isfinite(wide_expected)))
    if wrong.any():
        deviations = np.where(same, 0, np.where(np.isnan(deviations), np.inf, deviations))
        raise CheckFailure(_differences(np, name, got, expected, wrong, deviations, (rtol, atol)))


def check_finite(name: str, got: Any) -> None:
    """Check that a tensor, or every part of a sequence or map, holds neither NaN nor infinite numbers.

    Raises:
        CheckFailure: It does; the message names the first place and how many there are.
    """
    np = packages.numpy("Checking ONNX outputs")
    if isinstance(got, Mapping):
        for key, value in got.items():
            check_finite(f"{name}[{key}]", value)
        return
    if isinstance(got, list | tuple):
        for place, value in enumerate(got):
            check_finite(f"{name}[{place}]", value)
        return
    array = np.asarray(got)
    if not is_float(array.dtype):
        return
    finite = np.isfinite(array)
    if not finite.all():
        first: tuple[Any, ...] = tuple(np.argwhere(~finite)[0]) if array.ndim else ()
        others = int((~finite).sum()) - 1
        raise CheckFailure(
            describe(
                f"ONNX output {name} is not finite",
                expected="finite numbers",
                got=f"{_value(array[first])} at {brackets(first)}" + (f", and {others} more" if others else ""),
                hint="allow_nonfinite=True compares them",
            )
        )


def _numeric(dtype: Any) -> bool:
    return dtype.kind in "iu" or is_float(dtype)


def _texts(got: Any, demanded: Any) -> bool:
    return got.dtype.kind in "OU" and demanded.kind in "OU"


def _widened(array: Any) -> Any:
    known = of_dtype(array.dtype)
    return (array.astype("float64") if known is not None and known.foreign else array).astype("longdouble")


def _differences(
    np: Any, name: str, got: Any, expected: Any, wrong: Any, deviations: Any, bar: tuple[float, float]
) -> str:
    places = list(zip(*np.nonzero(wrong), strict=True)) if wrong.ndim else [()]
    if deviations is not None:
        places.sort(key=lambda place: -float(deviations[place]))
    worst = places[0]
    what = f"ONNX output {name} {got.dtype}{brackets(got.shape)} differs in {len(places)} of {got.size} values"
    shown = f"{_value(got[worst])} at {brackets(worst)}"
    if deviations is not None:
        shown += f" (greatest deviation {float(deviations[worst]):.6g}; allowed rtol={bar[0]:g}, atol={bar[1]:g})"
    lines = [
        f"{brackets(place)}: expected {_value(expected[place])}, got {_value(got[place])}" for place in places[:10]
    ]
    if len(places) > len(lines):
        lines.append(f"... and {len(places) - len(lines)} more")
    return describe(what, expected=_value(expected[worst]), got=shown, detail=("Differences, greatest first", lines))


def _value(item: Any) -> str:
    plain = item.item() if hasattr(item, "item") else item
    plain = float(plain) if type(plain).__module__ == "ml_dtypes" else plain
    return f"{plain:.9g}" if isinstance(plain, float) else repr(plain)


def brackets(items: Any) -> str:
    """Return a place or shape as people write it: `[0,2]`."""
    return f"[{','.join(str(int(item)) for item in items)}]"
