"""Flags of the gateway personality, and the upstreams that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.settings import Settings, about, flag

if TYPE_CHECKING:
    from InferenceLibrary.simulator.personalities.upstream import Address


@dataclass(slots=True)
class Provider:
    """An upstream by the name of its provider. Models that are not given are asked for."""

    name: str
    address: Address
    models: tuple[str, ...] = ()


@dataclass(slots=True)
class GatewaySettings(Settings):
    """As `Settings`, for `--as gateway`."""

    upstream: list[str] = field(
        default_factory=list,
        metadata=about(
            "repeat", "PROVIDER=URL[;MODEL;...] to route to; may be given again; without models asks for them"
        ),
    )
    upstream_timeout: float = flag("duration", 60.0, "longest silence of an upstream before it counts as failed")

    def check(self) -> None:
        self.providers()

    def providers(self) -> dict[str, Provider]:
        """Return the upstreams.

        Raises:
            ValueError: One is written wrongly.
        """
        from InferenceLibrary.simulator.personalities.upstream import parse_address

        found: dict[str, Provider] = {}
        for text in self.upstream:
            name, equals, rest = text.partition("=")
            url, *models = rest.split(";")
            if not name or not equals:
                raise ValueError(f"--upstream: '{text}' is not PROVIDER=URL, such as inference=http://127.0.0.1:8085")
            try:
                found[name] = Provider(name, parse_address(url), tuple(filter(None, models)))
            except ValueError as error:
                raise ValueError(f"--upstream: {error}") from None
        return found
