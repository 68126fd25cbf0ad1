"""The figures that tests measured, read from the files that their logs link to.

Each kind of measurement writes its figures as JSON beside the log; here they become one form.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from InferenceLibrary.report.run_results import Measured, MeasuredCurve, MeasuredFigure, RunResults, TestResult
from InferenceLibrary.stats import mean, percentile

_LARGEST = 8_000_000
"""Bytes of a file that is read."""
_HEAD = 400
"""Bytes of a file within which it names its format."""
_MOST = 500
"""Measurements of a run that are read."""
_POINTS = 200
"""Points of a curve that are kept."""
_REDUCTIONS = ("count", "mean", "median", "p90", "p95", "p99", "minimum", "maximum")


def with_measurements(results: RunResults, folder: Path) -> RunResults:
    """Return the results with what their tests measured.

    Args:
        results: A run.
        folder: Its output folder; files that are gone, or lie elsewhere, are left out.
    """
    folder = folder.resolve()
    found: list[Measured] = []
    problems: list[str] = []
    for test in results.tests:
        for path in _files(test, folder):
            if len(found) >= _MOST:
                problems.append(f"WARN: only {_MOST} measurements are read; the log of '{test.name}' links to more")
                return msgspec.structs.replace(results, measurements=found, problems=results.problems + problems)
            file = path.relative_to(folder).as_posix()
            try:
                read = [one for one in _read(path.read_bytes()) if one.figures]
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                problems.append(f"WARN: the figures in {file} are damaged or of another version: {error!r}")
                continue
            place = f"{test.suite}.{test.name}"
            found += [msgspec.structs.replace(one, test=place, file=file) for one in read]
    return msgspec.structs.replace(results, measurements=found, problems=results.problems + problems)


def _files(test: TestResult, folder: Path) -> Iterator[Path]:
    for artifact in test.artifacts:
        if artifact.path.endswith(".json"):
            path = (folder / artifact.path).resolve()
            if path.is_relative_to(folder) and path.is_file() and path.stat().st_size <= _LARGEST:
                # Most such files are records of calls, which need not be read whole.
                with path.open("rb") as file:
                    head = file.read(_HEAD)
                if any(f'"{kind}"'.encode() in head for kind in _READERS):
                    yield path


def _read(raw: bytes) -> list[Measured]:
    """Return what a file of figures tells; nothing of another one, such as the record of a call."""
    data = json.loads(raw)
    reader = _READERS.get(data.get("format") or data.get("kind"))
    return [] if reader is None else list(reader(data))


def _load(data: Mapping[str, Any]) -> Iterator[Measured]:
    units = {"rate": "tokens/s", "server_rate": "tokens/s", "output_length": "tokens", "prompt_length": "tokens"}
    figures = [
        _figure(name, units.get(name, "s"), {one: facts[one] for one in _REDUCTIONS if one in facts})
        for name, facts in data["figures"].items()
    ]
    figures += [_figure(name, _TOTAL_UNITS.get(name, ""), {"value": value}) for name, value in data["totals"].items()]
    curves = [_curve(one["name"], one["unit"], one["points"]) for one in data.get("curves", [])]
    remarks = [f"cannot be trusted: {one}" for one in data["doubts"]] + list(data["remarks"])
    yield Measured(
        what="load", server=data["name"], about=data["load"], figures=figures, curves=curves, remarks=remarks
    )


_TOTAL_UNITS = {"requests_per_second": "1/s", "tokens_per_second": "tokens/s", "output_tokens": "tokens"}


def _generations(data: Mapping[str, Any]) -> Iterator[Measured]:
    items = data["generations"]
    samples = [
        ("ttft", "s", [one["ttft"] for one in items]),
        ("latency", "s", [one["elapsed"] for one in items]),
        ("gap", "s", [gap for one in items for gap in one["gaps"]]),
        ("rate", "tokens/s", [rate for one in items if (rate := one["tokens_per_second"]) is not None]),
        ("output_length", "tokens", [one["output_tokens"] for one in items]),
    ]
    yield Measured(
        what="generation",
        server=data["name"],
        model=data["model"] or "",
        about=f"{len(items)} generations, one after the other",
        figures=[_figure(name, unit, _reduced(values)) for name, unit, values in samples if values],
    )


def _monitor(data: Mapping[str, Any]) -> Iterator[Measured]:
    rows = data["samples"]
    figures, curves = [], []
    for name in ("pss", "rss", "uss", "gpu"):
        points = [(row["time"], row[name]) for row in rows if row.get(name) is not None]
        if points:
            values = [value for _, value in points]
            figures.append(_figure(name, "B", {"maximum": max(values), "last": values[-1]}))
            curves.append(_curve(name, "B", points))
    used = [(row["time"], row["cpu"]) for row in rows if row.get("cpu") is not None]
    busy = [
        (after, (cpu - before_cpu) / (after - before))
        for (before, before_cpu), (after, cpu) in itertools.pairwise(used)
        if after > before
    ]
    if busy:
        figures.append(_figure("cpu", "cores", _reduced([share for _, share in busy])))
        curves.append(_curve("cpu", "cores", busy))
    yield Measured(
        what="memory",
        server=data["name"],
        about=f"{len(rows)} samples, every {data['interval']:.4g} s",
        figures=figures,
        curves=curves,
    )


def _sweep(data: Mapping[str, Any]) -> Iterator[Measured]:
    steps = data["steps"]
    curves = [
        _curve(name, unit, [(step["level"], step[name]) for step in steps if step.get(name) is not None], data["unit"])
        for name, unit in (("tokens_per_second", "tokens/s"), ("ttft_p99", "s"), ("latency_p99", "s"))
    ]
    yield Measured(
        what="largest load",
        server=data["name"],
        about=f"{len(steps)} loads",
        figures=[_figure("largest_load", data["unit"], {"value": data["level"]})],
        curves=[curve for curve in curves if curve.points],
    )


def _onnx(data: Mapping[str, Any]) -> Iterator[Measured]:
    for one in data["rows"]:
        times = [float(value) for value in one["times"]]
        bound = ", I/O binding" if one.get("io_binding") else ""
        yield Measured(
            what="onnx",
            server=data["name"],
            about=f"{one['provider']}, batch {one['batch']}{bound}",
            figures=[_figure("run", "s", _reduced(times))] if times else [],
        )


_READERS: dict[str, Callable[[Mapping[str, Any]], Iterator[Measured]]] = {
    "inference-load": _load,
    "inference-sweep": _sweep,
    "rfinference-measurement": _generations,
    "inference-monitor": _monitor,
    "onnx-benchmark": _onnx,
}
"""By the format that a file names."""


def _reduced(values: Sequence[float]) -> dict[str, float]:
    ranks = {"median": 50, "p90": 90, "p95": 95, "p99": 99}
    found = {"count": float(len(values)), "mean": mean(values)}
    found |= {name: percentile(values, rank) for name, rank in ranks.items()}
    return found | {"minimum": min(values), "maximum": max(values)}


def _figure(name: str, unit: str, values: Mapping[str, float]) -> MeasuredFigure:
    """A figure; raises ValueError for what is not a finite number."""
    numbers = {key: float(value) for key, value in values.items()}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"{name} is not finite")
    return MeasuredFigure(name, unit, numbers)


def _curve(name: str, unit: str, points: Sequence[Sequence[float]], over: str = "s") -> MeasuredCurve:
    """A curve of so many points that it can be drawn: of each stretch the highest, so that a spike survives."""
    pairs = [(float(x), float(y)) for x, y in points]
    if not all(math.isfinite(number) for pair in pairs for number in pair):
        raise ValueError(f"{name} is not finite")
    if len(pairs) > _POINTS:
        cuts = [len(pairs) * at // _POINTS for at in range(_POINTS + 1)]
        pairs = [max(pairs[low:high], key=lambda pair: pair[1]) for low, high in itertools.pairwise(cuts)]
    return MeasuredCurve(name, unit, over, pairs)
