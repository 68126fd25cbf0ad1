"""The keywords of the suites for answers that may differ by chance: each clause fails once, and skips where it may."""

from __future__ import annotations

import re

import pytest
from inner_suites import InnerRun, run_inner

ENDS = {
    "Equal Texts": ("PASS", ""),
    "Other Texts": ("FAIL", r"Agreement: expected the same text, got a difference at character \d+: "),
    "No First Text": ("FAIL", r"Answer: expected a text, got none: "),
    "No Second Text": ("FAIL", r"Answer: expected a text, got none: "),
    "One More Choice": ("FAIL", r"Choices: expected as many in both answers, got 2 and 1\."),
    "Texts By Chance": ("SKIP", r".*'repeatable answers'.* were answered"),
    "One More Choice By Chance": ("FAIL", r"Choices: expected as many in both answers, got 2 and 1\."),
    "An End By Itself": ("PASS", ""),
    "A Simulator At Its Limit": ("FAIL", r"Finish reason: expected 'stop', got 'length'"),
    "A Model At Its Limit": ("SKIP", r"The model wrote to its limit of 9 tokens: "),
    "A Model That Says So Before Its Limit": ("FAIL", r"Finish reason: expected 'stop', got 'length'"),
    "A Stream In Pieces": ("PASS", ""),
    "A Short Stream In Pieces": ("PASS", ""),
    "Too Few Pieces": ("FAIL", r"Chunks with text of .*: expected >= 3, got 2\."),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("answers_compared.robot", tmp_path_factory.mktemp("answers_compared"))


@pytest.mark.parametrize("test", ENDS)
def test_each_ends_as_it_must(ended: InnerRun, test: str) -> None:
    status, said = ENDS[test]
    assert ended[test].status == status, ended[test].message
    assert re.match(said, ended[test].first_line), ended[test].first_line
