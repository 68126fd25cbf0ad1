"""Tools as llm-d-inference-sim v0.10.2 takes and calls them: it looks at their schemas, and makes arguments up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.answers.schema_values import value_for
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.personalities.llm_d_requests import tokens_of, unreadable

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.engine import Output
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.draws import Draws
    from InferenceLibrary.simulator.core.settings import Settings

CALL_TOKENS = 3
"""Tokens of a call beside those of its arguments."""
_KINDS = ("object", "array", "string", "number", "integer", "boolean", "null")
_ENUMS: dict[str, tuple[type, ...]] = {
    "string": (str,), "number": (int, float), "integer": (int,), "boolean": (bool,)
}  # fmt: skip
"""By kind what its `enum` may hold; the other kinds take none."""
_NEEDS = {"object": "properties", "array": "items"}
"""By kind what its schema must have."""
_PLAIN: dict[str, tuple[type, ...]] = {
    "type": (str,), "properties": (dict,), "items": (dict, list),
    "description": (str,), "additionalProperties": (bool,), "minItems": (int,), "maxItems": (int,),
    "title": (str,), "pattern": (str,), "format": (str,), "minLength": (int,), "maxLength": (int,),
    "minimum": (int, float), "maximum": (int, float), "exclusiveMinimum": (int, float, bool),
    "exclusiveMaximum": (int, float, bool), "default": (object,),
}  # fmt: skip
"""Keys of a schema, and what they hold, beside `required` and `enum`. There are no others: `anyOf` is refused."""


def checked_tools(ask: Ask, *, given: bool) -> None:
    """Refuse tools as the server does.

    Raises:
        ApiError: 400, a tool without a schema, or with a bad one; 500, a tool that is not there is named.
    """
    if given and not ask.tools:
        raise ApiError(500, "no tools were given")
    if isinstance(ask.tool_choice, int | float | list) or ask.tool_choice == {}:
        raise unreadable("tool_choice must be a text or name a tool")
    names = []
    for tool in ask.tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        wrong = _misfit(function.get("parameters") if isinstance(function, dict) else None, "/parameters")
        if wrong is not None:
            raise ApiError(400, f"Tool validation failed: jsonschema: '{wrong}' does not validate")
        names.append(function.get("name") if isinstance(function, dict) else None)
    if isinstance(ask.tool_choice, dict):
        if ask.tool_choice.get("type") != "function":
            ask.tool_choice = "auto"
            return
        function = ask.tool_choice.get("function")
        if function is not None and not isinstance(function, dict):
            raise unreadable("tool_choice must be a text or name a tool")
        if (function or {}).get("name") not in names:
            raise ApiError(500, "the named tool was not given")
    elif ask.tool_choice not in {"none", "required"}:
        ask.tool_choice = "auto"


def _misfit(schema: Any, place: str) -> str | None:
    """Return where a schema of parameters is not what the server takes; None where it is."""
    if not isinstance(schema, dict):
        return place
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        return f"{place}/type" if "type" in schema else place
    wrong = next((key for key, value in schema.items() if not _takes(kind, key, value)), None)
    if wrong is not None:
        return f"{place}/{wrong}"
    if _NEEDS.get(kind, "type") not in schema:
        return place
    items = schema.get("items", [])
    below = [(one, f"{place}/properties/{name}") for name, one in schema.get("properties", {}).items()]
    below += [(one, f"{place}/items") for one in (items if isinstance(items, list) else [items])]
    return next((found for one in below if (found := _misfit(*one)) is not None), None)


def _takes(kind: str, key: str, value: Any) -> bool:
    """Whether a schema of a kind may have a key with that value, whatever its own schemas are."""
    if key == "required":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if key == "enum":
        return kind in _ENUMS and isinstance(value, list) and all(_is(one, _ENUMS[kind]) for one in value)
    return key in _PLAIN and _is(value, _PLAIN[key])


def _is(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a value is of one of the kinds; in JSON true is not a number."""
    return isinstance(value, kinds) and (not isinstance(value, bool) or bool in kinds or object in kinds)


def call_tools(ask: Ask, output: Output, draws: Draws, settings: Settings) -> None:
    """Let an answer call tools, as the choice of the request has it."""
    if not ask.tools or ask.tool_choice == "none":
        return
    functions = [tool["function"] for tool in ask.tools]
    if isinstance(ask.tool_choice, dict):
        chosen = [one for one in functions if one["name"] == ask.tool_choice["function"]["name"]][:1]
    else:
        count = draws.between(1 if ask.tool_choice == "required" else 0, len(functions))
        chosen = [functions[draws.below(len(functions))] for _ in range(count)]
    if not chosen:
        return
    output.tokens, output.finish = [], "tool_calls"
    for place, function in enumerate(chosen):
        value = value_for(function["parameters"], draws, settings, ask)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        called = {"name": function["name"], "arguments": text}
        call_id = f"chatcmpl-tool-{draws.below(10**10):010}"
        output.tool_calls.append({"function": called, "id": call_id, "type": "function", "index": place})
        output.tool_tokens += len(tokens_of(text)) + CALL_TOKENS
