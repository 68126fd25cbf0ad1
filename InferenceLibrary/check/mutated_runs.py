"""Runs of a user's suites with a fault in every simulator that they start, and what came of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from InferenceLibrary.errors import InferenceError, describe
from InferenceLibrary.processes.groups import end_group

FAULT_VARIABLE = "INFERENCE_SIMULATOR_FAULT"
NOTES_VARIABLE = "INFERENCE_SIMULATOR_NOTES"
"""Read by every simulator that is started: its fault, and the file in which it notes what it is asked and strikes."""
_ERROR_CODES = 251
"""From here on a return code of Robot Framework is an error of its own, not a number of failed tests."""


class Ran(NamedTuple):
    """A finished run."""

    seconds: float
    ended: bool
    """False: it was ended at the time limit."""
    passed: int = 0
    skipped: int = 0
    failed: tuple[tuple[str, str], ...] = ()
    """Name and first line of the message of each failed test, in order."""
    asked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What the simulators were asked: the personality, and the APIs that may answer there."""
    struck: bool = False

    @property
    def good(self) -> bool:
        return self.ended and not self.failed


class SuiteRuns:
    """The suites, ready to be run; several at once.

    Args:
        suites: Their files or folders.
        words: More arguments of `robot`.
        target: The profile that they start.
    """

    def __init__(self, suites: Sequence[Path], words: Sequence[str], target: str) -> None:
        self._words = [*words, *map(str, suites)]
        self._target = target
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def run(self, fault: str | None, limit: float) -> Ran:
        """Run the suites once.

        Args:
            fault: What every simulator does wrong; nothing for a clean run.
            limit: Seconds that the run may take.

        Raises:
            InferenceError: Robot Framework did not run the suites.
        """
        with tempfile.TemporaryDirectory(prefix="rfinference-", ignore_cleanup_errors=True) as name:
            folder = Path(name)
            notes = folder / "notes.jsonl"
            environment = {**os.environ, "INFERENCE_TARGET": self._target, NOTES_VARIABLE: str(notes)}
            # What answers at a URL is another's matter: a profile is started here.
            for variable in ("INFERENCE_PROFILE", FAULT_VARIABLE):
                environment.pop(variable, None)
            stop = []
            if fault is not None:
                environment[FAULT_VARIABLE] = fault
                stop = ["--exitonfailure"]
            command = [sys.executable, "-m", "robot", "--outputdir", str(folder), "--output", "output.xml"]
            command += ["--log", "NONE", "--report", "NONE", "--console", "none", *stop, *self._words]
            began = perf_counter()
            code, said = self._call(command, environment, limit, folder / "said.txt")
            seconds = perf_counter() - began
            asked, struck = _read_notes(notes)
            if code is None:
                return Ran(seconds, ended=False, asked=asked, struck=struck)
            output = folder / "output.xml"
            if code >= _ERROR_CODES or code < 0 or not output.exists():
                raise InferenceError(describe("Robot Framework did not run the suites", got=_first_line(said)))
            return _read_output(output)._replace(seconds=seconds, asked=asked, struck=struck)

    def end(self) -> None:
        """End what still runs; nothing is started afterwards."""
        with self._lock:
            self._ended = True
            for process in self._running:
                _kill(process)

    def _call(
        self, command: Sequence[str], environment: Mapping[str, str], limit: float, said: Path
    ) -> tuple[int | None, str]:
        """Return the exit code, None at the time limit, and what was said."""
        with said.open("wb") as output:
            with self._lock:
                if self._ended:
                    raise InferenceError("The run was ended.")
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
                self._running.add(process)
            try:
                code: int | None = process.wait(limit)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                with self._lock:
                    self._running.discard(process)
                _kill(process)
                process.wait()
        return code, said.read_text(encoding="utf-8", errors="replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a run with its helpers; its simulators have guards, which end them when the run is gone."""
    if process.poll() is not None:
        return
    end_group(process.pid)


def _read_notes(path: Path) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], bool]:
    """Return what the simulators of a run noted: what was asked, and whether the fault struck."""
    if not path.exists():
        return (), False
    found: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    asked = dict.fromkeys((note["asked"], tuple(note["apis"])) for note in found if "asked" in note)
    return tuple(asked), any("struck" in note for note in found)


def _read_output(path: Path) -> Ran:
    from robot.api import ExecutionResult

    result = ExecutionResult(str(path))
    # Those that were not run after the first failure tell nothing.
    failed = [one for one in result.suite.all_tests if one.failed and "robot:exit" not in one.tags]
    total = result.statistics.total
    return Ran(
        0.0,
        ended=True,
        passed=total.passed,
        skipped=total.skipped,
        failed=tuple((one.name, _first_line(one.message)) for one in failed),
    )


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "it said nothing")
