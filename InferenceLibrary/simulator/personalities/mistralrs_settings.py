"""Flags of the mistral.rs personality that its programs do not have."""

from __future__ import annotations

from dataclasses import dataclass

from InferenceLibrary.simulator.core.settings import Settings, flag


@dataclass(slots=True)
class MistralRsSettings(Settings):
    """As `Settings`, for `--as mistralrs`."""

    older_generation: bool = flag("bool", False, "routes and errors of v0.6.0 instead of the newest")
    no_metrics: bool = flag("bool", False, "answer 503 on /metrics")
