"""Flags of the worker personality: those of worker-orcd, and which of its two eras it speaks."""

from __future__ import annotations

from dataclasses import dataclass

from InferenceLibrary.simulator.core.settings import Settings, flag


@dataclass(slots=True)
class WorkerSettings(Settings):
    """As `Settings`, for `--as worker`."""

    worker_id: str = flag("str", "worker-0", "id of this worker, shown by /health")
    gpu_device: int = flag("int", 0, "number of the GPU that is pretended", low=0)
    callback_url: str = flag("str", "", "who is told when the worker is ready; not called, only logged")
    stub_mode: bool = flag("bool", False, "start without a model file")
    era: str = flag("era", "seed", "seed: events have an `event:` line; late: only typed JSON, capital stop reasons")
    vram_bytes: int = flag("int", 1_500_000_000, "memory of the pretended model on the pretended GPU", low=0)
    metrics_every: int = flag("int", 16, "a metrics event after every so many tokens; 0 sends none", low=0)
