"""One answer of the answers of all workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qs

from InferenceLibrary.simulator.core.exposition import CONTENT_TYPE, Family, Sample, python_text
from InferenceLibrary.simulator.workers.link import Answered

METRICS = "/inside/metrics"
"""Where a worker tells its metrics as JSON."""
_SHARES = {"kv_cache_usage_perc"}
_SUMMED_GAUGES = {"num_requests_running", "num_requests_waiting"}


def one_of(method: str, path: str, query: str, answers: Sequence[Answered]) -> Answered:
    """Return the answer of the server as a whole: the first refusal, sums, lists joined, or what all said alike."""
    refusal = next((answer for answer in answers if answer.status >= 400), None)
    if refusal is not None:
        return refusal
    if path == METRICS:
        return Answered(200, CONTENT_TYPE, python_text(_metrics([json.loads(answer.body) for answer in answers])))
    found: Any = None
    if (method, path) == ("GET", "/stats"):
        found = _stats([json.loads(answer.body) for answer in answers])
    elif (method, path) == ("GET", "/requests"):
        found = _requests([json.loads(answer.body) for answer in answers], parse_qs(query))
    if found is None:
        return answers[0]
    return Answered(200, answers[0].content_type, json.dumps(found, ensure_ascii=False).encode())


def _stats(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for name, first in parts[0].items():
        values = [part[name] for part in parts]
        if name == "faults":
            whole[name] = [
                {"fault": same[0]["fault"], **{key: sum(one[key] for one in same) for key in ("matched", "struck")}}
                for same in zip(*values, strict=False)
            ]
        elif name == "seconds":
            whole[name] = max(values)
        elif isinstance(first, dict):
            whole[name] = {key: sum(part.get(key, 0) for part in values) for key in dict.fromkeys(_keys(values))}
        else:
            whole[name] = sum(values)
    return whole


def _keys(parts: Sequence[dict[str, Any]]) -> list[str]:
    return [key for part in parts for key in part]


def _requests(parts: Sequence[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
    """In the order of their arrival, the newest as many as were asked for."""
    whole = {
        kind: sorted((one for part in parts for one in part[kind]), key=lambda one: float(one["received_at"]))
        for kind in ("requests", "in_flight")
    }
    limit = int(query.get("limit", ["100"])[0])
    whole["requests"] = whole["requests"][-limit:] if limit else []
    return whole


def as_json(families: Sequence[Family], *, fake: bool) -> dict[str, Any]:
    """Return the metrics of a worker for the way."""
    told = [[one.name, one.kind, one.text, [[*sample] for sample in one.samples]] for one in families]
    return {"fake": fake, "families": told}


def _metrics(parts: Sequence[dict[str, Any]]) -> list[Family]:
    """Counters and histograms summed, and how many requests run; shares of the cache as their mean."""
    if parts[0]["fake"]:
        # Set by hand, the same in all.
        parts = parts[:1]
    whole: dict[str, Family] = {}
    for part in parts:
        for name, kind, text, samples in part["families"]:
            family = whole.setdefault(name, Family(name, kind, text, []))
            for sample in samples:
                _add(family, Sample(*sample), len(parts))
    return list(whole.values())


def _add(family: Family, sample: Sample, count: int) -> None:
    if family.name in _SHARES:
        sample = sample._replace(value=sample.value / count)
    for place, known in enumerate(family.samples):
        if known._replace(value=0) == sample._replace(value=0):
            summed = family.kind != "gauge" or family.name in _SUMMED_GAUGES | _SHARES
            value = known.value + sample.value if summed else max(known.value, sample.value)
            family.samples[place] = known._replace(value=value)
            return
    family.samples.append(sample)
