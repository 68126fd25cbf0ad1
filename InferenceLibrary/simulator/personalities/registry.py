"""Find a personality by name. Each is imported only when it is chosen."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from InferenceLibrary.simulator.app import App, Personality

PERSONALITIES = {
    "llm-d": ("llm_d", "LlmD", "llm-d-inference-sim v0.10, the OpenAI API of vLLM"),
}


def make_personality(name: str, app: App) -> Personality:
    """Return the personality of that name, which must be known."""
    module, kind, _ = PERSONALITIES[name]
    found = importlib.import_module(f"InferenceLibrary.simulator.personalities.{module}")
    personality: Personality = getattr(found, kind)(app)
    return personality
