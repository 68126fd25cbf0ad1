"""Flags of the router personality."""

from __future__ import annotations

from dataclasses import dataclass, field

from InferenceLibrary.simulator.settings import Settings, about, flag


@dataclass(slots=True)
class RouterSettings(Settings):
    """As `Settings`, for `--as router`."""

    backend: list[str] = field(
        default_factory=list,
        metadata=about("repeat", "ID=URL[;weight=N][;model=NAME]; may be given again"),
    )
    upstream_timeout: float = flag("duration", 30.0, "longest silence of a backend before 504")
    rate_limit: int = flag("int", 100, "requests a second for one key", low=1)
    rate_burst: int = flag("int", 200, "requests at once for one key", low=1)
