"""The pages for users: their suites run, the keywords and messages that they name exist, argument files are read."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from inner_suites import InnerRun, run_inner
from robot.libdocpkg import LibraryDocumentation
from robot.run import RobotFramework

from InferenceLibrary.cli import main

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
GUIDES = sorted(DOCS.glob("guides/*.robot"))
MADE = {"keywords.md", "contributing.md", "changelog.md"}
"""Pages that are written when the site is built."""
PAGES = [
    *sorted(path for path in DOCS.glob("*.md") if path.name not in MADE),
    *sorted(DOCS.glob("guides/*.md")),
    ROOT / "README.md",
]
SPAN = re.compile(r"`([^`\n]+)`")
TITLE = re.compile(r"[A-Z][a-z]+(?: [A-Z][A-Za-z]*)+")
BUSY = {"Times Of One User": "something held them back", "Many Users At Once": "cannot be trusted"}
"""What the two tests that measure say on a machine that is busy, and are right; no other may fail."""
OF_OTHERS = {"POST On Session", "Should Be Equal As Integers"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    # The profile of a guide finds the simulator where the tests' own Python is.
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return run_inner(DOCS / "guides", tmp_path_factory.mktemp("guides"), env={"PATH": path})


def test_the_suites_of_all_guides_pass_and_leave_nothing(run: InnerRun) -> None:
    failed = {name: test.message for name, test in run.tests.items() if test.status != "PASS"}
    assert {name: message for name, message in failed.items() if name not in BUSY or BUSY[name] not in message} == {}
    assert len(run.tests) >= 14
    assert run.leftovers == []


@pytest.mark.parametrize("suite", GUIDES, ids=lambda path: path.stem)
def test_a_suite_stands_in_its_guide(suite: Path) -> None:
    assert f'--8<-- "guides/{suite.name}"' in suite.with_suffix(".md").read_text(encoding="utf-8")


def unknown_keywords(text: str, known: set[str]) -> list[str]:
    """Code that looks like the name of a keyword and is none."""
    names = (span.partition("    ")[0] for span in SPAN.findall(text))
    return [name for name in names if TITLE.fullmatch(name) and name not in known | OF_OTHERS]


def test_keywords_that_pages_name_exist() -> None:
    ours = {keyword.name for keyword in LibraryDocumentation("InferenceLibrary").keywords}
    known = ours | {keyword.name for keyword in LibraryDocumentation("BuiltIn").keywords}
    pages = [DOCS / f"{name}.md" for name in ("index", "running", "migration", "troubleshooting", "reports")]
    pages += [*DOCS.glob("guides/*.md"), ROOT / "README.md"]
    found = {page.name: unknown_keywords(page.read_text(encoding="utf-8"), known) for page in pages}
    assert {name: words for name, words in found.items() if words} == {}
    assert unknown_keywords("`Chat Nicely    hello` and `Chat`", known) == ["Chat Nicely"]


def test_messages_of_the_troubleshooting_page_are_those_of_the_sources() -> None:
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "InferenceLibrary").rglob("*.py"))
    sources = sources.replace("{self._kind}", "server").replace("{what} broke", "broke")
    rows = re.findall(r"^\| `([^`]+)` \|", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 8
    assert [message for message in rows if message not in sources] == []


@pytest.mark.parametrize("path", sorted((ROOT / "robot" / "args").glob("*.args")), ids=lambda path: path.stem)
def test_an_argument_file_is_read_by_robot_and_told(path: Path) -> None:
    options, data = RobotFramework().parse_arguments(["--argumentfile", str(path), "robot/integration"])
    assert options
    assert list(data) == ["robot/integration"]
    assert f"`{path.name}`" in (DOCS / "running.md").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    named = set(re.findall(r": (\S+\.md)$", text, re.MULTILINE))
    assert named - MADE == {str(page.relative_to(DOCS)) for page in PAGES if page.is_relative_to(DOCS)}
    assert yaml.safe_load(text)["strict"] is True


def test_the_documentation_of_the_keywords_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "keywords.json"
    assert main(["docs", str(path)]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    assert len(json.loads(path.read_text(encoding="utf-8"))["keywords"]) > 100
    assert main(["docs", str(tmp_path / "keywords.odd")]) == 1
    told = capsys.readouterr().err
    assert "cannot be written" in told
    assert not told.rstrip().endswith("..")
