"""What a monitor saw: samples over time, peaks, and how long it looked.

RSS counts every page that a process has in memory, so pages that processes share count once for each of them. PSS
divides shared pages among their users: the sum over a tree is what the tree really holds. USS counts pages that nobody
shares.
(Linux: Documentation/filesystems/proc.rst, smaps_rollup.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from InferenceLibrary.errors import MonitorError, describe

Kind = Literal["rss", "pss", "uss", "gpu"]
KINDS: tuple[Kind, ...] = ("rss", "pss", "uss", "gpu")

MOST_SAMPLES = 8_192
"""Samples kept; beyond it neighbours are merged, keeping their peaks, so that a day of watching fits in a megabyte."""


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
    """

    time: float
    processes: int
    rss: int
    pss: int | None = None
    uss: int | None = None
    gpu: int | None = None

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
    """

    name: str
    interval: float
    started: float
    ended: float | None = None
    process_ended: float | None = None
    samples: list[MemorySample] = field(default_factory=list)
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
    )


def _most(one: int | None, other: int | None) -> int | None:
    present = [value for value in (one, other) if value is not None]
    return max(present, default=None)


Reader = Callable[[], MemorySample | None]
"""Takes a sample; None when the watched process is gone."""
