"""docs/capabilities.md is what the list of capabilities says, and suites use no other words."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from InferenceLibrary.protocol.capabilities import CAPABILITIES
from InferenceLibrary.types import CapabilityName

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "capabilities_document.py"
SUITES = sorted((ROOT / "robot").rglob("*.robot")) + sorted((ROOT / "resources").glob("*.resource"))
_ASKED = re.compile(r"(?:Skip Unless Server Supports|Use Target That Supports)((?: {2,}[^\s$=]+(?: [^\s=]+)*)+)")


def test_the_document_is_what_the_list_says() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_capability_that_is_not_told_is_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "scripts" / "capabilities_document.py"
    changed.parent.mkdir()
    changed.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "docs").mkdir()
    old = (ROOT / "docs" / "capabilities.md").read_text(encoding="utf-8")
    (tmp_path / "docs" / "capabilities.md").write_text(re.sub(r"\| sleep .*\n", "", old), encoding="utf-8")
    done = subprocess.run([sys.executable, changed, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not what the list says" in done.stdout


def test_editors_complete_the_words_of_the_list() -> None:
    assert get_args(CapabilityName) == tuple(CAPABILITIES)


def asked(text: str) -> set[str]:
    """The words by which a suite asks."""
    lines = [match[1].strip() for match in _ASKED.finditer(text)]
    return {re.split(r" {2,}", line)[0] for line in lines}


@pytest.mark.parametrize("suite", SUITES, ids=lambda path: path.stem)
def test_suites_ask_by_these_words_alone(suite: Path) -> None:
    assert asked(suite.read_text(encoding="utf-8")) <= set(CAPABILITIES)


def test_another_word_in_a_suite_is_seen() -> None:
    assert asked("    Skip Unless Server Supports    telepathy    server=x\n") == {"telepathy"}
