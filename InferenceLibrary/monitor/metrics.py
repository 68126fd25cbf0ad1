"""The metrics of a server over time: a thread that reads them at an interval, on the clock that loads have too."""

from __future__ import annotations

import difflib
import json
import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from InferenceLibrary.errors import InferenceError, MonitorError, describe
from InferenceLibrary.monitor.grid import Halt, on_grid
from InferenceLibrary.protocol.prometheus import Metrics

SHORTEST_INTERVAL = 0.05
"""Seconds; reading more often would be a load of its own."""
MOST_READINGS = 8_192
"""Readings that are kept; of more every second one is left out."""
Statistic = Literal["max", "min", "mean", "first", "last", "rise"]
COUNTERS = ("_total", "_sum", "_count")
_NOT_KEPT = ("_bucket", "_created")


@dataclass
class MetricsRecord:
    """What a monitor of metrics read.

    Args:
        name: Name of the server.
        interval: Seconds between readings, as asked for.
        names: The metrics, each summed over its labels.
        started: Seconds on the monotonic clock.
        readings: (monotonic seconds, value of each metric; None where it was not there), in the order of time.
        missed: Readings that failed.
        problem: How the last of them failed.
    """

    name: str
    interval: float
    names: tuple[str, ...]
    started: float
    readings: list[tuple[float, tuple[float | None, ...]]] = field(default_factory=list)
    missed: int = 0
    problem: str = ""

    def add(self, when: float, values: tuple[float | None, ...]) -> None:
        if len(self.readings) >= MOST_READINGS:
            self.readings = self.readings[::2]
        self.readings.append((when, values))

    def series(self, name: str) -> list[tuple[float, float]]:
        """Return (monotonic seconds, value) of a metric.

        Raises:
            MonitorError: It was not watched, or never there.
        """
        if name not in self.names:
            raise self._unknown(name, self.names)
        place = self.names.index(name)
        found = [(when, value) for when, values in self.readings if (value := values[place]) is not None]
        if not found:
            raise MonitorError(describe(f"The metric {name} of '{self.name}' was never there", got=str(self)))
        return found

    def curve(self, name: str) -> list[tuple[float, float]]:
        """Return (monotonic seconds, value) for a picture; of a counter its rise a second since the reading before.

        A counter is known by its name, as the format asks for: it ends with `_total`, `_sum` or `_count`.
        """
        found = self.series(name)
        if not name.endswith(COUNTERS):
            return found
        return [(now, (value - was) / (now - then)) for (then, was), (now, value) in pairwise(found) if now > then]

    def figure(self, name: str, statistic: Statistic) -> float:
        """Return a figure of a metric over the time: `rise` is the last value less the first.

        Raises:
            MonitorError: It was not watched, or there are too few readings.
        """
        values = [value for _, value in self.series(name)]
        if statistic == "rise" and len(values) < 2:
            raise MonitorError(describe(f"A rise of {name} cannot be told", expected="two readings", got=str(self)))
        figures: Mapping[str, Callable[[], float]] = {
            "max": lambda: max(values),
            "min": lambda: min(values),
            "mean": lambda: statistics.fmean(values),
            "first": lambda: values[0],
            "last": lambda: values[-1],
            "rise": lambda: values[-1] - values[0],
        }
        return figures[statistic]()

    def rows(self) -> list[dict[str, float | None]]:
        """Return the readings as a table: `time` in seconds from the start, and the metrics by name."""
        return [
            {"time": round(when - self.started, 6), **dict(zip(self.names, values, strict=True))}
            for when, values in self.readings
        ]

    def as_json(self) -> str:
        """Return the readings as JSON, as `rows` tells them."""
        facts = {"kind": "inference-metrics", "schema": 1, "name": self.name, "interval": self.interval}
        return json.dumps({**facts, "missed": self.missed, "readings": self.rows()}, indent=1) + "\n"

    @staticmethod
    def _unknown(name: str, known: Sequence[str]) -> MonitorError:
        nearest = difflib.get_close_matches(name, known, 1)
        shown = ", ".join(known[:10]) + (f" and {len(known) - 10} more" if len(known) > 10 else "")
        hint = f"did you mean '{nearest[0]}'?" if nearest else None
        return MonitorError(describe(f"Unknown metric '{name}'", expected=f"one of {shown or 'none'}", hint=hint))

    def __str__(self) -> str:
        failed = f", {self.missed} failed ({self.problem})" if self.missed else ""
        return f"{self.name}: {len(self.readings)} readings of {len(self.names)} metrics{failed}"

    __repr__ = __str__


class MetricsMonitor:
    """Reads metrics in a thread of its own, from `start` to `stop`.

    Args:
        name: Name of the server.
        read: Reads them once.
        names: Which; all but the buckets of histograms where none are named.
        interval: Seconds between readings.

    Raises:
        MonitorError: The interval is too short.
    """

    def __init__(
        self, name: str, read: Callable[[], Metrics], names: Sequence[str] = (), interval: float = 1.0
    ) -> None:
        if interval < SHORTEST_INTERVAL:
            raise MonitorError(
                describe(
                    "The interval of a monitor of metrics is too short",
                    expected=f"at least {SHORTEST_INTERVAL * 1000:g} ms",
                    got=f"{interval * 1000:g} ms",
                )
            )
        self.name = name
        self.chosen = tuple(names)
        self._read = read
        self._stop = Halt()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.record = MetricsRecord(name, interval, self.chosen, time.monotonic())

    def start(self) -> None:
        """Read once and begin to watch.

        Raises:
            InferenceError: The metrics cannot be had, or one of those named is not among them.
        """
        first = self._read()
        there = [name for name in first.names if not name.endswith(_NOT_KEPT)]
        for name in self.chosen:
            if first.value(name) is None:
                raise MetricsRecord._unknown(name, there)
        self.record.names = self.chosen or tuple(there)
        self.record.started = time.monotonic()
        self._add(first)
        self._thread = threading.Thread(target=self._watch, name=f"metrics-monitor-{self.name}", daemon=True)
        self._thread.start()

    def stop(self) -> MetricsRecord:
        """Read once more, end the thread and return the record. A second call returns the same record."""
        if not self._stop.is_set():
            self._stop.set()
            if self._thread is not None:
                self._thread.join(5)
            self._take()
        return self.record

    def snapshot(self) -> MetricsRecord:
        """Return the record with a reading of this moment, where the monitor still runs."""
        if not self._stop.is_set():
            self._take()
        return self.record

    def close(self) -> None:
        """End the thread. A second call does nothing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)

    def _watch(self) -> None:
        on_grid(self._stop, self.record.started, self.record.interval, self._take)

    def _take(self) -> bool:
        with self._lock:
            try:
                self._add(self._read())
            except InferenceError as error:
                self.record.missed += 1
                self.record.problem = str(error).partition("\n")[0]
        return True

    def _add(self, found: Metrics) -> None:
        self.record.add(time.monotonic(), tuple(found.value(name) for name in self.record.names))
