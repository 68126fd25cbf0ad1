"""Flags of the gateway personality."""

from __future__ import annotations

from dataclasses import dataclass, field

from InferenceLibrary.simulator.settings import Settings, about, flag


@dataclass(slots=True)
class GatewaySettings(Settings):
    """As `Settings`, for `--as gateway`."""

    upstream: list[str] = field(
        default_factory=list,
        metadata=about("repeat", "PROVIDER=URL[;MODEL;...]; may be given again; the first is the default"),
    )
    upstream_timeout: float = flag("duration", 60.0, "longest silence of an upstream before 504")
