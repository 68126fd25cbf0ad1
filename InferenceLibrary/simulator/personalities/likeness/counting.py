"""What a dialect's refusals may look at besides the fields of a request."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.personalities.likeness.asks import prompt_tokens

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import PromptChoices
    from InferenceLibrary.simulator.core.settings import Settings

_VOCABULARY = 100_000
_LIMITS = {"responses": ["max_output_tokens"]}


def counted(api: str, data: dict[str, Any], settings: Settings, prompt: PromptChoices) -> dict[str, Any]:
    """Return what is counted of a request, by the names that a dialect has for it."""
    tokens = prompt_tokens(api, data, prompt)
    limits = [data.get(name) for name in _LIMITS.get(api, ["max_tokens", "max_completion_tokens"])]
    limit = max((one for one in limits if type(one) is int), default=None)
    found = {
        "$always": True,
        "$prompt_tokens": tokens,
        "$places": settings.max_num_seqs,
        "$context": settings.max_model_len,
        "$beyond": tokens - settings.max_model_len,
        "$over_limit": (limit or 0) - settings.max_model_len,
        "$over_places": (data["n"] if type(data.get("n")) is int else 1) - settings.max_num_seqs,
        **_biases(data.get("logit_bias")),
        "$vocabulary": _VOCABULARY,
        "$more_than_context": settings.max_model_len + 1,
        "$limit": limit,
        "$min_over": limit is not None and type(data.get("min_tokens")) is int and data["min_tokens"] > limit,
        "$not_finite": any(isinstance(one, float) and not isfinite(one) for one in data.values()),
        "$thinking_over": _thinks_too_long(data, limit),
    }
    choice = data.get("tool_choice")
    function = choice.get("function") if isinstance(choice, dict) else None
    if isinstance(function, dict) and isinstance(function.get("name"), str):
        found["$named_function"] = function["name"]
        found["$named_offered"] = function["name"] in _offered(data)
    return found


def _biases(bias: Any) -> dict[str, list[Any]]:
    """Return the keys of biases that are not ids, and the ids that no token has."""
    keys = [str(key) for key in bias] if isinstance(bias, dict) else []
    words = [key for key in keys if not key.lstrip("-").isdecimal()]
    beyond = [int(key) for key in keys if key not in words and not 0 <= int(key) < _VOCABULARY]
    return {"$bias_words": words, "$bias_beyond": beyond}


def _thinks_too_long(data: dict[str, Any], limit: int | None) -> bool:
    thinking = data.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return type(budget) is int and limit is not None and budget >= limit


def _offered(data: dict[str, Any]) -> list[Any]:
    found = []
    given = data.get("tools")
    for tool in given if isinstance(given, list) else []:
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict):
            found.append(function.get("name"))
    return found
