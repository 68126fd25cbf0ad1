"""Make docs/coverage.md: which test covers which case of the systems of the field.

    python scripts/coverage_map.py [--check]

The cases stand in docs/coverage.yaml; a test covers one by its tag `covers:PREFIX-ID`. With --check nothing is written,
and the exit code is 1 when the document is not what would be written.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml
from robot.api import SuiteVisitor, TestSuite

ROOT = Path(__file__).resolve().parents[1]
CASES = ROOT / "docs" / "coverage.yaml"
DOCUMENT = ROOT / "docs" / "coverage.md"
SUITES = ROOT / "robot" / "integration"
TAG = "covers:"

INTRODUCTION = """\
# What the suites cover

Made by `python scripts/coverage_map.py` from docs/coverage.yaml and the tags of the suites; do not edit.

The library replaces the hand-made integration tests of five systems. Each row is one thing that they check, with the
tests that check it here, and, where a system does otherwise than its documents say, what is done instead.
"""


class _Tags(SuiteVisitor):
    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.tests: dict[str, list[str]] = {}

    def start_suite(self, suite: Any) -> None:
        name = Path(suite.source).stem
        tests: dict[str, list[str]] = {}
        for test in suite.tests:
            for tag in test.tags:
                if tag.startswith(self.tag):
                    tests.setdefault(tag.removeprefix(self.tag), []).append(f"{name}: {test.name}")
        for case, found in tests.items():
            whole = len(found) > 1 and len(found) == len(suite.tests)
            self.tests.setdefault(case, []).extend([f"{name}: all tests"] if whole else found)


def tagged_tests(suites: Path = SUITES, tag: str = TAG) -> dict[str, list[str]]:
    """Return the tests of every case, by its id, each as `suite: test`; a suite's tests are one when all cover it."""
    visitor = _Tags(tag)
    TestSuite.from_file_system(suites).visit(visitor)
    return {case: sorted(tests) for case, tests in visitor.tests.items()}


def read_systems(path: Path = CASES) -> list[dict[str, Any]]:
    systems: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return systems


def problems(systems: list[dict[str, Any]], tests: dict[str, list[str]]) -> list[str]:
    """Return cases that nothing covers, tags that name no case, and files that are not there."""
    known: set[str] = set()
    found = []
    for system in systems:
        for name, case in system["cases"].items():
            case_id = f"{system['prefix']}-{name}"
            known.add(case_id)
            unknown = set(case) - {"case", "by", "correction", "left_out"}
            if unknown:
                found.append(f"{case_id}: unknown key {', '.join(sorted(unknown))}")
            if "by" in case and not (ROOT / case["by"]).exists():
                found.append(f"{case_id}: {case['by']} is not there")
            if "left_out" in case and (case_id in tests or "by" in case):
                found.append(f"{case_id}: it is left out, and a test covers it")
            if not {"by", "left_out"} & set(case) and case_id not in tests:
                found.append(f"{case_id}: no test bears the tag {TAG}{case_id}")
    found += [f"{TAG}{case_id} names no case: {', '.join(tests[case_id])}" for case_id in tests if case_id not in known]
    return found


def document(systems: list[dict[str, Any]], tests: dict[str, list[str]]) -> str:
    count = sum(len(system["cases"]) for system in systems)
    parts = [INTRODUCTION, f"{count} cases of {len(systems)} systems.\n"]
    for system in systems:
        parts.append(f"## {system['system']}\n\n{system['about']}\n")
        parts.append("| Case | Covered by | Where system and documents differ |\n|---|---|---|")
        for name, case in system["cases"].items():
            covered = [f"`{test}`" for test in tests.get(f"{system['prefix']}-{name}", [])]
            covered += [f"`{case['by']}`"] if "by" in case else []
            covered += ["left out"] if "left_out" in case else []
            cells = (case["case"], "<br>".join(covered), case.get("correction", case.get("left_out", "")))
            parts.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
        parts.append("")
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    systems, tests = read_systems(), tagged_tests()
    wrong = problems(systems, tests)
    for line in wrong:
        print(line, file=sys.stderr)
    text = document(systems, tests)
    if "--check" not in arguments:
        DOCUMENT.write_text(text, encoding="utf-8")
    elif not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != text:
        print("docs/coverage.md is not up to date: run python scripts/coverage_map.py", file=sys.stderr)
        return 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
