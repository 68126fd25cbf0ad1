"""The map of what the suites cover: complete, true and up to date."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from robot.api import ExecutionResult

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import coverage_map  # noqa: E402


def test_every_case_is_covered_and_every_tag_names_a_case() -> None:
    assert coverage_map.problems(coverage_map.read_systems(), coverage_map.tagged_tests()) == []


def test_the_document_is_up_to_date() -> None:
    text = coverage_map.document(coverage_map.read_systems(), coverage_map.tagged_tests())
    assert coverage_map.DOCUMENT.read_text(encoding="utf-8") == text, "run python scripts/coverage_map.py"


def test_its_tags_choose_tests_and_stay_out_of_the_log(tmp_path: Path) -> None:
    options = ["--include", "covers:mistral-version", "--outputdir", str(tmp_path), "--log", "NONE", "--report", "NONE"]
    command = [sys.executable, "-m", "robot", *options, str(ROOT / "robot" / "integration")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    result = ExecutionResult(str(tmp_path / "output.xml"))
    assert result.statistics.total.passed == 1
    assert [tag.name for tag in result.statistics.tags] == ["program", "smoke"]


@pytest.mark.parametrize(
    ("case", "tests", "told"),
    [
        ({"case": "x"}, {}, "a-b: no test bears the tag covers:a-b"),
        ({"case": "x", "by": "no/such/file"}, {}, "a-b: no/such/file is not there"),
        ({"case": "x", "note": "y"}, {"a-b": ["s: t"]}, "a-b: unknown key note"),
        ({"case": "x"}, {"a-b": ["s: t"], "a-c": ["s: u"]}, "covers:a-c names no case: s: u"),
    ],
)
def test_a_gap_is_seen(case: dict[str, str], tests: dict[str, list[str]], told: str) -> None:
    assert coverage_map.problems([{"prefix": "a", "cases": {"b": case}}], tests) == [told]


def test_a_tag_is_found(tmp_path: Path) -> None:
    suite = tmp_path / "one.robot"
    suite.write_text("*** Test Cases ***\nFirst\n    [Tags]    covers:a-b    slow\n    Log    x\n", encoding="utf-8")
    assert coverage_map.tagged_tests(tmp_path) == {"a-b": ["one: First"]}


def test_a_suite_that_covers_a_case_as_a_whole_is_named_once(tmp_path: Path) -> None:
    head = "*** Settings ***\nTest Tags    covers:a-b\n*** Test Cases ***\n"
    (tmp_path / "whole.robot").write_text(
        f"{head}First\n    Log    x\nSecond\n    [Tags]    covers:a-c\n    Log    y\n", encoding="utf-8"
    )
    assert coverage_map.tagged_tests(tmp_path) == {"a-b": ["whole: all tests"], "a-c": ["whole: Second"]}
