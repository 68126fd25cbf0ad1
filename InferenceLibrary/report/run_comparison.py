"""Two runs of the same suites beside each other: what changed from the earlier one to this one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from InferenceLibrary.report.document import Cell, Section, Table, Tone, row, table
from InferenceLibrary.report.figure_sections import figure_text, short_name
from InferenceLibrary.report.log_messages import to_the_second
from InferenceLibrary.report.run_results import MeasuredFigure, RunResults, TestResult

_FACTOR = 1.25
"""A figure that differs by less is taken as the same; two runs say nothing of its scatter."""

_COMPARED_WITH = "Compared with an earlier run"
_COMPARED = {"ttft", "itl", "latency", "rate", "tokens_per_second", "largest_load", "run"}
"""Figures of measurements that tell whether a server got faster or slower."""


class Change(NamedTuple):
    """One test that is not as it was."""

    test: str
    what: str
    tone: Tone
    before: str
    now: str


class RunComparison(NamedTuple):
    """What changed."""

    earlier: RunResults
    common: int
    """Tests in both runs."""
    changes: tuple[Change, ...]


def keys(results: RunResults) -> dict[str, TestResult]:
    """Return the tests by the names of their suites and their own, without that of the whole run.

    The name of the whole differs with `--name` and with the folder that was run. Where a name stands twice, the later
    test counts: it is the one that was run again.
    """
    found: dict[str, TestResult] = {}
    for test in results.tests:
        path = test.suite.split(".", 1)
        found[f"{path[1]}.{test.name}" if len(path) > 1 else test.name] = test
    return found


def compare(results: RunResults, earlier: RunResults) -> RunComparison:
    """Return what changed from an earlier run to this one."""
    now, before = keys(results), keys(earlier)
    changes: list[Change] = []
    for name, test in now.items():
        old = before.get(name)
        if old is None:
            changes.append(Change(name, "new", Tone.PLAIN, "-", test.status))
        elif old.status != test.status:
            worse = test.status == "failed" or (old.status == "passed" and test.status == "skipped")
            what = "worse" if worse else "better" if test.status == "passed" else "changed"
            tone = {"worse": Tone.BAD, "better": Tone.GOOD, "changed": Tone.ODD}[what]
            changes.append(Change(name, what, tone, old.status, test.status))
        else:
            changes += _figures(name, old, test)
    changes += _measured(results, earlier)
    changes += [Change(name, "gone", Tone.ODD, old.status, "-") for name, old in before.items() if name not in now]
    return RunComparison(earlier, len(now.keys() & before.keys()), tuple(changes))


def _measured(results: RunResults, earlier: RunResults) -> list[Change]:
    """The figures of measurements that both runs made: medians, and figures of a whole load."""
    now, before = _medians(results), _medians(earlier)
    found = []
    for key, (value, unit) in now.items():
        old = before.get(key, (0.0, ""))[0]
        if not old or not value or 1 / _FACTOR <= value / old <= _FACTOR:
            continue
        test, what, figure = key
        tone = Tone.GOOD if (value < old) == (unit in {"s", "B"}) else Tone.ODD
        word = f"{figure} of the {what} {'lower' if value < old else 'higher'}"
        told = [MeasuredFigure(figure, unit, {"value": one}) for one in (old, value)]
        found.append(Change(test, word, tone, *(figure_text(one).partition(" ")[2] for one in told)))
    return found


def _medians(results: RunResults) -> dict[tuple[str, str, str], tuple[float, str]]:
    found: dict[tuple[str, str, str], tuple[float, str]] = {}
    seen: Counter[tuple[str, str, str]] = Counter()
    for one in results.measurements:
        name = short_name(one)
        seen[name, one.what, one.server] += 1
        # A test may measure one server several times.
        number = seen[name, one.what, one.server]
        what = f"{one.what} of '{one.server}'" + (f" (number {number})" if number > 1 else "")
        for figure in one.figures:
            value = figure.values.get("median", figure.values.get("value", figure.values.get("maximum")))
            if value is not None and (figure.name in _COMPARED or figure.unit == "B"):
                found[name, what, figure.name] = (value, figure.unit)
    return found


def comparison_sections(comparison: RunComparison) -> list[Section]:
    """Return the sections of a report that tell it: what changed, and folded what only one of the runs has."""
    earlier = comparison.earlier
    text = [
        f"The earlier run: {earlier.suite}, {to_the_second(earlier.timestamp)}; {comparison.common} tests are in both."
    ]
    if not comparison.common:
        text.append("They have no test in common: these are runs of different suites.")
    if not comparison.changes:
        text.append("Nothing changed.")
        return [Section(_COMPARED_WITH, tuple(text))]
    alone = [one for one in comparison.changes if one.what in {"new", "gone"}]
    changed = [one for one in comparison.changes if one.what not in {"new", "gone"}]
    if not changed and comparison.common:
        text.append("Nothing changed in them.")
    sections = [Section(_COMPARED_WITH, tuple(text), _changes(changed) if changed else None)]
    if alone:
        sections.append(Section(f"In one of the runs alone ({len(alone)})", table=_changes(alone), folded=True))
    return sections


def _changes(changes: Sequence[Change]) -> Table:
    rows = [row(Cell(one.what, one.tone), one.test, one.before, one.now) for one in changes[:1000]]
    return table(("", "test", "before", "now"), rows)


def _figures(name: str, old: TestResult, new: TestResult) -> list[Change]:
    if old.figures is None or new.figures is None:
        return []
    found = []
    for what, before, now, factor, less_is_better in (
        ("TTFT", old.figures.ttft, new.figures.ttft, 1000.0, True),
        ("tokens/s", old.figures.tokens_per_second, new.figures.tokens_per_second, 1.0, False),
    ):
        if not before or not now or 1 / _FACTOR <= now / before <= _FACTOR:
            continue
        unit = " ms" if less_is_better else ""
        word = f"{what} {'lower' if now < before else 'higher'}"
        tone = Tone.GOOD if (now < before) == less_is_better else Tone.ODD
        found.append(Change(name, word, tone, f"{before * factor:.4g}{unit}", f"{now * factor:.4g}{unit}"))
    return found
