"""What is left of servers when runs are killed, and what guarding them costs. Linux.

    python benchmarks/lifecycle.py [kill] [interrupt] [overhead] [loud] [pabot] [--full]

`kill`       robot is killed at random moments, during starts too: the runner alone, its group, pabot's parent, guards
             and keepers alone, these and the runner, or all there is (then the next start cleans up), or the runner by
             each polite signal; soon nothing of a server may live, not even a daemon that has cleared its traces
`interrupt`  Ctrl-C, TERM, a test timeout and a suite timeout in each stage of a start: how long until it is over
`overhead`   start to healthy, against a bare Popen and the same poll of the health route
`loud`       a server that floods its log: is it blocked, does the runner grow
`pabot`      many suites at once, two servers each: collisions, cross-talk, ports that stay taken

Small counts by default, those of the acceptance by --full. Bars in seconds are judged in quiet rounds only: see
`bars.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bars import ROUNDS, Bars
from robot.api import ExecutionResult, ResultVisitor

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes.ports import free_port, is_free
from InferenceLibrary.processes.process import MARK
from InferenceLibrary.processes.process_tree import ProcessInfo, bearers, everyone
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.starting import StartSettings, start

SERVER = Path(__file__).with_name("lifecycle_servers.py")
BENCH = "INFERENCE_LIFECYCLE_BENCHMARK"
ALLOWED = 2.0
"""Seconds after which nothing of a killed run's servers may live, in a quiet round."""
GIVEN_UP = 60.0
"""Seconds after which what still lives is left for good, on any machine."""
UNSEEN = 0.3
"""Seconds for which nothing must be seen until nothing counts as left."""
INTERRUPTED = 0.3
"""Seconds from an interruption to the end of the keyword."""
ADDED = 0.1
"""Seconds that the library may add to a start."""
KINDS = ("ordinary", "deaf", "double", "both", "loading", "cleared", "hidden")
SIGNALS = ("TERM", "INT", "HUP", "QUIT")
NEXT_START = ("guard and runner", "all")
"""Ways after which nobody is left to clean up but the next start."""
WAYS = ("runner", "group", "guard", "pabot", *NEXT_START, *SIGNALS)
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
"""pabot looks for `robot` there."""
STAGES = {"listening": "silent", "healthy": "loading", "model listed": "other", "first token": "hanging"}


