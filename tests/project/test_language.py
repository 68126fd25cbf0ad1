"""The language of the keywords reaches: few cases of the suites dig in JSON or hold Python."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import digging  # noqa: E402

MOST = 5.0
"""Percent of the cases; it may only fall."""


def test_few_cases_dig() -> None:
    found = list(digging.cases(ROOT / "robot"))
    assert len(found) > 500
    assert digging.share(found) <= MOST, [name for name, line in found if line is not None]


@pytest.mark.parametrize("name", ["llamacpp", "vllm", "tgi"])
def test_scenarios_of_peers_hold_no_python(name: str) -> None:
    found = [line for case, line in digging.cases(ROOT / "robot") if case.startswith(f"scenarios_{name}: ")]
    assert len(found) >= 10
    assert set(found) == {None}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("Should Be Equal    ${reply.json}[id]    x", True),
        ("VAR    ${x}    ${{1 + 1}}", True),
        ("${x} =    Evaluate    1 + 1", True),
        ("Should Be Equal    ${results}[0][index]    1", True),
        ("Should Be Equal    ${counts}[completed]    1", False),
        ("Create File    ${OUTPUT_DIR}/golden.json    x", False),
        ("Get Answer Value    ${reply}    usage.total_tokens    >    1", False),
    ],
)
def test_what_digs_is_seen(line: str, answer: bool) -> None:
    assert digging.digs(line) is answer
