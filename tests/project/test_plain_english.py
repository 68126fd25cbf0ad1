"""What users read is plain international English: these idioms are written otherwise."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IDIOMS = {
    r"(?<![Tt]here )\b(?:is|are|was|were) no (?!longer|more|less|one\b|other\b|better|\{)[a-zA-Z]+": "is not a",
    r"\bnought\b": "zero",
    r"\b(?:is|are) borne\b": "is tolerated",
    r"\b[Bb]ehind (?:it the|its) ": "after",
}
PROSE = {Path("InferenceLibrary/simulator/answers/tokens.py")}
"""Text that the simulator answers with, not of the project."""
READ = ("InferenceLibrary/*.py", "docs/*.md", "README.md", "robot/*.robot", "resources/*.resource")


def files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *READ], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split() if Path(name) not in PROSE]


def found(text: str) -> list[str]:
    # "there is no": also where a line ends between the words.
    text = re.sub(r"\s*\n\s*(?:#|\.\.\.)?\s*", " ", text)
    return [f"{match[0]}: write '{plain}'" for idiom, plain in IDIOMS.items() for match in re.finditer(idiom, text)]


def test_no_idiom_is_left() -> None:
    paths = files()
    assert len(paths) > 300
    assert {path.name: idioms for path in paths if (idioms := found(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("'x' is no number", 1),
        ("the values are no\n    numbers", 1),
        ("there is no number", 0),
        ("it is no longer there", 0),
        ("start from nought", 1),
        ("stalls that are borne", 1),
        ("behind it the line goes on", 1),
        ("what stands behind a gateway", 0),
    ],
)
def test_idioms_are_found(text: str, count: int) -> None:
    assert len(found(text)) == count
