"""Name each failed test with the first line of its message, add up what all runners did, and print the closing line
`N passed, N failed, N skipped`; exit 1 on any failure.

Tests are counted from the xunit files below the results folder. A step of CI without such a file (lint, docs) counts as
one test; a step that failed although all its tests passed counts as one failure.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

REPORTS = {
    "audit": ("audit/junit.xml",),
    "test": ("pytest/junit.xml",),
    "test-lowest": ("pytest-lowest/junit.xml",),
    "test-slow": ("pytest-slow/junit.xml",),
    "test-clients": ("pytest-clients/junit.xml",),
    "test-containers": ("pytest-containers/junit.xml", "containers/xunit.xml"),
    "test-integration": ("xunit.xml",),
    "test-parallel": ("parallel/xunit.xml",),
    "test-real": ("pytest-real/junit.xml", "real/xunit.xml", "real-oterm/xunit.xml"),
}
"""Step to the files that its runners write."""
LENGTH = 300
"""How many characters of a message's first line are shown."""


@dataclass
class Report:
    """What one xunit file, or several of one step, tell."""

    totals: Counter[str] = field(default_factory=Counter)
    """How many tests passed, failed and were skipped."""
    failures: list[str] = field(default_factory=list)
    """One line a failed test."""


def line_of(case: ElementTree.Element, verdict: ElementTree.Element) -> str:
    """Return a failed test's names and the first line of its message."""
    said = verdict.get("message") or verdict.text or ""
    first = next((line.strip() for line in said.splitlines() if line.strip()), "without a message")
    names = [name for name in (case.get("classname"), case.get("name")) if name]
    return f"{'.'.join(names)}: {first[:LENGTH]}{'...' * (len(first) > LENGTH)}"


def read(path: Path, report: Report) -> None:
    """Add what one xunit file tells; one that was cut off counts as a failure."""
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except ElementTree.ParseError as error:
        report.totals["failed"] += 1
        report.failures.append(f"{path} cannot be read: {error}")
        return
    for case in cases:
        verdicts = [child for child in case if child.tag in {"failure", "error"}]
        kind = "failed" if verdicts else "skipped" if case.find("skipped") is not None else "passed"
        report.totals[kind] += 1
        if verdicts:
            report.failures.append(line_of(case, verdicts[0]))


def of_step(name: str, passed: bool, results: Path) -> Report:
    """Return what a step's runners told; one test where it has no runner that counts."""
    report = Report()
    for path in REPORTS.get(name, ()):
        if (results / path).is_file():
            read(results / path, report)
    if name == "test-real" and (results / "real" / "SKIPPED.txt").exists():
        return Report(Counter({"skipped": 1}))
    if not passed and not report.totals["failed"]:
        report.totals["failed"] += 1
        report.failures.append("the step failed outside its tests, see its output")
    elif not report.totals:
        report.totals["passed"] += 1
    return report


def main(results: Path) -> int:
    steps = {path.name: path.read_text().strip() == "pass" for path in sorted(results.glob("steps/*"))}
    if not steps:
        print("No step has run.")
        return 1
    reports = {name: of_step(name, passed, results) for name, passed in steps.items()}
    for name, report in reports.items():
        for line in report.failures:
            print(f"FAILED {name}: {line}")
    for name, report in reports.items():
        print(f"{name:<20}" + ", ".join(f"{report.totals[kind]} {kind}" for kind in ("passed", "failed", "skipped")))
    total = sum((report.totals for report in reports.values()), Counter[str]())
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
