"""What a call costs: the keyword `Chat` over a keyword that makes a bare httpx call, in one run of Robot Framework.

    python benchmarks/client.py [--calls 300] [--no-suites]

Both call the same simulator, by turns, over a connection that is kept; each figure is the median of the elapsed times
that Robot reports, so both include Robot's own cost of a keyword. Below stand the parts: the same calls without Robot,
and a keyword that does nothing.

Then what a test of the suites costs over a test that makes one chat and nothing else, in one run of Robot: after each
suite come a few such tests in a suite of their own, so that both meet the machine in the same state. Tests that start a
program of their own are counted apart.

Both bars are ratios within the run: exit code 1 when one is missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from bars import Bars
from robot.api import ExecutionResult, ResultVisitor

from InferenceLibrary.client.http import Client
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.starting import StartSettings, start
from robot import run

BUDGET = 1.5
"""`Chat` over the keyword with the bare call."""
TEST_BUDGET = 3.0
"""The median test of the suites over a test that makes one chat."""
WARM_UP = 20
SUITES = Path(__file__).parents[1] / "robot" / "integration"
OWN_PROGRAMS = {
    "Start Server",
    "Start Worker",
    "Start Container",
    "Start Terminal",
    "Start Chat Terminal",
    "Restart Server",
    "Run Program",
    "Program Should Refuse Arguments",
    "Program Version Should Match",
    "Program Help Should Contain",
    "Program Help Should Not Contain",
    "Model Should Load",
    "Model Should Be Refused",
}
"""Keywords that start a program: what it takes to start is not a cost of a test."""

LIBRARY = '''
import httpx

CLIENT = httpx.Client(trust_env=False)


def bare_call(url, text):
    """One chat by httpx, as a script would make it."""
    body = {"model": "fake-model", "messages": [{"role": "user", "content": text}], "max_tokens": 16}
    response = CLIENT.post(url + "/v1/chat/completions", json=body)
    response.raise_for_status()
    return response.json()


def nothing(text):
    return text
'''

SUITE = """
*** Settings ***
Library    InferenceLibrary
Library    {library}

*** Test Cases ***
By Turns
    ${{server}} =    Start Server    simulator    seed=1
    FOR    ${{number}}    IN RANGE    {calls}
        ${{plain}} =    Bare Call    ${{server.base_url}}    What is the capital of France?
        ${{reply}} =    Chat    What is the capital of France?    max_tokens=16
        ${{same}} =    Nothing    What is the capital of France?
    END
"""


EMPTY_NAME = "empty_tests"
EMPTY_TESTS = 3
"""After each suite."""
EMPTY = """
*** Settings ***
Library        InferenceLibrary
Suite Setup    Use Target

*** Test Cases ***
"""


class Tests(ResultVisitor):
    """Elapsed seconds of the tests that were not skipped: empty ones, those that start no program, and the others."""

    def __init__(self) -> None:
        self.empty: list[float] = []
        self.plain: list[float] = []
        self.with_own_program: list[float] = []
        self.failed: list[str] = []
        self._own = False

    def start_test(self, test: Any) -> None:
        self._own = False

    def start_keyword(self, keyword: Any) -> None:
        self._own = self._own or keyword.name in OWN_PROGRAMS

    def end_test(self, test: Any) -> None:
        if test.failed:
            self.failed.append(f"{test.full_name}: {test.message}")
        if test.skipped:
            return
        if test.source.stem.startswith(EMPTY_NAME):
            kind = self.empty
        else:
            kind = self.with_own_program if self._own else self.plain
        kind.append(test.elapsed_time.total_seconds())


def tests_of(paths: list[Path], folder: Path) -> Tests:
    """Run suites in a Robot of their own; return what their tests took."""
    output = folder / "output.xml"
    command = [sys.executable, "-m", "robot", "--outputdir", str(folder), "--console", "none"]
    command += ["--log", "none", "--report", "none", "--variable", "TARGET:simulator", *map(str, paths)]
    subprocess.run(command, check=False)
    tests = Tests()
    ExecutionResult(str(output)).visit(tests)
    if tests.failed:
        raise SystemExit("Tests failed, so their times say nothing:\n" + "\n".join(tests.failed))
    return tests


def with_empty_tests(suites: list[Path], folder: Path) -> list[Path]:
    """Return the suites, and after each a new one whose tests make one chat and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    tests = "\n\n".join(f"Test {number}\n    Chat    Hello" for number in range(EMPTY_TESTS))
    mixed = []
    for number, suite in enumerate(suites):
        empty = folder / f"{EMPTY_NAME}_{number}.robot"
        empty.write_text(EMPTY + tests + "\n", encoding="utf-8")
        mixed += [suite, empty]
    return mixed


