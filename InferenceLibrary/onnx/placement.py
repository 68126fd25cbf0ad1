"""Where the nodes of a model are computed: counted and timed by onnxruntime's own profiler, in a session of its own."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import CheckFailure, ModelError, describe
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.model import OnnxModel, open_session
from InferenceLibrary.onnx.native_errors import native_errors
from InferenceLibrary.onnx.providers import GPU_PROVIDERS, short_name

_NODE = "_kernel_time"


@dataclass
class Placement:
    """Which provider computed what in one profiled run.

    Args:
        operators: By provider, how many nodes of each operator it computed.
        seconds: By provider, the time of its nodes as the profiler tells it, over all runs. A GPU works on while the
            host goes on, so its share is that of launching and waiting.
        runs: Runs that were profiled.
    """

    operators: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    runs: int = 1

    def nodes(self, provider: str) -> int:
        """Number of nodes of a provider, by its full name."""
        return sum(self.operators.get(provider, Counter()).values())

    @property
    def total(self) -> int:
        return sum(map(self.nodes, self.operators))

    def share(self, provider: str) -> float:
        """Share of the time of all nodes, from 0 to 1."""
        whole = sum(self.seconds.values())
        return self.seconds.get(provider, 0.0) / whole if whole else 0.0

    def __str__(self) -> str:
        parts = [
            f"{short_name(name)} {self.nodes(name)} of {self.total} nodes, {self.share(name):.0%} of the time"
            for name in self.operators
        ]
        return "; ".join(parts) or "no node"

    __repr__ = __str__


def profile_placement(model: OnnxModel, inputs: Any, *, runs: int = 3, timeout: float = 300.0) -> Placement:
    """Load the model once more with onnxruntime's profiler and return who computed what.

    Args:
        model: A loaded model: its file and options are used again.
        inputs: As for a run.
        runs: How often it is run; the first run is not counted in the times.
        timeout: Seconds for loading, and for all runs together.

    Raises:
        ModelError: It cannot be loaded or run, time passed, or the profiler named no node.
    """
    from InferenceLibrary.onnx.values import to_feed

    if runs < 1:
        raise ModelError(describe("runs cannot be used", expected="a whole number above 0", got=str(runs)))
    feed = to_feed(inputs, model.inputs)
    runtime = packages.onnxruntime("Profiling an ONNX model")
    with tempfile.TemporaryDirectory(prefix="onnx-profile-") as folder:
        providers = model.options.for_providers(model.asked)
        session, _ = open_session(
            runtime, model.path, model.options, providers, timeout, profile_prefix=str(Path(folder) / "profile")
        )
        options = runtime.RunOptions()

        def compute() -> None:
            for _ in range(runs + 1):
                session.run(None, feed, options)

        def cancel() -> None:
            options.terminate = True

        try:
            model.native(compute, timeout, cancel)
        except TimeoutError:
            raise ModelError(
                describe(f"ONNX model '{model.name}' was not profiled", expected=f"at most {timeout:g} s", got="no end")
            ) from None
        except native_errors() as error:
            raise model.failure(error) from None
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return read_profile(events, runs + 1)


def read_profile(events: Sequence[Mapping[str, Any]], runs: int) -> Placement:
    """Return the placement that the events of a profile tell.

    Args:
        events: As onnxruntime writes them: `dur` in microseconds, provider and operator under `args`.
        runs: Runs that the profile holds; the first one of several is left out of the times.

    Raises:
        ModelError: No node is told.
    """
    placement = Placement(runs=max(1, runs - 1))
    seen: Counter[str] = Counter()
    for event in events:
        name, about = str(event.get("name", "")), event.get("args") or {}
        if event.get("cat") != "Node" or not name.endswith(_NODE) or "provider" not in about:
            continue
        provider, operator = str(about["provider"]), str(about.get("op_name", "?"))
        seen[name] += 1
        if seen[name] == 1:
            placement.operators.setdefault(provider, Counter())[operator] += 1
            placement.seconds.setdefault(provider, 0.0)
        if seen[name] > 1 or runs == 1:
            placement.seconds[provider] += float(event.get("dur", 0)) / 1e6
    if not placement.operators:
        raise ModelError("The profile of onnxruntime names no node: expected one or more with its provider, got none.")
    return placement


def check_on_gpu(
    model: OnnxModel, placement: Placement, *, allowed_on_cpu: Sequence[str] = (), least: float = 0.0
) -> str:
    """Check that a GPU computes a model; return the provider.

    Args:
        model: The model, for its name and providers.
        placement: Who computed what.
        allowed_on_cpu: Operators that may stay on the CPU.
        least: Least share of the time of all nodes that the GPU has, from 0 to 1.

    Raises:
        CheckFailure: No GPU provider is active or computes anything, an operator fell back to another provider, or the
            share of the time is smaller.
        ModelError: The share is not one.
    """
    if not 0 <= least <= 1:
        raise ModelError(describe("least is a share", expected="0 to 1", got=f"{least:g}"))
    active = [name for name in model.active if name in GPU_PROVIDERS]
    working = [name for name in active if placement.nodes(name)]
    if not working:
        raise CheckFailure(
            describe(
                f"ONNX model '{model.name}' does not run on a GPU",
                expected="nodes computed by a GPU provider",
                got=str(placement),
                hint=f"{', '.join(map(short_name, active))} is active and computes nothing"
                if active
                else "load it with providers=CUDA",
                detail=("What onnxruntime said", model.notes[-10:]) if model.notes else None,
            )
        )
    allowed = {name.strip().lower() for name in allowed_on_cpu}
    fallen: Counter[str] = Counter()
    for provider, operators in placement.operators.items():
        if provider not in GPU_PROVIDERS:
            fallen.update({name: count for name, count in operators.items() if name.lower() not in allowed})
    if fallen:
        listed = ", ".join(f"{name} ({count})" for name, count in fallen.most_common())
        raise CheckFailure(
            describe(
                f"ONNX model '{model.name}' runs on the GPU in part",
                expected="every operator on the GPU",
                got=f"elsewhere: {listed}",
                state=str(placement),
                hint="allowed_on_cpu= names operators that may stay",
            )
        )
    share = sum(map(placement.share, working))
    if share < least:
        raise CheckFailure(
            describe(
                f"ONNX model '{model.name}' spends too little time on the GPU",
                expected=f"at least {least:.0%} of the time of its nodes",
                got=str(placement),
            )
        )
    return working[0]
