"""No container, network or volume outlives the test, suite or run that started it, not even after SIGKILL."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_tests import IMAGE, await_standing, engine_or_skip, labelled
from inner_suites import InnerRun, finish_inner, marked_processes, run_inner, start_inner

from InferenceLibrary.containers.engine import ContainerEngine
from InferenceLibrary.containers.leftovers import remove_orphans
from InferenceLibrary.deadline import wait_until

pytestmark = pytest.mark.docker

VARIABLES = ("--variable", f"IMAGE:{IMAGE}")
GONE_WITHIN = 20.0
"""Seconds after the death of a runner; generous, because a busy engine creates a container for seconds."""


@pytest.fixture(scope="module")
def engine() -> Iterator[ContainerEngine]:
    engine = engine_or_skip(compose=True)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def run(engine: ContainerEngine, tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    folder = tmp_path_factory.mktemp("ownership")
    return run_inner("containers_ownership.robot", folder, *VARIABLES, settled=lambda: await_nothing(engine))


def await_nothing(engine: ContainerEngine, pid: int | None = None) -> None:
    assert wait_until(lambda: labelled(engine, pid) == [], GONE_WITHIN, longest=0.2), labelled(engine, pid)


@pytest.mark.parametrize(
    ("test", "status", "message"),
    [
        ("Test Owned", "PASS", ""),
        ("Gone With Its Test", "PASS", ""),
        ("Gone Although Failed", "FAIL", "on purpose"),
        ("Gone Although Timed Out In A Start", "FAIL", "Test timeout 1 second exceeded."),
        ("Gone Although Timed Out At Once", "FAIL", "Test timeout 150 milliseconds exceeded."),
        ("Gone Although Timed Out In A Compose Start", "FAIL", "Test timeout 500 milliseconds exceeded."),
        ("Stopped By Hand", "PASS", ""),
        ("Term Ignored", "PASS", ""),
        ("Suite Owned Lives On", "PASS", ""),
    ],
)
def test_each_case_ends_as_it_should(run: InnerRun, test: str, status: str, message: str) -> None:
    assert (run[test].status, run[test].message) == (status, message)


def test_a_term_that_is_ignored_is_told(run: InnerRun) -> None:
    assert any(re.search(r"Stopped .+, by KILL", line) for line in run["Term Ignored"].log)


def test_nothing_is_left_after_the_run(run: InnerRun, engine: ContainerEngine) -> None:
    assert labelled(engine) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("stage", ["wait", "compose", "start", "compose-start"])
def test_a_signal_ends_the_run_and_its_containers(
    engine: ContainerEngine, tmp_path: Path, stage: str, number: signal.Signals
) -> None:
    process, mark = start_inner("containers_killed.robot", tmp_path, *VARIABLES, "--include", stage)
    await_standing(process, engine, stage)
    process.send_signal(number)
    run = finish_inner(process, mark, tmp_path, timeout=30, settled=lambda: await_nothing(engine, process.pid))
    (outcome,) = run.tests.values()
    assert (outcome.status, outcome.message) == ("FAIL", "Execution terminated by signal")


@pytest.mark.parametrize("who", ["runner", "group"])
@pytest.mark.parametrize("stage", ["wait", "compose", "start", "compose-start", "ignore-term"])
def test_nothing_outlives_a_runner_that_was_killed(
    engine: ContainerEngine, tmp_path: Path, stage: str, who: str
) -> None:
    process, mark = start_inner("containers_killed.robot", tmp_path, *VARIABLES, "--include", stage)
    await_standing(process, engine, stage)
    assert labelled(engine, process.pid)
    (os.kill if who == "runner" else os.killpg)(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    await_nothing(engine, process.pid)
    assert wait_until(lambda: marked_processes(mark) == {}, 30), marked_processes(mark)


def test_what_a_killed_watcher_leaves_is_gone_after_the_next_start(engine: ContainerEngine, tmp_path: Path) -> None:
    process, mark = start_inner("containers_killed.robot", tmp_path / "killed", *VARIABLES, "--include", "compose")
    await_standing(process, engine, "compose")
    (watcher,) = [pid for pid, line in marked_processes(mark).items() if "containers.watcher" in line]
    os.kill(watcher, signal.SIGKILL)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    left = labelled(engine, process.pid)
    assert len(left) == 3, f"container, network and volume should have stayed: {left}"
    run_inner("containers_ownership.robot", tmp_path / "next", *VARIABLES, "--test", "Suite Owned Lives On")
    assert labelled(engine, process.pid) == []


def test_a_living_runner_keeps_its_containers(engine: ContainerEngine, tmp_path: Path) -> None:
    process, mark = start_inner("containers_killed.robot", tmp_path, *VARIABLES, "--include", "wait")
    try:
        await_standing(process, engine, "wait")
        remove_orphans(engine.client.api)
        assert len(labelled(engine, process.pid)) == 1
    finally:
        process.send_signal(signal.SIGTERM)
        finish_inner(process, mark, tmp_path, timeout=30, settled=lambda: await_nothing(engine, process.pid))
