"""The log of a run: its size by the number of calls, and its links after a rerun that is merged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from inner_suites import run_text
from report.outputs import one_test, run_xml, time, write

from InferenceLibrary.cli import main
from InferenceLibrary.report.measured import with_measurements
from InferenceLibrary.report.merging import merge_runs
from InferenceLibrary.report.robot_output import read_output

ROOT = Path(__file__).resolve().parents[2]
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


def links_of(folder: Path) -> set[str]:
    """Links of a log to files beside it."""
    text = (folder / "output.xml").read_text(encoding="utf-8")
    return {link for link in re.findall(r'(?:href|src)=(?:"|&quot;)([^"&]*)(?:"|&quot;)', text) if ":" not in link}


@pytest.mark.slow
def test_the_links_of_a_rerun_in_another_folder_hold(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suite = tmp_path / "suite.robot"
    suite.write_text(
        f"{HEAD}Once\n    Stream Chat    hi\nAgain\n    Stream Chat    hi\n    Should Be Equal    ${{WELL}}    yes\n",
        encoding="utf-8",
    )
    first, rerun, joined = tmp_path / "first", tmp_path / "again", tmp_path / "joined"
    for folder, *options in (
        (first, "--variable", "WELL:no"),
        (rerun, "--variable", "WELL:yes", "--rerunfailed", str(first / "output.xml")),
    ):
        command = [sys.executable, "-m", "robot", "--outputdir", str(folder), *map(str, options), str(suite)]
        subprocess.run(command, capture_output=True, check=False)
    assert main(["merge", str(first), str(rerun), "--output", str(joined)]) == 0
    assert capsys.readouterr().out.strip() == f"{joined / 'log.html'}: 0 tests failed at last"
    links = links_of(joined)
    assert {link.partition("/")[0] for link in links} == {"first", "again"}
    assert [link for link in links if not (joined / link).is_file()] == []
    found = read_output(joined / "output.xml")
    assert [(test.name, test.status) for test in found.tests] == [("Once", "passed"), ("Again", "passed")]


def test_files_of_runs_are_brought_along_and_links_elsewhere_stay(tmp_path: Path) -> None:
    write(tmp_path / "a" / "inference", "one", "a b&c.svg")
    links = [
        '&lt;img src="inference/a%20b&amp;amp;c.svg"&gt;',
        '&lt;a href="inference/gone.svg"&gt;x&lt;/a&gt;',
        '&lt;a href="https://x.example/inference/a"&gt;x&lt;/a&gt;',
        '&lt;a href="../b/output.xml"&gt;x&lt;/a&gt;',
    ]
    body = f'<kw name="K" owner="L"><msg time="{time(0)}" level="INFO" html="true">{"".join(links)}</msg>'
    body += f'<status status="PASS" start="{time(0)}" elapsed="1"/></kw>'
    for name, status in (("a", "PASS"), ("b", "FAIL")):
        write(tmp_path / name, run_xml(one_test("T", status, "broke", body)))
    joined = tmp_path / "joined"
    (joined / "a").mkdir(parents=True)
    assert merge_runs([tmp_path / "b", tmp_path / "a"], joined) == 0
    text = (joined / "output.xml").read_text(encoding="utf-8")
    assert [link in text for link in links] == [False, True, True, True]
    assert 'src="a-2/inference/a%20b&amp;amp;c.svg"' in text
    assert (joined / "a-2" / "inference" / "a b&c.svg").read_text(encoding="utf-8") == "one"
    assert list((joined / "a").iterdir()) == []


def test_what_cannot_be_joined_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a", run_xml(one_test("T")))
    write(tmp_path / "b", run_xml(one_test("T"), suite="Other"))
    (tmp_path / "empty").mkdir()
    output = ["--output", str(tmp_path / "joined")]
    assert main(["merge", str(tmp_path / "a"), str(tmp_path / "empty"), *output]) == 1
    assert "holds no results: expected a folder with the output.xml" in capsys.readouterr().err
    assert main(["merge", str(tmp_path / "a"), str(tmp_path / "b"), *output]) == 1
    assert "The runs cannot be joined: expected a run and reruns of its tests" in capsys.readouterr().err
    cut = write(tmp_path / "cut", run_xml(one_test("T"))[:-40])
    assert main(["merge", str(tmp_path / "a"), str(cut), *output]) == 1
    assert f"'{cut.resolve()}'" in capsys.readouterr().err, "a copy is named in place of the file that was given"
    with pytest.raises(SystemExit):
        main(["merge", str(tmp_path / "a"), *output])


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


ARTIFACTS = ("--artifacts", "svg,png,txt,json,jsonl,log,cast,bin", "--artifactsinsubfolders")
"""As docs/running.md has them."""


@pytest.mark.slow
def test_links_and_measurements_of_two_processes_are_those_of_one_log(tmp_path: Path) -> None:
    suites = tmp_path / "suites"
    for name in ("one", "two"):
        test = f"In {name.title()}\n    Stream Chat    hi\n    Measure Generation    hi    iterations=2\n"
        write(suites, HEAD + test, f"{name}.robot")
    out = tmp_path / "out"
    pabot = [sys.executable, "-m", "pabot.pabot", "--processes", "2", "--pabotlibport", "0", *ARTIFACTS]
    done = subprocess.run(
        [*pabot, "--outputdir", str(out), str(suites)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " ".join(ARTIFACTS) in (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
    links = links_of(out)
    assert len(links) >= 4
    assert [link for link in links if not (out / link).is_file()] == []
    found = with_measurements(read_output(out / "output.xml"), out)
    assert found.problems == []
    assert sorted(one.test for one in found.measurements) == ["Suites.One.In One", "Suites.Two.In Two"]
    assert [one.file for one in found.measurements if not (out / one.file).is_file()] == []
    assert len({test.worker for test in found.tests}) == 2
    assert {rule.state for rule in found.rules} == {"kept"}
