"""How true a load is: its times against what the server noted, its arrivals against their schedule, and its costs.

All times are on the monotonic clock of the machine, which the simulator's truth file has too. The error of a TTFT is
that of the moment at which the first token is said to have come: the moment at which the server wrote it is the truth.
What lies between a client's sending and a busy server's reading is the server's, and is not counted.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from stand_in import Server, percentile

from InferenceLibrary.load.plan import LoadPlan, Rate
from InferenceLibrary.load.record import Record
from InferenceLibrary.load.result import LoadResult, WorkerFacts
from InferenceLibrary.load.run import Progress, run

ROOM = ("--max-num-seqs", "2000")
STREAMS = (1, 16, 64, 256, 1024)
_RECORDS = 100_000
_A_WINDOW = 10
"""Requests in each window of time whose counts are looked at."""


def told(arguments: tuple[str, ...], plan: LoadPlan) -> tuple[LoadResult, dict[str, list[float]]]:
    """Run a load; return it, and when the server wrote each token of each answer, by the answer's id."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.jsonl"
        server = Server(*ROOM, *arguments, "--truth-file", str(path))
        result = run(replace(plan, url=f"http://127.0.0.1:{server.port}"))
        server.close()
        records = [json.loads(line) for line in path.read_text().splitlines()]
    assert result.failures == 0, result.errors
    return result, {one["id"]: one["tokens"] for one in records}


def truth(arguments: tuple[str, ...], plan: LoadPlan) -> Mapping[str, float]:
    """Return the errors of a load in seconds; `gaps lost` is their number."""
    result, written = told(arguments, plan)
    assert result.clock is not None
    errors: list[float] = []
    seen: list[float] = []
    true: list[float] = []
    for one in result.records:
        tokens = written[one.answer_id or ""]
        assert one.first_token is not None
        errors.append(abs(result.clock + one.sent + one.first_token - tokens[0]))
        seen += one.gaps()
        true += [later - earlier for earlier, later in pairwise(tokens)]
    errors.sort()
    seen.sort()
    true.sort()
    return {
        "TTFT error p50": percentile(errors, 50),
        "TTFT error p99": percentile(errors, 99),
        "gap p1 error": abs(percentile(seen, 1) - percentile(true, 1)),
        "gap p99 error": abs(percentile(seen, 99) - percentile(true, 99)),
        "gaps lost": float(len(true) - len(seen)),
        "send lateness p99": result.lateness_p99,
        "undelivered": 1 - result.delivered,
    }


def spread(port: int, plan: LoadPlan, workers: int, *, poisson: bool, rate: float, requests: int) -> dict[str, float]:
    """Return how requests were sent: seconds by which gaps deviate, dispersion, autocorrelation, and what was lost."""
    url = f"http://127.0.0.1:{port}"
    result = run(replace(plan, url=url, schedule=Rate(rate, poisson), requests=requests, workers=workers, seed=7))
    times = sorted(one.sent for one in result.records)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    window = _A_WINDOW / rate
    counts = Counter(int(when / window) for when in times)
    full = [counts[place] for place in range(int(times[-1] / window))]
    return {
        "deviation": statistics.stdev(gaps),
        "dispersion": statistics.variance(full) / statistics.fmean(full),
        "autocorrelation": abs(statistics.correlation(gaps[:-1], gaps[1:])),
        "undelivered": 1 - result.delivered,
    }


def stall_is_told(plan: LoadPlan, port: int, seconds: float = 0.03) -> bool:
    """Whether a worker that stood still for so long is flagged."""
    stopped: list[int] = []

    def stall(_progress: Progress) -> None:
        if not stopped:
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                if b"load.worker" in path.read_bytes():
                    stopped.append(int(path.parent.name))
            for pid in stopped:
                os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)

    result = run(replace(plan, url=f"http://127.0.0.1:{port}", requests=None, duration=1.5), stall)
    return any(one >= seconds for facts in result.workers for one in facts.stalls)


_FIRST = """
import sys, time
import InferenceLibrary.library
began = time.monotonic()
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.requests import Kind
from InferenceLibrary.load.run import run
kind = Kind.chat(model="fake-model", max_tokens=1, stream=False)
result = run(LoadPlan(sys.argv[1], Users(1), (kind,), requests=1, judged=0))
print(result.clock + result.records[0].sent - began)
"""


def time_to_first_request(port: int) -> float:
    """Seconds from the call to the first request, in a process that has run no load before."""
    command = [sys.executable, "-c", _FIRST, f"http://127.0.0.1:{port}"]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def _summarise() -> None:
    """Print the seconds and the megabytes that a summary of many records takes: in a process of its own."""
    records = []
    for number in range(_RECORDS):
        first = 0.05 + number % 977 * 1e-5
        micros = array("I", [round(first * 1e6) + step * 10_000 + number * step % 89 for step in range(16)]).tobytes()
        records.append(
            Record(
                number, "chat", number * 0.01, number * 0.01, number * 0.01 + first + 0.2, status=200,
                first_token=first, first_text=first, second_token=0.01, last_token=first + 0.15,
                rate=100 + number % 97 / 10, micros=micros, output_tokens=16, token_a_chunk=True, token_source="usage",
                answer_id=f"chatcmpl-{number}", broken=[], prompt_tokens=32,
            )
        )  # fmt: skip
    facts = WorkerFacts(1.0, 1000.0, [0.0001] * _RECORDS, [0.0001], 1, [], 0, 0, None, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.process_time()
    LoadResult(LoadPlan("http://x", Rate(100)), 0.0, records, [facts], {}, 0.0).summary()
    took = time.process_time() - began
    print(took, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, before / 1024)


def summary_cost() -> tuple[float, float]:
    """Return the CPU seconds of a summary of 100,000 records, and the megabytes of it and of the records."""
    code = "import load_truth; load_truth._summarise()"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, cwd=Path(__file__).parent)
    took, more, before = map(float, done.stdout.split())
    return took, more + before


def monitor_cost(seconds: float = 2.5, interval: float = 0.1, turns: int = 2) -> tuple[float, float]:
    """Return the CPU seconds a second of a monitor of one process, and those of a thread that only wakes as often.

    They run by turns: beside one another each would find warm what the other has just used.
    """
    from InferenceLibrary.monitor.grid import Halt
    from InferenceLibrary.monitor.memory import MemoryMonitor

    def wake(stop: Halt) -> None:
        due = time.monotonic() + interval
        while not stop.sleep(True, max(0.0, due - time.monotonic())):
            due += interval

    watched = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    whole = waking = 0.0
    for _ in range(turns):
        monitor = MemoryMonitor("watched", watched.pid, interval)
        monitor.start()
        assert monitor.thread is not None
        whole += _cpu_of(monitor.thread, seconds)
        record = monitor.stop()
        assert record.count >= seconds / interval, record
        stop = Halt()
        waker = threading.Thread(target=wake, args=(stop,))
        waker.start()
        waking += _cpu_of(waker, seconds)
        stop.set()
        waker.join()
    watched.communicate(b"\n")
    return whole / turns / seconds, waking / turns / seconds


def _cpu_of(thread: threading.Thread, seconds: float) -> float:
    """Return the CPU seconds of a thread in so many seconds, after the first one."""
    assert thread.ident is not None
    clock = time.pthread_getcpuclockid(thread.ident)
    time.sleep(1)
    before = time.clock_gettime(clock)
    time.sleep(seconds)
    return time.clock_gettime(clock) - before
