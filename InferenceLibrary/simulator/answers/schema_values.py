"""Made-up values that fit a JSON schema: arguments of tools, and answers in a required format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import random_tokens
from InferenceLibrary.simulator.core.api_errors import ApiError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.settings import Settings

_DEEPEST = 12
_MOST = 50_000
"""Most values and characters that are made for one schema, while others wait."""


def value_for(schema: Any, draws: Draws, settings: Settings) -> Any:
    """Return a value that fits the schema; what it does not say is free.

    Args:
        schema: The schema; local references (`#/$defs/...`) are followed.
        draws: Where chance comes from.
        settings: Limits for numbers and arrays, and how often optional fields are given.

    Raises:
        ApiError: 400; the schema asks for more than is made.
    """
    try:
        return _Maker(schema, draws, settings).value(schema, 0)
    except OverflowError:
        raise ApiError(400, "A number of the schema is too large") from None


class _Maker:
    def __init__(self, root: Any, draws: Draws, settings: Settings) -> None:
        self._root = root
        self._draws = draws
        self._settings = settings
        self._left = _MOST

    def _spend(self, number: int) -> None:
        self._left -= number
        if self._left < 0:
            raise ApiError(400, f"The stand-in makes at most {_MOST} values and characters for a schema")

    def value(self, schema: Any, depth: int) -> Any:
        """Return a value for a part of the schema; `depth` is how deep it stands: recursion ends in empty values."""
        self._spend(1)
        draws, settings = self._draws, self._settings
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return None if depth > _DEEPEST else "value"
        if "$ref" in schema:
            return self.value(_resolve(schema["$ref"], self._root), depth + 1)
        if "const" in schema:
            return schema["const"]
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return schema["enum"][draws.below(len(schema["enum"]))]
        for name in ("anyOf", "oneOf", "allOf"):
            if isinstance(schema.get(name), list) and schema[name]:
                return self.value(schema[name][0], depth + 1)
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = kind[0] if kind else "string"
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            low = _count(schema, "minItems", settings.min_tool_call_array_param_length)
            high = max(low, _count(schema, "maxItems", settings.max_tool_call_array_param_length))
            self._spend(low)
            items = schema.get("items", {"type": "string"})
            return [self.value(items, depth + 1) for _ in range(draws.between(low, high))]
        return self._scalar(kind, schema)

    def _scalar(self, kind: Any, schema: dict[str, Any]) -> Any:
        draws, settings = self._draws, self._settings
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
        least = _count(schema, "minLength", 0)
        self._spend(least)
        text = "".join(random_tokens(draws, 3)).strip(" .,;:")
        text += " more" * -(min(0, len(text) - least) // 5)
        return text[: _count(schema, "maxLength", len(text))]

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties")
        required = schema.get("required")
        settings = self._settings
        chance = (
            settings.object_tool_call_not_required_field_probability
            if depth
            else settings.tool_call_not_required_param_probability
        )
        wanted = required if isinstance(required, list) else []
        return {
            name: self.value(part, depth + 1)
            for name, part in (properties if isinstance(properties, dict) else {}).items()
            if name in wanted or self._draws.percent(chance)
        }


def _count(schema: dict[str, Any], key: str, default: int) -> int:
    """Return a number of a schema; what is not one counts as not given."""
    value = schema.get(key)
    return value if isinstance(value, int) and value >= 0 else default


def _limits(schema: dict[str, Any], low: float, high: float) -> tuple[float, float]:
    given = {key: schema[key] for key in ("minimum", "maximum") if isinstance(schema.get(key), int | float)}
    if "minimum" in given:
        low, high = given["minimum"], max(high, given["minimum"])
    if "maximum" in given:
        low, high = min(low, given["maximum"]), given["maximum"]
    return low, high


def _resolve(reference: Any, root: Any) -> Any:
    found = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
    return found
