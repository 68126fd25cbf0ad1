"""Which server the suites test: from variables of the suite, else from the environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import TargetError
from InferenceLibrary.protocol.exchange import decode_json

DEFAULT_TARGET = "simulator"

URL_VARIABLES = {
    "VLLM_BACKEND_URL": "vllm",
    "INFERENCE_SERVICE_URL": "inference-service",
    "LLM_GATEWAY_URL": "llm-gateway",
}
"""Variable to the profile of the system that it names. Read in this order when neither TARGET nor INFERENCE_TARGET is
given; the field uses these names."""

PLAIN = "openai"
"""The profile of a server of which nothing is known."""

SKIP_VARIABLE = "SKIP_INTEGRATION_TESTS"
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Target:
    """What to test."""

    name: str
    """A profile's name, a profile file, or a URL."""
    origin: str
    """Where the name came from: `TARGET`, an environment variable, or `default`."""
    model: str | None = None
    port: int | None = None
    call_timeout: float | None = None
    """Seconds for a call that is not streamed."""
    stream_timeout: float | None = None
    """Seconds for a streamed call."""
    profile: str = PLAIN
    """What kind of server answers at a URL: a profile's name or file."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of the profile, for a server that is started."""
    dialect: str | None = None
    """The dialect in place of the profile's own."""

    @property
    def is_url(self) -> bool:
        return self.name.startswith(("http://", "https://"))


def resolve_target(
    target: str | None,
    model: str | None,
    environment: Mapping[str, str],
    *,
    profile: str | None = None,
    options: object = None,
    dialect: str | None = None,
) -> Target:
    """Return the target that the variables name, the suite's before the environment's.

    Args:
        target: A profile's name, a profile file, or a URL.
        model: The model to ask for.
        environment: What is read where the suite gives nothing.
        profile: What kind of server answers at a URL.
        options: Options of a profile that is started: a mapping, or a JSON object as text.
        dialect: The dialect in place of the profile's own.

    Raises:
        TargetError: A variable has a value that cannot be read.
    """
    name, origin = target, "TARGET"
    for variable in ("INFERENCE_TARGET", *URL_VARIABLES):
        if not name:
            name, origin = environment.get(variable), variable
    if not name:
        name, origin = DEFAULT_TARGET, "default"
    if not model and origin == "VLLM_BACKEND_URL":
        model = environment.get("VLLM_MODEL_NAME")
    port = environment.get("TEST_PORT")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise TargetError(f"TEST_PORT: expected a port from 1 to 65535, got '{port}'.")
    kind = profile or environment.get("INFERENCE_PROFILE") or ""
    found = Target(
        name,
        origin,
        model or None,
        int(port) if port else None,
        _duration(environment, "INTEGRATION_TEST_TIMEOUT"),
        _duration(environment, "STREAM_TEST_TIMEOUT"),
        kind or URL_VARIABLES.get(origin, PLAIN),
        _options(options or environment.get("INFERENCE_TARGET_OPTIONS") or {}),
        dialect or environment.get("INFERENCE_DIALECT") or None,
    )
    if kind and not found.is_url:
        raise TargetError(
            f"PROFILE: '{kind}' says what answers at a URL, and the target is '{name}'. "
            f"Give the URL as TARGET, or the profile as TARGET and no PROFILE."
        )
    if found.options and found.is_url:
        raise TargetError(f"TARGET_OPTIONS: the options of a start, and {name} is connected to. Leave them out.")
    return found


def is_skipped(environment: Mapping[str, str]) -> bool:
    """Whether the environment asks to skip all integration tests.

    Raises:
        TargetError: The variable is neither true nor false.
    """
    value = environment.get(SKIP_VARIABLE, "").strip().lower()
    if value not in _TRUE | _FALSE:
        raise TargetError(f"{SKIP_VARIABLE}: expected true or false, got '{value}'.")
    return value in _TRUE


def _options(value: object) -> dict[str, Any]:
    """Options as a mapping, or as the text of a JSON object."""
    found = decode_json(value) if isinstance(value, str) else value
    if not isinstance(found, Mapping):
        raise TargetError(f"""TARGET_OPTIONS: expected a JSON object such as {{"seed": 1}}, got '{value}'.""")
    return {str(name): given for name, given in found.items()}


def _duration(environment: Mapping[str, str], variable: str) -> float | None:
    """A duration; a bare number is seconds, as the field's harnesses have it."""
    value = environment.get(variable)
    if not value:
        return None
    try:
        bare = value.isascii() and value.strip().replace(".", "", 1).isdigit()
        seconds = float(value) if bare else parse_duration(value)
    except ValueError as error:
        raise TargetError(f"{variable}: {error}; a number alone is seconds.") from None
    if seconds <= 0:
        raise TargetError(f"{variable}: expected a duration above zero, got '{value}'.")
    return seconds
