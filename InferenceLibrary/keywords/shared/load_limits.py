"""Limits of a load as tests write them: `ttft_p99 < 300 ms`."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from assertionengine import AssertionOperator

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.keywords.shared.assertions import check_number, show

if TYPE_CHECKING:
    from InferenceLibrary.load.record import Record
    from InferenceLibrary.load.result import LoadResult
    from InferenceLibrary.load.run import StopCondition

_SHARES = {"error_rate", "delivered"}
_LIMIT = r"\s*(\w+)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*"


class Limit:
    """One limit: a figure, a comparison, and a value as the test wrote it."""

    def __init__(self, figure: str, operator: AssertionOperator, expected: str) -> None:
        self.figure = figure
        self.operator = operator
        self.expected = expected

    def check(self, result: LoadResult) -> str:
        """Return what was measured, for people.

        Raises:
            CheckFailure: It is beyond the limit.
            MonitorError: The load has no such figure, or the value cannot be read.
        """
        value, unit = result.get(self.figure), unit_of(self.figure)
        self.value(unit)
        check_number(value, self.operator, self.expected, f"{self.figure} of '{result.plan.name}'", unit)
        return f"{self.figure} {show(value, unit)}"

    def value(self, unit: str) -> float:
        """Return the expected value in this unit.

        Raises:
            MonitorError: It cannot be read, or every load keeps the limit.
        """
        from InferenceLibrary.types import to_quantity

        try:
            value = to_quantity(self.expected, unit)
        except ValueError as error:
            raise MonitorError(f"The limit '{self}' cannot be read. {error}") from None
        share = self.figure in _SHARES
        all_keep = self.figure == "error_rate" and str(self.operator.value) in {"<", "<="} and value >= 1
        if math.isinf(value) or (share and not 0 <= value <= 1) or all_keep:
            # `error_rate <= 1` reads as one percent, is a hundred, and would always hold.
            expected = "a share, such as 1 % or 0.01" if share else "a number that a load may have or not have"
            raise MonitorError(describe(f"The limit '{self}' says nothing", expected=expected, got=f"{value:g}"))
        return value

    def __str__(self) -> str:
        return f"{self.figure} {self.operator.value} {self.expected}"


def read_limits(texts: Sequence[str], example: str = "ttft_p99 < 300 ms") -> list[Limit]:
    """Read limits.

    Raises:
        MonitorError: There is none, or one is not a figure, a comparison and a value.
    """
    if not texts:
        raise MonitorError(describe("A load is held to nothing", expected=f"limits such as '{example}'"))
    found = []
    for text in texts:
        match = re.fullmatch(_LIMIT, text)
        if match is None:
            name = re.match(r"(\w+)=", text)
            hint = f"this keyword has no argument '{name[1]}'" if name else None
            raise MonitorError(
                describe("A limit cannot be read", expected=f"one such as '{example}'", got=f"'{text}'", hint=hint)
            )
        found.append(Limit(match[1], AssertionOperator[match[2]], match[3]))
    return found


def check_names(limits: Sequence[Limit]) -> None:
    """Refuse limits on figures that no load has, before one is run.

    Raises:
        MonitorError: With the nearest name.
    """
    from InferenceLibrary.load.figures import TOTALS, read_figure

    for limit in limits:
        if limit.figure not in TOTALS:
            read_figure(limit.figure, TOTALS)
        limit.value(unit_of(limit.figure))


def unit_of(figure: str) -> str:
    """The unit of a figure: `s` for `ttft_p99`, `%` for shares; empty for counts and rates of a load."""
    from InferenceLibrary.load.figures import DRIFT, FIGURES

    if figure in _SHARES or figure.endswith(f"_{DRIFT}"):
        return "%"
    found = FIGURES.get(figure.rpartition("_")[0])
    return found.unit if found is not None else ""


def missed(result: LoadResult, limits: Sequence[Limit]) -> list[str]:
    """Return a line for each limit that a load does not keep."""
    found = []
    for limit in limits:
        try:
            limit.check(result)
        except (CheckFailure, MonitorError) as failure:
            found.append(str(failure))  # a load that failed whole has no times
    return found


def stopped_by(limits: Sequence[Limit]) -> StopCondition:
    """Return what ends a load where the latest requests have what a limit names: `ttft_p99 > 2 s`.

    Raises:
        MonitorError: A limit is on what is known at the end only.
    """
    for limit in limits:
        if limit.figure == "delivered":
            raise MonitorError(
                describe(
                    "A load cannot be stopped by what is known at its end",
                    expected="a figure of requests",
                    got=f"'{limit}'",
                )
            )

    def watch(latest: Sequence[Record]) -> str | None:
        from InferenceLibrary.load.plan import LoadPlan, Users
        from InferenceLibrary.load.result import LoadResult

        seen = LoadResult(LoadPlan("http://latest", Users(1)), 0.0, latest, [], {}, None)
        for limit in limits:
            try:
                return f"stopped: {limit.check(seen)} in the last {len(latest)} requests ({limit})"
            except (CheckFailure, MonitorError):
                continue  # it is not so, or nothing has that figure yet
        return None

    return watch
