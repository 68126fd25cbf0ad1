"""`rfinference check --suites`: the suites run against the target itself, with its key and nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from check.odd_server import OddServer

from InferenceLibrary.check import suites
from InferenceLibrary.check.suites import first_line
from InferenceLibrary.check.targets import CheckTarget
from InferenceLibrary.cli import main
from InferenceLibrary.report.check_results import SuitesResult, read_results

KEY = "sk-a-key-that-nobody-may-see"
DIALECT = "name: mine\ntitle: Mine\nversion: '1'\ndeviations: [{rule: N7, reason: it counts the template}]\n"
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

Keeps The Rules
    [Tags]    rules    rule:n7
    ${reply} =    Chat    Hi    rules=fail

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
    assert (code, found.passed, found.failed) == (1, 2, 1)
    assert [(one.test, one.message) for one in found.failures] == [("Integration.One.Fails", "It is so.")]
    (check,) = read_results(tmp_path / "check.json").targets
    assert check.compat == "pass"
    cases = ElementTree.parse(tmp_path / "junit.xml").getroot().iter("testcase")
    assert [case.get("name") for case in cases if case.find("failure") is not None] == ["suites"]


def test_suites_waive_what_the_dialect_waives(server: OddServer, tmp_path: Path) -> None:
    server.habit = "wrong usage"
    words = ("--include", "rules")
    assert checked(server, tmp_path / "plain", *words)[1].failed == 1
    mine = tmp_path / "mine.yaml"
    mine.write_text(DIALECT, encoding="utf-8")
    code, found = checked(server, tmp_path / "waived", *words, "--dialect", str(mine))
    assert (code, found.passed, found.failed) == (0, 1, 0)


@pytest.mark.parametrize(
    ("name", "dialect", "variables"),
    [
        ("http://127.0.0.1:9", "vllm", {"INFERENCE_PROFILE": "vllm"}),
        ("http://127.0.0.1:9", "vllm@0.32.0", {"INFERENCE_DIALECT": "vllm@0.32.0"}),
        ("simulator", "vllm", {"INFERENCE_DIALECT": "vllm"}),
        ("simulator", None, {}),
    ],
)
def test_the_dialect_reaches_the_suites(name: str, dialect: str | None, variables: dict[str, str]) -> None:
    found = suites._environment(CheckTarget(name, dialect=dialect))
    told = {key: value for key, value in found.items() if key in {"INFERENCE_PROFILE", "INFERENCE_DIALECT"}}
    assert told == variables


def test_the_file_of_a_dialect_is_found_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(DIALECT, encoding="utf-8")
    found = suites._environment(CheckTarget("simulator", dialect="mine.yaml"))
    assert found["INFERENCE_DIALECT"] == str(tmp_path / "mine.yaml")


def test_other_systems_and_keys_of_the_environment_are_not_met(
    server: OddServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WORKER_TARGET", "INFERENCE_SERVICE_URL", "LLM_GATEWAY_URL", "ROUTER_URL", "VLLM_BACKEND_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("INFERENCE_API_KEY", KEY)
    target = CheckTarget(server.url)
    found = suites._environment(target)
    assert found["INFERENCE_TARGET"] == server.url
    assert "http://127.0.0.1:9" not in found.values()
    assert "INFERENCE_API_KEY" not in found


def test_the_plan_counts_the_tests_and_says_that_requests_are_not(
    server: OddServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", server.url, "--plan", "--suites"]) == 0
    assert "3 tests at most. Their requests are not counted." in capsys.readouterr().out.splitlines()[-1]
    assert main(["check", server.url, server.url + "/", "--plan", "--suites", "--include", "smoke"]) == 0
    assert "1 tests at most for each of 2 targets." in capsys.readouterr().out.splitlines()[-1]
    assert server.requests == []


def test_suites_that_run_nothing_are_not_judged(server: OddServer, tmp_path: Path) -> None:
    code, found = checked(server, tmp_path, "--include", "no-such-tag")
    assert code == 2
    assert found.error.startswith("Robot Framework did not run the suites")


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("503 != 200\nThe answer: ...", "503 != 200"),
        ("Parent suite setup failed:\nNobody answers.\nMore", "Parent suite setup failed: Nobody answers."),
        ("Setup failed:\nNobody answers.", "Setup failed: Nobody answers."),
        ("", ""),
    ],
    ids=["first", "of the suite", "of the test", "nothing"],
)
def test_a_failed_test_is_told_with_the_line_that_says_why(message: str, line: str) -> None:
    assert first_line(message) == line
