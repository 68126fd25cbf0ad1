"""docs/rules.md is what the rules say, and its example of a rule of one's own works."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "rules_document.py"


def test_the_document_is_what_the_rules_say() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_a_rule_that_is_not_told_is_noticed(tmp_path: Path) -> None:
    old = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    changed = tmp_path / "rules.md"
    changed.write_text(re.sub(r"\| F8 .*\n", "", old), encoding="utf-8")
    code = f"import sys; from pathlib import Path; sys.path.insert(0, {str(SCRIPT.parent)!r})\n"
    code += f"import rules_document as made; made.DOCUMENT = Path({str(changed)!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}sys.exit(made.main(['--check']))"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is not what the rules say" in done.stdout


@pytest.mark.parametrize(
    ("tagged", "told"),
    [
        ({}, r"Rule C1: expected one test .*, got \[\]\."),
        ({"c1": ["a: One", "b: Two"]}, "Rule C1: expected one test .* got .*Two"),
        ({"c1": ["a: One"], "a20": ["b: Two"]}, "Rule A20: expected one test"),
        ({"c1": ["a: One"], "c3": ["b: Two"]}, "not in the book: c3"),
    ],
)
def test_each_must_rule_has_one_test(monkeypatch: pytest.MonkeyPatch, tagged: dict[str, list[str]], told: str) -> None:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    from rules_document import tests_of

    with pytest.raises(SystemExit, match=told):
        tests_of(["C1", "A20"], tagged)
    assert tests_of(["C1", "A20"], {"c1": ["a: One"]})[1] == "| C1 | a: One |\n"


def test_the_example_of_an_own_rule_is_read(tmp_path: Path) -> None:
    old = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", old, re.DOTALL)
    file = tmp_path / "own.py"
    file.write_text(example, encoding="utf-8")
    code = "from InferenceLibrary.protocol.rules.book import load_rules\n"
    code += f"print([one.id for one in load_rules({str(file)!r})])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['OWN1']"
