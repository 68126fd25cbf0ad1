"""The limits of the tests themselves: a test that hangs tells where, a failed inner run is one failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import machine
import pytest
from inner_suites import InnerRunError, finish_inner, start_inner
from machine import Limit

TESTS = Path(__file__).parents[1]

HANGS = """
import threading

def forever():
    threading.Event().wait()

def test_hangs():
    threading.Thread(target=forever, daemon=True, name="helper").start()
    threading.Event().wait()

def test_goes_on():
    pass
"""
READS_A_RUN = """
import inner_suites
import pytest

@pytest.fixture(scope="module")
def run():
    raise inner_suites.InnerRunError("no output")

@pytest.mark.parametrize("number", range(5))
def test_reads(run, number):
    pass

def test_alone():
    pass
"""


def pytest_on(source: str, folder: Path, *options: str) -> str:
    """Run tests given as text with the fixtures and limits of ours; return what it printed."""
    file = folder / "test_given.py"
    file.write_text(source, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-rA", *options]
    command += ["--rootdir", str(folder), "-o", "timeout_method=signal", str(file)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["PYTHONPATH"] = str(TESTS)
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("options", [("-n", "0"), ("-n", "1")])
def test_a_test_that_hangs_ends_with_the_stacks_of_all_threads(tmp_path: Path, options: tuple[str, ...]) -> None:
    printed = pytest_on(HANGS, tmp_path, *options, "-o", "timeout=0.3")
    assert "1 failed, 1 passed" in printed
    assert "The test did not end within" in printed
    assert "Thread MainThread:" in printed
    assert "in test_hangs" in printed
    assert "Thread helper:" in printed
    assert "in forever" in printed


def test_a_failed_inner_run_is_one_failure(tmp_path: Path) -> None:
    printed = pytest_on(READS_A_RUN, tmp_path)
    assert "1 passed, 4 skipped, 1 error" in printed
    assert "its inner run failed, see test_given.py::test_reads[0]" in printed


def test_an_inner_run_that_hangs_tells_where_and_what_it_left(tmp_path: Path) -> None:
    suite = tmp_path / "hangs.robot"
    suite.write_text("*** Test Cases ***\nHangs\n    Evaluate    threading.Event().wait()    modules=threading\n")
    process, mark = start_inner(suite, tmp_path / "out")
    with pytest.raises(InnerRunError) as error:
        finish_inner(process, mark, tmp_path / "out", timeout=2)
    assert "The inner run did not end within" in str(error.value)
    assert str(tmp_path / "out") in str(error.value)
    assert "wait" in str(error.value).partition("Its console:")[2], "the stacks of its threads"


def test_a_limit_grows_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(machine.time, "monotonic", lambda: now[0])
    pace = [1.0]
    monkeypatch.setattr(machine, "slowness", lambda: pace[0])
    limit = Limit(10)
    now[0] = 4.0
    assert limit.left() == 6.0
    now[0], pace[0] = 11.0, 3.0
    assert limit.left() == 19.0, "the machine became busy"
    now[0], pace[0] = 29.0, 1.0
    assert limit.left() == 1.0, "what was granted stays"
    now[0] = 31.0
    assert limit.left() == 0.0


def test_the_pace_of_this_machine_is_at_least_that_of_a_quiet_one() -> None:
    assert machine.slowness() >= 1.0
