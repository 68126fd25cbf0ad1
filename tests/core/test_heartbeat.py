"""Keywords that last tell on the console that they still run."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import pytest
from inner_suites import run_text

from InferenceLibrary import heartbeat
from InferenceLibrary.heartbeat import Heartbeat, due_times

SUITE = """
*** Settings ***
Library    InferenceLibrary

*** Test Cases ***
Quick And Slow
    Start Server    simulator    time_to_first_token=2500 ms
    Get Server Log
    Chat    hi
"""


def until(said: list[str], count: int) -> None:
    end = time.monotonic() + 60
    while len(said) < count:
        assert time.monotonic() < end, f"told only {said}"
        time.sleep(0.005)


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "STEPS", (0.05, 0.1))
    monkeypatch.setattr(heartbeat, "_LOOK", 0.01)


@pytest.mark.usefixtures("fast")
def test_each_keyword_that_lasts_is_told_by_its_own_name() -> None:
    said: list[str] = []
    watch = Heartbeat(said.append, lambda: 0.0)
    try:
        watch.begin("Outer")
        watch.begin("Inner")
        watch.end()
        until(said, 2)
        watch.end()
        assert {line.partition(":")[0] for line in said} == {"Outer"}
        assert re.fullmatch(r"Outer: \d+ s so far", said[0])
        said.clear()
        watch.begin("Next")
        until(said, 1)
        assert said[0].startswith("Next: ")
        watch.end()
        # Nothing runs: whatever is told from now on is of another keyword.
        said.clear()
        watch.begin("Last")
        until(said, 1)
        assert {line.partition(":")[0] for line in said} == {"Last"}
    finally:
        watch.close()


@pytest.mark.usefixtures("fast")
def test_what_was_told_lately_is_not_told_over() -> None:
    said: list[str] = []
    told = [float("inf")]
    watch = Heartbeat(said.append, lambda: told[0])
    try:
        watch.begin("Run Load")
        time.sleep(0.3)
        assert said == []
    finally:
        watch.close()


def test_it_is_told_seldom_and_without_end() -> None:
    assert list(itertools.islice(due_times(), 6)) == [2, 10, 30, 60, 120, 180]


def test_a_run_tells_of_its_slow_keywords_only(tmp_path: Path) -> None:
    run = run_text(SUITE, tmp_path)
    assert run.return_code == 0
    assert re.search(r"^Chat: \d+ s so far$", run.console, re.MULTILINE)
    assert "Get Server Log:" not in run.console


def test_no_thread_runs_before_a_keyword_does() -> None:
    watch = Heartbeat(print, lambda: 0.0)
    assert watch._thread is None
    watch.end()
    watch.close()
