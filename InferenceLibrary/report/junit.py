"""Results as JUnit XML, the form that CI systems read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from InferenceLibrary.foreign_text import markup


class JUnitCase(NamedTuple):
    """One test case."""

    group: str
    """The class name: CI systems group by it."""
    name: str
    outcome: Literal["passed", "failed", "error", "skipped"]
    """`error`: it could not be judged."""
    message: str = ""
    """Why it did not pass; one line."""
    detail: str = ""
    seconds: float = 0.0


_TAGS = {"failed": "failure", "error": "error", "skipped": "skipped"}


def junit(name: str, cases: Sequence[JUnitCase]) -> str:
    """Return the XML of one test suite."""
    counts = {outcome: sum(case.outcome == outcome for case in cases) for outcome in _TAGS}
    seconds = sum(case.seconds for case in cases)
    head = (
        f'tests="{len(cases)}" failures="{counts["failed"]}" errors="{counts["error"]}" '
        f'skipped="{counts["skipped"]}" time="{seconds:.3f}"'
    )
    body = "\n".join(map(_case, cases))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuites {head}>\n<testsuite name="{markup(name)}" {head}>\n'
        f"{body}\n</testsuite>\n</testsuites>\n"
    )


def _case(case: JUnitCase) -> str:
    start = f'<testcase classname="{markup(case.group)}" name="{markup(case.name)}" time="{case.seconds:.3f}"'
    if case.outcome == "passed":
        return f"{start}/>"
    tag = _TAGS[case.outcome]
    return f'{start}><{tag} message="{markup(case.message)}">{markup(case.detail)}</{tag}></testcase>'
