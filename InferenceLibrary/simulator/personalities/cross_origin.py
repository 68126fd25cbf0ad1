"""Pages of other sites in a browser: what it asks first, and the headers by which it lets them read an answer.

OpenAI's API lets all of them, Anthropic's those that set a header for it, and refuses others; llm-gateway lets all. A
browser asks first for each request with a key or with JSON, by OPTIONS with the method and the headers that follow
(fetch.spec.whatwg.org).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.app import App
    from InferenceLibrary.simulator.core.request import Request
    from InferenceLibrary.simulator.core.turn import Handler, Personality, Turn

ASKED_FOR = "anthropic-dangerous-direct-browser-access"
"""The header that a page sets to call Anthropic's API."""
_MESSAGES = "/v1/messages"


def share(app: App, personality: Personality) -> None:
    """Let pages of other sites call what the personality serves, as the references do."""
    app.headers_for_pages = _headers
    check_key = app.check_key
    # A browser keeps the key for the request that follows.
    app.check_key = lambda request: None if request.method == "OPTIONS" else check_key(request)
    for path, handlers in personality.routes.items():
        guard = _only_asked_for if path.startswith(_MESSAGES) else _as_it_is
        guarded = {method: guard(handler) for method, handler in handlers.items()}
        personality.routes[path] = {**guarded, "OPTIONS": _options([*guarded, "OPTIONS"])}


_ALL_METHODS = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
_KEPT_SECONDS = "600"


def share_with_all(app: App, personality: Personality) -> None:
    """Let pages of all sites call, with their cookies, as Starlette's middleware does where all is allowed."""
    app.headers_for_pages = _headers_for_all
    check_key = app.check_key
    app.check_key = lambda request: None if _asks_first(request) else check_key(request)
    for path, handlers in personality.routes.items():
        personality.routes[path] = {**handlers, "OPTIONS": _answer_for_all(", ".join(handlers))}


def _asks_first(request: Request) -> bool:
    """Whether a browser asks for what follows."""
    return request.method == "OPTIONS" and {"origin", "access-control-request-method"} <= request.headers.keys()


def _headers_for_all(turn: Turn) -> tuple[tuple[str, str], ...]:
    request = turn.request
    own = _asks_first(request) or "cookie" in request.headers
    origin = (("access-control-allow-origin", request.headers["origin"] if own else "*"),)
    return (*origin, ("access-control-allow-credentials", "true"), *((("vary", "Origin"),) if own else ()))


def _answer_for_all(allowed: str) -> Handler:
    def answer(turn: Turn) -> None:
        if not _asks_first(turn.request):
            raise ApiError(405, f"{turn.request.path} takes no OPTIONS", headers=(("Allow", allowed),))
        headers = [("access-control-allow-methods", _ALL_METHODS), ("access-control-max-age", _KEPT_SECONDS)]
        if asked := turn.request.headers.get("access-control-request-headers"):
            headers.append(("access-control-allow-headers", asked))
        deliver(turn, Draft(200, "text/plain; charset=utf-8", headers, b"OK"))

    return answer


def _headers(turn: Turn) -> tuple[tuple[str, str], ...]:
    headers = turn.request.headers
    if not turn.request.path.startswith(_MESSAGES):
        return ("access-control-allow-origin", "*"), ("access-control-expose-headers", "x-request-id")
    if ASKED_FOR in headers or ASKED_FOR in headers.get("access-control-request-headers", "").lower():
        return ("access-control-allow-origin", "*"), ("access-control-expose-headers", "*")
    return ()


def _as_it_is(handler: Handler) -> Handler:
    return handler


def _only_asked_for(handler: Handler) -> Handler:
    def guarded(turn: Turn) -> None:
        if "origin" in turn.request.headers and ASKED_FOR not in turn.request.headers:
            raise ApiError(401, f"CORS requests must set '{ASKED_FOR}' header")
        handler(turn)

    return guarded


def _options(methods: list[str]) -> Handler:
    allowed = ", ".join(methods)

    def answer(turn: Turn) -> None:
        asked = turn.request.headers
        headers = [("allow", allowed)]
        if "origin" in asked and "access-control-request-method" in asked:
            headers.append(("access-control-allow-methods", allowed))
            if "access-control-request-headers" in asked:
                headers.append(("access-control-allow-headers", asked["access-control-request-headers"]))
        deliver(turn, Draft(200, "", headers, b""))

    return answer
