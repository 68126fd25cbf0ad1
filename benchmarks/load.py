"""Measure the load client: CPU a token event and events a CPU second beside a reader in C, and its truth.

    python benchmarks/load.py [--rounds 3] [--streams 256]

The simulator stays on the first core, the clients on the last. Ratios to the reader (`load_reader.c`, needs a compiler)
hold on any machine; errors of times are milliseconds and count in quiet rounds only, see `bars.py`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bars import Bars
from simulator import CLIENT_CORE, Server, isolate, percentile

from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.requests import Kind, Prompts
from InferenceLibrary.load.result import LoadResult
from InferenceLibrary.load.run import run
from InferenceLibrary.load.wording import Wording

TOKENS = 100
FIRST, GAP = 0.2, 0.02
PACED = ("--time-to-first-token", f"{FIRST}s", "--inter-token-latency", f"{GAP}s")
_ROOM = ("--max-num-seqs", "2000")


def build_reader(folder: Path) -> Path:
    """Compile the yardstick."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        sys.exit("not judged: the yardstick needs a C compiler")
    program = folder / "load_reader"
    source = Path(__file__).with_name("load_reader.c")
    subprocess.run([compiler, "-O2", "-o", str(program), str(source)], check=True)
    return program


def plan_for(server: Server, streams: int, each: int, ramp: float) -> LoadPlan:
    extra = {"ignore_eos": True, "min_tokens": TOKENS}
    kind = Kind.chat(model="fake-model", max_tokens=TOKENS, extra=extra)
    return LoadPlan(
        f"http://127.0.0.1:{server.port}", Users(streams, ramp=ramp), (kind,), Prompts(tokens=10),
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


def compared(reader: Path, streams: int, each: int, arguments: tuple[str, ...], ramp: float) -> dict[str, float]:
    server = Server(*_ROOM, *arguments)
    plan = plan_for(server, streams, each, ramp)
    _, cpu, events = ours(plan)
    bare, bare_events = reference(reader, server, plan, each)
    server.close()
    return {
        "us/event": cpu / events * 1e6,
        "us/event of C": bare / bare_events * 1e6,
        "ratio": (cpu / events) / (bare / bare_events),
        "events/CPU-s": events / cpu,
    }


def truth(streams: int) -> Mapping[str, float]:
    """What our client says against what the server noted that it did."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.jsonl"
        server = Server(*_ROOM, *PACED, "--truth-file", str(path))
        result, _, _ = ours(plan_for(server, streams, 2, FIRST + GAP * TOKENS))
        server.close()
        records = [json.loads(line) for line in path.read_text().splitlines()]
    sent = sorted(record["tokens"][0] - record["received"] for record in records)
    seen = sorted(one.first_token for one in result.records if one.first_token is not None)
    gaps = sorted(result.values("gap"))
    return {
        "TTFT error p50": percentile(seen, 50) - percentile(sent, 50),
        "TTFT error p99": percentile(seen, 99) - percentile(sent, 99),
        "gap p1 early by": GAP - percentile(gaps, 1),
        "gap p99 late by": percentile(gaps, 99) - GAP,
        "send lateness p99": result.lateness_p99,
    }


TIMES = {
    "TTFT error p50": ("<=", 0.0005),
    "TTFT error p99": ("<=", 0.001),
    "send lateness p99": ("<=", 0.001),
}


def main() -> int:
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
    if options.tries:
        for figures in bars.times(lambda: truth(options.streams), TIMES, options.tries):
            print("  ".join(f"{key} {value * 1000:.3f} ms" for key, value in figures.items()))
    return bars.exit_code()


if __name__ == "__main__":
    raise SystemExit(main())
