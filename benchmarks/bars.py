"""What a benchmark is held to, and what its exit code says: 0 all bars are kept, 1 one is missed, 2 one is not judged.

A bar is a ratio to a yardstick of the same run, a count or a size. Where it must be a time, it counts in quiet rounds
only: a round is quiet when a process that does nothing but wake on time is late by at most 2 ms (p99), right before and
right after it, and other processes take at most 10 % of the machine while it lasts. The median of three quiet rounds is
judged; where there are not so many, the bar is not judged.
"""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

KEPT, MISSED, NOT_JUDGED = 0, 1, 2
LATENESS = 0.002
"""Seconds that p99 of a process which only wakes on time may be late in a quiet round."""
FOREIGN = 0.10
"""Share of the machine's CPU time that other processes may take in a quiet round."""
ROUNDS = 3
"""Quiet rounds whose median is judged."""
TRIES = 9
"""Rounds that are tried until so many were quiet."""

_WAKER = """
import time
due, late = time.monotonic(), []
for _ in range(300):
    due += 0.002
    time.sleep(max(0, due - time.monotonic()))
    late.append(time.monotonic() - due)
print(sorted(late)[297])
"""


def leave_by_sigterm() -> None:
    """Let SIGTERM end a benchmark as Ctrl-C does: what it has started is ended too."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def lateness(isolate: Callable[[], None] | None = None) -> float:
    """Seconds, p99, that a process which only wakes on time is late now; `isolate` runs in it first."""
    command = [sys.executable, "-I", "-c", _WAKER]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, preexec_fn=isolate).stdout)


class Ticks(NamedTuple):
    """CPU time of the machine so far, in clock ticks of all cores together."""

    whole: int
    busy: int
    foreign: int
    """What neither this process nor its descendants took; interrupts belong to nobody, and do not count."""

    @classmethod
    def now(cls) -> Ticks:
        user, nice, system, idle, wait, irq, soft, steal = map(
            int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
        )
        whole = user + nice + system + idle + wait + irq + soft + steal
        busy = user + nice + system + steal
        return cls(whole, busy, busy - ticks_of(int(Path("/proc/self").readlink().name)))


def ticks_of(process: int) -> int:
    """CPU time, in clock ticks, of a process, its living descendants and those that were waited for."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended just now
        number = int(path.parent.name)
        parents[number] = int(fields[1])
        ticks[number] = sum(map(int, fields[11:15]))
    family = {process}
    while more := {number for number, parent in parents.items() if parent in family} - family:
        family |= more
    return sum(ticks.get(number, 0) for number in family)


class Conditions(NamedTuple):
    """In what state a round met the machine."""

    late: float
    """Seconds: the larger p99 of before and after."""
    foreign: float
    """Share of the machine that others took, 0 to 1."""

    @property
    def quiet(self) -> bool:
        return self.late <= LATENESS and self.foreign <= FOREIGN

    def __str__(self) -> str:
        return f"late by {self.late * 1000:.1f} ms, foreign CPU {self.foreign:.0%}"


def observed(measure: Callable[[], Mapping[str, float]]) -> tuple[Mapping[str, float], Conditions]:
    """Run one round; return its figures and the conditions that it had."""
    late = lateness()
    before = Ticks.now()
    figures = measure()
    after = Ticks.now()
    foreign = max(0, after.foreign - before.foreign) / max(1, after.whole - before.whole)
    return figures, Conditions(max(late, lateness()), foreign)


@dataclass
class Bars:
    """The bars of one benchmark: printed as they are judged, summed up by `exit_code`."""

    missed: list[str] = field(default_factory=list)
    not_judged: list[str] = field(default_factory=list)

    def at_most(self, name: str, value: float, limit: float, unit: str = "") -> bool:
        """Judge a ratio to a yardstick of the same run, a count or a size; NaN is missed."""
        return self._judge(name, value, "<=", limit, unit, kept=value <= limit)

    def at_least(self, name: str, value: float, limit: float, unit: str = "") -> bool:
        """Judge a ratio to a yardstick of the same run, a count or a size; NaN is missed."""
        return self._judge(name, value, ">=", limit, unit, kept=value >= limit)

    def times(
        self,
        measure: Callable[[], Mapping[str, float]],
        limits: Mapping[str, tuple[str, float]],
        tries: int = TRIES,
    ) -> list[Mapping[str, float]]:
        """Run rounds until enough were quiet, and judge the medians of those; return the figures of all rounds.

        `measure` gives the seconds of one round by name, `limits` a sign (`<=` or `>=`) and a limit for each name
        that has a bar.
        """
        if unknown := {sign for sign, _ in limits.values()} - {"<=", ">="}:
            raise ValueError(f"A bar is <= or >=, got {', '.join(sorted(unknown))}.")
        quiet: list[Mapping[str, float]] = []
        found: list[Mapping[str, float]] = []
        seen: list[Conditions] = []
        while len(quiet) < ROUNDS and len(found) < tries:
            figures, conditions = observed(measure)
            found.append(figures)
            seen.append(conditions)
            if conditions.quiet:
                quiet.append(figures)
        for name, (sign, limit) in limits.items():
            if len(quiet) < ROUNDS:
                self.not_judged.append(name)
                median = statistics.median(figures[name] for figures in found)
                calmest = min(seen, key=lambda one: (one.foreign, one.late))
                print(
                    f"{name}: {median * 1000:.4g} ms, bar {sign} {limit * 1000:.4g} ms: not judged; {len(quiet)} of "
                    f"{len(found)} rounds were quiet, {ROUNDS} are needed; the calmest: {calmest}",
                    flush=True,
                )
                continue
            median = statistics.median(figures[name] for figures in quiet) * 1000
            kept = median <= limit * 1000 if sign == "<=" else median >= limit * 1000
            self._judge(name, median, sign, limit * 1000, "ms", kept=kept)
        return found

    def _judge(self, name: str, value: float, sign: str, limit: float, unit: str, *, kept: bool) -> bool:
        if not kept:
            self.missed.append(name)
        mark = f" {unit}" if unit else ""
        print(f"{name}: {value:.4g}{mark}, bar {sign} {limit:.4g}{mark}: {'kept' if kept else 'MISSED'}", flush=True)
        return kept

    def exit_code(self) -> int:
        """Print the verdict; return 0, 1 or 2."""
        if self.missed:
            print(f"missed: {', '.join(self.missed)}", flush=True)
            return MISSED
        if self.not_judged:
            print(f"not judged: {', '.join(self.not_judged)}", flush=True)
            return NOT_JUDGED
        print("all bars are kept", flush=True)
        return KEPT
