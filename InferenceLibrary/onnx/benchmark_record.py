"""What a benchmark of a model measured: rows, their figures, the file they are kept in, and the judgement over time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from InferenceLibrary.errors import CheckFailure, MonitorError, describe
from InferenceLibrary.files import write_text
from InferenceLibrary.sizes import show_bytes
from InferenceLibrary.stats import Interval, mean, percentile, ratio_of_medians

Figure = Literal["latency", "first run", "throughput"]
SCHEMA = 1
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Row:
    """One line of a benchmark.

    Args:
        provider: Short name of the provider that was there first: `CUDA`.
        batch: Size of the batch.
        io_binding: Whether inputs and outputs were bound to memory of the device.
        first: Seconds of the first run of this shape.
        times: Seconds of each run that counts, in order.
        host_growth: Bytes by which this process grew over all runs of the batch; None where it cannot be seen.
        device_growth: The same in use on the GPUs, whoever took it.
    """

    provider: str
    batch: int
    io_binding: bool
    first: float
    times: tuple[float, ...]
    host_growth: int | None = None
    device_growth: int | None = None

    @property
    def label(self) -> str:
        """`CUDA, batch 4, bound`."""
        return f"{self.provider}, batch {self.batch}{', bound' if self.io_binding else ''}"

    @property
    def throughput(self) -> float:
        """Items a second: the batch over the mean time of a run."""
        return self.batch / mean(self.times)

    def latency(self, rank: str) -> float:
        """Return seconds of a run: `p50`, `p99`, `mean`, `min` or `max`.

        Raises:
            MonitorError: The rank is unknown.
        """
        if rank == "mean":
            return mean(self.times)
        named = {"min": 0.0, "max": 100.0, "median": 50.0}
        try:
            return percentile(self.times, named[rank] if rank in named else float(rank.removeprefix("p")))
        except ValueError:
            raise MonitorError(
                describe(f"Unknown percentile '{rank}'", expected="p50, p99, mean, min or max")
            ) from None

    def __str__(self) -> str:
        parts = [
            f"{self.label}: median {_ms(self.latency('p50'))}, p99 {_ms(self.latency('p99'))}",
            f"{self.throughput:.4g} items/s, first run {_ms(self.first)}",
        ]
        if self.host_growth is not None:
            parts.append(f"host {_signed(self.host_growth)}")
        if self.device_growth is not None:
            parts.append(f"device {_signed(self.device_growth)}")
        return ", ".join(parts)

    __repr__ = __str__


@dataclass(frozen=True)
class Benchmark:
    """All rows of one measurement of a model."""

    name: str
    runs: int
    warmup: int
    rows: Sequence[Row]
    machine: Mapping[str, str]
    date: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def __str__(self) -> str:
        return f"{self.name}: {self.runs} runs of each row; " + "; ".join(map(str, self.rows))

    __repr__ = __str__

    def close(self) -> None:
        """Nothing is held."""

    def row(self, provider: str | None = None, batch: int | None = None, io_binding: bool | None = None) -> Row:
        """Return the one row that fits.

        Raises:
            MonitorError: None fits, or several do.
        """
        fitting = [
            item
            for item in self.rows
            if (provider is None or provider.lower() == item.provider.lower())
            and batch in {None, item.batch}
            and io_binding in {None, item.io_binding}
        ]
        if len(fitting) != 1:
            raise MonitorError(
                describe(
                    f"{'No row fits' if not fitting else 'Several rows fit'} in the benchmark of '{self.name}'",
                    expected=f"one of: {'; '.join(item.label for item in fitting or self.rows)}",
                    hint="provider=, batch= and io_binding= choose one",
                )
            )
        return fitting[0]

    def save(self, path: Path) -> None:
        """Write all figures as JSON.

        Raises:
            InferenceError: The file cannot be written.
        """
        data = {"schema": SCHEMA, "kind": "onnx-benchmark", **asdict(self)}
        write_text(path, json.dumps(data, indent=1) + "\n")


def read_benchmark(path: Path) -> Benchmark:
    """Return what `save` wrote.

    Raises:
        MonitorError: The file is missing or is not one.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if data.get("kind") != "onnx-benchmark" or data.get("schema") != SCHEMA:
            raise ValueError(f"kind {data.get('kind')!r}, schema {data.get('schema')!r}")
        rows = [Row(**{**row, "times": tuple(map(float, row["times"]))}) for row in data["rows"]]
        return Benchmark(data["name"], data["runs"], data["warmup"], rows, data["machine"], data["date"])
    except FileNotFoundError:
        raise MonitorError(
            describe(f"Baseline '{path}' does not exist", hint="Benchmark Onnx Model    save_as= writes one")
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise MonitorError(
            describe(f"Baseline '{path}' cannot be read", expected="a file of Benchmark Onnx Model", got=str(error))
        ) from None


def check_not_slower(now: Benchmark, before: Benchmark, tolerance: float) -> list[str]:
    """Compare each row with that of a baseline; return one line a row.

    A row is slower when even the low end of the interval of `median now / median before` (95 %, no assumption on the
    distribution) lies above `1 + tolerance`.

    Raises:
        CheckFailure: A row is slower; the message has its interval.
        MonitorError: The machines differ, no row is in both, or the tolerance is negative.
    """
    if not 0 <= tolerance < float("inf"):
        raise MonitorError(describe("tolerance cannot be used", expected="a share of 0 or more", got=f"{tolerance:g}"))
    other = [
        f"{key} {now.machine.get(key)} for {was}" for key, was in before.machine.items() if now.machine.get(key) != was
    ]
    if other:
        raise MonitorError(
            describe(
                "The baseline was measured elsewhere",
                expected="the same machine and versions",
                got="; ".join(other),
                hint="measure a baseline here",
            )
        )
    known = {(row.provider, row.batch, row.io_binding): row for row in before.rows}
    lines: list[str] = []
    for row in now.rows:
        base = known.get((row.provider, row.batch, row.io_binding))
        if base is None:
            continue
        ratio = ratio_of_medians(row.times, base.times, CONFIDENCE)
        if ratio.low > 1 + tolerance:
            raise CheckFailure(
                describe(
                    f"ONNX model '{now.name}' became slower ({row.label})",
                    expected=f"at most {1 + tolerance:.4g} times the baseline of {before.date}",
                    got=_ratio(ratio, row, base),
                )
            )
        lines.append(f"{row.label}: {_ratio(ratio, row, base)}")
    if not lines:
        raise MonitorError(
            describe(
                "Benchmark and baseline have no row in common",
                expected="; ".join(row.label for row in before.rows),
                got="; ".join(row.label for row in now.rows),
            )
        )
    return lines


def _ratio(ratio: Interval, row: Row, base: Row) -> str:
    return f"{ratio} times ({_ms(row.latency('p50'))} for {_ms(base.latency('p50'))})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.3g} ms"


def _signed(size: int) -> str:
    return f"{'-' if size < 0 else '+'}{show_bytes(abs(size))}"
