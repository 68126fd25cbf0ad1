"""Metrics of a server over time: what is read, what is told, and what a failed reading leaves."""

# ruff: noqa: E501 - pages and messages are quoted whole

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from InferenceLibrary.errors import InferenceError, MonitorError
from InferenceLibrary.files import write_table
from InferenceLibrary.monitor import metrics as watching
from InferenceLibrary.monitor.metrics import MetricsMonitor, MetricsRecord
from InferenceLibrary.protocol.prometheus import Metrics, read_metrics


def readings(*steps: str | Exception) -> tuple[Callable[[], Metrics], threading.Event]:
    """A server that says these pages in turn, the last one for ever; the event tells that all were read."""
    rest: Iterator[str | Exception] = iter(steps)
    last: list[str | Exception] = [""]
    done = threading.Event()

    def read() -> Metrics:
        try:
            last[0] = next(rest)
        except StopIteration:
            done.set()
        if isinstance(last[0], Exception):
            raise last[0]
        return read_metrics(last[0])

    return read, done


PAGES = ('running{a="1"} 1\nrunning{a="2"} 2\nanswered_total 5\nwait_bucket{le="1"} 4\n', "running 7\nanswered_total 9\n", "running 4\nanswered_total 11\n")  # fmt: skip


def test_metrics_are_read_until_the_end() -> None:
    read, done = readings(*PAGES)
    monitor = MetricsMonitor("server", read, interval=0.05)
    monitor.start()
    assert done.wait(60)
    record = monitor.stop()
    assert monitor.stop() is record
    assert record.names == ("running", "answered_total"), "the buckets of histograms are left out"
    figures = {name: record.figure("running", name) for name in ("max", "min", "first", "last", "rise")}  # type: ignore[arg-type]
    assert figures == {"max": 7, "min": 3, "first": 3, "last": 4, "rise": 1}
    assert 3 < record.figure("running", "mean") < 7
    assert record.figure("answered_total", "rise") == 6
    assert record.missed == 0
    times = [when for when, _ in record.series("running")]
    assert times == sorted(times)


def test_a_counter_is_drawn_as_its_rise() -> None:
    record = MetricsRecord("server", 1.0, ("running", "answered_total"), 10.0)
    for when, values in ((10.0, (1.0, 5.0)), (12.0, (3.0, 9.0)), (12.0, (3.0, 9.0)), (13.0, (2.0, None))):
        record.add(when, values)
    assert record.curve("running") == [(10.0, 1.0), (12.0, 3.0), (12.0, 3.0), (13.0, 2.0)]
    assert record.curve("answered_total") == [(12.0, 2.0)]


def test_readings_are_written_as_csv_and_json(tmp_path: Path) -> None:
    record = MetricsRecord("server", 1.0, ("running",), 10.0, [(10.0, (1.0,)), (11.0, (None,))])
    for name in ("metrics.csv", "metrics.json"):
        write_table(tmp_path / "new" / name, record.rows(), record.as_json())
    with (tmp_path / "new" / "metrics.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [{"time": "0.0", "running": "1.0"}, {"time": "1.0", "running": ""}]
    data = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert (data["kind"], data["schema"], data["missed"]) == ("inference-metrics", 1, 0)
    assert data["readings"] == [{"time": 0.0, "running": 1.0}, {"time": 1.0, "running": None}]


def test_a_reading_that_fails_is_counted_and_the_next_is_there() -> None:
    read, done = readings(PAGES[0], InferenceError("refused\nmore"), PAGES[1])
    monitor = MetricsMonitor("server", read, ("running",), 0.05)
    monitor.start()
    assert done.wait(60)
    record = monitor.stop()
    assert (record.missed, record.problem) == (1, "refused")
    assert record.figure("running", "last") == 7
    assert str(record).endswith("1 failed (refused)")


def test_many_readings_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "MOST_READINGS", 8)
    record = MetricsRecord("server", 1.0, ("running",), 0.0)
    for when in range(50):
        record.add(float(when), (float(when),))
    assert len(record.readings) <= 8
    assert (record.figure("running", "first"), record.figure("running", "last")) == (0, 49)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda: MetricsMonitor("s", readings(PAGES[0])[0], ("runing",)).start(), r"Unknown metric 'runing': expected one of running, answered_total\. Hint: did you mean 'running'\?"),
        (lambda: MetricsMonitor("s", readings(PAGES[0])[0], (), 0.01), r"The interval of a monitor of metrics is too short: expected at least 50 ms, got 10 ms\."),
        (lambda: MetricsMonitor("s", readings(InferenceError("no"))[0]).start(), "no"),
        (lambda: MetricsRecord("s", 1.0, ("a",), 0.0).figure("b", "max"), r"Unknown metric 'b': expected one of a\."),
        (lambda: MetricsRecord("s", 1.0, ("a",), 0.0).figure("a", "max"), r"The metric a of 's' was never there: got s: 0 readings of 1 metrics\."),
        (lambda: MetricsRecord("s", 1.0, ("a",), 0.0, [(0.0, (1.0,))]).figure("a", "rise"), r"A rise of a cannot be told: expected two readings, got s: 1 readings of 1 metrics\."),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_said(act: Callable[[], object], message: str) -> None:
    with pytest.raises((MonitorError, InferenceError), match=message):
        act()
