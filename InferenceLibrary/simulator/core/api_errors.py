"""Errors that the APIs answer with. Each personality has its own shape for the body."""

from __future__ import annotations

import json

_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}
"""Codes of refusals that are the same whatever was asked; others have none."""
_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
}


class ApiError(Exception):
    """A request is answered with an error. `headers` go with it; `kind` overrides the type that the status implies.

    An error that is `in_stream` is an event of a stream which has begun.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        kind: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        in_stream: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.kind = kind
        self.headers = headers
        self.in_stream = in_stream


def error_type(status: int) -> str:
    """Return the error type that llm-d-inference-sim and vLLM give for a status."""
    if status >= 500:
        return "InternalServerError"
    return _TYPES.get(status, "APIConnectionError" if status not in {405, 413} else "BadRequestError")


def reference_error(error: ApiError) -> bytes:
    """Return a body as the OpenAI API has it: the code is a word, or null."""
    kind = "server_error" if error.status >= 500 else "requests" if error.status == 429 else "invalid_request_error"
    code = "model_not_found" if (error.status, error.param) == (404, "model") else _CODES.get(error.status)
    return _body(error.message, error.kind or kind, error.param, code)


def openai_error(status: int, message: str, param: str | None = None, kind: str | None = None) -> bytes:
    """Return a body in the shape of llm-d-inference-sim since v0.9.2: the code is an integer."""
    return _body(message, kind or error_type(status), param, status)


def _body(message: str, kind: str, param: str | None, code: str | int | None) -> bytes:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return json.dumps({"error": error}, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
