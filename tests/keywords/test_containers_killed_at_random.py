"""Runs of Robot Framework that are killed at random moments leave no container, network, volume or watcher behind.

INFERENCE_KILL_ROUNDS says how many runs; the seed is printed, and INFERENCE_KILL_SEED repeats it.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_tests import IMAGE, engine_or_skip, labelled
from inner_suites import marked_processes, start_inner

from InferenceLibrary.containers.engine import ContainerEngine
from InferenceLibrary.deadline import Deadline, wait_until

pytestmark = [pytest.mark.docker, pytest.mark.slow]

ROUNDS = int(os.environ.get("INFERENCE_KILL_ROUNDS", "12"))
SEED = int(os.environ.get("INFERENCE_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
STAGES = ("wait", "compose", "start", "compose-start", "ignore-term")
WHO = ("runner", "group", "watcher and runner")
GONE_WITHIN = 20.0


@pytest.fixture(scope="module")
def engine() -> Iterator[ContainerEngine]:
    engine = engine_or_skip(compose=True)
    yield engine
    engine.close()


def test_nothing_is_left_whenever_a_run_is_killed(engine: ContainerEngine, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    waits: list[float] = []
    stood = 0
    for number in range(ROUNDS):
        stage, who = STAGES[number % len(STAGES)], WHO[number % len(WHO)]
        delay = chance.uniform(0.3, 2.5)
        process, mark = start_inner(
            "containers_killed.robot", tmp_path / str(number), "--variable", f"IMAGE:{IMAGE}", "--include", stage
        )
        time.sleep(delay)
        stood += bool(labelled(engine, process.pid))
        kill(process, mark, who)
        deadline = Deadline(GONE_WITHIN)
        process.communicate(timeout=30)
        told = f"round {number} of seed {SEED}: {stage}, {who}, after {delay:.2f} s"
        if who != "watcher and runner":
            # Without its watcher, what is left is for the next start.
            assert wait_until(lambda pid=process.pid: labelled(engine, pid) == [], deadline, longest=0.1), told
            waits.append(deadline.elapsed)
        assert wait_until(lambda mark=mark: not marked_processes(mark), 30), f"{told}: {marked_processes(mark)}"
    print(f"seed {SEED}: {ROUNDS} runs, containers stood in {stood}; gone after at most {max(waits):.2f} s", end="")
    print(f", median {sorted(waits)[len(waits) // 2]:.2f} s")
    last, mark = start_inner(
        "containers_ownership.robot", tmp_path / "last", "--variable", f"IMAGE:{IMAGE}", "--test", "Suite Owned*"
    )
    last.communicate(timeout=60)
    assert last.returncode == 0
    assert labelled(engine) == []


def kill(process: subprocess.Popen[str], mark: str, who: str) -> None:
    if who == "watcher and runner":
        for pid, line in marked_processes(mark).items():
            if "containers.watcher" in line:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if who == "group" else os.kill)(process.pid, signal.SIGKILL)
