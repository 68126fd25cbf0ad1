"""A stand-in and the real server by the suites: what ends otherwise is told, and what differs has a reason."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from dialect_suites import PAIRS, SERVING, differences, main, reasons_of, stand_in_profile

from InferenceLibrary.report.run_results import Counts, RunResults, TestResult
from InferenceLibrary.servers.profile import load_profile


def run_of(**ends: str) -> RunResults:
    tests = [
        TestResult(name=name, status=end, duration=1, suite="Suites.Tools", error=f"{name} {end}\nmore")  # type: ignore[arg-type]
        for name, end in ends.items()
    ]
    return RunResults(
        suite="Suites",
        timestamp="",
        duration=1,
        summary=Counts(total=len(tests), passed=0, failed=0, skipped=0),
        tests=tests,
    )


def test_tests_that_end_alike_are_not_told() -> None:
    both = run_of(A="passed", B="failed", C="skipped")
    assert differences(both, both, {}) == []


@pytest.mark.parametrize(("here", "there"), [("passed", "failed"), ("skipped", "passed"), ("failed", "skipped")])
def test_a_test_that_ends_otherwise_is_told(here: str, there: str) -> None:
    (told,) = differences(run_of(A=here), run_of(A=there), {})
    assert told == f"Tools.A: {here} on the stand-in, {there} on the real server: A {here}; A {there}"


def test_a_test_of_one_side_is_told() -> None:
    told = differences(run_of(A="passed"), run_of(A="passed", B="passed"), {})
    assert [line.partition(":")[0] for line in told] == ["Tools.B"]
    assert "missing on the stand-in" in told[0]


def test_a_reason_is_for_its_tests_and_must_be_needed() -> None:
    here, there = run_of(A="passed", B="passed"), run_of(A="failed", B="passed")
    assert differences(here, there, {"Tools.A": "so"}) == []
    assert differences(here, there, {"Tools.*": "so", "Tools.B": "so"}) == ["allowed, but nothing differs: Tools.B"]
    assert differences(here, there, {"Tools.*": "so", "Tools.B": "at times it is slow"}) == []


@pytest.mark.parametrize("name", PAIRS)
def test_the_stand_in_is_started_as_the_real_server_is(name: str, tmp_path: Path) -> None:
    real, profile = load_profile(PAIRS[name].profile), load_profile(str(stand_in_profile(PAIRS[name], tmp_path)))
    assert profile.start is not None
    assert real.start is not None
    assert profile.start.command[0] == sys.executable
    words = real.start.command[1:]
    # Ollama has a subcommand, and is told the rest by its environment.
    words = SERVING if words == ["serve"] else words
    assert profile.start.command[-len(words) :] == words
    assert set(profile.start.options) == set(real.start.options) - {"program"}
    assert (profile.program is not None) == PAIRS[name].is_program
    if profile.program is not None and profile.terminal is not None:
        assert real.terminal is not None
        assert profile.program.command == profile.start.command[: -len(words)]
        assert profile.terminal.command == [*profile.program.command, *real.terminal.command[1:]]
    assert real.lacks.items() <= profile.lacks.items()
    assert all(reason.strip() for reason in reasons_of(name).values())


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["llama"])
    assert ended.value.code == 2
    assert "'llama' is not one of llama.cpp" in capsys.readouterr().err
