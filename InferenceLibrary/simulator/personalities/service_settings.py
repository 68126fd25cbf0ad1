"""Flags of the service personality: what inference-service reads from its environment."""

from __future__ import annotations

from dataclasses import dataclass, field

from InferenceLibrary.simulator.core.settings import Settings, about, flag


@dataclass(slots=True)
class ServiceSettings(Settings):
    """As `Settings`, for `--as service`."""

    available_models: list[str] = field(
        default_factory=lambda: ["phi-4", "llama-3.2-3b", "deepseek-r1-7b", "qwen2.5-7b"],
        metadata=about("list", "models that can be loaded"),
    )
    loaded_models: list[str] = field(
        default_factory=lambda: ["phi-4", "llama-3.2-3b", "deepseek-r1-7b"],
        metadata=about("list", "models that are loaded at the start; `none` for none"),
    )
    memory_mb: int = flag("int", 16_000, "memory for models; loading what does not fit is answered 507", low=1)
    model_load_time: float = flag("duration", 0.0, "how long loading a model takes; 503 for its requests meanwhile")
    orchestration_mode: str = flag("orchestration", "single", "mode of requests that name none")
    default_preset: str = flag("str", "D4", "name of the configuration that is shown")
    max_concurrent: int = flag("int", 1, "requests answered at the same time", low=1)
    queue_max_size: int = flag("int", 10, "requests that may wait; 503 above", low=0)
    queue_strategy: str = flag("queue", "fifo", "which of those that wait is next")

    def check(self) -> None:
        if self.loaded_models == ["none"]:
            self.loaded_models = []
        unknown = [name for name in self.loaded_models if name not in self.available_models]
        if unknown:
            raise ValueError(f"--loaded-models: '{unknown[0]}' is none of {', '.join(self.available_models)}")
