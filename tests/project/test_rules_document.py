"""docs/rules.md is what the rules say, and its example of a rule of one's own works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "rules_document.py"


def test_the_document_is_what_the_rules_say() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_rule_that_is_not_told_is_noticed(tmp_path: Path) -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    changed = tmp_path / "scripts" / "rules_document.py"
    changed.parent.mkdir()
    changed.write_text(text, encoding="utf-8")
    (tmp_path / "docs").mkdir()
    old = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    (tmp_path / "docs" / "rules.md").write_text(re.sub(r"\| F8 .*\n", "", old), encoding="utf-8")
    done = subprocess.run([sys.executable, changed, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is not what the rules say" in done.stdout


def test_the_example_of_an_own_rule_is_read(tmp_path: Path) -> None:
    old = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", old, re.DOTALL)
    file = tmp_path / "own.py"
    file.write_text(example, encoding="utf-8")
    code = "from InferenceLibrary.protocol.rules.book import load_rules\n"
    code += f"print([one.id for one in load_rules({str(file)!r})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['OWN1']"
