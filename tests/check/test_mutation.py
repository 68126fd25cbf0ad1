"""`rfinference mutate`: what suites notice, what they do not, and runs that say nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from inner_suites import INNER

from InferenceLibrary.check.mutated_runs import FAULT_VARIABLE, NOTES_VARIABLE, Ran, SuiteRuns
from InferenceLibrary.check.mutation import _judged, _sample
from InferenceLibrary.cli import main
from InferenceLibrary.report.mutation_results import MutationResults

SHARP, BLUNT = str(INNER / "mutate_sharp.robot"), str(INNER / "mutate_blunt.robot")
FAULTS = ("missing-done", "swapped-tokens", "empty-body", "tool-id-missing")


def results(folder: Path) -> MutationResults:
    return msgspec.json.decode((folder / "mutate.json").read_bytes(), type=MutationResults)


def test_faults_are_noticed_or_not_or_never_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["mutate", BLUNT, "--faults", ",".join(FAULTS), "--output", str(tmp_path), "--processes", "2"]
    assert main(words) == 1
    found = results(tmp_path)
    states = {one.fault: (one.state, one.test) for one in found.faults}
    assert states == {
        "missing-done": ("not noticed", ""),
        "swapped-tokens": ("not noticed", ""),
        "empty-body": ("noticed", "Some Answer"),
        "tool-id-missing": ("never met", ""),
    }
    # What was never met does not count.
    assert found.score == pytest.approx(100 / 3)
    assert (found.tests, found.exit_code, found.threshold) == (1, 1, 95.0)
    told = capsys.readouterr()
    assert "score 33.3 % (1 noticed, 2 not noticed, 1 never met; the threshold is 95 %)" in told.out
    assert "F8" in told.out
    assert re.search(r"^\[4/4\] ", told.err, re.MULTILINE)
    assert "missing-done" in (tmp_path / "mutate.html").read_text()
    assert "missing-done" in (tmp_path / "mutate.md").read_text()


def test_a_sharp_suite_reaches_the_threshold(tmp_path: Path) -> None:
    path = tmp_path / "new" / "mutate.json"
    assert main(["mutate", SHARP, "--faults", "missing-done,empty-body", "--json", str(path)]) == 0
    found = results(path.parent)
    assert [one.state for one in found.faults] == ["noticed", "noticed"]
    assert found.score == 100


def test_a_sample_is_repeatable_and_of_the_size_that_is_asked_for() -> None:
    faults = [{"name": str(number)} for number in range(50)]
    assert _sample(faults, 5, seed=3) == _sample(faults, 5, seed=3) != _sample(faults, 5, seed=4)
    assert len(_sample(faults, 5, seed=3)) == 5
    assert _sample(faults, 60, seed=3) == _sample(faults, None, seed=3) == faults


@pytest.fixture
def asks_for_chats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Suites that ask for chats, pass, and that no fault strikes."""
    ran = Ran(0.1, ended=True, passed=1, asked=(("openai", ("chat", "orchestration")),))
    monkeypatch.setattr(SuiteRuns, "run", lambda _self, _fault, _limit: ran)


@pytest.mark.usefixtures("asks_for_chats")
def test_the_faults_that_can_strike_are_chosen(tmp_path: Path) -> None:
    # Nothing struck: there is not a score, whatever the threshold.
    assert main(["mutate", BLUNT, "--sample", "3", "--threshold", "0", "--json", str(tmp_path / "mutate.json")]) == 2
    found = results(tmp_path)
    reasons = {one.fault: one.reason for one in found.faults}
    assert "ask for nothing that it strikes: embeddings" in reasons["embedding-big-endian"]
    assert list(reasons.values()).count("it struck nothing") == 3
    assert found.left_out > 50
    assert found.score is None


