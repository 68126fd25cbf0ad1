"""The log of a run: its size by the number of calls, and its links after a rerun that is merged."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from inner_suites import run_text

from InferenceLibrary.report.robot_output import read_output

HEAD = "*** Settings ***\nLibrary    InferenceLibrary\nSuite Setup    Start Server    simulator\n*** Test Cases ***\n"
CALLS = """Calls
    FOR    ${i}    IN RANGE    %d
        %s    What is the capital of France?
    END
"""
LARGEST = 1_000_000 / 1000
"""Bytes of log.html for each call."""


@pytest.mark.slow
@pytest.mark.parametrize("keyword", ["Chat", "Stream Chat"])
def test_a_thousand_calls_make_less_than_a_megabyte_of_log(tmp_path: Path, keyword: str) -> None:
    sizes = {}
    for count in (1, 151):
        run = run_text(HEAD + CALLS % (count, keyword), tmp_path / str(count))
        assert run.return_code == 0
        sizes[count] = (tmp_path / str(count) / "out" / "log.html").stat().st_size
    assert (sizes[151] - sizes[1]) / 150 < LARGEST


@pytest.mark.slow
def test_the_links_of_a_merged_rerun_hold(tmp_path: Path) -> None:
    suite = tmp_path / "suite.robot"
    suite.write_text(
        f"{HEAD}Once\n    Stream Chat    hi\nAgain\n    Stream Chat    hi\n    Should Be Equal    ${{WELL}}    yes\n",
        encoding="utf-8",
    )
    out = tmp_path / "out"

    def run(*command: object) -> int:
        done = subprocess.run([sys.executable, "-m", *map(str, command)], capture_output=True, check=False)
        return done.returncode

    assert run("robot", "--outputdir", out, "--variable", "WELL:no", suite) == 1
    before = {path: path.read_bytes() for path in (out / "inference").rglob("*") if path.is_file()}
    rerun = ("--rerunfailed", out / "output.xml", "--output", "rerun.xml", "--log", "NONE", "--report", "NONE")
    assert run("robot", "--outputdir", out, "--variable", "WELL:yes", *rerun, suite) == 0
    merged = (out / "output.xml", out / "rerun.xml")
    assert run("robot.rebot", "--merge", "--outputdir", out, "--output", "output.xml", *merged) == 0
    assert {path: path.read_bytes() for path in before} == before
    text = (out / "output.xml").read_text(encoding="utf-8")
    files = set(re.findall(r'(?:"|&quot;)(inference/[^"&]*)(?:"|&quot;)', text))
    assert len(files) >= 4
    assert [file for file in files if not (out / file).is_file()] == []
    found = read_output(out / "output.xml")
    assert (found.summary.total, found.summary.passed) == (2, 2)
