"""What terminals cost: keystrokes to the screen, starts, floods, pictures, and the suites of command line and terminal.

    python benchmarks/terminal.py [--rounds 40] [--without-suites]

Each table compares two things in one run. "keywords" are keywords of a Robot run, timed by Robot itself: Type In
Terminal and Wait Until Terminal Contains. "own" is the same program in a bare pseudo-terminal: write, read until it is
there. Bars in seconds are judged in quiet rounds only: see `bars.py`.
"""

from __future__ import annotations

import argparse
import math
import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bars import Bars
from robot.api import ExecutionResult, ResultVisitor

ROOT = Path(__file__).parents[1]
ROUND_TRIP = 0.030
"""Seconds that a keystroke may take to the screen through the keywords, over the program's own."""
START = 0.060
"""Seconds that watching over it may add to the start of a terminal."""
PICTURE = 20_000
HELD = 2.0
"""Memory that a flood of 100 MB may take over one of 1 MB."""
SUITES = {"program": 5.0, "model_loading": 10.0, "terminal": 20.0}
"""Seconds that each suite may take on the simulator."""
PROGRAMS = {"cat": ["cat"], "python": [sys.executable, "-q"]}

SUITE = """
*** Settings ***
Library    InferenceLibrary

*** Test Cases ***
Keys
    Start Terminal    {command}    environment={{"PYTHON_BASIC_REPL": "1"}}
    Wait Until Terminal Is Stable    quiet=300 ms
    FOR    ${{n}}    IN RANGE    {rounds}
        Type In Terminal    k${{n}}.
        Wait Until Terminal Contains    k${{n}}.
        Press Terminal Keys    Ctrl+U
    END
"""


def through_keywords(command: list[str], rounds: int) -> list[float]:
    """Return the seconds of each round trip through the keywords, as Robot times them."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "keys.robot"
        suite.write_text(SUITE.format(command="    ".join(command), rounds=rounds))
        options = ["--outputdir", folder, "--console", "none", "--log", "NONE", "--report", "NONE"]
        subprocess.run([sys.executable, "-m", "robot", *options, str(suite)], check=True, cwd=ROOT)
        times = _Times()
        ExecutionResult(str(Path(folder) / "output.xml")).visit(times)
    return times.sums


class _Times(ResultVisitor):
    def __init__(self) -> None:
        self.sums: list[float] = []
        self._typed = 0.0

    def start_keyword(self, keyword) -> None:  # type: ignore[no-untyped-def]
        if keyword.name == "Type In Terminal":
            self._typed = keyword.elapsed_time.total_seconds()
        elif keyword.name == "Wait Until Terminal Contains":
            self.sums.append(self._typed + keyword.elapsed_time.total_seconds())


def by_itself(command: list[str], rounds: int) -> list[float]:
    """Return the seconds of each round trip in a bare pseudo-terminal."""
    pid, descriptor = pty.fork()
    if pid == 0:
        os.environ["PYTHON_BASIC_REPL"] = "1"
        os.execvp(command[0], command)
    times = []
    time.sleep(0.5)
    try:
        if command[0] != "cat":
            os.read(descriptor, 65536)
        for number in range(rounds):
            text = f"k{number}.".encode()
            began = time.perf_counter()
            os.write(descriptor, text)
            seen = b""
            while text not in seen:
                seen += os.read(descriptor, 65536)
            times.append(time.perf_counter() - began)
            os.write(descriptor, b"\x15")
            time.sleep(0.005)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(descriptor)
    return times


def starts(rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds of starts of a terminal, watched over and not, in turns."""
    from InferenceLibrary.processes import watcher
    from InferenceLibrary.terminal.session import Terminal

    hold, tell, release = watcher.hold, watcher.tell, watcher.release

    def nothing(*_words: object) -> None:
        return

    watched: list[float] = []
    alone: list[float] = []
    Terminal(["cat"]).close()  # imports
    for _ in range(rounds):
        for times, ways in ((watched, (hold, tell, release)), (alone, (nothing, nothing, nothing))):
            watcher.hold, watcher.tell, watcher.release = ways  # type: ignore[assignment]
            began = time.perf_counter()
            terminal = Terminal(["cat"])
            times.append(time.perf_counter() - began)
            terminal.close()
    watcher.hold, watcher.tell, watcher.release = hold, tell, release
    return watched, alone


