"""Argument types of the keywords and how Robot's texts become them.

No `from __future__ import annotations` here: Robot needs real annotations of these types.
"""

import ast
import json
from datetime import timedelta
from typing import Any

from robot.api.types import Secret
from robot.utils import timestr_to_secs

from InferenceLibrary.client.records import Reply, Stream


class JsonObject(dict[str, Any]):
    """A JSON object.

    Give JSON text (`{"top_k": 1, "echo": null}`), a Python literal (`{'top_k': 1}`) or a dictionary variable.
    """


class Messages(list[dict[str, Any]]):
    """The messages of a chat.

    Give plain text (one user message), a JSON array or Python literal of objects with `role` and `content`, or a list
    variable. Text that begins with `[` is read as JSON.
    """


def seconds(value: timedelta | float | None) -> float | None:
    """Return a Robot time as seconds, None as None."""
    if value is None:
        return None
    return value.total_seconds() if isinstance(value, timedelta) else float(value)


def to_json_object(value: str | dict) -> JsonObject:  # type: ignore[type-arg]
    """Convert to a JSON object.

    Raises:
        ValueError: The text is neither JSON nor a Python literal, or not an object.
    """
    data = _literal(value) if isinstance(value, str) else value
    if not isinstance(data, dict):
        raise ValueError(f'Expected a JSON object such as {{"top_k": 1}}, got {_kind(data)}.')
    return JsonObject({str(key): item for key, item in data.items()})


def to_messages(value: str | list | tuple) -> Messages:  # type: ignore[type-arg]
    """Convert to chat messages.

    Raises:
        ValueError: The text begins with `[` but is no list, or an item is no object with a role.
    """
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return Messages([{"role": "user", "content": value}])
    data = _literal(value) if isinstance(value, str) else value
    messages = Messages()
    for index, item in enumerate(data):
        if not isinstance(item, dict) or not isinstance(item.get("role"), str):
            raise ValueError(
                f'Expected message {index} to be an object such as {{"role": "user", "content": "Hi"}}, got {item!r}.'
            )
        messages.append(dict(item))
    return messages


def _literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        reason = str(error)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise ValueError(f"Expected JSON or a Python literal; as JSON it fails with: {reason}.") from None


def _kind(value: Any) -> str:
    return f"{type(value).__name__} {value!r}"


_BYTE_UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def to_quantity(value: Any, unit: str) -> float:
    """Return what a test expects of a number: `200 ms` as 0.2 for unit `s`, `2 GB` as 2e9 for unit `B`, else a float.

    Raises:
        ValueError: The text is no number of that unit.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float):
        return float(value)
    text = str(value).strip()
    if unit == "s":
        return float(timestr_to_secs(text))
    if unit == "B":
        number = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
        suffix = text[len(number) :].strip().lower()
        if suffix and suffix not in _BYTE_UNITS:
            raise ValueError(f"Expected bytes with a unit of {', '.join(_BYTE_UNITS)}, got '{text}'.")
        return float(number) * _BYTE_UNITS.get(suffix, 1)
    return float(text.removesuffix(unit).strip() if unit else text)


class Texts(list[str]):
    """One text or several: plain text is one; a JSON array or Python list of texts is several."""


def to_texts(value: str | list | tuple) -> Texts:  # type: ignore[type-arg]
    """Convert to texts.

    Raises:
        ValueError: The text begins with `[` but is no list, or an item is no text.
    """
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return Texts([value])
    data = _literal(value) if isinstance(value, str) else value
    if not all(isinstance(item, str) for item in data):
        raise ValueError(f'Expected texts such as ["one", "two"], got {_kind(data)}.')
    return Texts(data)


def refuse_reply(value: object) -> Reply:
    """The reply that `Chat`, `Complete` or `Send Request` returned."""
    raise ValueError(f"Expected a reply of Chat, Complete or Send Request, got {_kind(value)}.")


def refuse_stream(value: object) -> Stream:
    """The stream that `Stream Chat` or `Stream Completion` returned."""
    raise ValueError(f"Expected a stream of Stream Chat or Stream Completion, got {_kind(value)}.")


def reveal(secret: Secret | None) -> str | None:
    """Return what a Robot secret holds. For the transport only."""
    return None if secret is None else str(secret.value)


CONVERTERS: dict[type, Any] = {
    JsonObject: to_json_object,
    Messages: to_messages,
    Texts: to_texts,
    Reply: refuse_reply,
    Stream: refuse_stream,
}
"""What the library registers at Robot Framework."""
