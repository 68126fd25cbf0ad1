"""Measure the load client: CPU a token event and events a CPU second beside a reader in C and usual clients,
its truth, and its costs.

    python benchmarks/load.py [--rounds 3] [--streams 256]

The simulator stays on the first core, the clients on the last. Ratios to the reader (`load_reader.c`, needs a compiler)
hold on any machine; errors of times are milliseconds and count in quiet rounds only, see `bars.py`.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bars import Bars, leave_by_sigterm
from load_truth import ROOM, STREAMS, monitor_cost, spread, stall_is_told, summary_cost, time_to_first_request, truth
from stand_in import CLIENT_CORE, Server, isolate

from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.requests import Kind, Prompts
from InferenceLibrary.load.result import LoadResult
from InferenceLibrary.load.run import run
from InferenceLibrary.load.wording import Wording

TOKENS = 100
FIRST, GAP = 0.2, 0.02
PACED = ("--time-to-first-token", f"{FIRST}s", "--inter-token-latency", f"{GAP}s")


def build_reader(folder: Path) -> Path:
    """Compile the yardstick."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("not judged: the yardstick needs a C compiler")
    program = folder / "load_reader"
    source = Path(__file__).with_name("load_reader.c")
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def plan_for(url: str, streams: int, each: int, ramp: float) -> LoadPlan:
    extra = {"ignore_eos": True, "min_tokens": TOKENS}
    kind = Kind.chat(model="fake-model", max_tokens=TOKENS, extra=extra)
    return LoadPlan(
        url, Users(streams, ramp=ramp), (kind,), Prompts(tokens=10),
        requests=streams * each, judged=0,
    )  # fmt: skip


def ours(plan: LoadPlan) -> tuple[LoadResult, float, int]:
    """Run our client; return its result, its CPU seconds and the events that it read."""
    result = run(plan)
    assert result.failures == 0, result.errors
    # A role chunk, one with the finish reason and one with the usage come beside the tokens.
    return result, sum(facts.cpu for facts in result.workers), sum(len(one.micros) // 4 + 3 for one in result.records)


def reference(reader: Path, server: Server, plan: LoadPlan, each: int) -> tuple[float, int]:
    """Run the reader in C; return its CPU seconds and the events that it read."""
    assert isinstance(plan.schedule, Users)
    words = [str(reader), str(server.port), str(plan.schedule.count), str(each), str(plan.schedule.ramp)]
    done = subprocess.run(words, input=Wording(plan).request(0)[2], stdout=subprocess.PIPE, check=True, timeout=120)
    events, seconds = done.stdout.split()
    return float(seconds), int(events)


def usual(kind: str, plan: LoadPlan) -> float:
    """Return the CPU microseconds an event of a usual client: with 32 streams, one after another costs it the same."""
    command = [sys.executable, str(Path(__file__).with_name("load_usual.py")), kind, plan.url, "32", "2", str(TOKENS)]
    events, seconds = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=120).stdout.split()
    return float(seconds) / int(events) * 1e6


def compared(reader: Path, streams: int, each: int, arguments: tuple[str, ...], ramp: float) -> dict[str, float]:
    server = Server(*ROOM, *arguments)
    plan = plan_for(f"http://127.0.0.1:{server.port}", streams, each, ramp)
    _, cpu, events = ours(plan)
    bare, bare_events = reference(reader, server, plan, each)
    usual_costs = {f"us/event of {kind}": usual(kind, plan) for kind in ("httpx", "openai")}
    server.close()
    return {
        **usual_costs,
        "us/event": cpu / events * 1e6,
        "us/event of C": bare / bare_events * 1e6,
        "ratio": (cpu / events) / (bare / bare_events),
        "events/CPU-s": events / cpu,
    }


ERRORS = {
    "TTFT error p50": ("<=", 0.0005),
    "TTFT error p99": ("<=", 0.001),
    "gap p1 error": ("<=", 0.0005),
    "gap p99 error": ("<=", 0.0005),
    "send lateness p99": ("<=", 0.001),
}
EVEN: dict[str, Any] = {"poisson": False, "rate": 50, "requests": 150}
MONITOR = 0.0002
"""0.02 % of a core. A machine that sleeps takes more for waking alone, in C too: then what is above counts."""
SATURATED = {"TTFT error p99": ("<=", 0.002)}


def true_times(bars: Bars, tries: int) -> None:
    """Hold what the client says of times to what the server did, at some to many streams and saturated."""
    for streams in STREAMS:
        plan = plan_for("http://127.0.0.1:1", streams, 2 if streams > 1 else 4, FIRST + GAP * TOKENS)
        found = judged(bars, f"{streams} streams", lambda plan=plan: truth(PACED, plan), ERRORS, tries)
        bars.at_most(f"{streams} streams: gaps lost", max(one["gaps lost"] for one in found), 0)
        bars.at_most(
            f"{streams} streams: load not delivered", statistics.median(one["undelivered"] for one in found), 0.01
        )
    plan = plan_for("http://127.0.0.1:1", 64, 30, 0.0)
    judged(bars, "saturated", lambda: truth((), plan), SATURATED, tries)