@pytest.mark.parametrize(
    ("body", "words", "said"),
    [
        (
            "    Fail    It is broken.",
            [],
            "The clean run fails, so nothing can be said of faults: 'One': It is broken.",
        ),
        ("    Skip    Not here.", [], "No test passes in the clean run, 1 are skipped."),
        ("    No Operation", [], "The suites asked no simulator"),
        ("    No Operation", ["--robot=--include=none"], "Robot Framework did not run the suites"),
    ],
)
def test_a_clean_run_that_proves_nothing_is_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], body: str, words: list[str], said: str
) -> None:
    suite = tmp_path / "one.robot"
    suite.write_text(f"*** Test Cases ***\nOne\n{body}\n")
    assert main(["mutate", str(suite), *words]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert said in lines[1]


def test_a_run_ends_at_its_time_limit(tmp_path: Path) -> None:
    suite = tmp_path / "patient.robot"
    suite.write_text("*** Test Cases ***\nPatient\n    Sleep    10 min\n")
    ran = SuiteRuns([suite], [], "simulator").run("missing-done", 0.5)
    assert not ran.ended
    assert ran.seconds < 60


@pytest.mark.parametrize(
    ("ran", "state", "reason"),
    [
        (Ran(3.0, ended=False, struck=True), "noticed", "the run did not end within 3 s"),
        (Ran(3.0, ended=False), "never met", "it struck nothing"),
        (Ran(1.0, ended=True, passed=2, struck=True), "not noticed", "no test fails"),
        (Ran(1.0, ended=True, skipped=2, struck=True), "not noticed", "2 more are skipped than without it"),
        (Ran(1.0, ended=True, failed=(("T", "why"),)), "never met", "it did not strike, and yet 'T' fails: why"),
        (Ran(1.0, ended=True, failed=(("T", "why"),), struck=True), "noticed", "why"),
    ],
)
def test_what_a_run_says(ran: Ran, state: str, reason: str) -> None:
    fault = {"name": "f", "text": "does wrong", "breaks": ["F8"], "nature": "wire"}
    found = _judged(fault, ran, Ran(1.0, ended=True, passed=2))
    assert found.state == state
    assert reason in found.reason


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["/nowhere.robot"], "A suite does not exist"),
        ([BLUNT, "--faults", "missing-don"], "did you mean 'missing-done'?"),
        ([BLUNT, "--faults", "never-listen"], "'never-listen' is a fault of the process"),
        ([BLUNT, "--sample", "0"], "--sample is not understood"),
        ([BLUNT, "--processes", "0"], "--processes is not understood"),
        ([BLUNT, "--threshold", "101"], "per cent, 0 to 100"),
        ([BLUNT, "--timeout", "nan"], "seconds above 0"),
    ],
)
def test_bad_options_are_one_line_and_nothing_is_run(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(["mutate", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


@pytest.fixture
def mutant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """A simulator with a fault from outside: its URL, and that of its control."""
    monkeypatch.setenv(FAULT_VARIABLE, "status:code=418")
    monkeypatch.setenv(NOTES_VARIABLE, str(tmp_path / "notes"))
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--control-port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        urls = {}
        while "listening" not in urls:
            found = re.search(r"(control|listening) on (http://\S+?)\.?\s*$", process.stdout.readline())
            if found:
                urls[found[1]] = found[2]
        yield urls["listening"], urls["control"]
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def asked(method: str, url: str, body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


def test_suites_neither_see_the_fault_nor_take_it_away(mutant: tuple[str, str], tmp_path: Path) -> None:
    url, control = mutant
    chat = {"model": "fake-model", "messages": [{"role": "user", "content": "one"}]}
    assert asked("GET", f"{control}/faults") == (200, {"faults": []})
    assert asked("DELETE", f"{control}/faults")[0] == 204
    assert asked("POST", f"{control}/reset")[0] == 204
    assert asked("POST", f"{url}/v1/chat/completions", chat)[0] == 418
    (request,) = asked("GET", f"{control}/requests")[1]["requests"]
    assert (request["faults"], request["struck"]) == ([], [])
    assert asked("GET", f"{control}/stats")[1]["faults"] == []
    notes = [json.loads(line) for line in (tmp_path / "notes").read_text().splitlines()]
    assert {"struck": "status"} in notes
    assert {"asked": "openai", "apis": ["chat", "orchestration"]} in notes
    assert len(notes) == 2


def test_a_fault_that_does_not_exist_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FAULT_VARIABLE, "no-such-fault")
    monkeypatch.setenv(NOTES_VARIABLE, str(tmp_path / "notes"))
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "inference-simulator: error: INFERENCE_SIMULATOR_FAULT: unknown fault 'no-such-fault'"
    )


@pytest.mark.slow
def test_our_suites_notice_what_would_only_be_skipped(tmp_path: Path) -> None:
    """A probe finds out that these are not offered any more: the suite fails, and does not skip the tests of them."""
    suite = Path(__file__).resolve().parents[2] / "robot" / "integration" / "api.robot"
    words = ["mutate", str(suite), "--faults", "ignores-n,logprobs-missing", "--output", str(tmp_path)]
    assert main([*words, "--robot=--exclude=simulator"]) == 0
    test = "The Strict Stand-In Offers All That The Suites Ask For"
    assert [(one.state, one.test) for one in results(tmp_path).faults] == [("noticed", test)] * 2
