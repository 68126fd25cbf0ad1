"""Nothing outlives the test, suite or run that opened it, however that ended."""

import os
import re
import select
import signal
from pathlib import Path

import pytest
from inner_suites import InnerRun, finish_inner, run_inner, start_inner

from InferenceLibrary.deadline import wait_until


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("ownership.robot", tmp_path_factory.mktemp("ownership"))


@pytest.mark.parametrize(
    ("test", "status", "message"),
    [
        ("Test Owned", "PASS", ""),
        ("Gone With Its Test", "PASS", ""),
        ("Gone Although Failed", "FAIL", "on purpose"),
        ("Gone Although Timed Out In A Call", "FAIL", "Test timeout 500 milliseconds exceeded."),
        ("Gone Although Timed Out In A Start", "FAIL", "Test timeout 500 milliseconds exceeded."),
        ("Gone Although Timed Out In At Once", "FAIL", "Test timeout 500 milliseconds exceeded."),
        ("Gone Although Timed Out In A Wait", "FAIL", "Test timeout 300 milliseconds exceeded."),
        ("Suite Owned Lives On", "PASS", ""),
    ],
)
def test_each_case_ends_as_it_should(run: InnerRun, test: str, status: str, message: str) -> None:
    assert (run[test].status, run[test].message) == (status, message)


def test_servers_of_ended_tests_are_gone_and_nothing_is_left(run: InnerRun) -> None:
    pids = re.findall(r"pid (\d+)", "\n".join(line for outcome in run.tests.values() for line in outcome.log))
    assert len(pids) >= 3
    assert run.leftovers == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["call", "start", "stream", "ignore-term"])
def test_a_signal_ends_every_wait_and_every_server(tmp_path: Path, stage: str, number: signal.Signals) -> None:
    process, mark = start_inner("interrupted.robot", tmp_path, "--include", stage)
    _await_console(process, "waiting now")
    if stage == "start":
        wait_until((tmp_path / "inference").exists, 10)
    process.send_signal(number)
    run = finish_inner(process, mark, tmp_path, timeout=30)
    (outcome,) = run.tests.values()
    assert (outcome.status, outcome.message) == ("FAIL", "Execution terminated by signal")
    assert run.leftovers == []


def _await_console(process, text: str) -> None:  # type: ignore[no-untyped-def]
    """Read the console until a text shows up, without a fixed sleep."""
    seen = ""
    while text not in seen:
        ready, _, _ = select.select([process.stdout], [], [], 30)
        assert ready, f"'{text}' never came: {seen}"
        piece = os.read(process.stdout.fileno(), 4096).decode()
        assert piece, f"The run ended before '{text}': {seen}"
        seen += piece
