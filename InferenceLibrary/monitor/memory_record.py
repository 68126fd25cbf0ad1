"""What a monitor saw: samples over time, peaks, and how long it looked.

RSS counts every page that a process has in memory, so pages that processes share count once for each of them. PSS
divides shared pages among their users: the sum over a tree is what the tree really holds. USS counts pages that nobody
shares.
(Linux: Documentation/filesystems/proc.rst, smaps_rollup.)
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from InferenceLibrary.errors import MonitorError, describe

Kind = Literal["rss", "pss", "uss", "gpu"]
KINDS: tuple[Kind, ...] = ("rss", "pss", "uss", "gpu")

Resource = Literal[
    "cpu", "threads", "handles", "gpu_utilisation", "gpu_memory", "gpu_power", "gpu_temperature", "gpu_energy"
]
_GPU = ("utilisation", "memory", "power", "temperature", "energy")
_FEWEST = 8
"""Samples from which growth is told."""

MOST_SAMPLES = 8_192
"""Samples kept; beyond it neighbours are merged, keeping their peaks, so that a day of watching fits in a megabyte."""


@dataclass(frozen=True)
class ProcessUsage:
    """What a process tree uses beside memory, at one moment.

    Args:
        time: Seconds on the monotonic clock.
        cpu: Seconds of CPU time since the watching began, those of processes that ended meanwhile included.
        threads: Their number in the tree.
        handles: Open files, sockets and pipes (handles on Windows); None where the system does not tell.
        read: Bytes that were read from disks since each process began; None where the system does not tell.
        written: Bytes that were written to them.
    """

    time: float
    cpu: float
    threads: int
    handles: int | None = None
    read: int | None = None
    written: int | None = None


@dataclass(frozen=True)
class GpuUsage:
    """What the GPUs of the machine do, at one moment, whoever uses them. What the driver does not tell is None.

    NVML averages utilisation over 1/6 to 1 second, and power over one on newer GPUs.

    Args:
        time: Seconds on the monotonic clock.
        utilisation: Share of the time in which something ran, 0 to 1, the mean of the GPUs.
        memory: Bytes in use on all of them.
        power: Watts of all of them.
        temperature: Degrees Celsius of the hottest.
        energy: Joules of all of them since the driver was loaded.
    """

    time: float
    utilisation: float | None = None
    memory: float | None = None
    power: float | None = None
    temperature: float | None = None
    energy: float | None = None


@dataclass(frozen=True)
class MemorySample:
    """Memory of a process tree at one moment.

    Args:
        time: Seconds on the monotonic clock.
        processes: Number of processes in the tree.
        rss: Bytes, the sum over the tree.
        pss: Bytes, the sum over the tree; None when it was not read at this moment or cannot be read.
        uss: Bytes, the sum over the tree; None as for `pss`.
        gpu: Bytes on all GPUs that the tree holds; None without a GPU.
        usage: What it uses beside memory; about once a second, None between.
        gpus: What the GPUs do; some times a second, None between and without a GPU.
    """

    time: float
    processes: int
    rss: int
    pss: int | None = None
    uss: int | None = None
    gpu: int | None = None
    usage: ProcessUsage | None = None
    gpus: GpuUsage | None = None

    def get(self, kind: Kind) -> int | None:
        """Return one of the figures."""
        value: int | None = getattr(self, kind)
        return value


@dataclass
class MemoryRecord:
    """The series of a monitor.

    Args:
        name: Name of what was watched.
        interval: Seconds between samples, as asked for.
        started: Seconds on the monotonic clock when watching began.
        ended: When watching ended, None while it goes on.
        process_ended: Seconds after the start when the watched process was found gone, None while it lives.
        samples: In order of time; merged in pairs when they become many.
        no_gpu: Why there is no GPU to watch; empty where there is one.
    """

    name: str
    interval: float
    started: float
    ended: float | None = None
    process_ended: float | None = None
    samples: list[MemorySample] = field(default_factory=list)
    no_gpu: str = ""
    count: int = 0
    _peaks: dict[Kind, int] = field(default_factory=dict, repr=False)

    def add(self, sample: MemorySample) -> None:
        """Append a sample; peaks are kept exactly, whatever becomes of the series."""
        self.count += 1
        for kind in KINDS:
            value = sample.get(kind)
            if value is not None:
                self._peaks[kind] = max(value, self._peaks.get(kind, 0))
        if len(self.samples) >= MOST_SAMPLES:
            pairs = zip(self.samples[::2], self.samples[1::2], strict=True)
            self.samples = [_merge(one, other) for one, other in pairs]
        self.samples.append(sample)

    def has(self, kind: Kind) -> bool:
        """Whether there is any figure of this kind."""
        return kind in self._peaks

    def best_kind(self) -> Kind:
        """PSS where it could be read, else RSS."""
        return "pss" if self.has("pss") else "rss"

    def peak(self, kind: Kind | None = None) -> int:
        """Return the highest figure in bytes.

        Args:
            kind: `pss` where it could be read, else `rss`, when None.

        Raises:
            MonitorError: Nothing of this kind was measured.
        """
        wanted = kind or self.best_kind()
        if wanted not in self._peaks:
            have = ", ".join(self._peaks) or "nothing"
            raise MonitorError(
                describe(f"The memory monitor of '{self.name}' has no {wanted.upper()}", expected="samples", got=have)
            )
        return self._peaks[wanted]

    def series(self, kind: Kind) -> list[tuple[float, int]]:
        """Return (monotonic seconds, bytes) of the samples that have this figure."""
        return [(sample.time, value) for sample in self.samples if (value := sample.get(kind)) is not None]

    def cpu_shares(self) -> list[tuple[float, float]]:
        """Return (monotonic seconds, share of one core since the sample before) of the samples that have the CPU time.

        Four busy threads are 4.0.
        """
        seen = [(sample.usage.time, sample.usage.cpu) for sample in self.samples if sample.usage is not None]
        pairs = itertools.pairwise(seen)
        return [(now, (cpu - was) / (now - before)) for (before, was), (now, cpu) in pairs if now > before]

    def gpu_series(self, figure: str) -> list[tuple[float, float]]:
        """Return (monotonic seconds, value) of a figure of `GpuUsage`, of the samples that have it."""
        seen = [sample.gpus for sample in self.samples if sample.gpus is not None]
        return [(one.time, value) for one in seen if (value := getattr(one, figure)) is not None]

    def _gpu(self, figure: str) -> float | None:
        values = [value for _, value in self.gpu_series(figure)]
        if figure == "energy":
            return values[-1] - values[0] if len(values) > 1 else None
        if not values:
            return None
        return max(values) if figure in {"memory", "temperature"} else statistics.fmean(values)

    def used(self, resource: Resource) -> float:
        """Return the mean share of one core, or the most threads or open handles that were seen.

        Of the GPUs: the mean utilisation and power, the most memory and temperature, and the energy meanwhile.

        Raises:
            MonitorError: It was not measured.
        """
        usages = [(sample.usage.time, sample.usage) for sample in self.samples if sample.usage is not None]
        values: list[float] = []
        if resource == "cpu" and len(usages) > 1 and usages[-1][0] > usages[0][0]:
            values = [(usages[-1][1].cpu - usages[0][1].cpu) / (usages[-1][0] - usages[0][0])]
        elif resource == "threads":
            values = [usage.threads for _, usage in usages]
        elif resource == "handles":
            values = [usage.handles for _, usage in usages if usage.handles is not None]
        elif resource.startswith("gpu_"):
            value = self._gpu(resource.removeprefix("gpu_"))
            values = [] if value is None else [value]
        if not values:
            raise MonitorError(
                describe(
                    f"The monitor of '{self.name}' has no figure of {resource}",
                    expected="two samples or more that have it",
                    got=str(len(usages)) if not (self.no_gpu and resource.startswith("gpu_")) else self.no_gpu,
                )
            )
        return max(values)

    def growth(self, kind: Kind | None = None) -> tuple[float, float]:
        """Return the memory at the beginning and at the end, in bytes: medians of the first and the last quarter.

        Raises:
            MonitorError: There are fewer than eight samples of this kind.
        """
        wanted = kind or "rss"
        values = [value for _, value in self.series(wanted)]
        if len(values) < _FEWEST:
            raise MonitorError(
                describe(
                    f"Growth of the memory of '{self.name}' cannot be told",
                    expected=f"{_FEWEST} samples or more of its {wanted.upper()}",
                    got=str(len(values)),
                    hint="watch longer, or at a shorter interval",
                )
            )
        quarter = len(values) // 4
        return statistics.median(values[:quarter]), statistics.median(values[-quarter:])

    def as_json(self) -> str:
        """Return the samples as JSON, as `rows` tells them."""
        facts = {"kind": "inference-monitor", "schema": 1, "name": self.name, "interval": self.interval}
        return json.dumps({**facts, "samples": self.rows()}, indent=1) + "\n"

    def rows(self) -> list[dict[str, float | int | None]]:
        """Return the samples as a table: `time` in seconds from the start, memory in bytes, `cpu` in seconds."""
        names = ("cpu", "threads", "handles", "read", "written")
        return [
            {
                "time": round(sample.time - self.started, 6),
                "processes": sample.processes,
                **{name: sample.get(name) for name in KINDS},
                **{name: getattr(sample.usage, name) if sample.usage is not None else None for name in names},
                **{f"gpu_{name}": getattr(sample.gpus, name) if sample.gpus is not None else None for name in _GPU},
            }
            for sample in self.samples
        ]

    @property
    def duration(self) -> float:
        """Seconds of watching, up to the last sample while it goes on."""
        last = self.samples[-1].time if self.samples else self.started
        return (self.ended if self.ended is not None else last) - self.started

    def __str__(self) -> str:
        if not self._peaks:
            return f"{self.name}: no memory sample in {self.duration:.2f} s"
        peaks = ", ".join(f"{kind.upper()} {self._peaks[kind] / 1e6:,.1f} MB" for kind in KINDS if kind in self._peaks)
        most = max(sample.processes for sample in self.samples)
        text = f"{self.name}: peak {peaks}; {self.count} samples in {self.duration:.2f} s of up to {most} processes"
        if self.process_ended is not None:
            text += f"; the process ended after {self.process_ended:.2f} s"
        return text

    __repr__ = __str__


def _merge(one: MemorySample, other: MemorySample) -> MemorySample:
    return replace(
        other,
        processes=max(one.processes, other.processes),
        rss=max(one.rss, other.rss),
        pss=_most(one.pss, other.pss),
        uss=_most(one.uss, other.uss),
        gpu=_most(one.gpu, other.gpu),
        usage=other.usage or one.usage,
        gpus=other.gpus or one.gpus,
    )


def _most(one: int | None, other: int | None) -> int | None:
    present = [value for value in (one, other) if value is not None]
    return max(present, default=None)


Reader = Callable[[], MemorySample | None]
"""Takes a sample; None when the watched process is gone."""
