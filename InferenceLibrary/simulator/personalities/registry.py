"""Find a personality by name. Each is imported only when it is chosen."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.settings import Settings

if TYPE_CHECKING:
    from types import ModuleType

    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.turn import Personality

PERSONALITIES = {
    "openai": ("openai", "OpenAI", "the OpenAI API by its reference, and the further APIs of vLLM"),
    "llm-d": ("llm_d", "LlmD", "llm-d-inference-sim v0.10.2, as recorded"),
    "worker": ("worker", "Worker", "worker-orcd: jobs by POST /execute, typed events"),
    "service": ("service", "Service", "inference-service: models to load, orchestration of several, a queue"),
    "gateway": ("gateway", "Gateway", "llm-gateway: routes by model to --upstream servers"),
    "router": ("router", "Router", "the API router: keys, limits, budgets, weighted --backend servers with failover"),
    "mistralrs": ("mistralrs", "mistralrs", "mistral.rs: takes the command lines of mistralrs-server and mistralrs"),
}
REFERENCE = "openai"
"""What a server is that has a dialect and no personality: the reference, with the quirks of the dialect."""
# Personalities with flags of their own: module and class of their settings.
_SETTINGS = {
    "llm-d": ("llm_d_settings", "LlmDSettings"),
    "worker": ("worker_settings", "WorkerSettings"),
    "service": ("service_settings", "ServiceSettings"),
    "gateway": ("gateway_settings", "GatewaySettings"),
    "router": ("router_settings", "RouterSettings"),
    "mistralrs": ("mistralrs_settings", "MistralRsSettings"),
}

# Personalities with models in ONNX behind them.
_WITH_MODELS = {"openai": ("openai_onnx", "OpenAIOnnx")}


def is_personality(name: str) -> bool:
    """Whether there is a personality of that name; others are dialects, or nothing."""
    return name in PERSONALITIES


def settings_class(name: str) -> type[Settings]:
    """Return the class of the settings of a personality; what is unknown has those that all have."""
    found: type[Settings]
    if has_choices(name):
        found = _module("likeness.flags").settings_of(name)
        return found
    if name not in _SETTINGS:
        return Settings
    module, kind = _SETTINGS[name]
    found = getattr(_module(module), kind)
    return found


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"InferenceLibrary.simulator.personalities.{name}")


def has_choices(name: str) -> bool:
    """Whether a name is that of a dialect with choices, which has a personality by them."""
    if is_personality(name):
        return False
    from InferenceLibrary.dialects.files import load_dialect
    from InferenceLibrary.errors import InferenceError

    try:
        return load_dialect(name).dialect.choices is not None
    except InferenceError:  # no dialect, or a broken one: told where the command line is read
        return False


def make_personality(name: str, app: App) -> Personality:
    """Return the personality of that name; that of its choices for a dialect, or the reference."""
    if has_choices(name):
        likeness: Personality = _module("likeness.personality").Likeness(app)
        return likeness
    name = name if is_personality(name) else REFERENCE
    app.strict = name == REFERENCE
    module, kind, _ = PERSONALITIES[name]
    if app.text_model is not None or app.vector_model is not None:
        module, kind = _WITH_MODELS[name]
    personality: Personality = getattr(_module(module), kind)(app)
    if name == REFERENCE:
        _module("cross_origin").share(app, personality)
    return personality
