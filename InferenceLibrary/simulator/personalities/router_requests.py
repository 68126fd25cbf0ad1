"""Requests to the router: what it checks before anything is sent on."""

from __future__ import annotations

import re
from typing import Any

from InferenceLibrary.simulator.core.request import Request
from InferenceLibrary.simulator.core.strict_numbers import decoder_for
from InferenceLibrary.simulator.personalities.router_limits import RouterError

_KEPT = ("model", "messages", "prompt", "max_tokens", "temperature", "stream", "parameters")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_LONGEST_PAYLOAD = 65536
_GO_TYPES: dict[str, tuple[type | tuple[type, ...], str]] = {
    "model": (str, "string"),
    "messages": (list, "[]public.OpenAIMessage"),
    "prompt": (str, "string"),
    "max_tokens": (int, "int"),
    "temperature": ((int, float), "float64"),
    "stream": (bool, "bool"),
    "request_id": (str, "string"),
    "payload": (str, "string"),
    "content_type": (str, "string"),
    "parameters": (dict, "map[string]interface {}"),
}


def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object.

    Raises:
        RouterError: INVALID_REQUEST, it is none, or a field has a type that the router cannot decode.
    """
    try:
        text = request.body.decode("utf-8", "replace")
        data = decoder_for(text).decode(text)
    except (ValueError, RecursionError) as error:
        text = "unexpected EOF" if not request.body else str(error)
        raise RouterError("INVALID_REQUEST", f"invalid request body: {text}") from None
    if not isinstance(data, dict):
        raise _cannot_decode("value", type(data).__name__, "object")
    for name, (kind, go_type) in _GO_TYPES.items():
        value = data.get(name)
        if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
            raise _cannot_decode(name, type(value).__name__, go_type)
    return data


def _cannot_decode(name: str, got: str, wanted: str) -> RouterError:
    said = {"str": "string", "int": "number", "float": "number", "list": "array", "dict": "object"}.get(got, got)
    return RouterError(
        "INVALID_REQUEST", f"invalid request body: json: cannot unmarshal {said} into field {name} of type {wanted}"
    )


def check_chat(data: dict[str, Any]) -> None:
    """Refuse a chat without model or messages.

    Raises:
        RouterError: VALIDATION_ERROR; INVALID_REQUEST for contents that are not text.
    """
    if not data.get("model"):
        raise RouterError("VALIDATION_ERROR", "model is required")
    if not data.get("messages"):
        raise RouterError("VALIDATION_ERROR", "messages array cannot be empty")
    for message in data["messages"]:
        if not isinstance(message, dict):
            raise _cannot_decode("messages", type(message).__name__, "public.OpenAIMessage")
        for name in ("role", "content"):
            if message.get(name) is not None and not isinstance(message[name], str):
                raise _cannot_decode(f"messages.{name}", type(message[name]).__name__, "string")


def check_completion(data: dict[str, Any]) -> None:
    """Refuse a completion without model or prompt.

    Raises:
        RouterError: VALIDATION_ERROR.
    """
    if not data.get("model"):
        raise RouterError("VALIDATION_ERROR", "model is required")
    if not data.get("prompt"):
        raise RouterError("VALIDATION_ERROR", "prompt is required")


def check_inference(data: dict[str, Any]) -> None:
    """Refuse a wrong request of the router's own API.

    Raises:
        RouterError: VALIDATION_ERROR.
    """
    request_id = data.get("request_id") or ""
    if not request_id:
        raise RouterError("VALIDATION_ERROR", "request_id is required")
    if not _UUID.fullmatch(request_id):
        raise RouterError(
            "VALIDATION_ERROR", f"request_id must be a valid UUID: invalid UUID length: {len(request_id)}"
        )
    for name in ("model", "payload"):
        if not data.get(name):
            raise RouterError("VALIDATION_ERROR", f"{name} is required")
    if len(data["payload"].encode("utf-8", "replace")) > _LONGEST_PAYLOAD:
        raise RouterError("VALIDATION_ERROR", "payload exceeds maximum size of 64 KB")
    if data.get("content_type") not in (None, "", "text/plain", "application/json"):
        raise RouterError("VALIDATION_ERROR", "content_type must be 'text/plain' or 'application/json'")


def known_only(data: dict[str, Any]) -> dict[str, Any]:
    """Return what the first era sends on: the fields that it knows, without zeros."""
    return {name: data[name] for name in _KEPT if data.get(name)}
