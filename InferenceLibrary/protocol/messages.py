"""Read the answers of OpenAI-compatible servers: replies, stream chunks, usage and the five error shapes of the field.

Readers are lenient where servers differ (absent and null content, text in `reasoning_content` or `reasoning`), because
judging is not their business: the raw object is always kept beside what was read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

DONE = "[DONE]"
"""The data of the event that ends a chat or completion stream."""


class Usage(NamedTuple):
    """Token counts as the server gave them; None where it gave none."""

    prompt_tokens: int | None
    completion_tokens: int | None
    total_tokens: int | None

    def __str__(self) -> str:
        return f"{self.prompt_tokens} + {self.completion_tokens} = {self.total_tokens} tokens"


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


@dataclass(eq=False, repr=False)
class Piece:
    """What one choice of a reply or chunk holds."""

    index: int = 0
    text: str = ""
    reasoning: str = ""
    role: str | None = None
    finish_reason: str | None = None


def read_usage(data: Any) -> Usage | None:
    """Return the usage of a reply or chunk object, None when it has none."""
    usage = data.get("usage") if isinstance(data, dict) else None
    if not isinstance(usage, dict):
        return None
    return Usage(*(_integer(usage.get(f"{name}_tokens")) for name in ("prompt", "completion", "total")))


def read_pieces(data: Any) -> list[Piece]:
    """Return the choices of a chat or completion object, of a whole reply or of a stream chunk."""
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list):
        return []
    return [_piece(choice) for choice in choices if isinstance(choice, dict)]


def read_error(text: str) -> ErrorBody | None:
    """Return what an error body says; None when it holds no error.

    Shapes: `{"error": {"message": ...}}` (OpenAI), `{"error": "text", "error_type": ...}` (TGI), `{"object": "error",
    "message": ...}` (older vLLM), `{"detail": ...}` (FastAPI), `{"type": "error", "error": {...}}` (Anthropic).
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    error = data.get("error")
    if isinstance(error, dict):
        return _error(error)
    if isinstance(error, str):
        return ErrorBody(error, _text(data.get("error_type")), _text(data.get("code")))
    if data.get("object") == "error":
        return _error(data)
    if "detail" in data:
        detail = data["detail"]
        return ErrorBody(detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False))
    return None


def _piece(choice: dict[str, Any]) -> Piece:
    body = choice.get("delta", choice.get("message"))
    if not isinstance(body, dict):
        body = {"content": choice.get("text")}
    return Piece(
        index=_integer(choice.get("index")) or 0,
        text=_content(body.get("content")),
        reasoning=_content(body.get("reasoning_content", body.get("reasoning"))),
        role=_text(body.get("role")),
        finish_reason=_text(choice.get("finish_reason")),
    )


def _content(value: Any) -> str:
    """Text, or the joined text of content parts."""
    if isinstance(value, list):
        return "".join(part.get("text", "") for part in value if isinstance(part, dict))
    return value if isinstance(value, str) else ""


def _error(error: dict[str, Any]) -> ErrorBody:
    message = _text(error.get("message")) or json.dumps(error, ensure_ascii=False)
    return ErrorBody(message, _text(error.get("type")), _text(error.get("code")), _text(error.get("param")))


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
