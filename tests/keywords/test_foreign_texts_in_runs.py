"""A run's log opens whatever is said to it: every hostile text in every place, at every level, also under pabot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from foreign_texts import PIECES, HostileServer, hostile_texts
from inner_suites import INNER, run_inner, run_text

SUITE = "foreign_texts.robot"
MUST_FAIL = {
    "A Call That Fails",
    "A Stream That Fails",
    "A Check That Fails",
    "Lists And Metrics",
    "Names Of Files And Servers",
    "Programs",
    "Terminals",
    "A Failure Of Another Library",
}


@pytest.fixture(scope="module")
def server() -> Iterator[HostileServer]:
    server = HostileServer(hostile_texts(len(PIECES), seed=0))
    yield server
    server.close()


def variables(server: HostileServer, folder: Path) -> list[str]:
    """Return options that give a suite the server and its texts: by a file, for a command line cannot hold them."""
    path = folder / "hostile_variables.py"
    path.write_text(f"import sys\nPYTHON = sys.executable\nURL = {server.url!r}\nTEXTS = {server.texts!a}\n")
    return ["--variablefile", str(path), "--variable", f"COUNT:{len(server.texts)}"]


@pytest.mark.parametrize("level", ["INFO", "DEBUG", "TRACE"])
def test_the_log_opens_at_every_level(level: str, server: HostileServer, tmp_path: Path) -> None:
    files = ["--xunit", "xunit.xml", "--debugfile", "debug.txt"]
    options = [*variables(server, tmp_path), *files, "--loglevel", level]
    run = run_inner(SUITE, tmp_path / "out", *options, env={"HOSTILE": "\udcff\udc80\x1b[2J"})
    assert {name for name, test in run.tests.items() if test.status == "FAIL"} == MUST_FAIL
    for name in ("log.html", "report.html"):
        assert (run.output_dir / name).stat().st_size > 0
    for name in ("output.xml", "xunit.xml"):
        ElementTree.parse(run.output_dir / name)
    assert not set("\0\b\x1b\x9b\ufffe") & set(run.console)
    assert "400: \ufffd" in run["A Call That Fails"].message
    assert r"\x1b[2J" in run["A Failure Of Another Library"].message


def test_the_log_of_several_processes_opens(server: HostileServer, tmp_path: Path) -> None:
    """The merged log holds every suite: pabot leaves out one whose output cannot be read, and says so nowhere."""
    suites = tmp_path / "suites"
    suites.mkdir()
    for name in ("one", "two"):
        shutil.copy(INNER / SUITE, suites / f"{name}.robot")
    given = [*variables(server, tmp_path), "--variable", "COUNT:4", "--include", "calls"]
    command = [
        sys.executable,
        "-m",
        "pabot.pabot",
        "--command",
        sys.executable,
        "-m",
        "robot",
        "--end-command",
        "--processes",
        "2",
        "--pabotlibport",
        "0",
        *given,
    ]
    finished = subprocess.run(
        [*command, "--outputdir", str(tmp_path / "out"), str(suites)],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
        env={**os.environ, "HOSTILE": "\udcff"},
    )
    assert (tmp_path / "out" / "log.html").exists(), finished.stdout
    results = ElementTree.parse(tmp_path / "out" / "output.xml")
    failed = [test.get("name") for test in results.iter("test") if test.find("status").get("status") == "FAIL"]  # type: ignore[union-attr]
    assert sorted(failed) == sorted(2 * ["A Call That Fails", "A Check That Fails", "A Stream That Fails"])


HUGE = """\
*** Settings ***
Library    InferenceLibrary
Suite Setup    Connect To Server    {url}    model=m    check=False

*** Test Cases ***
A Check
    ${{reply}} =    Chat    0 said
    Answer Should Contain    ${{reply}}    zzz

A Check Of Another Library
    ${{reply}} =    Chat    0 said
    Should Contain    ${{reply.text}}    zzz

A Refusal
    Chat    0 refused

A Stream
    Stream Chat    0 broken
"""


def test_a_failure_writes_few_kilobytes_and_the_rest_to_a_file(tmp_path: Path) -> None:
    server = HostileServer(["y" * 2_000_000 + "<end>"])
    try:
        run = run_text(HUGE.format(url=server.url), tmp_path, "--loglevel", "DEBUG")
    finally:
        server.close()
    for name, test in run.tests.items():
        assert test.status == "FAIL", name
        assert len(test.message) < 8_000
        assert max(map(len, test.log)) < 25_000, "a body in the log is cut"
        assert sum(map(len, test.log)) < 100_000
    link, *_ = re.findall(r'\(2,0\d\d,\d\d\d characters\)<br>\nWhole: <a href="([^"]+)">', "".join(run["A Check"].log))
    assert "y<end>'" in (run.output_dir / link).read_text("utf-8")


RUNS = int(os.environ.get("HOSTILE_RUNS", "10"))


def test_no_run_is_left_without_a_log(tmp_path: Path) -> None:
    """Runs with texts drawn at random, three in each; `HOSTILE_RUNS=1000` for the whole count."""
    command = [sys.executable, str(Path(__file__).parents[1] / "hostile_runs.py"), str(RUNS), str(tmp_path)]
    finished = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60 + 10 * RUNS)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert f"{RUNS} runs, 0 without a log" in finished.stdout
