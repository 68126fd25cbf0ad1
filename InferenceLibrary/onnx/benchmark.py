"""Measure a model: first run and steady state, by provider, batch and IO binding, with the memory that it takes."""

from __future__ import annotations

import dataclasses
import gc
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.monitor.gpu import GpuMemory, open_gpus
from InferenceLibrary.onnx import packages
from InferenceLibrary.onnx.benchmark_record import Benchmark, Row
from InferenceLibrary.onnx.made_inputs import make_inputs
from InferenceLibrary.onnx.model import OnnxModel, load_model
from InferenceLibrary.onnx.native_errors import native_errors
from InferenceLibrary.onnx.providers import short_name
from InferenceLibrary.onnx.running import Runner


@dataclasses.dataclass(frozen=True)
class Plan:
    """What is measured.

    Args:
        batches: Sizes of the batch.
        runs: Runs of each row that count.
        warmup: Runs before them that do not, the first one included.
        providers: One or more of them, each loaded by itself; none for those of the loaded model.
        bindings: With IO binding, without, or both by turns.
        dimensions: Sizes of other free dimensions by name.
        seed: Of the inputs.
    """

    batches: Sequence[int] = (1,)
    runs: int = 200
    warmup: int = 20
    providers: Sequence[str] = ()
    bindings: Sequence[bool] = (False,)
    dimensions: dict[str, int] = dataclasses.field(default_factory=dict)
    seed: int = 0

    def check(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            ModelError: A number is too small, or there is nothing to measure.
        """
        if not self.batches or min(self.batches) < 1:
            raise ModelError(
                describe("batch cannot be used", expected="sizes above 0 such as 1,4,16", got=str(list(self.batches)))
            )
        if self.runs < 2:
            raise ModelError(describe("runs cannot be used", expected="2 or more", got=str(self.runs)))
        if self.warmup < 1:
            raise ModelError(
                describe("warmup cannot be used", expected="1 or more: the first run", got=str(self.warmup))
            )
        if not self.bindings:
            raise ModelError(describe("Nothing to measure", expected="io_binding to be on, off or both", got="neither"))


def benchmark(model: OnnxModel, plan: Plan, *, timeout: float) -> Benchmark:
    """Return what was measured, provider by provider.

    Each provider has a session of its own, loaded for the purpose. With and without IO binding are run by turns, so
    that both meet the machine in the same state. A run is timed from arrays of the host to arrays of the host, after
    the device is done.

    Args:
        model: The model whose file and options are used.
        plan: What is measured.
        timeout: Seconds for everything.

    Raises:
        ModelError: The plan or the model does not fit, a provider did not start, a run failed, or time passed.
    """
    plan.check()
    ends = time.monotonic() + timeout
    found: list[Row] = []
    for provider in plan.providers or (None,):
        options = model.options
        if provider is not None:
            on_cpu = provider.strip().lower().startswith("cpu")
            freed: dict[str, Any] = {"memory_limit": None, "device_id": 0} if on_cpu else {}
            options = dataclasses.replace(options, providers=provider, provider_options={}, **freed)
        # A captured graph has one shape, and the binding is what is measured.
        options = dataclasses.replace(options, cuda_graph=False, io_binding=False)
        loaded = load_model(model.path, options, timeout=max(0.1, ends - time.monotonic()))
        try:
            for batch in plan.batches:
                found += _measure(loaded, plan, batch, ends, timeout)
        finally:
            model.note(loaded.take_notes())
            loaded.close()
    return Benchmark(model.name, plan.runs, plan.warmup, found, machine())


def _measure(model: OnnxModel, plan: Plan, batch: int, ends: float, timeout: float) -> list[Row]:
    feed = make_inputs(model.inputs, seed=plan.seed, batch=batch, dimensions=plan.dimensions)
    runners = [model.new_runner(io_binding=bound) for bound in plan.bindings]
    options = packages.onnxruntime("Measuring an ONNX model").RunOptions()
    firsts: list[float] = []
    times: list[list[float]] = [[] for _ in runners]
    gpus, _ = open_gpus()
    gc.collect()
    before = _memory(gpus)

    def compute() -> None:
        for runner in runners:
            firsts.append(_timed(runner, feed, options))
        for _ in range(plan.warmup - 1):
            for runner in runners:
                _timed(runner, feed, options)
        for _ in range(plan.runs):
            for runner, taken in zip(runners, times, strict=True):
                taken.append(_timed(runner, feed, options))

    def cancel() -> None:
        options.terminate = True

    try:
        model.native(compute, max(0.1, ends - time.monotonic()), cancel)
        after = _memory(gpus)
    except TimeoutError:
        done = sum(map(len, times))
        raise ModelError(
            describe(
                f"ONNX model '{model.name}' was not measured",
                expected=f"{plan.runs} runs of each row within {timeout:g} s",
                got=f"{done} with batch {batch}",
                hint="fewer runs=, or a longer timeout=",
            )
        ) from None
    except native_errors() as error:
        raise model.failure(error) from None
    finally:
        if gpus is not None:
            gpus.close()
    growth = [None if one is None or other is None else other - one for one, other in zip(before, after, strict=True)]
    return [
        Row(short_name(model.active[0]), batch, bound, first, tuple(taken), growth[0], growth[1])
        for bound, first, taken in zip(plan.bindings, firsts, times, strict=True)
    ]


def _timed(runner: Runner, feed: dict[str, Any], options: Any) -> float:
    started = time.perf_counter()
    runner.put(feed)
    runner.run(options)
    runner.take()
    return time.perf_counter() - started


def _memory(gpus: GpuMemory | None) -> tuple[int | None, int | None]:
    """Bytes that this process has resident, and bytes in use on all GPUs; None for what cannot be seen."""
    return own_memory(), None if gpus is None else gpus.used()


def own_memory() -> int | None:
    """Return the resident bytes of this process; None where neither Linux nor psutil tells."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        pages = int(statm.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    try:
        import psutil
    except ModuleNotFoundError:
        return None
    return int(psutil.Process().memory_info().rss)


def machine() -> dict[str, str]:
    """Return what figures depend on: processor, cores, GPU, onnxruntime, Python."""
    from InferenceLibrary.monitor.gpu import gpu_status

    runtime = packages.onnxruntime("Measuring an ONNX model")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "gpus": ", ".join(gpu_status().names) or "none",
        "onnxruntime": str(runtime.__version__),
        "python": platform.python_version(),
    }
