"""Error bodies of the field, in their shapes, and the categories of failed calls."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from InferenceLibrary.foreign_text import cut, readable

RATE_LIMIT = "RATE_LIMIT"
SERVER_ERROR = "SERVER_ERROR"
INVALID_REQ = "INVALID_REQ"
AUTH_ERROR = "AUTH_ERROR"
PARSE_ERROR = "PARSE_ERROR"
UNKNOWN = "UNKNOWN"
CATEGORIES = (RATE_LIMIT, SERVER_ERROR, INVALID_REQ, AUTH_ERROR, PARSE_ERROR, UNKNOWN)

_LONGEST = 500
"""Characters of a plain text answer that are taken for its message."""


class ErrorBody(NamedTuple):
    """What an error answer says, whichever shape it has."""

    message: str
    type: str | None = None
    code: str | None = None
    """As text, whether the server sent text or a number."""
    param: str | None = None

    def __str__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in (("type", self.type), ("code", self.code)) if value)
        return f"{self.message} ({facts})" if facts else self.message


def categorize(status: int | None, error: ErrorBody | None = None, *, cancelled: bool = False) -> str:
    """Return the category of a failed call, as the batch gateway's client has them.

    RATE_LIMIT: 429. SERVER_ERROR: 5xx, and no answer at all. INVALID_REQ: 400, and 422, which Python servers say for
    it. AUTH_ERROR: 401 and 403. PARSE_ERROR: an answer that should be good and cannot be read. UNKNOWN: the rest, such
    as 404, and a call that was cancelled.

    Args:
        status: HTTP status, None when there was none or it came too late: an error inside a stream.
        error: Body of an error inside a stream; its code counts when it is a status.
        cancelled: Whether the client gave up by itself.
    """
    if cancelled:
        return UNKNOWN
    if status is None:
        code = error.code if error is not None else None
        if code is None or not (code.isdecimal() and 400 <= int(code) <= 599):
            return SERVER_ERROR
        status = int(code)
    if status == 429:
        return RATE_LIMIT
    if status >= 500:
        return SERVER_ERROR
    if status in {400, 422}:
        return INVALID_REQ
    if status in {401, 403}:
        return AUTH_ERROR
    return PARSE_ERROR if 200 <= status < 300 else UNKNOWN


def read_error(text: str) -> ErrorBody | None:
    """Return what an error body says; None when it holds no error.

    Shapes: `{"error": {"message": ...}}` (OpenAI, Anthropic), `{"error": "text", "error_type": ...}` (TGI),
    `{"object": "error", "message": ...}` (older vLLM), `{"detail": ...}` (FastAPI), `{"type": "error", "message": ...}`
    (an event of the Responses API, as is `response.failed`).
    """
    # Most events hold no error, and decoding each a second time would cost.
    if "error" not in text and "detail" not in text:
        return None
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return error_of(data)


def read_refusal(status: int, text: str) -> ErrorBody | None:
    """Return what an answer with this status says of an error: an error body, else the plain text of a refusal."""
    found = read_error(text)
    if found is None and status >= 400 and text.strip():
        return ErrorBody(cut(" ".join(text.split()), _LONGEST))
    return found


def error_of(data: Any) -> ErrorBody | None:
    """Return what a decoded body or event says of an error, None when it holds none."""
    if isinstance(data, list):
        # Gemini's form: a list that begins with an error.
        return error_of(data[0]) if data and isinstance(data[0], dict) else None
    if not isinstance(data, dict):
        return None
    error = data.get("error")
    if data.get("type") == "response.failed" and isinstance(data.get("response"), dict):
        error = data["response"].get("error") or {"message": "the response failed without a reason"}
    if isinstance(error, dict) and error:
        return _error(error)
    if error:
        said = error if isinstance(error, str) else json.dumps(error, ensure_ascii=False)
        return ErrorBody(readable(said), _text(data.get("error_type")), _text(data.get("code")))
    if data.get("object") == "error" or (data.get("type") == "error" and "message" in data):
        return _error(data)
    if "detail" in data:
        return _detail(data["detail"])
    return None


def error_of_event(name: str, data: Any, text: str) -> ErrorBody | None:
    """Return what an event says of an error: one that is named so, or whose data is one; None when it is neither.

    Args:
        name: What its `event:` line says.
        data: The decoded data, None when it is not JSON.
        text: The data as it came.
    """
    found = error_of(data)
    if found is not None or name != "error":
        return found
    if isinstance(data, dict) and data:
        return _error(data)
    return ErrorBody(readable(cut(" ".join(text.split()), _LONGEST)))


def _detail(detail: Any) -> ErrorBody:
    """FastAPI: text, an object, or a list of what is wrong where."""
    if isinstance(detail, dict) and "message" in detail:
        return _error(detail)
    if isinstance(detail, list) and detail and all(isinstance(item, dict) and "msg" in item for item in detail):
        wrong = [".".join(str(step) for step in item.get("loc", ())) + f": {item['msg']}" for item in detail]
        return ErrorBody(readable("; ".join(wrong)), _text(detail[0].get("type")))
    return ErrorBody(readable(detail) if isinstance(detail, str) else readable(json.dumps(detail, ensure_ascii=False)))


def _error(error: dict[str, Any]) -> ErrorBody:
    message = _text(error.get("message")) or readable(json.dumps(error, ensure_ascii=False))
    return ErrorBody(message, _text(error.get("type")), _text(error.get("code")), _text(error.get("param")))


def _text(value: Any) -> str | None:
    return None if value is None else readable(str(value))
