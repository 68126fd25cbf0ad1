"""What starting costs: the import of the library over Robot Framework alone, and the simulator's start to healthy.

    python benchmarks/startup.py [--rounds 10]

Each figure is the median over rounds in fresh processes, with compiled bytecode in place; the variants of a table take
turns within a round, so that the machine's mood hits all alike.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.starting import StartSettings, start

IMPORT_BUDGET = 0.015
"""Seconds that `import InferenceLibrary` may cost over Robot alone."""
START_BUDGET = 0.250
"""Seconds from the start of the simulator to its first 200 on /health."""

_ROBOT = "import robot.run, robot.libraries.BuiltIn, robot.api.deco, robot.api.logger"
_TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def timed_import(before: str, statement: str) -> float:
    """Return the seconds that a statement takes in a fresh interpreter after `before`."""
    code = f"{before}; {_TIMED.format(statement)}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_ENVIRONMENT)
    return float(done.stdout)


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


def row(name: str, values: list[float], base: float | None, budget: float | None) -> str:
    median = statistics.median(values)
    ratio = f"{median / base:8.2f}" if base else f"{'':8}"
    verdict = "" if budget is None else f"  budget {budget * 1000:.0f} ms: {'kept' if median <= budget else 'EXCEEDED'}"
    return f"{name:<52}{min(values) * 1000:9.1f}{median * 1000:9.1f}{max(values) * 1000:9.1f}{ratio}{verdict}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    library = "import InferenceLibrary; InferenceLibrary.InferenceLibrary()"
    for statement in (_ROBOT, library):
        timed_import("pass", statement)  # not counted: compiles the bytecode
    robot: list[float] = []
    ours: list[float] = []
    starts: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            robot.append(timed_import("pass", _ROBOT))
            ours.append(timed_import(_ROBOT, library))
            starts.append(start_to_healthy(Path(folder), number))
    base = statistics.median(robot)
    print(f"{f'medians of {rounds}, ms':<52}{'min':>9}{'median':>9}{'max':>9}{'ratio':>8}")
    print(row("import of Robot Framework", robot, base, None))
    print(row("import of InferenceLibrary over it", ours, base, IMPORT_BUDGET))
    print(row("simulator, start to healthy", starts, base, START_BUDGET))
    return 0


if __name__ == "__main__":
    sys.exit(main())
