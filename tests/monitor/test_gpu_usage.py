"""What GPUs do while a server is watched, and the gate on it. The driver is a fake: most machines have no GPU."""

from __future__ import annotations

import os
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from fake_nvml import FakeNvml
from robot.api import SkipExecution

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.errors import CheckFailure, MonitorError
from InferenceLibrary.monitor import gpu
from InferenceLibrary.monitor.memory import MemoryMonitor
from InferenceLibrary.monitor.memory_record import GpuUsage, MemoryRecord


def watched(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None) -> MemoryRecord:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    monitor = MemoryMonitor("watched", os.getpid(), 0.01)
    monitor.start()
    return monitor.stop()


def test_what_gpus_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    record = watched(monkeypatch, FakeNvml())
    assert record.no_gpu == ""
    assert record.used("gpu_utilisation") == pytest.approx(0.6)
    assert record.used("gpu_memory") == 300
    assert record.used("gpu_power") == 300
    assert record.used("gpu_temperature") == 51
    looks = len(record.gpu_series("utilisation"))
    assert looks >= 2
    assert record.used("gpu_energy") == 20 * (looks - 1), "five joules a question, and each of two GPUs has both"
    row = record.rows()[0]
    assert (row["gpu_utilisation"], row["gpu_power"], row["gpu_temperature"]) == (pytest.approx(0.6), 300, 51)
    lib = InferenceLibrary()
    assert lib.get_measured_resource("gpu_power", "<", "301 W", monitor=record) == 300
    with pytest.raises(CheckFailure, match=r"Gpu_utilisation of 'watched': expected > 80 %, got 60 %\."):
        lib.get_measured_resource("gpu_utilisation", ">", "80 %", monitor=record)


@pytest.mark.parametrize("figure", ["utilisation", "power", "energy"])
def test_what_a_driver_does_not_tell_is_missing_and_the_rest_is_there(
    monkeypatch: pytest.MonkeyPatch, figure: str
) -> None:
    record = watched(monkeypatch, FakeNvml(broken=figure))
    with pytest.raises(MonitorError, match=f"The monitor of 'watched' has no figure of gpu_{figure}"):
        record.used(f"gpu_{figure}")  # type: ignore[arg-type]
    assert record.used("gpu_temperature") == 51
    usage = record.samples[0].gpus
    assert usage is not None
    assert getattr(usage, figure) is None


def test_a_gpu_must_have_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    lib = InferenceLibrary()
    lib.gpu_should_have_been_used(least="60 %", monitor=watched(monkeypatch, FakeNvml()))
    with pytest.raises(
        CheckFailure,
        match=r"The GPU did not work for 'watched': expected a utilisation of 61 % at some time, got 60 % at most; "
        r"\d+ samples in",
    ):
        lib.gpu_should_have_been_used(least="61 %", monitor=watched(monkeypatch, FakeNvml()))
    with pytest.raises(CheckFailure, match="expected a utilisation of 1 % at some time, got 0 % at most"):
        lib.gpu_should_have_been_used(monitor=watched(monkeypatch, FakeNvml(busy=0)))
    with pytest.raises(MonitorError, match="Whether a GPU was used cannot be told"):
        lib.gpu_should_have_been_used(monitor=watched(monkeypatch, FakeNvml(broken="utilisation")))


def test_one_moment_of_work_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    record = watched(monkeypatch, FakeNvml(busy=0))
    sample = record.samples[0]
    record.samples.append(type(sample)(sample.time, 1, 1, gpus=GpuUsage(sample.time, utilisation=0.3)))
    InferenceLibrary().gpu_should_have_been_used(least="30 %", monitor=record)


def test_without_a_gpu_the_gate_skips_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    record = watched(monkeypatch, FakeNvml(broken="init"))
    with pytest.raises(SkipExecution, match=r"No NVIDIA GPU can be used here: NVML .* Not Found\. Hint: run"):
        InferenceLibrary().gpu_should_have_been_used(monitor=record)
    with pytest.raises(MonitorError, match=r"no figure of gpu_power: .* got No NVIDIA GPU can be used here"):
        record.used("gpu_power")


def test_gpus_are_asked_some_times_a_second_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml())
    monitor = MemoryMonitor("watched", os.getpid(), 10.0)
    monitor.start()
    for _ in range(5):
        monitor.snapshot()
    record = monitor.stop()
    times = [when for when, _ in record.gpu_series("power")]
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(times[:-1]))
    reader, _ = gpu.open_gpus()
    assert reader is not None
    reader.close()
