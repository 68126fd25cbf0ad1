"""The console script rfinference: what it prints, its exit codes, and errors of one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from InferenceLibrary import __version__
from InferenceLibrary.cli import main
from InferenceLibrary.servers.profile import profile_names

PROGRAM = Path(sys.executable).with_name("rfinference")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_the_installed_script_runs() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"rfinference {__version__}\n", "")


def test_without_a_command_all_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert {"check", "docs", "doctor", "profiles", "report", "suites"} <= set(told.err.split())


def test_profiles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == profile_names()
    (simulator,) = (line for line in lines if line.startswith("simulator "))
    assert simulator.endswith("(Start Server)")
    (openai,) = (line for line in lines if line.startswith("openai "))
    assert openai.endswith("(Connect To Server)")


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_can_be_shown(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", name]) == 0
    assert capsys.readouterr().out.startswith(f"{name}: ")


def test_a_profile_is_shown_with_its_options(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "title: My server\nhomepage: https://example.org\nstart:\n  command: [serve, '{port}']\n  options:\n"
        "    seed: {flag: --seed, type: integer, default: 1, help: the seed, required: true, environment: SEED}\n"
        "    plain: {flag: --plain}\nlacks: {terminal: it has none}\n"
    )
    assert main(["profiles", str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "mine: My server",
        "  https://example.org",
        "  model: the first of the model list",
        "  command: serve {port}",
        "  seed: the seed (integer, required, default 1, from SEED)",
        "  plain: --plain (text)",
        "  lacks terminal: it has none",
    ]


def test_an_unknown_profile_is_an_error_of_one_line() -> None:
    done = run("profiles", "simulatr")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("rfinference: No profile 'simulatr': expected the path of a YAML file or one of ")
    assert "Did you mean 'simulator'?" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_broken_profile_is_an_error_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("titel: x")
    assert main(["profiles", str(path)]) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert shown.err.startswith(f"rfinference: {path}:1: key 'titel': unknown key.")


@pytest.mark.parametrize(
    "arguments", [[], ["profile"], ["doctors"], ["--verson"], ["profiles", "a", "b"], ["doctor", "x"]]
)
def test_a_wrong_command_line_is_refused_with_2(arguments: list[str]) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: rfinference" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_not_utf_8_is_told_all_the_same() -> None:
    done = subprocess.run([PROGRAM, "profiles", b"\xff.yaml"], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "\\udcff.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    command = f"'{PROGRAM}' profiles schema | true"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
