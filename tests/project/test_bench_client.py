"""The benchmark of tests over empty ones: it sees a slow test, and counts tests that start a program apart."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "client.py"
SUITE = """
*** Settings ***
Library        InferenceLibrary
Suite Setup    Use Target

*** Test Cases ***
Slow
    Sleep    200 ms

Slow Too
    Sleep    200 ms

Own Server
    Start Server    simulator

Left Out
    Skip    not here
"""


def test_a_slow_suite_exceeds_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(PATH.parent)
    spec = importlib.util.spec_from_file_location("bench_client", PATH)
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    monkeypatch.setattr(bench, "EMPTY_TESTS", 10)
    suite = tmp_path / "slow.robot"
    suite.write_text(SUITE, encoding="utf-8")

    bars = bench.Bars()
    assert bench.tests_over_empty_ones([suite], tmp_path / "ratio", bars) > bench.TEST_BUDGET
    assert bars.exit_code() == 1
    printed = capsys.readouterr().out
    assert "10 tests with one chat" in printed
    assert "2 tests of the suites" in printed
    assert "bar <= 3: MISSED\n" in printed
