"""Made-up values that fit a JSON schema: arguments of tools, and answers in a required format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import random_tokens

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.settings import Settings

_DEEPEST = 12


def value_for(schema: Any, draws: Draws, settings: Settings, root: Any = None, depth: int = 0) -> Any:
    """Return a value that fits the schema; what it does not say is free.

    Args:
        schema: The schema; local references (`#/$defs/...`) are followed.
        draws: Where chance comes from.
        settings: Limits for numbers and arrays, and how often optional fields are given.
        root: The whole schema, for references.
        depth: How deep the value stands; recursion ends in empty values.
    """
    root = schema if root is None else root
    if not isinstance(schema, dict) or depth > _DEEPEST:
        return None if depth > _DEEPEST else "value"
    if "$ref" in schema:
        return value_for(_resolve(schema["$ref"], root), draws, settings, root, depth + 1)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][draws.below(len(schema["enum"]))]
    for name in ("anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(name), list) and schema[name]:
            return value_for(schema[name][0], draws, settings, root, depth + 1)
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0] if kind else "string"
    if kind == "object":
        return _object(schema, draws, settings, root, depth)
    if kind == "array":
        low = schema.get("minItems", settings.min_tool_call_array_param_length)
        high = max(low, schema.get("maxItems", settings.max_tool_call_array_param_length))
        items = schema.get("items", {"type": "string"})
        return [value_for(items, draws, settings, root, depth + 1) for _ in range(draws.between(low, high))]
    return _scalar(kind, schema, draws, settings)


def _scalar(kind: str, schema: dict[str, Any], draws: Draws, settings: Settings) -> Any:
    if kind == "integer":
        low, high = _limits(schema, settings.min_tool_call_integer_param, settings.max_tool_call_integer_param)
        return draws.between(int(low), max(int(low), int(high)))
    if kind == "number":
        low, high = _limits(schema, settings.min_tool_call_number_param, settings.max_tool_call_number_param)
        return round(low + draws.uniform() * (high - low), 3)
    if kind == "boolean":
        return draws.below(2) == 1
    if kind == "null":
        return None
    text = "".join(random_tokens(draws, 3)).strip(" .,;:")
    while len(text) < schema.get("minLength", 0):
        text += " more"
    return text[: schema.get("maxLength", len(text))]


def _limits(schema: dict[str, Any], low: float, high: float) -> tuple[float, float]:
    if "minimum" in schema:
        low, high = schema["minimum"], max(high, schema["minimum"])
    if "maximum" in schema:
        low, high = min(low, schema["maximum"]), schema["maximum"]
    return low, high


def _object(schema: dict[str, Any], draws: Draws, settings: Settings, root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    required = schema.get("required")
    chance = (
        settings.object_tool_call_not_required_field_probability
        if depth
        else settings.tool_call_not_required_param_probability
    )
    wanted = required if isinstance(required, list) else []
    return {
        name: value_for(part, draws, settings, root, depth + 1)
        for name, part in (properties if isinstance(properties, dict) else {}).items()
        if name in wanted or draws.percent(chance)
    }


def _resolve(reference: Any, root: Any) -> Any:
    found = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
    return found
