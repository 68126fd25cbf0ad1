"""What a long test pays for being watched: the judging of its calls, and the thread that tells what lasts.

    python benchmarks/watching.py [--calls 400] [--seconds 20]

All of it is processor time of the process of Robot Framework, which other programs of the machine change little. The
same streamed chats are made with `rules=warn` and with `rules=off`, by turns; a keyword that waits is run with and
without the thread. Exit code 1: a bar is missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from bars import Bars

SHARE = 0.4
"""Of the processor time of a judged call that its judging may take."""
THREAD = 0.002
"""Of a core that the thread may take."""

SUITE = """
*** Settings ***
Library    InferenceLibrary
Suite Setup    Start Server    simulator    scenario=capitals
*** Test Cases ***
Warm
    FOR    ${{i}}    IN RANGE    20
        {keyword}    What is the capital of France?    rules=warn
        {keyword}    What is the capital of France?    rules=off
    END
By Turns
    FOR    ${{i}}    IN RANGE    {turns}
        FOR    ${{rules}}    IN    warn    off
            ${{begin}} =    Evaluate    time.process_time()    modules=time
            FOR    ${{j}}    IN RANGE    20
                {keyword}    What is the capital of France?    rules=${{rules}}
            END
            ${{took}} =    Evaluate    time.process_time() - ${{begin}}    modules=time
            Evaluate    print("took ${{rules}} ${{took}}", file=sys.__stderr__)    modules=sys
        END
    END
"""
WAITING = """
import sys, threading, time
from InferenceLibrary.heartbeat import Heartbeat
watch = Heartbeat(lambda text: None, lambda: 0.0)
if sys.argv[1] == "on":
    watch.begin("Wait")
begin = time.process_time()
threading.Event().wait(float(sys.argv[2]))
print(time.process_time() - begin)
"""
BEGINNING = """
import time
from InferenceLibrary.heartbeat import Heartbeat
watch = Heartbeat(lambda text: None, lambda: 0.0)
best = 1.0
for _ in range(20):
    begin = time.process_time()
    for _ in range(10_000):
        watch.begin("Wait")
        watch.end()
    best = min(best, (time.process_time() - begin) / 10_000)
print(best)
"""


def judging(keyword: str, calls: int) -> dict[str, float]:
    """Return the median seconds of a call, by how much its rules count."""
    with tempfile.TemporaryDirectory() as folder:
        suite = Path(folder) / "watching.robot"
        suite.write_text(SUITE.format(keyword=keyword, turns=max(1, calls // 40)), encoding="utf-8")
        command = [sys.executable, "-m", "robot", "--outputdir", folder, "--console", "none", str(suite)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    taken: dict[str, list[float]] = {"warn": [], "off": []}
    for line in done.stderr.splitlines():
        if line.startswith("took "):
            _, rules, seconds = line.split()
            taken[rules].append(float(seconds) / 20)
    return {rules: statistics.median(seconds) for rules, seconds in taken.items()}


def of_program(code: str, *arguments: str) -> float:
    """Return the seconds that a program prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    bars = Bars()
    print("processor time of a call in a test; the answer has 7 tokens")
    for keyword in ("Chat", "Stream Chat"):
        found = judging(keyword, options.calls)
        more = found["warn"] - found["off"]
        print(
            f"  {keyword:<12} judged {found['warn'] * 1e3:.2f} ms, not judged {found['off'] * 1e3:.2f} ms: "
            f"judging takes {more * 1e3:.2f} ms"
        )
        bars.at_most(f"{keyword}: share of judging", more / found["warn"], SHARE)
    on, off = (of_program(WAITING, state, str(options.seconds)) for state in ("on", "off"))
    of_second = (on - off) / options.seconds
    print("the thread that tells what lasts")
    print(f"  {of_second * 1e6:.0f} µs for each second, {of_program(BEGINNING) * 1e6:.2f} µs a keyword")
    bars.at_most("the thread's share of a core", of_second, THREAD)
    return bars.exit_code()


if __name__ == "__main__":
    sys.exit(main())
