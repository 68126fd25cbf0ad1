"""The audit of packages: a vulnerability fails it, and what could not be asked is never a pass."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
assert SPEC is not None
assert SPEC.loader is not None
audit = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(audit)

GOOD = {"name": "httpx", "version": "1", "vulns": []}
BAD = {"name": "old", "version": "1", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2"]}]}
GONE = {"name": "gone", "skip_reason": "Dependency not found on PyPI and could not be audited: gone (1)"}


@pytest.mark.parametrize(
    ("packages", "verdict", "line"),
    [
        ([GOOD] * 10, "passed", "10 packages, none with a known vulnerability"),
        ([GOOD, BAD], "failed", "old 1: CVE-2026-1, mended in 2"),
        ([GONE, BAD], "failed", "old 1: CVE-2026-1, mended in 2"),
        ([GOOD, GONE], "skipped", "1 of 2 packages could be asked about: is the network there?"),
        ([], "skipped", "0 of 0 packages could be asked about: is the network there?"),
    ],
    ids=["good", "vulnerable", "vulnerable and unknown", "unknown", "nothing"],
)
def test_each_outcome(packages: list[dict[str, Any]], verdict: str, line: str) -> None:
    found = audit.judge(json.dumps({"dependencies": packages}), "")
    assert (found.verdict, found.lines[0]) == (verdict, line)
    case = ElementTree.fromstring(audit.xunit(found))
    assert [int(case.get(name, "")) for name in ("tests", "failures", "skipped")] == [
        1,
        int(verdict == "failed"),
        int(verdict == "skipped"),
    ]


def test_what_does_not_answer_is_skipped_with_its_words() -> None:
    found = audit.judge("", "WARNING:x\nERROR: connection refused\n\n")
    assert found == ("skipped", ("pip-audit could not ask: ERROR: connection refused",))


def test_the_command_writes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "COMMAND", ("-c", "print('no JSON')"))
    assert audit.main(tmp_path / "audit" / "junit.xml") == 0
    assert "<skipped" in (tmp_path / "audit" / "junit.xml").read_text(encoding="utf-8")
