"""The summary of a load, read again: the baseline that a later one is compared with."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec

from InferenceLibrary.errors import MonitorError, describe

SCHEMA = 1
KIND = "inference-load"


class _Summary(msgspec.Struct):
    """What a comparison needs of a summary."""

    load: str
    machine: dict[str, str]
    totals: dict[str, float]
    samples: dict[str, list[float]]
    doubts: list[str]


def read_summary(path: Path) -> dict[str, Any]:
    """Return what `LoadResult.save` wrote as `summary.json`.

    Raises:
        MonitorError: The file is missing or is not one.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MonitorError(describe(f"Baseline '{path}' does not exist", hint="give save_as= to Run Load")) from None
    except (OSError, ValueError) as error:
        raise MonitorError(describe(f"Baseline '{path}' cannot be read", expected="JSON", got=str(error))) from None
    if not isinstance(data, dict) or data.get("kind") != KIND or data.get("schema") != SCHEMA:
        got = f"kind {data.get('kind')!r}, schema {data.get('schema')!r}" if isinstance(data, dict) else "other JSON"
        raise MonitorError(
            describe(f"'{path}' is not the summary of a load", expected=f"kind '{KIND}', schema {SCHEMA}", got=got)
        )
    problem = _problem(data)
    if problem is not None:
        raise MonitorError(
            describe(
                f"The summary '{path}' is not whole",
                expected="what save_as= of Run Load wrote",
                got=problem,
                hint="somebody changed it: write it anew",
            )
        )
    return data


def _problem(data: dict[str, Any]) -> str | None:
    """What is wrong with the parts of a summary that a comparison needs; None: nothing."""
    try:
        found = msgspec.convert(data, _Summary)
    except msgspec.ValidationError as error:
        return str(error)
    if not {"requests", "failures"} <= set(found.totals):
        return "no totals of requests and failures"
    odd = [name for name, values in found.samples.items() if not values or not all(map(math.isfinite, values))]
    return f"values of {odd[0]} that are not numbers" if odd else None
