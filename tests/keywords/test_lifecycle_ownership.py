"""Kept servers live on and are listed; ends by themselves are told; logs are attached to failed tests alone."""

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from inner_suites import InnerRun, marked_processes, run_inner

from InferenceLibrary import cli
from InferenceLibrary.processes import process_tree


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InnerRun]:
    """The run ends what it left behind, kept servers too, so that is looked at in the console alone."""
    folder = tmp_path_factory.mktemp("runtime")
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_RUNTIME_DIR", str(folder))
    yield run_inner("lifecycle_keep.robot", tmp_path_factory.mktemp("keep"), env={"XDG_RUNTIME_DIR": str(folder)})
    cli.main(["servers", "stop", "--all"])
    patch.undo()


def test_each_test_ends_as_it_should(run: InnerRun) -> None:
    assert {name: outcome.status for name, outcome in run.tests.items()} == {
        "Keep One": "PASS",
        "It Outlives Its Test": "PASS",
        "It Ends By Itself With Zero": "PASS",
        "Fails While The Suite's Server Talks": "FAIL",
        "Passes Without Attachments": "PASS",
    }


def test_what_was_kept_is_listed_at_the_end_and_lives(run: InnerRun) -> None:
    (pid,) = re.findall(r"kept pid (\d+)", "\n".join(run["Keep One"].log))
    listed = [line for line in run.console.splitlines() if line.startswith("Kept: server kept at http://127.0.0.1:")]
    assert len(listed) == 1
    assert listed[0].endswith(f"(pid {pid}). End it with: rfinference servers stop {pid}")
    assert any(left.startswith(f"{pid}:") for left in run.leftovers), "it outlived its run"
    assert len(run.leftovers) == 3, "the kept server, its guard and the keeper, and nothing else"


def test_an_end_with_zero_is_told_all_the_same(run: InnerRun) -> None:
    expected = (
        "Server 'quitter' ended by itself during 'It Ends By Itself With Zero': "
        "exit code 0, which says nothing of success here."
    )
    assert expected in run.console
    assert expected in run["It Ends By Itself With Zero"].log


def test_logs_are_attached_to_failed_tests_alone(run: InnerRun) -> None:
    def attached(test: str) -> list[str]:
        return [line for line in run[test].log if "during this test" in line]

    assert len(attached("Fails While The Suite's Server Talks")) == 2, "that of the suite's server, and of the kept one"
    assert attached("Passes Without Attachments") == []
    assert "listening on" not in "".join(attached("Fails While The Suite's Server Talks")), "only this test's part"


@pytest.mark.parametrize("number", [signal.SIGKILL])
def test_a_killed_robot_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    from inner_suites import start_inner

    process, mark = start_inner("interrupted.robot", tmp_path, "--include", "ignore-term")
    assert process.stdout is not None
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and "waiting now" not in (
        seen := os.read(process.stdout.fileno(), 4096).decode()
    ):
        assert seen, "the run ended too soon"
    assert len(marked_processes(mark)) >= 3, "robot, the guard, the server"
    os.killpg(process.pid, number)
    process.wait()
    process.stdout.close()
    while marked_processes(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert marked_processes(mark) == {}


def test_every_server_has_a_guard_as_its_parent(tmp_path: Path) -> None:
    from InferenceLibrary.processes.process import ServerProcess

    process = ServerProcess(["/bin/sleep", "600"], tmp_path / "x.log")
    seen = process_tree.look(process.pid)
    assert seen is not None
    assert seen.parent == process.guard_pid != os.getpid()
    process.stop(1)
