"""What starting costs: the import of the library over Robot Framework alone, and the simulator's start to healthy.

    python benchmarks/startup.py [--repeats 5]

Each figure of a round is the median over so many fresh processes, with compiled bytecode in place; the variants take
turns, so that the machine's mood hits all alike. Times are judged in quiet rounds only: see `bars.py`. What the import
costs is also judged on a busy machine: its CPU time over that of Robot's own import, each the least of all processes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bars import Bars

from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.starting import StartSettings, start

IMPORT_BUDGET = 0.015
"""Seconds that `import InferenceLibrary` may cost over Robot alone."""
IMPORT_SHARE = 0.125
"""CPU time that it may cost of what Robot's own import costs; a library with half the keywords took 0.12."""
START_BUDGET = 0.250
"""Seconds from the start of the simulator to its first 200 on /health."""

NAMES = ("import of Robot Framework", "import of InferenceLibrary over it", "simulator, start to healthy")
ROBOT_CPU, OURS_CPU = (f"{name}, CPU" for name in NAMES[:2])
LIBRARY = "import InferenceLibrary; InferenceLibrary.InferenceLibrary()"
_ROBOT = "import robot.run, robot.libraries.BuiltIn, robot.api.deco, robot.api.logger"
_TIMED = (
    "import time; began, cpu = time.perf_counter(), time.process_time(); {}; "
    "print(time.perf_counter() - began, time.process_time() - cpu)"
)
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def timed_import(before: str, statement: str) -> tuple[float, float]:
    """Return the seconds, and those of CPU, that a statement takes in a fresh interpreter after `before`."""
    code = f"{before}; {_TIMED.format(statement)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_ENVIRONMENT)
    seconds, cpu = map(float, done.stdout.split())
    return seconds, cpu


def start_to_healthy(folder: Path, number: int) -> float:
    """Return the seconds from the start of the simulator by its profile to healthy."""
    server = start(
        load_profile("simulator"),
        StartSettings(),
        name="simulator",
        new_log=lambda: folder / f"{number}.log",
        redact=Redactor(),
    )
    server.close()
    return server.stages["healthy"]


def one_round(repeats: int) -> dict[str, float]:
    """Return the medians of one round in seconds."""
    robot: list[tuple[float, float]] = []
    ours: list[tuple[float, float]] = []
    starts: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(repeats):
            robot.append(timed_import("pass", _ROBOT))
            ours.append(timed_import(_ROBOT, LIBRARY))
            starts.append(start_to_healthy(Path(folder), number))
    medians = [statistics.median(seconds for seconds, _ in times) for times in (robot, ours)]
    figures = dict(zip(NAMES, [*medians, statistics.median(starts)], strict=True))
    return figures | {ROBOT_CPU: min(cpu for _, cpu in robot), OURS_CPU: min(cpu for _, cpu in ours)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="fresh processes of each kind a round [5]")
    repeats = parser.parse_args().repeats
    for statement in (_ROBOT, LIBRARY):
        timed_import("pass", statement)  # not counted: compiles the bytecode
    bars = Bars()
    _, import_, start_ = NAMES
    found = bars.times(lambda: one_round(repeats), {import_: ("<=", IMPORT_BUDGET), start_: ("<=", START_BUDGET)})
    least = {name: min(figures[name] for figures in found) for name in (ROBOT_CPU, OURS_CPU)}
    bars.at_most("CPU time of the import over Robot's own", least[OURS_CPU] / least[ROBOT_CPU], IMPORT_SHARE)
    print(f"{f'all {len(found)} rounds, ms':<44}{'min':>9}{'median':>9}{'max':>9}{'ratio':>8}")
    base = statistics.median(figures[NAMES[0]] for figures in found)
    for name in (*NAMES, ROBOT_CPU, OURS_CPU):
        values = [figures[name] * 1000 for figures in found]
        median = statistics.median(values)
        print(f"{name:<44}{min(values):9.1f}{median:9.1f}{max(values):9.1f}{median / base / 1000:8.2f}")
    return bars.exit_code()


if __name__ == "__main__":
    sys.exit(main())
