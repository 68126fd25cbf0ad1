"""Who may ask the router, how often, and with what budget; and the shape of its errors."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.personalities.router_settings import DEFAULT_ORGANIZATION, Key

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.request import Request
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.router_settings import RouterSettings

STATUSES = {
    "INVALID_REQUEST": 400,
    "MISSING_FIELD": 400,
    "VALIDATION_ERROR": 400,
    "UNAUTHORIZED": 401,
    "INVALID_API_KEY": 401,
    "AUTH_INVALID": 401,
    "BUDGET_EXCEEDED": 402,
    "QUOTA_EXCEEDED": 402,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "REQUEST_NOT_FOUND": 404,
    "RATE_LIMIT_EXCEEDED": 429,
    "ROUTING_ERROR": 500,
    "INTERNAL_ERROR": 500,
    "BACKEND_ERROR": 502,
    "BACKEND_UNAVAILABLE": 503,
    "NO_BACKEND_AVAILABLE": 503,
    "SERVICE_UNAVAILABLE": 503,
    "BACKEND_TIMEOUT": 504,
}
_CODES = {400: "INVALID_REQUEST", 401: "AUTH_INVALID", 403: "FORBIDDEN", 429: "RATE_LIMIT_EXCEEDED"}
_CODES |= {502: "BACKEND_ERROR", 503: "SERVICE_UNAVAILABLE", 504: "BACKEND_TIMEOUT"}
_TEXT = "text/plain; charset=utf-8"
# Statuses that the HTTP layer answers by itself, with text.
_PLAIN = {404: b"404 page not found\n", 405: b"", 413: b"request body too large\n"}
_EXHAUSTED = {
    "dev-exhausted-budget-key": ("BUDGET_EXCEEDED", "Monthly budget exhausted", "budget", 10000.0),
    "dev-exhausted-quota-key": ("QUOTA_EXCEEDED", "Daily quota exhausted", "daily_quota", 1000.0),
}


class RouterError(ApiError):
    """An error with one of the router's codes; `more` are further keys of the body."""

    def __init__(
        self, code: str, message: str, *, headers: tuple[tuple[str, str], ...] = (), more: dict[str, Any] | None = None
    ) -> None:
        super().__init__(STATUSES[code], message, kind=code, headers=headers)
        self.more = more or {}


def error_draft(error: ApiError) -> Draft:
    """Return an error in the router's shape: `error` is a text."""
    if not isinstance(error, RouterError) and error.status in _PLAIN:
        return Draft(error.status, content_type=_TEXT, body=_PLAIN[error.status])
    code = error.kind if error.kind in STATUSES else _CODES.get(error.status, "INTERNAL_ERROR")
    more = error.more if isinstance(error, RouterError) else {}
    return Draft(error.status, body={"error": error.message, "code": code, **more})


class Bucket:
    """A token bucket: `burst` at once, `rate` a second."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = burst
        self._level = float(burst)
        self._when = monotonic()

    def take(self) -> tuple[bool, int, float]:
        """Return whether one more is allowed, how many are left, and the seconds until the next."""
        now = monotonic()
        self._level = min(self._burst, self._level + (now - self._when) * self._rate)
        self._when = now
        if self._level < 1:
            return False, 0, (1 - self._level) / self._rate
        self._level -= 1
        return True, int(self._level), 0.0


class Guard:
    """Keys, rates and budgets. Counts what it denies."""

    def __init__(self, settings: RouterSettings) -> None:
        self._settings = settings
        self._keys = settings.keys()
        self._buckets: dict[str, Bucket] = {}
        self.denials = {"rate_limit": 0, "budget": 0, "quota": 0}

    def authenticate(self, request: Request) -> tuple[str, Key]:
        """Return the key that came with a request.

        Raises:
            RouterError: AUTH_INVALID; there is none, it is unknown, not active, or the signature is wrong.
        """
        headers = request.headers
        given = headers.get("x-api-key", "")
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if not given and scheme.lower() == "bearer":
            given = token.strip()
        if not given:
            raise RouterError("AUTH_INVALID", "missing X-API-Key header")
        key = self._keys.get(given)
        if key is None and given.startswith(("dev-", "test-")):
            key = Key(_organization(given))
        if key is None:
            raise RouterError("AUTH_INVALID", "invalid API key: unknown key")
        if key.state != "active":
            raise RouterError("AUTH_INVALID", f"invalid API key: key is {key.state}")
        if "x-hmac-signature" in headers:
            _check_signature(request, key, headers["x-hmac-signature"])
        return given, key

    def admit(self, turn: Turn) -> tuple[Key, tuple[tuple[str, str], ...]]:
        """Return the key and the headers of an allowed request.

        Raises:
            RouterError: AUTH_INVALID, RATE_LIMIT_EXCEEDED, BUDGET_EXCEEDED or QUOTA_EXCEEDED.
        """
        given, key = self.authenticate(turn.request)
        limit = self._settings.rate_burst
        bucket = self._buckets.get(given)
        if bucket is None:
            bucket = self._buckets[given] = Bucket(self._settings.rate_limit, limit)
        allowed, left, wait = bucket.take()
        headers = (("X-RateLimit-Limit", str(limit)), ("X-RateLimit-Remaining", str(left)))
        if not allowed:
            self.denials["rate_limit"] += 1
            seconds = max(1, int(wait))
            context: dict[str, Any] = {"current_usage": limit - left, "limit": limit, "remaining": left}
            raise RouterError(
                "RATE_LIMIT_EXCEEDED",
                "Rate limit exceeded",
                headers=(("Retry-After", str(seconds)), *headers),
                more={"retry_after_seconds": seconds, "limit_context": context},
            )
        if given in _EXHAUSTED:
            code, text, kind, most = _EXHAUSTED[given]
            self.denials["budget" if kind == "budget" else "quota"] += 1
            context = {"current_usage": most, "limit": most, "quota_type": kind}
            raise RouterError(code, text, headers=headers, more={"limit_context": context})
        return key, headers


def _organization(key: str) -> str:
    """Return the organization in a key such as dev-acme-1."""
    parts = key.split("-")
    return parts[1] if len(parts) > 2 else DEFAULT_ORGANIZATION


def _check_signature(request: Request, key: Key, signature: str) -> None:
    import hashlib
    import hmac

    failed = "HMAC verification failed: "
    if not request.body:
        raise RouterError("AUTH_INVALID", failed + "request body is empty")
    if not key.secret:
        text = "HMAC verification requested but no HMAC secret configured for this API key"
        raise RouterError("AUTH_INVALID", failed + text)
    expected = hmac.new(key.secret.encode(), request.body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), signature.encode("latin-1", "replace")):
        raise RouterError("AUTH_INVALID", failed + "HMAC signature mismatch")
