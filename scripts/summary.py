"""Add up what all runners did and print the closing line `N passed, N failed, N skipped`; exit 1 on any failure.

Tests are counted from the xunit files below the results folder. A step of CI without such a file (lint, docs) counts as
one test; a step that failed although all its tests passed counts as one failure.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

REPORTS = {
    "test": ("pytest/junit.xml",),
    "test-lowest": ("pytest-lowest/junit.xml",),
    "test-slow": ("pytest-slow/junit.xml",),
    "test-containers": ("pytest-containers/junit.xml", "containers/xunit.xml"),
    "test-integration": ("xunit.xml",),
    "test-parallel": ("parallel/xunit.xml",),
    "test-real": ("pytest-real/junit.xml", "real/xunit.xml", "real-oterm/xunit.xml"),
}
"""Step to the files that its runners write."""


def count(report: Path) -> Counter[str]:
    """Return passed, failed and skipped tests of one xunit file; one that was cut off counts as a failure."""
    totals: Counter[str] = Counter()
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))
    except ElementTree.ParseError as error:
        print(f"{report} cannot be read: {error}")
        return Counter({"failed": 1})
    for case in cases:
        kinds = {child.tag for child in case}
        totals["failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"] += 1
    return totals


def main(results: Path) -> int:
    total: Counter[str] = Counter()
    steps = {path.name: path.read_text().strip() == "pass" for path in sorted(results.glob("steps/*"))}
    if not steps:
        print("No step has run.")
        return 1
    for name, passed in steps.items():
        reports = [results / report for report in REPORTS.get(name, ()) if (results / report).is_file()]
        counted = sum((count(report) for report in reports), Counter[str]())
        if name == "test-real" and (results / "real" / "SKIPPED.txt").exists():
            counted = Counter({"skipped": 1})
        elif not counted:
            counted = Counter({"passed" if passed else "failed": 1})
        elif not passed and not counted["failed"]:
            counted["failed"] += 1
        print(f"{name:<20}" + ", ".join(f"{counted[kind]} {kind}" for kind in ("passed", "failed", "skipped")))
        total += counted
    print(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
