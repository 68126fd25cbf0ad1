"""Failure injection of llm-d-inference-sim: whole answers that fail, at a rate, or by a header."""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.api_errors import ApiError

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.request import Request

# Name to status, parameter and message; {model} is the served name.
FAILURES: dict[str, tuple[int, str | None, str]] = {
    "rate_limit": (
        429,
        None,
        "Rate limit reached for {model} in organization org-xxx on requests per min (RPM): "
        "Limit 3, Used 3, Requested 1.",
    ),
    "invalid_api_key": (401, None, "Incorrect API key provided."),
    "context_length": (
        400,
        "messages",
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 4500 tokens.",
    ),
    "server_error": (503, None, "The server is overloaded or not ready yet."),
    "invalid_request": (400, "model", "Invalid request: missing required parameter 'model'."),
    "model_not_found": (404, "model", "The model '{model}-nonexistent' does not exist"),
}


def inject_failure(app: App, request: Request) -> None:
    """Raise the failure that header or rate ask for.

    Raises:
        ApiError: The injected failure.
    """
    asked = request.headers.get("x-return-error")
    if asked is not None:
        if not asked.isdecimal() or not 100 <= int(asked) <= 599:
            raise ApiError(400, f"X-Return-Error must be a status, got '{asked}'", param="X-Return-Error")
        raise ApiError(int(asked), f"Failure {asked} was asked for by X-Return-Error")
    rate = app.settings.failure_injection_rate
    if rate and app.chance.percent(rate):
        names = app.settings.failure_types or list(FAILURES)
        status, param, message = FAILURES[names[app.chance.below(len(names))]]
        raise ApiError(status, message.format(model=app.settings.names[0]), param=param)
