"""Flags of the router personality, and the backends, keys and components that they name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.settings import Settings, about, flag

if TYPE_CHECKING:
    from InferenceLibrary.simulator.personalities.upstream import Address

_KEY_STATES = ("active", "revoked", "expired")
_COMPONENTS = ("redis", "kafka", "config_service")
_COMPONENT_STATES = ("healthy", "unhealthy", "not_configured")
DEFAULT_ORGANIZATION = "00000000-0000-0000-0000-000000000001"


@dataclass(slots=True)
class Backend:
    """A server that requests go to, and what is known of its health."""

    id: str
    address: Address
    weight: int = 100
    model: str = ""  # the name that it wants, in place of the one asked for
    serves: tuple[str, ...] = ()  # models with a policy for it; empty for all
    degraded: bool = False
    errors: int = 0
    down_until: float = 0.0
    last_check: float = 0.0
    last_error: str = ""
    latency: float = 0.0


@dataclass(slots=True)
class Key:
    """An API key."""

    organization: str = DEFAULT_ORGANIZATION
    state: str = "active"
    secret: str = ""  # for HMAC signatures


@dataclass(slots=True)
class RouterSettings(Settings):
    """As `Settings`, for `--as router`."""

    backend: list[str] = field(
        default_factory=list,
        metadata=about("repeat", "ID=URL[;weight=N][;model=NAME][;serves=MODEL]; may be given again"),
    )
    upstream_timeout: float = flag("duration", 30.0, "longest silence of a backend before it counts as failed")
    rate_limit: int = flag("int", 100, "requests a second for one key", low=1)
    rate_burst: int = flag("int", 200, "requests at once for one key", low=1)
    key: list[str] = field(
        default_factory=list,
        metadata=about(
            "repeat", "KEY[;org=ID][;state=active|revoked|expired][;hmac=SECRET] besides dev-... and test-..."
        ),
    )
    component: list[str] = field(
        default_factory=list,
        metadata=about("repeat", "NAME=healthy|unhealthy|not_configured of redis, kafka or config_service for readyz"),
    )
    era: str = flag(
        "era", "late", "late: streams and failover on OpenAI paths; seed: neither, and unknown keys dropped"
    )

    def check(self) -> None:
        self.backends()
        self.keys()
        self.components()

    def backends(self) -> dict[str, Backend]:
        """Return the backends.

        Raises:
            ValueError: One is written wrongly.
        """
        from InferenceLibrary.simulator.personalities.upstream import parse_address

        found: dict[str, Backend] = {}
        for text in self.backend:
            name, equals, rest = text.partition("=")
            url, *more = rest.split(";")
            if not name or not equals:
                raise ValueError(f"--backend: '{text}' is not ID=URL, such as one=http://127.0.0.1:8001")
            try:
                backend = Backend(name, parse_address(url))
            except ValueError as error:
                raise ValueError(f"--backend: {error}") from None
            for key, value in _pairs("backend", more, ("weight", "model", "serves")):
                if key == "serves":
                    backend.serves += (value,)
                elif key == "model":
                    backend.model = value
                elif value.isdecimal():
                    backend.weight = int(value)
                else:
                    raise ValueError(f"--backend: weight '{value}' is not a whole number")
            found[name] = backend
        return found

    def keys(self) -> dict[str, Key]:
        """Return the keys.

        Raises:
            ValueError: One is written wrongly.
        """
        found: dict[str, Key] = {}
        for text in self.key:
            name, *more = text.split(";")
            given = dict(_pairs("key", more, ("org", "state", "hmac")))
            key = Key(given.get("org", DEFAULT_ORGANIZATION), given.get("state", "active"), given.get("hmac", ""))
            if key.state not in _KEY_STATES:
                raise ValueError(f"--key: state '{key.state}' is none of {', '.join(_KEY_STATES)}")
            found[name] = key
        return found

    def components(self) -> dict[str, str]:
        """Return the states of what the router leans on.

        Raises:
            ValueError: A component or its state does not exist.
        """
        found: dict[str, Any] = dict.fromkeys(_COMPONENTS, "not_configured")
        for name, state in _pairs("component", self.component, _COMPONENTS):
            if state not in _COMPONENT_STATES:
                raise ValueError(f"--component: '{state}' is none of {', '.join(_COMPONENT_STATES)}")
            found[name] = state
        return found


def _pairs(flag_name: str, words: list[str], allowed: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        key, equals, value = word.partition("=")
        if key not in allowed or not equals or not value:
            raise ValueError(f"--{flag_name}: '{word}' is none of {', '.join(f'{name}=...' for name in allowed)}")
        pairs.append((key, value))
    return pairs
