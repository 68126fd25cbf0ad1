"""Kept containers and projects outlive their run, are listed, and end by hand; the interrupted leave at once."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_tests import IMAGE, await_standing, engine_or_skip, labelled
from inner_suites import run_inner, run_text, start_inner

from InferenceLibrary import cli
from InferenceLibrary.containers.engine import ContainerEngine
from InferenceLibrary.containers.leftovers import remove_orphans
from InferenceLibrary.containers.standing import all_standing, end_standing
from InferenceLibrary.deadline import wait_until

pytestmark = pytest.mark.docker

VARIABLES = ("--variable", f"IMAGE:{IMAGE}")
GONE_WITHIN = 4.0
"""Seconds; generous, because these machines are busy."""


@pytest.fixture(scope="module")
def engine() -> Iterator[ContainerEngine]:
    engine = engine_or_skip(compose=True)
    before = {one.name for one in all_standing(engine)}
    yield engine
    for one in all_standing(engine):
        if one.name not in before and one.ownerless:
            end_standing(engine, one, grace=0)
    engine.close()


def test_what_is_kept_outlives_the_run_until_it_is_stopped_by_hand(
    engine: ContainerEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_inner("containers_kept.robot", tmp_path, *VARIABLES, "--include", "end")
    assert run.return_code == 0, run.console
    told = re.findall(r"Kept: server .+ End it with: rfinference servers stop (\S+)", run.console)
    assert len(told) == 2, run.console
    remove_orphans(engine.client.api)
    standing = {one.name: one for one in all_standing(engine) if one.name in told}
    assert sorted(one.kind for one in standing.values()) == ["compose project", "container"]
    assert run.leftovers == [], "the watcher has gone"
    assert cli.main(["servers", "list"]) == 0
    listed = capsys.readouterr().out
    for name in told:
        assert re.search(rf"^{name} .*  http://127\.0\.0\.1:\d+  kept ", listed, re.MULTILINE), listed
    runner = standing[told[0]].runner
    assert not any("-mine-" in name for name in labelled(engine, int(runner))), "what was not kept has ended"
    for name in told:
        assert cli.main(["servers", "stop", name]) == 0
        assert capsys.readouterr().out == f"Stopped {standing[name].kind} {name}\n"
    assert labelled(engine, int(runner)) == []
    assert cli.main(["servers", "stop", told[0]]) == 1
    assert f"no server with name '{told[0]}'" in capsys.readouterr().err


def test_a_killed_runner_leaves_what_it_had_kept_and_no_more(
    engine: ContainerEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process, _ = start_inner("containers_kept.robot", tmp_path, *VARIABLES, "--include", "killed")
    await_standing(process, engine, "killed")
    assert cli.main(["servers", "list"]) == 0
    assert f"of run {process.pid}" in capsys.readouterr().out
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert wait_until(lambda: len(labelled(engine, process.pid)) == 1, GONE_WITHIN), labelled(engine, process.pid)
    # The watcher looks for two seconds.
    assert not wait_until(lambda: labelled(engine, process.pid) == [], 2.5)
    (name,) = labelled(engine, process.pid)
    assert "-kept-" in name
    assert cli.main(["servers", "stop", "--all"]) == 0
    assert f"Stopped container {name}\n" in capsys.readouterr().out
    assert labelled(engine, process.pid) == []


def test_what_was_to_be_kept_but_never_got_ready_is_removed(engine: ContainerEngine, tmp_path: Path) -> None:
    process, _ = start_inner("containers_kept.robot", tmp_path, *VARIABLES, "--include", "not-ready")
    await_standing(process, engine, "not-ready")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    assert wait_until(lambda: labelled(engine, process.pid) == [], GONE_WITHIN), labelled(engine, process.pid)


INTERRUPTED = """
*** Settings ***
Library    InferenceLibrary
Library    OperatingSystem

*** Variables ***
${SIM}    {image: "${IMAGE}", ports: ["127.0.0.1::8000"], volumes: ["data:/data"]}

*** Test Cases ***
Interrupted
    [Setup]    Create File    ${OUTPUT_DIR}/compose.yml    services: {sim: ${SIM}}\\nvolumes: {data: {}}
    [Timeout]    TIMEOUT
    Start Compose    ${OUTPUT_DIR}/compose.yml    health=/never    timeout=60 s
    [Teardown]    Look

Its Rest Goes While The Run Goes On
    FOR    ${round}    IN RANGE    100
        ${left} =    Look
        IF    ${left} == []    BREAK
        Sleep    100 ms
    END
    Should Be Empty    ${left}

*** Keywords ***
Look
    ${left} =    Evaluate    container_tests.labelled(container_tests.connect_engine(), os.getpid())
    ...    modules=container_tests, os
    Log    left: ${left}
    RETURN    ${left}
"""


@pytest.mark.parametrize("timeout", ["600 ms", "1500 ms", "4 s"])
def test_an_interrupted_compose_start_does_not_wait_for_its_removal(
    engine: ContainerEngine, tmp_path: Path, timeout: str
) -> None:
    shared = ("--pythonpath", str(Path(__file__).parents[1]))
    run = run_text(INTERRUPTED.replace("TIMEOUT", timeout), tmp_path, *VARIABLES, *shared)
    assert run["Interrupted"].status == "FAIL"
    assert run["Interrupted"].message.startswith("Test timeout ")
    # By then the project stood; had the keyword removed it, nothing would be left at its end.
    at_once = [line for line in run["Interrupted"].log if line.startswith("left: ")]
    assert timeout != "4 s" or (at_once and at_once != ["left: []"]), at_once
    rest = run["Its Rest Goes While The Run Goes On"]
    assert (rest.status, rest.message) == ("PASS", "")
    assert wait_until(lambda: not [one for one in all_standing(engine) if one.ownerless], GONE_WITHIN)
