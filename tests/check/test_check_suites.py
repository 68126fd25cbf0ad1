"""`rfinference check --suites`: the suites run against the target itself, with its key and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from check.odd_server import OddServer

from InferenceLibrary.check import suites
from InferenceLibrary.cli import main
from InferenceLibrary.report.check_results import SuitesResult, read_results

KEY = "sk-a-key-that-nobody-may-see"
SUITE = """\
*** Settings ***
Library    InferenceLibrary    rules=off
Suite Setup    Use Target

*** Test Cases ***
Answers
    [Tags]    smoke
    Chat    Marked by the suites

Fails
    [Tags]    broken
    Fail    It is so.

Of The Simulator
    [Tags]    smoke    simulator
    Fail    This is not of the target.
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OddServer]:
    (tmp_path / "integration").mkdir()
    (tmp_path / "integration" / "one.robot").write_text(SUITE)
    monkeypatch.setattr(suites, "shipped_folders", lambda: (tmp_path, tmp_path))
    monkeypatch.setenv("MY_KEY", KEY)
    found = OddServer()
    yield found
    found.close()


def checked(server: OddServer, folder: Path, *words: str) -> tuple[int, SuitesResult]:
    code = main(["check", server.url, "--suites", "--output", str(folder), *words])
    (found,) = read_results(folder / "check.json").suites
    return code, found


def test_suites_that_pass(server: OddServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = len(server.requests)
    code, found = checked(server, tmp_path, "--include", "smoke", "--api-key-env", "MY_KEY")
    assert (code, found.passed, found.failed, found.skipped, found.error) == (0, 1, 0, 0, "")
    assert (tmp_path / found.log).is_file()
    (check,) = read_results(tmp_path / "check.json").targets
    own = server.requests[before + check.requests :]
    _, path, headers = own[-1]
    assert (path, headers.get("authorization")) == ("/v1/chat/completions", f"Bearer {KEY}")
    told = capsys.readouterr()
    assert "1 tests pass, 0 fail, 0 are skipped." in told.out
    assert "| PASS |" in told.err
    assert not any(KEY in path.read_text() for path in tmp_path.rglob("*.html"))


def test_a_test_that_fails_is_1_though_the_rules_are_kept(server: OddServer, tmp_path: Path) -> None:
    code, found = checked(server, tmp_path)
    assert (code, found.passed, found.failed) == (1, 1, 1)
    assert [(one.test, one.message) for one in found.failures] == [("Integration.One.Fails", "It is so.")]
    (check,) = read_results(tmp_path / "check.json").targets
    assert check.compat == "pass"
    cases = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["suites"]


def test_suites_that_run_nothing_are_not_judged(server: OddServer, tmp_path: Path) -> None:
    code, found = checked(server, tmp_path, "--include", "no-such-tag")
    assert code == 2
    assert found.error.startswith("Robot Framework did not run the suites")
