"""The writers of reports: foreign text can neither break a format nor act in it."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from InferenceLibrary.report.console import lines
from InferenceLibrary.report.document import Cell, Document, Section, Tone, row, table
from InferenceLibrary.report.html import page
from InferenceLibrary.report.junit import JUnitCase, junit
from InferenceLibrary.report.markdown import markdown

HOSTILE = "<script>alert(1)</script> | `x` @team \x1b[31m\n# head https://a.example"
DOCUMENT = Document(
    "Check",
    Cell("pass", Tone.GOOD, HOSTILE),
    (("Target", HOSTILE),),
    (
        Section("Shown", (HOSTILE,), table(("a", "b"), [row(HOSTILE, Cell("c", Tone.BAD, HOSTILE))])),
        Section("Detail", ("deep",), folded=True),
    ),
)


def test_html_escapes_what_is_foreign() -> None:
    text = page(DOCUMENT)
    assert "<script>" not in text
    assert "&lt;script&gt;" in text
    assert "\x1b" not in text
    assert "<details><summary>Detail</summary>" in text


def test_markdown_keeps_its_tables_and_mentions_nobody() -> None:
    text = markdown(DOCUMENT)
    (line,) = (line for line in text.splitlines() if line.startswith("| ") and "❌" in line)
    assert line.replace("\\|", "").count("|") == 3
    assert "<script>" not in text
    assert "@team" not in text
    assert "https://" not in text


@pytest.mark.parametrize(("text", "shown"), [("Both fail.", "Both fail. Mend it."), ("fail", "fail: Mend it.")])
def test_markdown_sets_no_colon_after_a_sentence(text: str, shown: str) -> None:
    section = Section("Matrix", table=table(("verdict",), [row(Cell(text, why="Mend it."))]))
    assert f"| {shown} |" in markdown(Document("Run", Cell("pass"), (), (section,)))


def test_the_console_has_one_line_a_row_and_no_detail() -> None:
    found = lines(DOCUMENT)
    assert all("\n" not in line and "\x1b" not in line for line in found)
    assert "Detail" not in found
    assert found[-1].startswith("Check: pass (")


def test_junit_is_read_with_its_counts() -> None:
    cases = [JUnitCase("g", "a", "passed"), JUnitCase("g", "b", "failed", HOSTILE), JUnitCase("g", "c", "error", "x")]
    root = ElementTree.fromstring(junit("suite", [*cases, JUnitCase("g", "d", "skipped", "y")]).encode())
    assert (root.get("tests"), root.get("failures"), root.get("errors"), root.get("skipped")) == ("4", "1", "1", "1")


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="A row of 1 cells stands under a head of 2"):
        table(("a", "b"), [row("x")])
