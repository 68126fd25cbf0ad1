"""Inline assertions of the `Get ...` keywords, in the grammar of robotframework-assertion-engine.

`Get Time To First Token    ${stream}    <    200 ms`: the expected side is read in the unit of the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from assertionengine import AssertionOperator, float_str_verify_assertion, verify_assertion

from InferenceLibrary.errors import CheckFailure, refuse_empty
from InferenceLibrary.log import seen
from InferenceLibrary.types import to_quantity

_COMPARISONS: dict[AssertionOperator, Callable[[float, float], bool]] = {
    AssertionOperator["=="]: lambda value, expected: value == expected,
    AssertionOperator["!="]: lambda value, expected: value != expected,
    AssertionOperator["<"]: lambda value, expected: value < expected,
    AssertionOperator["<="]: lambda value, expected: value <= expected,
    AssertionOperator[">"]: lambda value, expected: value > expected,
    AssertionOperator[">="]: lambda value, expected: value >= expected,
}


_SEARCHES = {AssertionOperator[name] for name in ("contains", "not contains", "starts", "ends", "matches")}


def check_number(
    value: float,
    operator: AssertionOperator | None,
    expected: Any,
    name: str,
    unit: str = "",
    message: str | None = None,
) -> Any:
    """Check a number against an inline assertion and return it.

    Args:
        value: The number, in its SI unit.
        operator: None checks nothing; `==`, `<` and so on compare; others (`validate`, `then`) go to the engine.
        expected: The other side; text with a unit is understood: `200 ms` for seconds, `2 GB` for bytes.
        name: What the number is, for the message: `time to first token`.
        unit: `s`, `B` or another symbol.
        message: Replaces the text of the failure.

    Raises:
        CheckFailure: The comparison does not hold.
    """
    if operator is None:
        return value
    operator = operator_of(operator)
    if operator not in _COMPARISONS:
        return float_str_verify_assertion(value, operator, expected, name, message)
    limit = to_quantity(expected, unit)
    what = f"{name[:1].upper()}{name[1:]}"
    if math.isnan(value):
        # Every comparison with it is false, and `!=` would always hold.
        raise CheckFailure(message or f"{what}: expected a number, got NaN.")
    if not _COMPARISONS[operator](value, limit):
        expected_text, got = show(limit, unit), show(value, unit)
        if expected_text == got and value != limit:
            # They differ by less than is shown of them.
            expected_text, got = f"{limit!r} {unit}".strip(), f"{value!r} {unit}".strip()
        symbol = str(operator.value)
        raise CheckFailure(message or f"{what}: expected {symbol} {expected_text}, got {got}.")
    seen(f"{what}: {show(value, unit)}.")
    return value


def check_text(
    value: str, operator: AssertionOperator | None, expected: Any, name: str, message: str | None = None
) -> Any:
    """Check a text against an inline assertion and return it.

    Raises:
        AssertionError: The assertion does not hold, or looks for an empty text.
    """
    operator = operator_of(operator)
    if operator in _SEARCHES:
        refuse_empty(name, str(expected or ""))
    judged = verify_assertion(value, operator, expected, name, message)
    if operator is not None:
        seen(f"{name[:1].upper()}{name[1:]}: {value!r}.")
    return judged


def operator_of(operator: AssertionOperator | str | None) -> AssertionOperator | None:
    """Return an operator of a keyword: from Python it may come as text; Robot has converted it already."""
    return AssertionOperator[operator] if isinstance(operator, str) else operator


def show(value: float, unit: str) -> str:
    """Return a number for people: `183 ms`, `2.1 s`, `1.5 GB`, `42 tokens/s`."""
    if unit == "s":
        return f"{value * 1000:.3g} ms" if abs(value) < 1 else f"{value:.3g} s"
    if unit == "B":
        for factor, suffix in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if abs(value) >= factor:
                return f"{value / factor:.3g} {suffix}"
    if unit == "%":
        return f"{value * 100:.3g} %"
    return f"{value:.6g} {unit}".strip()
