"""A listener that holds tests to budgets of time by their kind: above the target it warns, above the maximum they fail.

    robot --listener InferenceLibrary.time_budgets.TimeBudgets suite
    robot --listener "InferenceLibrary.time_budgets.TimeBudgets:api=5 s/10 s:binary=off" suite

The kind of a test is its tag `budget:KIND`, else that of its other tags, as the suites of the library have them.
Budgets depend on the machine that the tests run on, so they are asked for, and never on by themselves.
"""

from __future__ import annotations

import difflib
from typing import Any, ClassVar, NamedTuple

from robot.api import logger
from robot.utils import timestr_to_secs

from InferenceLibrary.errors import InferenceError, describe
from InferenceLibrary.keywords.shared.assertions import show

_TAG = "budget:"
OFF = "off"


class Budget(NamedTuple):
    """How long tests of a kind may take, in seconds."""

    target: float
    maximum: float
    tags: frozenset[str] = frozenset()
    """Tags that make a test one of this kind."""


BUDGETS = {
    "binary": Budget(5, 10, frozenset({"program"})),
    "loading": Budget(30, 60, frozenset({"model"})),
    "terminal": Budget(20, 40, frozenset({"terminal"})),
    "benchmark": Budget(120, 300, frozenset({"performance", "load"})),
    "api": Budget(
        10, 20,
        frozenset({"api", "streaming", "messages", "responses", "embeddings", "rerank", "errors", "metrics", "tokens",
                   "tools", "structured-output"}),
    ),
}  # fmt: skip
"""The first kind that fits a test's tags counts."""


class TimeBudgets:
    """The listener.

    Args:
        *settings: `KIND=TARGET/MAXIMUM` such as `api=5 s/10 s`, or `KIND=off`, in place of the budgets of these kinds;
            a kind of your own is that of tests with the tag `budget:KIND`.

    Raises:
        InferenceError: A setting cannot be read.
    """

    ROBOT_LISTENER_API_VERSION: ClassVar[int] = 3

    def __init__(self, *settings: str) -> None:
        self._budgets: dict[str, Budget | None] = dict(BUDGETS)
        for setting in settings:
            kind, budget = _read(setting)
            self._budgets[kind] = budget

    def end_test(self, _data: Any, result: Any) -> None:
        """Warn where a test took longer than its target; let one that passed fail where it took longer than that."""
        kind = self._kind(result)
        budget = self._budgets[kind] if kind is not None else None
        if budget is None or result.skipped:
            return
        took = result.elapsed_time.total_seconds()
        if took <= budget.target:
            return
        over = took > budget.maximum
        limit = budget.maximum if over else budget.target
        text = describe(
            f"Test '{result.name}' took too long for a test of kind '{kind}'",
            expected=f"{'at most' if over else 'about'} {show(limit, 's')}",
            got=show(took, "s"),
        )
        if over and result.passed:
            result.status = "FAIL"
            result.message = f"{text}\n\n{result.message}".strip()
        else:
            logger.warn(text)

    def _kind(self, result: Any) -> str | None:
        tags = {str(tag).lower() for tag in result.tags}
        for tag in sorted(tags):
            if tag.startswith(_TAG):
                kind = tag.removeprefix(_TAG)
                if kind in self._budgets:
                    return kind
                logger.warn(
                    describe(
                        f"Test '{result.name}' has an unknown budget",
                        expected=f"one of {', '.join(self._budgets)}",
                        got=f"'{kind}'",
                        hint=_nearest(kind, list(self._budgets)),
                    )
                )
                return None
        return next((kind for kind, one in self._budgets.items() if one is not None and one.tags & tags), None)


def _read(setting: str) -> tuple[str, Budget | None]:
    kind, equals, text = (part.strip() for part in setting.partition("="))
    tags = BUDGETS[kind].tags if kind in BUDGETS else frozenset[str]()
    if kind and equals and text.lower() == OFF:
        return kind, None
    try:
        target, maximum = (float(timestr_to_secs(part)) for part in text.split("/"))
    except ValueError:
        target = maximum = -1.0
    if not kind or not 0 < target <= maximum:
        raise InferenceError(
            describe(
                "A budget of time cannot be read",
                expected="KIND=TARGET/MAXIMUM such as api=5 s/10 s, or KIND=off",
                got=f"'{setting}'",
            )
        )
    return kind, Budget(target, maximum, tags)


def _nearest(kind: str, known: list[str]) -> str | None:
    found = difflib.get_close_matches(kind, known, 1)
    return f"did you mean '{found[0]}'?" if found else None
