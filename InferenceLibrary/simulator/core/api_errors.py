"""Errors that the APIs answer with. Each personality has its own shape for the body."""

from __future__ import annotations

import json

_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


class ApiError(Exception):
    """A request is answered with an error. `headers` go with it; `kind` overrides the type that the status implies."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        kind: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.kind = kind
        self.headers = headers


def error_type(status: int) -> str:
    """Return the error type that llm-d-inference-sim and vLLM give for a status."""
    if status >= 500:
        return "InternalServerError"
    return _TYPES.get(status, "APIConnectionError" if status not in {405, 413} else "BadRequestError")


def openai_error(status: int, message: str, param: str | None = None, kind: str | None = None) -> bytes:
    """Return a body in the shape of llm-d-inference-sim since v0.9.2: the code is an integer."""
    error = {"message": message, "type": kind or error_type(status), "param": param, "code": status}
    return json.dumps({"error": error}, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
