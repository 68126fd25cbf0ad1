"""Each reason for which a check may fail has a case: clauses of `Raises` are counted against cases of the keyword.

What can be counted is counted: a clause is an entry of `Raises`, and each further one after `;` or `, or` but for what
the message says. A case is a test of `tests/inner/` that uses the keyword, by itself or through a keyword of its suite,
or a call in a test of pytest. Whether a case fails for the reason that it should is told by the messages that those
tests compare.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from robot.api import get_model
from robot.parsing.model import blocks

from InferenceLibrary import InferenceLibrary

TESTS = Path(__file__).parents[1]
CHECKS = {
    method.robot_name or name.replace("_", " ").title(): (name, inspect.getdoc(method) or "")
    for name, method in inspect.getmembers(InferenceLibrary, inspect.isfunction)
    if "assertion" in getattr(method, "robot_tags", ())
}


def clauses(doc: str) -> int:
    """How many reasons the section `Raises` of a keyword gives."""
    section = re.search(r"^Raises:\n((?:    .*\n|\n)+)", doc + "\n", re.MULTILINE)
    if section is None:
        return 0
    entries = re.findall(r"^    \w+: (.*(?:\n        .*)*)", section[1], re.MULTILINE)
    return sum(1 + len(re.findall(r"; (?!the message)|, or ", " ".join(entry.split()))) for entry in entries)


def pattern_of(keyword: str) -> re.Pattern[str]:
    """How a keyword is called; embedded arguments stand for anything."""
    words = re.sub(r"\\?\$\\?\{.*?\\?\}", r".+?", re.escape(keyword).replace("\\ ", " "))
    return re.compile(words.replace(" ", "[ _]?"), re.IGNORECASE)


def calls(block: blocks.TestCase | blocks.Keyword) -> list[str]:
    """What a test or keyword says, line by line."""
    return ["    ".join(statement.get_values("KEYWORD", "ARGUMENT")) for statement in statements(block)]


def statements(block: object) -> Iterator[object]:
    for child in getattr(block, "body", []):
        if hasattr(child, "body"):
            yield from statements(child)
        elif hasattr(child, "get_values"):
            yield child


@cache
def texts_of_cases() -> list[str]:
    """The text of each test of the inner suites, with that of the keywords of its suite that it uses."""
    found = []
    for path in sorted((TESTS / "inner").glob("*.robot")):
        parts = [block for section in get_model(path).sections for block in section.body]
        keywords = {block.name.lower(): "\n".join(calls(block)) for block in parts if isinstance(block, blocks.Keyword)}
        for block in parts:
            if isinstance(block, blocks.TestCase):
                lines = calls(block)
                lines += [text for name, text in keywords.items() if any(name in line.lower() for line in lines)]
                found.append("\n".join(lines))
    return found


PYTHON = "\n".join(path.read_text(encoding="utf-8") for path in sorted(TESTS.rglob("test_*.py")))


def missing(keyword: str) -> int:
    """How many clauses of a check are more than its cases."""
    name, doc = CHECKS[keyword]
    pattern = pattern_of(keyword)
    cases = sum(bool(pattern.search(case)) for case in texts_of_cases()) + len(re.findall(rf"\.{name}\(", PYTHON))
    return max(0, clauses(doc) - cases)


def test_there_are_checks_and_cases() -> None:
    assert len(CHECKS) > 40
    assert len(texts_of_cases()) > 200


@pytest.mark.parametrize("keyword", CHECKS)
def test_a_check_says_when_it_fails(keyword: str) -> None:
    assert clauses(CHECKS[keyword][1]) > 0


def test_clauses_are_counted() -> None:
    assert (
        clauses(
            "Check.\n\nRaises:\n    CheckFailure: It is red; it is blue, or is green.\n        Or so.\n    Other: No.\n"
        )
        == 4
    )
    assert clauses("Check.\n") == 0


def test_every_clause_has_a_case() -> None:
    short = {keyword: count for keyword in CHECKS if (count := missing(keyword))}
    assert short == {}
