"""The ways to run that docs/running.md tells: argument files and profiles say the same, every command can be given."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from inner_suites import run_inner, run_text
from robot.errors import Information
from robot.rebot import Rebot
from robot.run import RobotFramework

from InferenceLibrary.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "running.md").read_text(encoding="utf-8")
ARGUMENTS = {path.stem: path for path in (ROOT / "robot" / "args").glob("*.args")}
PROJECT = tomllib.loads((ROOT / "robot.toml").read_text(encoding="utf-8"))
NAMES = {
    "includes": "include",
    "excludes": "exclude",
    "re-run-failed": "rerunfailed",
    "exit-on-failure": "exitonfailure",
}
"""Options of robot.toml that are not those of `robot` without hyphens."""
RUNNERS = ("robot", "pabot", "rebot", "rfinference", "make", "--")
COMMANDS = sorted(
    {
        command
        for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
        for command in block.splitlines()
        if command.startswith(RUNNERS)
    }
    | {
        span
        for row in re.findall(r"^\|.*\|(.*)\|$", PAGE, re.MULTILINE)
        for span in re.findall(r"`([^`\n]+)`", row)
        if span.startswith(RUNNERS) and not span.startswith("robot/")
    }
)


@pytest.mark.parametrize("name", sorted(PROJECT["profiles"]))
def test_a_profile_is_the_argument_file_of_its_name(name: str) -> None:
    profile: dict[str, Any] = dict(PROJECT["profiles"][name])
    options, _ = RobotFramework().parse_arguments(["--argumentfile", str(ARGUMENTS[name]), "suites"])
    description, paths = profile.pop("description"), profile.pop("paths", PROJECT["paths"])
    assert ARGUMENTS[name].read_text(encoding="utf-8").splitlines()[0] == f"# {description}"
    assert all((ROOT / path).is_dir() for path in paths)
    ours = {NAMES.get(key, key.replace("-", "")): value for key, value in profile.items()}
    theirs = {key: value for key, value in options.items() if (key, value) != ("outputdir", "results")}
    assert {key: str(value) for key, value in ours.items()} == {key: str(value) for key, value in theirs.items()}


def test_each_argument_file_has_a_profile() -> None:
    assert set(ARGUMENTS) == set(PROJECT["profiles"])


def test_robotcode_reads_the_profiles() -> None:
    command = [sys.executable, "-m", "robotcode.cli", "--no-pager", "-p", "full", "-p", "verbose", "--dry", "run"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""  # a dry run ends with the code of Robot Framework for no tests
    assert {"xunit = 'xunit.xml'", "loglevel = 'DEBUG'", "console = 'verbose'"} <= set(done.stdout.splitlines())
    assert done.stdout.split()[-1] == "robot/integration"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_can_be_given(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = [word for word in shlex.split(command) if word != "..."]
    match words[0]:
        case "robot":
            RobotFramework().parse_arguments([*words[1:], "robot/integration"])
        case "rebot":
            Rebot().parse_arguments([*words[1:], "output.xml"])
        case "pabot":
            # Its own imports warn, which is an error in this process.
            script = "import sys; from pabot.arguments import parse_args; assert parse_args(sys.argv[1:])[1]"
            subprocess.run([sys.executable, "-c", script, *words[1:], "robot/integration"], check=True)
        case "make":
            targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
            assert {word for word in words[1:] if "=" not in word} <= targets
        case "rfinference":
            with pytest.raises(SystemExit) as left:
                main([words[1], "--help"])
            assert left.value.code == 0
        case _:
            RobotFramework().parse_arguments([*words, "robot/integration"])


def test_a_wrong_command_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises((Information, Exception), match="nosuch"):
        test_a_command_of_the_page_can_be_given("robot --nosuch x", monkeypatch)
    assert len(COMMANDS) >= 20


def test_the_page_tells_every_argument_file_and_profile() -> None:
    assert [name for name in ARGUMENTS if f"`{name}.args`" not in PAGE] == []


def test_verbose_is_told_by_the_environment(tmp_path: Path) -> None:
    levels = {}
    for value in ("", "true"):
        run = run_inner(
            ROOT / "robot" / "integration",
            tmp_path / f"out{value}",
            *("--suite", "Errors", "--test", "An Unknown Model Is Named"),
            env={"TEST_VERBOSE": value},
        )
        levels[value] = 'level="DEBUG"' in (run.output_dir / "output.xml").read_text(encoding="utf-8")
    assert levels == {"": False, "true": True}


def test_a_started_server_gets_the_environment_and_the_first_failure_ends_the_run(tmp_path: Path) -> None:
    suite = (
        "*** Settings ***\nLibrary    InferenceLibrary\n*** Test Cases ***\n"
        "Told\n    Start Server    simulator\n"
        "    ${levels} =    Evaluate    [one.environ().get('RUST_LOG') for one in "
        "psutil.Process().children(recursive=True)]    psutil\n"
        "    Should Contain    ${levels}    debug\n    Should Not Contain    ${levels}    ${None}\n"
        "Broken\n    Fail    here\n"
        "After\n    No Operation\n"
    )
    options = ("--argumentfile", str(ARGUMENTS["fail-fast"]))
    run = run_text(suite, tmp_path, *options, env={"RUST_LOG": "debug"})
    assert [run[name].status for name in ("Told", "Broken", "After")] == ["PASS", "FAIL", "FAIL"]
    assert "exit-on-failure" in run["After"].message.lower()
