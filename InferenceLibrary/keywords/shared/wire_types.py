"""Argument types of calls, and how Robot's texts become them.

No `from __future__ import annotations` here: Robot needs real annotations of these types.
"""

from typing import Any, Literal

from InferenceLibrary.protocol.statuses import Statuses, read_statuses
from InferenceLibrary.types import to_json_object

Rules = Literal["warn", "fail", "fail-should", "fail-tagged", "off"]
"""How much broken rules of the wire count."""


class Tools(list[dict[str, Any]]):
    """The tools that a model may call.

    Give a JSON array or list variable of functions, each with `name`, `description` and `parameters` (a JSON schema);
    one function as a JSON object; or the whole form with `type` and `function`.
    """


class ToolChoice(str):
    """Which tool a model shall call: `auto`, `none`, `required`, the name of one tool, or the object of the API."""

    __slots__ = ()


class ResponseFormat(dict[str, Any]):
    """The form of an answer: `text`, `json_object`, a JSON schema, or the whole object with `type`."""


def to_tools(value: str | list | dict) -> Tools:  # type: ignore[type-arg]
    """Convert to tools.

    Raises:
        ValueError: It is not JSON, or an item has no name.
    """
    if isinstance(value, dict) or (isinstance(value, str) and value.lstrip().startswith("{")):
        given = [to_json_object(value)]
    else:
        given = _items(value)
    tools = Tools()
    for index, item in enumerate(given):
        tool = item if "function" in item else {"type": "function", "function": item}
        if not isinstance(tool["function"], dict) or not tool["function"].get("name"):
            raise ValueError(f'Expected tool {index} to be a function such as {{"name": "add"}}, got {item!r}.')
        tools.append(dict(tool))
    return tools


def _items(value: Any) -> list[Any]:
    import json

    data = json.loads(value) if isinstance(value, str) else value
    if not isinstance(data, list | tuple) or not all(isinstance(item, dict) for item in data):
        raise ValueError(f"Expected a JSON array of functions, got {value!r}.")
    return list(data)


def to_tool_choice(value: str | dict) -> ToolChoice | dict[str, Any]:  # type: ignore[type-arg]
    """Convert to a choice; an object, or its JSON text, is sent as it is.

    Raises:
        ValueError: It is empty, or looks like an object and is not JSON.
    """
    if isinstance(value, dict) or value.lstrip().startswith("{"):
        return dict(to_json_object(value))
    if not value.strip():
        raise ValueError("Expected auto, none, required, the name of a tool or a JSON object, got an empty text.")
    return ToolChoice(value)


def to_response_format(value: str | dict) -> ResponseFormat:  # type: ignore[type-arg]
    """Convert to a response format; a bare JSON schema is wrapped.

    Raises:
        ValueError: The text is neither one of the names nor a JSON object.
    """
    if isinstance(value, str) and value.strip() in {"text", "json_object"}:
        return ResponseFormat(type=value.strip())
    data = to_json_object(value)
    if data.get("type") in {"text", "json_object", "json_schema", "json", "regex", "structural_tag"}:
        return ResponseFormat(data)
    schema = {"name": str(data.get("title") or "answer"), "schema": dict(data), "strict": True}
    return ResponseFormat(type="json_schema", json_schema=schema)


def to_statuses(value: str | int | list | tuple) -> Statuses:  # type: ignore[type-arg]
    """Statuses of HTTP: `404`, a class `4xx`, several `400,422` or a list of them, `any`; `failure` is any failure."""
    return read_statuses(value)


CONVERTERS: dict[type, Any] = {
    Tools: to_tools,
    ToolChoice: to_tool_choice,
    ResponseFormat: to_response_format,
    Statuses: to_statuses,
}
"""What calls take besides the common types; the library registers it at Robot Framework."""