def first_start(watched: bool) -> float:
    """Return the seconds of the first start in a fresh process, imports done, with the start of the watcher or not."""
    code = (
        "import time\n"
        "from InferenceLibrary.terminal.session import Terminal\n"
        "from InferenceLibrary.processes import watcher\n"
        "import tui_test, tui_test.errors\n"
        + ("" if watched else "watcher.hold = watcher.tell = watcher.release = lambda *words: None\n")
        + "began = time.perf_counter(); t = Terminal(['cat']); print(time.perf_counter() - began); t.close()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return float(done.stdout)


def flood(megabytes: int) -> tuple[float, float, float]:
    """Consume a flood in a fresh process; return seconds, MB of memory that it took at most, MB of its recording."""
    code = (
        "import resource, sys, tempfile, time\n"
        "from pathlib import Path\n"
        "from InferenceLibrary.terminal.session import Terminal\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    record = Path(folder) / 'flood.cast'\n"
        "    began = time.perf_counter()\n"
        f"    words = ['sh', '-c', \"yes 'a line of forty characters, again and again' | head -c {megabytes}000000;"
        ' echo; echo OVER; cat"]\n'
        "    terminal = Terminal(words, recording=record)\n"
        "    terminal.wait_for_text('OVER', timeout=600)\n"
        "    took = time.perf_counter() - began\n"
        "    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000, record.stat().st_size / 1e6)\n"
        "    terminal.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    seconds, memory, recorded = map(float, done.stdout.split())
    return seconds, memory, recorded


def picture(columns: int, rows: int) -> int:
    """Return the bytes of a picture of a screen that is full of text in colours."""
    from InferenceLibrary.terminal.session import Terminal

    line = "printf '\\033[3%dm%s\\033[0m\\n' $((n % 7 + 1)) 'a row of text in a colour of its own, as programs have it'"
    script = f"n=0; while [ $n -lt {rows - 2} ]; do {line}; n=$((n + 1)); done; echo FULL; cat"
    with tempfile.TemporaryDirectory() as folder:
        terminal = Terminal(["sh", "-c", script], columns=columns, rows=rows)
        terminal.wait_for_text("FULL", timeout=20)
        size = terminal.screenshot(Path(folder) / "x.svg").stat().st_size
        terminal.close()
    return size


def suite_time(name: str) -> float:
    """Return the seconds of a suite on the simulator, infinity where it fails."""
    path = ROOT / "robot" / "integration" / f"{name}.robot"
    with tempfile.TemporaryDirectory() as folder:
        options = ["--outputdir", folder, "--console", "none"]
        began = time.perf_counter()
        done = subprocess.run([sys.executable, "-m", "robot", *options, str(path)], check=False, cwd=ROOT)
        return time.perf_counter() - began if done.returncode == 0 else math.inf


def row(name: str, values: list[float], base: list[float] | None = None) -> float:
    """Print a row; return by how many seconds its median is above that of the base."""
    median = statistics.median(values)
    ratio = f"{median / statistics.median(base):8.1f}" if base else f"{'':8}"
    print(f"{name:<44}{min(values) * 1000:9.2f}{median * 1000:9.2f}{max(values) * 1000:9.2f}{ratio}")
    return median - statistics.median(base) if base else 0.0


def one_round(rounds: int) -> dict[str, float]:
    """Print one table; return the seconds that keywords and watching cost over the programs alone."""
    over: dict[str, float] = {}
    print(f"{'milliseconds':<44}{'least':>9}{'median':>9}{'most':>9}{'ratio':>8}")
    for name, command in PROGRAMS.items():
        own = by_itself(command, rounds)
        keywords = through_keywords(command, rounds)
        row(f"keystrokes to the screen, {name}: own", own)
        over[f"keystroke, {name}"] = row(f"keystrokes to the screen, {name}: keywords", keywords, own)
    watched, alone = starts(rounds)
    row("start of a terminal", alone)
    over["start"] = row("start of a terminal, watched over", watched, alone)
    fresh = [(first_start(True), first_start(False)) for _ in range(max(3, rounds // 8))]
    row("first start of a process", [pair[1] for pair in fresh])
    over["first start"] = row("first start, watched over", [pair[0] for pair in fresh], [pair[1] for pair in fresh])
    return over


def suite_times() -> dict[str, float]:
    return {f"suite {name}": suite_time(name) for name in SUITES}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each table [40]")
    parser.add_argument("--without-suites", action="store_true", help="leave the suites out")
    arguments = parser.parse_args()
    bars = Bars()
    keys = {f"keystroke, {name}": ("<=", ROUND_TRIP) for name in PROGRAMS}
    bars.times(lambda: one_round(arguments.rounds), {**keys, "start": ("<=", START), "first start": ("<=", START)})
    print(f"\n{'flood':<44}{'seconds':>9}{'MB/s':>9}{'MB held':>9}{'MB kept':>9}")
    held = []
    for megabytes in (1, 100):
        seconds, memory, recorded = flood(megabytes)
        held.append(memory)
        print(f"{f'{megabytes} MB':<44}{seconds:9.2f}{megabytes / seconds:9.1f}{memory:9.1f}{recorded:9.1f}")
    bars.at_most("memory that 100 MB hold over 1 MB", held[1] / held[0], HELD)
    for columns, rows in ((80, 24), (120, 40)):
        bars.at_most(f"picture of {columns} x {rows}", picture(columns, rows), PICTURE, "bytes")
    if not arguments.without_suites:
        bars.times(suite_times, {f"suite {name}": ("<=", budget) for name, budget in SUITES.items()})
    return bars.exit_code()


if __name__ == "__main__":
    sys.exit(main())
