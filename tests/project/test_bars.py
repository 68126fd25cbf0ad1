"""What benchmarks are held to: ratios in every run, times in quiet rounds only, and an exit code that says which."""

from __future__ import annotations

import ast
import math
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from machine import patience

FOLDER = Path(__file__).parents[2] / "benchmarks"
BENCHMARKS = [path for path in FOLDER.glob("*.py") if "\ndef main(" in path.read_text(encoding="utf-8")]


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(FOLDER)
    import bars

    return bars


def conditions(bars: ModuleType, monkeypatch: pytest.MonkeyPatch, *rounds: tuple[float, float]) -> None:
    """Let rounds meet the machine in these states: lateness in seconds, share of others."""
    states: Iterator[tuple[float, float]] = iter(rounds)
    monkeypatch.setattr(bars, "observed", lambda measure: (measure(), bars.Conditions(*next(states))))


QUIET, LATE, TAKEN = (0.002, 0.10), (0.0021, 0.0), (0.0, 0.11)


@pytest.mark.parametrize(
    ("value", "missed"), [(1.0, False), (1.01, True), (math.nan, True), (math.inf, True), (-math.inf, False)]
)
def test_a_ratio_is_judged_in_every_run(bars: ModuleType, value: float, missed: bool) -> None:
    found = bars.Bars()
    assert found.at_most("ratio", value, 1.0) is not missed
    assert found.exit_code() == (1 if missed else 0)


@pytest.mark.parametrize(("value", "missed"), [(1.0, False), (0.99, True), (math.nan, True)])
def test_the_least_is_judged_too(bars: ModuleType, value: float, missed: bool) -> None:
    found = bars.Bars()
    assert found.at_least("ratio", value, 1.0) is not missed
    assert found.exit_code() == (1 if missed else 0)


@pytest.mark.parametrize(
    ("sign", "values", "code"),
    [
        ("<=", [0.9, 1.0, 1.3], 0),
        ("<=", [0.9, 1.01, 1.3], 1),
        (">=", [1.2, 1.0, 0.7], 0),
        (">=", [1.2, 0.99, 0.7], 1),
        ("<=", [math.nan] * 3, 1),
    ],
)
def test_the_median_of_three_quiet_rounds_is_judged(
    bars: ModuleType, monkeypatch: pytest.MonkeyPatch, sign: str, values: list[float], code: int
) -> None:
    conditions(bars, monkeypatch, QUIET, QUIET, QUIET)
    left = iter(values)
    found = bars.Bars()
    assert len(found.times(lambda: {"x": next(left)}, {"x": (sign, 1.0)})) == 3
    assert found.exit_code() == code


@pytest.mark.parametrize("noise", [LATE, TAKEN, (math.nan, 0.0), (0.0, math.nan)])
def test_rounds_with_noise_do_not_count(
    bars: ModuleType, monkeypatch: pytest.MonkeyPatch, noise: tuple[float, float]
) -> None:
    conditions(bars, monkeypatch, noise, QUIET, noise, QUIET, noise, QUIET)
    left = iter([100.0, 1.0, 100.0, 1.0, 100.0, 1.0])
    found = bars.Bars()
    assert len(found.times(lambda: {"x": next(left)}, {"x": ("<=", 1.0)})) == 6
    assert found.exit_code() == 0


def test_without_enough_quiet_rounds_nothing_is_judged(
    bars: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    conditions(bars, monkeypatch, QUIET, QUIET, *[(0.005, 0.5)] * 7)
    found = bars.Bars()
    assert len(found.times(lambda: {"x": 2.0}, {"x": ("<=", 1.0)})) == bars.TRIES
    assert found.exit_code() == 2
    printed = capsys.readouterr().out
    assert "not judged; 2 of 9 rounds were quiet, 3 are needed; the calmest: late by 2.0 ms, foreign CPU 10%" in printed
    assert printed.endswith("not judged: x\n")


def test_a_bar_that_is_missed_weighs_more_than_one_that_is_not_judged(
    bars: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions(bars, monkeypatch, *[LATE] * 9)
    found = bars.Bars()
    found.times(lambda: {"x": 0.0}, {"x": ("<=", 1.0)})
    found.at_most("ratio", 2.0, 1.0)
    assert found.exit_code() == 1


def test_a_sign_that_is_not_known_is_refused(bars: ModuleType) -> None:
    with pytest.raises(ValueError, match="<= or >=, got <"):
        bars.Bars().times(lambda: {"x": 1.0}, {"x": ("<", 1.0)})


LOOP = "import time\nwhile time.process_time() < 1: pass"
"""Takes a second of CPU time, on any machine."""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_work_of_others_is_told_from_our_own(bars: ModuleType) -> None:
    """The same loop is ours when a child runs it, and foreign when a stranger does."""
    second = os.sysconf("SC_CLK_TCK")
    before = bars.Ticks.now()
    subprocess.run([sys.executable, "-c", LOOP], check=True)
    between = bars.Ticks.now()
    # Its parent ends at once, so it is not a descendant; its output ends when it does.
    subprocess.run(["sh", "-c", f"{sys.executable} -c '{LOOP}' &"], check=True, stdout=subprocess.PIPE)
    after = bars.Ticks.now()

    def ours(one: Any, other: Any) -> int:
        return (other.busy - one.busy) - (other.foreign - one.foreign)

    assert ours(before, between) >= 0.9 * second
    assert ours(between, after) <= 0.5 * second
    assert after.foreign - between.foreign >= 0.9 * second


def test_a_waker_measures_lateness(bars: ModuleType) -> None:
    assert 0 < bars.lateness() < 60


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_benchmark_ends_with_the_verdict_of_its_bars(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (main,) = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main"]
    returned = [ast.unparse(node.value) for node in ast.walk(main) if isinstance(node, ast.Return) and node.value]
    assert returned == ["bars.exit_code()"]


def test_there_are_benchmarks() -> None:
    assert len(BENCHMARKS) >= 5


_LEAVES = """
import sys, time
import bars, stand_in
bars.leave_by_sigterm()
server = stand_in.Server()
print(server.process.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="benchmarks read /proc: needs Linux")
def test_what_a_benchmark_has_started_ends_with_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _LEAVES],
        cwd=FOLDER,
        env={**os.environ, "PYTHONPATH": str(FOLDER)},
        stdout=subprocess.PIPE,
    ) as benchmark:
        assert benchmark.stdout is not None
        server = os.pidfd_open(int(benchmark.stdout.readline()))
        benchmark.send_signal(signal.SIGTERM)
    assert benchmark.returncode == 128 + signal.SIGTERM
    with os.fdopen(server) as watched:
        assert select.select([watched], [], [], patience(10))[0] == [watched]