def tests_over_empty_ones(suites: list[Path], folder: Path, bars: Bars) -> float:
    """Print what tests of the suites take; judge and return the median over that of empty tests in the same run."""
    tests = tests_of(with_empty_tests(suites, folder), folder)
    base = statistics.median(tests.empty)
    print(row(f"{len(tests.empty)} tests with one chat", tests.empty))
    print(row(f"{len(tests.plain)} tests of the suites", tests.plain, base))
    if len(tests.with_own_program) > 1:
        print(row(f"{len(tests.with_own_program)} tests that start a program", tests.with_own_program, base))
    ratio = statistics.median(tests.plain) / base
    bars.at_most("median test over one with one chat", ratio, TEST_BUDGET)
    return ratio


class Times(ResultVisitor):
    """Elapsed seconds of every keyword, by its name."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {}

    def start_keyword(self, keyword: Any) -> None:
        self.of.setdefault(keyword.name, []).append(keyword.elapsed_time.total_seconds())


def in_robot(calls: int, folder: Path) -> dict[str, list[float]]:
    """Run the suite in this process; return the times of its keywords."""
    (folder / "bare.py").write_text(LIBRARY, encoding="utf-8")
    suite = folder / "turns.robot"
    suite.write_text(SUITE.format(library=folder / "bare.py", calls=calls + WARM_UP), encoding="utf-8")
    output = folder / "output.xml"
    code = run(suite, outputdir=str(folder), output=str(output), log=None, report=None, console="none")
    if code != 0:
        raise SystemExit(f"The suite failed with {code}.")
    times = Times()
    ExecutionResult(str(output)).visit(times)
    return {name: values[WARM_UP:] for name, values in times.of.items()}


def without_robot(calls: int, folder: Path) -> tuple[list[float], list[float]]:
    """Return the times of bare httpx calls and of the client's, by turns."""
    running = start(
        load_profile("simulator"),
        StartSettings(),
        name="simulator",
        new_log=lambda: folder / "simulator.log",
        redact=Redactor(),
    )
    bare: list[float] = []
    ours: list[float] = []
    messages = [{"role": "user", "content": "What is the capital of France?"}]
    body = {"model": "fake-model", "messages": messages, "max_tokens": 16}
    client = Client(running.base_url, model="fake-model")
    try:
        with httpx.Client(trust_env=False) as session:
            for _ in range(calls + WARM_UP):
                bare.append(_timed(lambda: session.post(f"{running.base_url}/v1/chat/completions", json=body).json()))
                ours.append(_timed(lambda: client.chat(messages, max_tokens=16).text))
    finally:
        running.close()
    return bare[WARM_UP:], ours[WARM_UP:]


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def row(name: str, values: list[float], base: float | None = None) -> str:
    low, _, high = statistics.quantiles(values, n=4)
    middle = statistics.median(values)
    ratio = f"{middle / base:8.2f}" if base else ""
    return f"{name:<44}{low * 1000:9.3f}{middle * 1000:9.3f}{high * 1000:9.3f}{ratio}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--no-suites", action="store_true", help="leave out the run of the suites")
    asked = parser.parse_args()
    calls = asked.calls
    with tempfile.TemporaryDirectory() as folder:
        times = in_robot(calls, Path(folder))
        bare, ours = without_robot(calls, Path(folder))
    plain = statistics.median(times["Bare Call"])
    print(f"{f'{calls} calls each, ms':<44}{'quarter':>9}{'median':>9}{'quarter':>9}{'ratio':>8}")
    print(row("keyword with a bare httpx call", times["Bare Call"]))
    print(row("keyword Chat", times["Chat"], plain))
    print(row("keyword that does nothing", times["Nothing"]))
    print(row("bare httpx call, without Robot", bare))
    print(row("Client.chat, without Robot", ours, statistics.median(bare)))
    bars = Bars()
    bars.at_most("Chat over the bare call", statistics.median(times["Chat"]) / plain, BUDGET)
    if not asked.no_suites:
        with tempfile.TemporaryDirectory() as folder:
            tests_over_empty_ones(sorted(SUITES.glob("[!_]*.robot")), Path(folder), bars)
    return bars.exit_code()


if __name__ == "__main__":
    sys.exit(main())
