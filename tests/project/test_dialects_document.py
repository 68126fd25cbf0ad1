"""docs/dialects.md is what the dialects say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "dialects_document.py"


def test_the_document_is_what_the_dialects_say() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_another_text_is_noticed(tmp_path: Path) -> None:
    changed = tmp_path / "scripts" / "dialects_document.py"
    changed.parent.mkdir()
    changed.write_text(SCRIPT.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "docs").mkdir()
    old = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
    (tmp_path / "docs" / "dialects.md").write_text(old.replace("| C15 |", "| C16 |"), encoding="utf-8")
    done = subprocess.run([sys.executable, changed, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not what the dialects say" in done.stdout
