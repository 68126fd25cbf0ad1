"""Chat requests as FastAPI and Pydantic judge them: 422 with a `detail` list that names every wrong field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.strict_numbers import decoder_for

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.request import Request

_ROLES = ("system", "user", "assistant", "tool", "function")
_NUMBERS: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
}
_PHRASES = {404: "Not Found", 405: "Method Not Allowed"}


class Unprocessable(ApiError):
    """The request is refused with a list of what is wrong with it."""

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        super().__init__(422, "; ".join(str(problem["msg"]) for problem in problems))
        self.problems = problems


def detail(error: ApiError) -> Draft:
    """Return an error in the shape of FastAPI."""
    if isinstance(error, Unprocessable):
        return Draft(422, body={"detail": error.problems})
    return Draft(error.status, body={"detail": _PHRASES.get(error.status, error.message)})


def problem(kind: str, where: Sequence[str | int], message: str, value: Any, **context: Any) -> dict[str, Any]:
    """Return one entry of the list."""
    found = {"type": kind, "loc": ["body", *where], "msg": message, "input": value}
    return {**found, "ctx": context} if context else found


def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object.

    Raises:
        Unprocessable: It is none.
    """
    try:
        data = decoder_for(text := request.body.decode("utf-8")).decode(text)
    except (ValueError, RecursionError) as error:
        place = getattr(error, "pos", 0)
        reason = getattr(error, "msg", str(error))
        entry = problem("json_invalid", [place], "JSON decode error", {}, error=reason)
        raise Unprocessable([entry]) from None
    if not isinstance(data, dict):
        text = "Input should be a valid dictionary or object to extract fields from"
        raise Unprocessable([problem("model_attributes_type", [], text, data)])
    return data


def check_chat(
    data: dict[str, Any],
    choices: Mapping[str, Sequence[str]] | None = None,
    more: Sequence[dict[str, Any]] = (),
) -> None:
    """Refuse a chat request with wrong fields.

    Args:
        data: The request.
        choices: Further fields with the words that they allow.
        more: What else is wrong with it.

    Raises:
        Unprocessable: Something is wrong; all of it is named.
    """
    found: list[dict[str, Any]] = []
    if "model" not in data:
        found.append(problem("missing", ["model"], "Field required", data))
    elif not isinstance(data["model"], str):
        found.append(problem("string_type", ["model"], "Input should be a valid string", data["model"]))
    elif not data["model"]:
        text = "String should have at least 1 character"
        found.append(problem("string_too_short", ["model"], text, "", min_length=1))
    found += _message_problems(data)
    if data.get("stream") is not None and not isinstance(data["stream"], bool):
        found.append(problem("bool_type", ["stream"], "Input should be a valid boolean", data["stream"]))
    found += whole_problems(data, "max_tokens", 1, None)
    for name, (low, high) in _NUMBERS.items():
        found += _number_problems(data, name, low, high)
    stop = data.get("stop")
    if stop is not None and not (
        isinstance(stop, str) or (isinstance(stop, list) and all(isinstance(item, str) for item in stop))
    ):
        found.append(problem("string_type", ["stop"], "Input should be a valid string", stop))
    for name, words in (choices or {}).items():
        value = data.get(name)
        if value is not None and value not in words:
            expected = f"{', '.join(map(repr, words[:-1]))} or {words[-1]!r}"
            found.append(problem("literal_error", [name], f"Input should be {expected}", value, expected=expected))
    found += more
    if found:
        raise Unprocessable(found)


def _message_problems(data: dict[str, Any]) -> list[dict[str, Any]]:
    if "messages" not in data:
        return [problem("missing", ["messages"], "Field required", data)]
    messages = data["messages"]
    if not isinstance(messages, list):
        return [problem("list_type", ["messages"], "Input should be a valid list", messages)]
    if not messages:
        text = "List should have at least 1 item after validation, not 0"
        return [problem("too_short", ["messages"], text, [], field_type="List", min_length=1, actual_length=0)]
    found = []
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            text = "Input should be a valid dictionary or instance of Message"
            found.append(problem("model_type", ["messages", index], text, message))
            continue
        if "role" not in message:
            found.append(problem("missing", ["messages", index, "role"], "Field required", message))
        elif message["role"] not in _ROLES:
            expected = f"{', '.join(map(repr, _ROLES[:-1]))} or {_ROLES[-1]!r}"
            text = f"Input should be {expected}"
            found.append(problem("literal_error", ["messages", index, "role"], text, message["role"]))
        content = message.get("content")
        if content is not None and not isinstance(content, str):
            text = "Input should be a valid string"
            found.append(problem("string_type", ["messages", index, "content"], text, content))
    return found


def whole_problems(data: dict[str, Any], name: str, low: int, high: int | None) -> list[dict[str, Any]]:
    """Return what is wrong with a whole number that may be absent."""
    value = data.get(name)
    if value is None:
        return []
    if isinstance(value, bool) or not isinstance(value, int):
        return [problem("int_type", [name], "Input should be a valid integer", value)]
    if value < low:
        return [problem("greater_than_equal", [name], f"Input should be greater than or equal to {low}", value, ge=low)]
    if high is not None and value > high:
        return [problem("less_than_equal", [name], f"Input should be less than or equal to {high}", value, le=high)]
    return []


def _number_problems(data: dict[str, Any], name: str, low: float, high: float) -> list[dict[str, Any]]:
    value = data.get(name)
    if value is None:
        return []
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return [problem("float_type", [name], "Input should be a valid number", value)]
    if value < low:
        return [problem("greater_than_equal", [name], f"Input should be greater than or equal to {low}", value, ge=low)]
    if value > high:
        return [problem("less_than_equal", [name], f"Input should be less than or equal to {high}", value, le=high)]
    return []
