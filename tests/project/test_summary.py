"""The closing line of CI: it counts what ran, and nothing that failed is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import summary

CASES = {
    "passed": "<testcase name='a'/>",
    "failed": "<testcase classname='b.c' name='a'><failure message='1 is not 2&#10;and more'/></testcase>",
    "error": "<testcase classname='b.c' name='a'><error>\nIt broke\nat line 3</error></testcase>",
    "silent": "<testcase name='a'><failure/></testcase>",
    "skipped": "<testcase name='a'><skipped/></testcase>",
}


@pytest.fixture
def results(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    return tmp_path


def step(results: Path, name: str, outcome: str, *cases: str) -> None:
    (results / "steps" / name).write_text(f"{outcome}\n")
    if cases:
        report = results / summary.REPORTS[name][0]
        report.parent.mkdir(exist_ok=True)
        report.write_text(f"<testsuites><testsuite>{''.join(CASES[case] for case in cases)}</testsuite></testsuites>")


def closing(results: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = summary.main(results)
    return code, capsys.readouterr().out.splitlines()[-1]


def test_all_runners_are_added_up(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "lint", "pass")
    step(results, "test", "pass", "passed", "passed", "skipped")
    step(results, "test-integration", "pass", "passed", "skipped")
    assert closing(results, capsys) == (0, "4 passed, 0 failed, 2 skipped")


@pytest.mark.parametrize("kind", ["failed", "error"])
def test_a_failed_test_fails(results: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    step(results, "test", "fail", "passed", kind)
    assert closing(results, capsys) == (1, "1 passed, 1 failed, 0 skipped")


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("failed", "FAILED test: b.c.a: 1 is not 2"),
        ("error", "FAILED test: b.c.a: It broke"),
        ("silent", "FAILED test: a: without a message"),
    ],
)
def test_each_failed_test_is_named_before_the_table(
    results: Path, capsys: pytest.CaptureFixture[str], kind: str, line: str
) -> None:
    step(results, "lint", "pass")
    step(results, "test", "fail", "passed", kind)
    summary.main(results)
    assert capsys.readouterr().out.splitlines() == [
        line,
        "lint                1 passed, 0 failed, 0 skipped",
        "test                1 passed, 1 failed, 0 skipped",
        "2 passed, 1 failed, 0 skipped",
    ]


def test_what_failed_outside_the_tests_is_named_too(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "lint", "fail")
    step(results, "test", "fail", "passed")
    summary.main(results)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "FAILED lint: the step failed outside its tests, see its output",
        "FAILED test: the step failed outside its tests, see its output",
    ]


def test_a_failed_step_without_tests_is_a_failure(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "lint", "fail")
    step(results, "docs", "pass")
    assert closing(results, capsys) == (1, "1 passed, 1 failed, 0 skipped")


def test_a_step_that_failed_although_its_tests_passed_is_a_failure(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    step(results, "test", "fail", "passed")
    assert closing(results, capsys) == (1, "1 passed, 1 failed, 0 skipped")


def test_a_step_that_died_before_its_report_is_a_failure(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "test", "fail")
    assert closing(results, capsys) == (1, "0 passed, 1 failed, 0 skipped")


def test_a_report_that_was_cut_off_is_a_failure(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "test", "fail", "passed")
    report = results / summary.REPORTS["test"][0]
    report.write_text(report.read_text()[:-20])
    assert summary.main(results) == 1
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith(f"FAILED test: {report} cannot be read: ")
    assert last == "0 passed, 1 failed, 0 skipped"


def test_both_runners_of_the_real_server_count(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "test-real", "pass", "passed", "skipped")
    report = results / summary.REPORTS["test-real"][1]
    report.parent.mkdir(exist_ok=True)
    report.write_text(f"<testsuite>{CASES['passed']}</testsuite>")
    assert closing(results, capsys) == (0, "2 passed, 0 failed, 1 skipped")


def test_a_real_server_that_cannot_be_built_is_one_skip(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "test-real", "pass")
    (results / "real").mkdir()
    (results / "real" / "SKIPPED.txt").write_text("no compiler")
    assert closing(results, capsys) == (0, "0 passed, 0 failed, 1 skipped")


def test_a_failed_real_run_is_a_failure(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step(results, "test-real", "fail", "passed")
    assert closing(results, capsys) == (1, "1 passed, 1 failed, 0 skipped")


@pytest.mark.parametrize("folder", ["steps", "nothing"])
def test_nothing_that_ran_is_no_success(tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str) -> None:
    (tmp_path / folder).mkdir()
    assert closing(tmp_path, capsys) == (1, "No step has run.")
