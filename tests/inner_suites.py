"""Run suites that must fail, in a process of their own, and read what they said and left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from machine import Limit
from robot.api import ExecutionResult, ResultVisitor

INNER = Path(__file__).parent / "inner"
_MARK = "INFERENCE_TEST_MARK"
_QUIET_LIMIT = 240.0
"""Seconds that a run may take on a quiet machine; it grows with the machine."""


class InnerRunError(AssertionError):
    """A run that did not end, or left no results: one failure, however many tests would have read it."""

    told_by = ""
    """The test that was the first to fail by it."""


@dataclass
class Outcome:
    """How one test of an inner suite ended."""

    status: str
    message: str
    log: list[str] = field(default_factory=list)
    """Messages logged during the test, setup and teardown of the suite excluded."""

    @property
    def first_line(self) -> str:
        return self.message.splitlines()[0] if self.message else ""


@dataclass
class InnerRun:
    """A finished run."""

    output_dir: Path
    return_code: int
    console: str
    tests: dict[str, Outcome]
    leftovers: list[str]
    """Command lines of processes that the run started and left behind."""

    def __getitem__(self, test: str) -> Outcome:
        return self.tests[test]

    def everything(self) -> str:
        """Return all text that the run wrote, for the search of what must not be there."""
        texts = [self.console]
        texts += [path.read_text("utf-8", "replace") for path in sorted(self.output_dir.rglob("*")) if path.is_file()]
        return "\n".join(texts)


def start_inner(
    suite: str | Path, output_dir: Path, *options: str, env: dict[str, str] | None = None
) -> tuple[subprocess.Popen[str], str]:
    """Start a run; return its process and the mark that all its descendants carry in their environment."""
    path = suite if isinstance(suite, Path) else INNER / suite
    mark = uuid.uuid4().hex
    command = [
        sys.executable,
        "-X",
        "faulthandler",  # a run that hangs is ended by ABRT, and then tells where
        "-m",
        "robot",
        "--outputdir",
        str(output_dir),
        "--console",
        "dotted",
        *options,
        str(path),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("INFERENCE_", "TEST_"))}
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**environment, **(env or {}), _MARK: mark},
        start_new_session=True,
    )
    return process, mark


def finish_inner(
    process: subprocess.Popen[str],
    mark: str,
    output_dir: Path,
    timeout: float = _QUIET_LIMIT,
    settled: Callable[[], object] = lambda: None,
) -> InnerRun:
    """Wait for a run, then for `settled`, end what is left of its processes, and read its results.

    The time limit is that of a quiet machine, and grows with the machine. A run that is interrupted leaves work to its
    watcher of containers, which must be let to do it.
    """
    limit = Limit(timeout)
    console = None
    while console is None:
        if (left := limit.left()) == 0:
            process.send_signal(signal.SIGABRT)
            console = _rest_of(process)
            raise InnerRunError(f"The inner run did not end within {limit.seconds:.0f} s{_page(output_dir, console)}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            console, _ = process.communicate(timeout=left)
    settled()
    left = [f"{pid}: {line}" for pid, line in marked_processes(mark).items()]
    for pid in marked_processes(mark):
        os.kill(pid, signal.SIGKILL)
    output = output_dir / "output.xml"
    if not output.exists():
        raise InnerRunError(f"The inner run wrote no output.xml{_page(output_dir, console)}")
    return InnerRun(output_dir, process.returncode, console, read_tests(output), left)


def read_tests(output: Path) -> dict[str, Outcome]:
    """Return how each test of a run ended, from its output.xml."""
    reader = _Reader()
    ExecutionResult(str(output)).visit(reader)
    return reader.tests


def _rest_of(process: subprocess.Popen[str]) -> str:
    """Return all that a run which was told to abort wrote, the stacks of its threads too."""
    try:
        console, _ = process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        console, _ = process.communicate()
    return console


def _page(output_dir: Path, console: str) -> str:
    """Where the results of a run lie, and what it wrote on the console."""
    files = sorted(path.name for path in output_dir.glob("*")) if output_dir.is_dir() else []
    return f"; in {output_dir}: {', '.join(files) or 'nothing'}. Its console:\n{console}"


def run_inner(
    suite: str | Path,
    output_dir: Path,
    *options: str,
    env: dict[str, str] | None = None,
    settled: Callable[[], object] = lambda: None,
) -> InnerRun:
    """Run `tests/inner/SUITE`, or a suite by its path, to its end."""
    process, mark = start_inner(suite, output_dir, *options, env=env)
    return finish_inner(process, mark, output_dir, settled=settled)


def run_text(text: str, output_dir: Path, *options: str, env: dict[str, str] | None = None) -> InnerRun:
    """Run a suite given as text."""
    output_dir.mkdir(parents=True, exist_ok=True)
    path = output_dir / "inner.robot"
    path.write_text(text, encoding="utf-8")
    return run_inner(path, output_dir / "out", *options, env=env)


def marked_processes(mark: str) -> dict[int, str]:
    """Return the living processes whose environment carries the mark, by id. Linux only."""
    found: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes()
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            continue
        if f"{_MARK}={mark}".encode() in environment and state not in {"Z", "X"}:
            found[int(entry.name)] = line
    return found


class _Reader(ResultVisitor):
    def __init__(self) -> None:
        self.tests: dict[str, Outcome] = {}
        self._current: Outcome | None = None

    def start_test(self, test) -> None:  # type: ignore[no-untyped-def]
        self._current = self.tests[test.name] = Outcome(test.status, test.message)

    def end_test(self, test) -> None:  # type: ignore[no-untyped-def]
        self._current = None

    def start_message(self, message) -> None:  # type: ignore[no-untyped-def]
        if self._current is not None:
            self._current.log.append(message.message)