def write_profile(folder: Path, kind: str, size: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{kind}.yaml"
    model_list = "/v1/models" if kind in {"other", "hanging"} else "null"
    first_token = "chat" if kind == "hanging" else "none"
    path.write_text(
        f"title: {kind}\nmodel: mine\n"
        f"start: {{command: ['{{python}}', '-I', '-S', '{SERVER}', '{{port}}', {kind}, '{size}']}}\n"
        f"ready: {{health: {{path: /health}}, model_list: {model_list}, first_token: {first_token}, timeout: 60s}}\n"
        "stop: {grace: 1s}\n"
    )
    return path


def of_servers(mark: str, token: int = 0) -> list[ProcessInfo]:
    """Processes of servers that a run with this mark started: they bear the library's mark too, or the token alone."""
    found = []
    for seen in bearers(f"{BENCH}={mark}"):
        with contextlib.suppress(OSError):
            if f"\0{MARK}=".encode() in b"\0" + Path(f"/proc/{seen.pid}/environ").read_bytes():
                found.append(seen)
    known = {seen.pid for seen in found}
    for seen in everyone().values() if token else ():
        with contextlib.suppress(OSError):
            line = Path(f"/proc/{seen.pid}/cmdline").read_bytes()
            if seen.lives and seen.pid not in known and f"0.{token}".encode() in line:
                found.append(seen)
    return found


def guards(mark: str) -> list[ProcessInfo]:
    found = []
    for seen in bearers(f"{BENCH}={mark}"):
        with contextlib.suppress(OSError):
            if b"import guard" in Path(f"/proc/{seen.pid}/cmdline").read_bytes():
                found.append(seen)
    return found


def launch(command: list[str], folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    mark = uuid.uuid4().hex
    environment = {**os.environ, "PATH": PATH, BENCH: mark, "XDG_RUNTIME_DIR": str(folder)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    return process, mark


def end(processes: list[ProcessInfo]) -> None:
    for seen in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(seen.pid, signal.SIGKILL)


def strike(process: subprocess.Popen[bytes], mark: str, way: str) -> None:
    """Kill a run, or a part of it, and wait until the runner is gone."""
    if way == "all":
        process.kill()
        end(guards(mark))
        end(bearers(f"{BENCH}={mark}"))
    elif way == "group":
        os.killpg(process.pid, signal.SIGKILL)
    elif way in SIGNALS:
        process.send_signal(signal.Signals[f"SIG{way}"])
    elif way == "guard":
        end(guards(mark))
        # The runner lives and notices: the kernel ends the servers, the library what they had started.
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    else:
        if way == "guard and runner":
            end(guards(mark))
        process.kill()
    process.wait(GIVEN_UP)


def kill_once(folder: Path, way: str, kind: str, numbers: random.Random) -> tuple[int, float, list[ProcessInfo]]:
    """Run robot, kill it; return how many processes of servers lived then, the seconds until none did, what is left."""
    token = numbers.randrange(10**11, 10**12)
    profile = write_profile(folder, kind, token)
    suites = folder / "suites"
    suites.mkdir()
    for name in ("one", "two") if way == "pabot" else ("one",):
        (suites / f"{name}.robot").write_text(
            "*** Settings ***\nLibrary    InferenceLibrary\n\n*** Test Cases ***\nLong\n"
            f"    Start Server    {profile}\n    Start Server    {profile}\n    Sleep    20 s\n"
        )
    output = ["--outputdir", str(folder / "out"), str(suites)]
    if way == "pabot":
        command = [sys.executable, "-m", "pabot.pabot", "--processes", "2", "--no-pabotlib", *output]
    else:
        command = [sys.executable, "-m", "robot", *output]
    process, mark = launch(command, folder)
    try:
        # From the first start on: what is killed before has nothing to leave.
        wait_until(lambda: bool(guards(mark)) or process.poll() is not None, GIVEN_UP)
        time.sleep(numbers.uniform(0.0, 1.5))
        alive = len(of_servers(mark, token))
        strike(process, mark, way)
        killed = time.monotonic()
        if way in NEXT_START:
            _start_and_stop(folder)
        known = {seen.pid for seen in of_servers(mark, token)} if way == "pabot" else None

        def left() -> list[ProcessInfo]:
            servers = of_servers(mark, token)
            if known is None:  # a guard that has begun may still start its server
                return [*servers, *guards(mark)]
            return [seen for seen in servers if seen.pid in known]

        found: list[ProcessInfo] = []
        last = killed

        def gone() -> bool:
            """Nothing was seen for a while: a process in the midst of an exec shows no environment and no arguments."""
            nonlocal found, last
            if now := left():
                found, last = now, time.monotonic()
            return time.monotonic() - last > UNSEEN

        over = wait_until(gone, GIVEN_UP, longest=0.02)
        return alive, last - killed, [] if over else found
    finally:
        end([*bearers(f"{BENCH}={mark}"), *of_servers(mark, token)])
        if process.poll() is None:
            process.kill()
            process.wait()


def _start_and_stop(folder: Path) -> None:
    """The next start, in another run of the same user."""
    code = (
        "import sys; from pathlib import Path; from InferenceLibrary.redaction import Redactor\n"
        "from InferenceLibrary.servers.profile import load_profile\n"
        "from InferenceLibrary.servers.starting import StartSettings, start\n"
        "start(load_profile('simulator'), StartSettings(timeout=float(sys.argv[2])), name='next', redact=Redactor(),\n"
        "      new_log=lambda: Path(sys.argv[1])).close()\n"
    )
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", code, str(folder / "next.log"), str(GIVEN_UP)], env=environment, check=True)


def kill(rounds: int, seed: int, bars: Bars) -> None:
    numbers = random.Random(seed)
    left: dict[str, int] = dict.fromkeys(WAYS, 0)
    done: dict[str, int] = dict.fromkeys(WAYS, 0)
    alive: dict[str, int] = dict.fromkeys(WAYS, 0)

    def some() -> dict[str, float]:
        slowest = 0.0
        for _ in range(max(1, rounds // ROUNDS)):
            number = sum(done.values())
            way, kind = WAYS[number % len(WAYS)], KINDS[number % len(KINDS)]
            with tempfile.TemporaryDirectory() as folder:
                lived, took, found = kill_once(Path(folder), way, kind, numbers)
            done[way] += 1
            alive[way] += lived
            left[way] += bool(found)
            slowest = max(slowest, took)
            for seen in found:
                print(f"  LEFT after {way} / {kind}: {seen.name} (pid {seen.pid}, state {seen.state}, "
                      f"parent {seen.parent})", flush=True)  # fmt: skip
        return {"clean-up after a kill": slowest}

    bars.times(some, {"clean-up after a kill": ("<=", ALLOWED)}, ROUNDS)
    for way in [way for way in WAYS if done[way]]:
        print(f"killed {way:<18} {done[way]:4} runs with {alive[way]} processes of servers", flush=True)
        bars.at_most(f"killed {way}: runs with something left after {GIVEN_UP:g} s", left[way], 0)


class _Starts(ResultVisitor):
    """When each Start Server began and ended."""

    def __init__(self) -> None:
        self.times: list[tuple[datetime, datetime, str]] = []

    def start_keyword(self, keyword) -> None:  # type: ignore[no-untyped-def]
        if keyword.name == "Start Server":
            self.times.append((keyword.start_time, keyword.end_time, keyword.status))


def interrupt_once(folder: Path, stage: str, how: str) -> tuple[float, int]:
    """Return how many seconds after the interruption the keyword was over, and how many processes were left."""
    profile = write_profile(folder, STAGES[stage])
    limit = 1.0
    setting = {"test timeout": f"    [Timeout]    {limit} s\n"}.get(how, "")
    teardown = f"Test Timeout    {limit} s\n" if how == "suite timeout" else ""
    suite = folder / "one.robot"
    suite.write_text(
        f"*** Settings ***\nLibrary    InferenceLibrary\n{teardown}\n*** Test Cases ***\nWait\n{setting}"
        f"    Start Server    {profile}\n"
    )
    process, mark = launch([sys.executable, "-m", "robot", "--outputdir", str(folder / "out"), str(suite)], folder)
    sent = 0.0
    if not how.endswith("timeout"):
        wait_until(lambda: bool(of_servers(mark)), 20)
        time.sleep(0.4)
        sent = time.time()
        process.send_signal(signal.SIGINT if how == "Ctrl-C" else signal.SIGTERM)
    process.wait(60)
    left = len(bearers(f"{BENCH}={mark}"))
    starts = _Starts()
    ExecutionResult(str(folder / "out" / "output.xml")).visit(starts)
    (began, ended, _), *_ = starts.times
    if how.endswith("timeout"):
        return (ended - began).total_seconds() - limit, left
    return ended.timestamp() - sent, left


def interrupt(rounds: int, bars: Bars) -> None:
    ways = ("Ctrl-C", "TERM", "test timeout", "suite timeout")
    lefts = 0

    def each() -> dict[str, float]:
        nonlocal lefts
        figures: dict[str, float] = {}
        for how in ways:
            for stage in STAGES:
                for _ in range(rounds):
                    with tempfile.TemporaryDirectory() as folder:
                        seconds, left = interrupt_once(Path(folder), stage, how)
                    figures[f"{how} while {stage}"] = max(seconds, figures.get(f"{how} while {stage}", 0.0))
                    lefts += left
        return figures

    limits = {f"{how} while {stage}": ("<=", INTERRUPTED) for how in ways for stage in STAGES}
    bars.times(each, limits, ROUNDS)
    bars.at_most("processes left by interrupted starts", lefts, 0)


def overhead(rounds: int) -> dict[str, float]:
    """Return the seconds that a start by the library takes over a bare Popen with the same poll, in turns."""
    guarded, bare, spawned = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = load_profile(str(write_profile(folder, "ordinary")))
        for number in range(rounds + 1):
            begun = time.perf_counter()
            log = folder / f"{number}.log"
            server = start(profile, StartSettings(), name="x", new_log=lambda log=log: log, redact=Redactor())  # type: ignore[misc]
            took = time.perf_counter() - begun
            spawned.append(server.stages["spawned"])
            server.close()
            other = _bare_start(folder / f"{number}.bare.log")
            if number:  # the first round warms caches
                guarded.append(took)
                bare.append(other)
    more = statistics.median(guarded) - statistics.median(bare)
    print(f"start to healthy: bare Popen {statistics.median(bare) * 1000:.0f} ms, by the library "
          f"{statistics.median(guarded) * 1000:.0f} ms, {more * 1000:+.0f} ms (medians of {rounds})")  # fmt: skip
    print(f"guard and spawn alone: {statistics.median(spawned) * 1000:.0f} ms (median)", flush=True)
    return {"start over a bare Popen": more}


def _bare_start(log: Path) -> float:
    port = free_port()
    begun = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SERVER), str(port), "ordinary", "0"], stdout=output, stderr=output
        )

    def healthy() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    wait_until(healthy, 20)
    took = time.perf_counter() - begun
    process.kill()
    process.wait()
    return took


def loud(megabytes: int, bars: Bars) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = _resident()
        begun = time.monotonic()
        server = start(
            load_profile(str(write_profile(folder, "loud", megabytes))),
            StartSettings(),
            name="loud",
            new_log=lambda: folder / "loud.log",
            redact=Redactor(),
        )
        ready = time.monotonic() - begun
        assert server.process is not None
        tail = server.process.log_tail
        done = wait_until(lambda: bool(tail()) and tail()[-1] == "all is written", 300, longest=0.5)
        took = time.monotonic() - begun
        grown = _resident() - before
        size = (folder / "loud.log").stat().st_size
        server.close()
    print(f"loud: {size / 1e6:.0f} MB of log in {took:.1f} s, ready after {ready:.2f} s, the runner grew by "
          f"{grown / 1e6:.1f} MB", flush=True)  # fmt: skip
    bars.at_least("the log is written to its end", done, 1)
    bars.at_most("what the runner grew by", grown, 10_000_000, "bytes")


def _resident() -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def pabot(processes: int, suites: int, bars: Bars) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        profile = write_profile(folder, "ordinary")
        (folder / "suites").mkdir()
        for number in range(suites):
            begin = '    ${{{0}}} =    Start Server    {1}    alias={0}    environment={{"MODEL": "{2}-{0}"}}\n'
            begin += "    Log To Console    port ${{{0}.port}}\n"
            check = "    ${{reply}} =    Chat    Hello    server={0}\n"
            check += "    Should Be Equal    ${{reply.text}}    {1}-{0}\n"
            tests = "".join(begin.format(alias, profile, number) for alias in ("a", "b"))
            checks = "".join(check.format(alias, number) for alias in ("a", "b", "a", "b"))
            (folder / "suites" / f"s{number}.robot").write_text(
                f"*** Settings ***\nLibrary    InferenceLibrary\n\n*** Test Cases ***\nTwo\n{tests}{checks}"
            )
        begun = time.monotonic()
        command = [sys.executable, "-m", "pabot.pabot", "--processes", str(processes), "--no-pabotlib", "--verbose"]
        done = subprocess.run(
            [*command, "--outputdir", str(folder / "out"), str(folder / "suites")],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PATH": PATH},
        )
        took = time.monotonic() - begun
        text = "\n".join(path.read_text() for path in (folder / "out").rglob("*stdout*"))
        ports = [int(port) for port in re.findall(r"port (\d+)", text)]
        taken = [port for port in ports if not is_free(port)]
        retries = sum("was taken by somebody else" in path.read_text() for path in (folder / "out").rglob("output.xml"))
    print(f"pabot: {suites} suites in {processes} processes, {len(ports)} servers in {took:.0f} s, exit code "
          f"{done.returncode}, {retries} retries, {len(taken)} ports still taken", flush=True)  # fmt: skip
    bars.at_most("exit code of pabot", done.returncode, 0)
    bars.at_most("ports still taken", len(taken), 0)
    bars.at_least("servers started", len(ports), 2 * suites)


def main() -> int:
    # In the background, or under nohup, it is ignored, and every runner that is started here would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("kill", "interrupt", "overhead", "loud", "pabot")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(parts)}; all by default")
    parser.add_argument("--full", action="store_true", help="the counts of the acceptance: 300 kills, 1 GB, 50 suites")
    parser.add_argument("--rounds", type=int, help="number of kills")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chosen = arguments.parts or list(parts)
    if unknown := set(chosen) - set(parts):
        parser.error(f"unknown: {', '.join(unknown)}; expected some of {', '.join(parts)}")
    full = arguments.full
    bars = Bars()
    added = {"start over a bare Popen": ("<=", ADDED)}
    measure: dict[str, Callable[[], object]] = {
        "kill": lambda: kill(arguments.rounds or (300 if full else 20), arguments.seed, bars),
        "interrupt": lambda: interrupt(5 if full else 1, bars),
        "overhead": lambda: bars.times(lambda: overhead(30 if full else 10), added),
        "loud": lambda: loud(1000 if full else 100, bars),
        "pabot": lambda: pabot(8, 50, bars) if full else pabot(4, 8, bars),
    }
    for part in chosen:
        measure[part]()
    return bars.exit_code()


if __name__ == "__main__":
    sys.exit(main())
