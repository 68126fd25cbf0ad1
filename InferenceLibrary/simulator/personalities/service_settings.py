"""Flags of the service personality: those that inference-service reads from its environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from InferenceLibrary.simulator.settings import Settings, about, flag


@dataclass(slots=True)
class ServiceSettings(Settings):
    """As `Settings`, for `--as service`."""

    available_models: list[str] = field(
        default_factory=lambda: ["phi-4", "llama-3.2-3b", "deepseek-r1-7b", "qwen2.5-7b"],
        metadata=about("list", "models that can be loaded; the first ones are as many as --loaded-models says"),
    )
    loaded_models: list[str] = field(
        default_factory=lambda: ["phi-4", "llama-3.2-3b", "deepseek-r1-7b"],
        metadata=about("list", "models that are loaded at the start; `none` for none"),
    )
    memory_mb: int = flag("int", 24_000, "memory for models; 507 when one more does not fit", low=1)
    orchestration_mode: str = flag("orchestration", "single", "mode of requests that name none")
    default_preset: str = flag("str", "D4", "name of the configuration that is shown")
    max_concurrent: int = flag("int", 1, "requests answered at the same time", low=1)
    queue_max_size: int = flag("int", 10, "requests that may wait; 503 above", low=0)
    queue_strategy: str = flag("queue", "fifo", "which of those that wait is next")