def judged(
    bars: Bars,
    where: str,
    measure: Callable[[], Mapping[str, float]],
    limits: Mapping[str, tuple[str, float]],
    tries: int,
) -> list[Mapping[str, float]]:
    """Judge times in quiet rounds under names that say where."""
    found: list[Mapping[str, float]] = []

    def named() -> Mapping[str, float]:
        found.append(measure())
        return {f"{where}: {key}": value for key, value in found[-1].items()}

    bars.times(named, {f"{where}: {key}": limit for key, limit in limits.items()}, tries)
    return found


def arrivals(bars: Bars, tries: int) -> None:
    """Hold schedules to what they promise, whatever the number of workers."""
    server = Server(*ROOM)
    plan = plan_for("http://127.0.0.1:1", 1, 1, 0.0)
    plan = replace(plan, kinds=(Kind.chat(model="fake-model", max_tokens=1, stream=False),))
    for workers in (1, 4, 8):
        found = spread(server.port, plan, workers, poisson=True, rate=200, requests=1600)
        bars.at_least(f"Poisson, {workers} workers: dispersion", found["dispersion"], 0.6)
        bars.at_most(f"Poisson, {workers} workers: dispersion", found["dispersion"], 1.5)
        bars.at_most(f"Poisson, {workers} workers: autocorrelation", found["autocorrelation"], 0.1)
        bars.at_most(f"Poisson, {workers} workers: load not delivered", found["undelivered"], 0.01)
    if tries:
        bars.times(
            lambda: {"constant: deviation of gaps of 20 ms": spread(server.port, plan, 1, **EVEN)["deviation"]},
            {"constant: deviation of gaps of 20 ms": ("<=", 0.05 * 0.02)},
            tries,
        )
    told = all(stall_is_told(plan, server.port) for _ in range(3))
    bars.at_least("stalls of 30 ms that were flagged", float(told), 1)
    server.close()


def costs_beside(bars: Bars, tries: int) -> None:
    """Hold what a load costs before and after it, and what a monitor costs beside it."""
    server = Server(*ROOM)
    bars.times(
        lambda: {"time to the first request": time_to_first_request(server.port)},
        {"time to the first request": ("<=", 0.3)},
        tries,
    )
    server.close()
    sizes: list[float] = []

    def summarised() -> dict[str, float]:
        took, size = summary_cost()
        sizes.append(size)
        return {"100,000 records summarised": took}

    bars.times(summarised, {"100,000 records summarised": ("<=", 2.0)}, tries)
    bars.at_most("100,000 records with their summary", max(sizes), 200, "MB")
    name = "a monitor at 10 Hz, a second"

    def monitored() -> dict[str, float]:
        whole, waking = monitor_cost()
        above = waking > MONITOR
        print(
            f"{name}: {whole * 1e3:.4g} ms, a thread that only wakes as often {waking * 1e3:.4g} ms: "
            f"{'more than the bar, which is held to the difference' if above else 'the bar is held to the whole'}",
            flush=True,
        )
        return {name: whole - waking if above else whole}

    bars.times(monitored, {name: ("<=", MONITOR)}, tries)


def main() -> int:
    leave_by_sigterm()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=256)
    parser.add_argument("--tries", type=int, default=9, help="rounds for the times until three were quiet")
    options = parser.parse_args()
    isolate(CLIENT_CORE)
    bars = Bars()
    paced: list[dict[str, float]] = []
    burst: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        reader = build_reader(Path(folder))
        for _ in range(options.rounds):
            paced.append(compared(reader, options.streams, 2, PACED, FIRST + GAP * TOKENS))
            burst.append(compared(reader, 64, 60, (), 0.0))
    for name, rounds in (("paced", paced), ("burst", burst)):
        for key in rounds[0]:
            print(f"{name} {key:<16} {statistics.median(one[key] for one in rounds):>12,.6g}")
    bars.at_most("CPU a token event over the reader in C, paced", statistics.median(one["ratio"] for one in paced), 2.5)
    share = statistics.median(1 / one["ratio"] for one in burst)
    bars.at_least("events a CPU second, share of the reader in C, burst", share, 0.09)
    for kind, most in (("httpx", 0.25), ("openai", 0.15)):
        share = statistics.median(one["us/event"] / one[f"us/event of {kind}"] for one in paced)
        bars.at_most(f"CPU a token event over {kind}, paced", share, most)
    arrivals(bars, options.tries)
    if options.tries:
        true_times(bars, options.tries)
        costs_beside(bars, options.tries)
    return bars.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
