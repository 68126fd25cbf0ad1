"""Made-up values that fit a JSON schema: arguments of tools, and answers in a required format."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.tokens import random_tokens
from InferenceLibrary.simulator.core.api_errors import ApiError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.settings import Settings

_DEEPEST = 12
_MOST = 200_000
"""Most values and characters that are made for the schemas of one request, while others wait."""
_LONG = 1000
"""Most items of an array that need not have more."""


def value_for(schema: Any, draws: Draws, settings: Settings, ask: Ask | None = None) -> Any:
    """Return a value that fits the schema; what it does not say is free.

    Args:
        schema: The schema; local references (`#/$defs/...`) are followed.
        draws: Where chance comes from.
        settings: Limits for numbers and arrays, and how often optional fields are given.
        ask: The request, which counts what is made for its schemas.

    Raises:
        ApiError: 400; the schemas ask for more than is made.
    """
    maker = _Maker(schema, draws, settings, 0 if ask is None else ask.values_made)
    try:
        return maker.value(schema, 0)
    except OverflowError:
        raise ApiError(400, "A number of the schema is too large") from None
    finally:
        if ask is not None:
            ask.values_made = maker.made


class _Maker:
    def __init__(self, root: Any, draws: Draws, settings: Settings, made: int) -> None:
        self._root = root
        self._draws = draws
        self._settings = settings
        self.made = made

    def _refuse_beyond(self, more: int) -> None:
        if self.made + more > _MOST:
            raise ApiError(400, f"The stand-in makes at most {_MOST} values and characters for schemas of a request")

    def _count(self, made: int) -> None:
        self._refuse_beyond(made)
        self.made += made

    def value(self, schema: Any, depth: int) -> Any:
        """Return a value for a part of the schema; `depth` is how deep it stands: recursion ends in empty values."""
        self._count(1)
        draws, settings = self._draws, self._settings
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return None if depth > _DEEPEST else "value"
        if "$ref" in schema:
            return self.value(_resolve(schema["$ref"], self._root), depth + 1)
        if "const" in schema:
            return self._given(schema["const"])
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return self._given(schema["enum"][draws.below(len(schema["enum"]))])
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
            high = _count(schema, "maxItems", settings.max_tool_call_array_param_length)
            high = max(low, min(high, max(_LONG, settings.max_tool_call_array_param_length)))
            self._refuse_beyond(low)
            items = schema.get("items", {"type": "string"})
            return [self.value(items, depth + 1) for _ in range(draws.between(low, high))]
        return self._scalar(kind, schema)

    def _given(self, value: Any) -> Any:
        """Return a value that the schema names, and count it as it will be written."""
        try:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except ValueError:
            raise OverflowError from None
        self._count(len(text))
        return value

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
        self._count(least)
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
        made: dict[str, Any] = {}
        for name, part in (properties if isinstance(properties, dict) else {}).items():
            if name in wanted or self._draws.percent(chance):
                self._count(len(name))
                made[name] = self.value(part, depth + 1)
        return made


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
    if not (isfinite(low) and isfinite(high)):
        raise OverflowError
    return low, high


def _resolve(reference: Any, root: Any) -> Any:
    found = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
    return found
