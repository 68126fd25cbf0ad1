"""The verdict on a run on the simulator and one on a real server: each pair of results has its words."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from report.outputs import one_test, run_xml, write

from InferenceLibrary.cli import main
from InferenceLibrary.errors import InferenceError
from InferenceLibrary.report.html import page
from InferenceLibrary.report.robot_output import read_output
from InferenceLibrary.report.run_results import RunResults
from InferenceLibrary.report.verdict import HybridVerdict, join, verdict_document, verdict_json, verdict_schema


def run_of(tmp_path: Path, name: str, **ends: str) -> RunResults:
    tests = "".join(one_test(test, end, "" if end == "PASS" else f"{name} says no") for test, end in ends.items())
    return read_output(write(tmp_path / name, run_xml(tests, suite=name)))


def joined(tmp_path: Path, mock: str | None, real: str | None) -> HybridVerdict:
    left, right = {"other": "PASS"}, {"other": "PASS"}
    left |= {"a": mock} if mock else {}
    right |= {"a": real} if real else {}
    return join(run_of(tmp_path, "mock", **left), run_of(tmp_path, "real", **right))


@pytest.mark.parametrize(
    ("mock", "real", "verdict", "words", "code"),
    [
        ("PASS", "PASS", "good", "All good", 0),
        ("PASS", "FAIL", "integration problem", "Critical: a real integration problem", 1),
        ("FAIL", "FAIL", "logic error", "A logic error: both fail", 1),
        ("FAIL", "PASS", "logic error or wrong simulator", "only the simulator fails", 1),
        ("FAIL", "SKIP", "logic error or wrong simulator", "The real server: skipped", 1),
        ("FAIL", None, "logic error or wrong simulator", "The real server: missing", 1),
        ("SKIP", "FAIL", "integration problem", "the simulator: skipped", 1),
        (None, "FAIL", "integration problem", "the simulator: missing", 1),
        ("PASS", "SKIP", "not compared", "shown by the simulator alone", 0),
        ("SKIP", "PASS", "not compared", "shown by the real server alone", 0),
        ("SKIP", "SKIP", "not compared", "nothing is known", 0),
        ("PASS", None, "not compared", "In one run only", 0),
        (None, "PASS", "not compared", "In one run only", 0),
    ],
)
def test_each_pair_has_its_verdict(
    tmp_path: Path, mock: str | None, real: str | None, verdict: str, words: str, code: int
) -> None:
    found = joined(tmp_path, mock, real)
    (test,) = (test for test in found.tests if test.name == "Chat.a")
    assert test.verdict == verdict
    assert words in test.words
    assert found.exit_code == code


def test_the_matrix_stands_in_every_format(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mock = write(tmp_path / "m", run_xml(one_test("a") + one_test("b") + one_test("c", "SKIP", "no GPU")))
    real = write(tmp_path / "r", run_xml(one_test("a") + one_test("b", "FAIL", "Paris is missing") + one_test("c")))
    assert main(["verdict", str(mock), str(real), "--output", str(tmp_path / "out")]) == 1
    console = capsys.readouterr().out
    assert "1 integration problem among 2 tests; 1 not compared" in console.splitlines()[-1]
    assert "passed     failed       1      Critical: a real integration problem." in console
    assert "Paris is missing" in console
    made = json.loads((tmp_path / "out" / "inference-verdict.json").read_text(encoding="utf-8"))
    jsonschema.validate(made, verdict_schema())
    assert made["counts"] == {"good": 1, "integration problem": 1, "not compared": 1}
    for name in ("inference-verdict.html", "inference-verdict.md"):
        assert "Critical: a real integration problem" in (tmp_path / "out" / name).read_text(encoding="utf-8")
    assert main(["verdict", str(mock), str(mock)]) == 0
    assert main(["verdict", "--schema"]) == 0


def test_nothing_compared_is_not_good(tmp_path: Path) -> None:
    found = join(run_of(tmp_path, "mock", a="SKIP"), run_of(tmp_path, "real", a="PASS"))
    assert (found.exit_code, found.headline) == (2, "nothing was compared; 1 not compared")
    assert "nothing was compared" in page(verdict_document(found))


def test_runs_of_different_suites_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InferenceError, match=r"no test in common: expected two runs of the same suites, got 1 tests"):
        join(run_of(tmp_path, "mock", a="PASS"), run_of(tmp_path, "real", b="PASS"))


def test_a_cut_run_is_refused(tmp_path: Path) -> None:
    whole = run_of(tmp_path, "mock", a="PASS")
    cut = read_output(write(tmp_path / "cut", run_xml(one_test("a"))[:-12]))
    with pytest.raises(InferenceError, match="The run against the real server is not whole"):
        join(whole, cut)
    with pytest.raises(InferenceError, match="The run against the simulator is not whole"):
        join(cut, whole)


def test_the_json_is_the_same_for_the_same_runs(tmp_path: Path) -> None:
    assert verdict_json(joined(tmp_path, "PASS", "FAIL")) == verdict_json(joined(tmp_path, "PASS", "FAIL"))
