"""Rules of refusals: their form, their status, what they must not tell, and what must be refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

from InferenceLibrary.protocol.exchange import Exchange, Held
from InferenceLibrary.protocol.rules.forms import inside, is_filled, is_integer
from InferenceLibrary.protocol.rules.models import same_model
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, rule
from InferenceLibrary.protocol.rules.views import BUSY, Answer, JsonAnswer
from InferenceLibrary.protocol.strict_json import read_json, show

_ERRORS = "OpenAI API reference and guide, Error codes; recorded refusals of OpenAI; read 2026-11"
_OPENAI = (Api.CHAT, Api.COMPLETIONS, Api.RESPONSES, Api.EMBEDDINGS, Api.MODELS, Api.RERANK, Api.SCORE)
_ASKING = (Api.CHAT, Api.COMPLETIONS, Api.RESPONSES, Api.MESSAGES, Api.EMBEDDINGS)
"""The APIs that take a JSON object with a model."""
_ROOTS = "home|root|usr|opt|var|tmp|etc|srv|mnt|app|data|workspace|Users|private"
_LEAKS = (
    ("path", re.compile(rf"(?<![\w:/.])/(?:{_ROOTS})(?:/[\w.@+-]+)+" + r"|\b[A-Za-z]:\\\\?[\w.-]+\\")),
    (
        "stack",
        re.compile(
            r"Traceback \(most recent call last\)|File \"[^\"\n]+\", line \d+|\bsite-packages\b|goroutine \d+ \["
            r"|panicked at |\bat [\w.$<>]+\([\w.]+\.(?:java|kt|scala):\d+\)"
            r"|\b[\w/]+\.(?:rs|go|cpp|cc|cu):\d+(?::\d+)?\b"
        ),
    ),
    ("key", re.compile(r"\b(?:sk|hf|ghp|gsk|xai)[-_][A-Za-z0-9_-]{16,}")),
)


class _Request:
    """What a refusal may be about."""

    def __init__(self, exchange: Exchange) -> None:
        text = exchange.request.body.decode("utf-8", "replace")
        read = read_json(text)
        self.is_json = read.readable
        self.body: Any = read.value
        self.content_type = _header(exchange, "content-type").partition(";")[0].strip().lower()
        self.is_coded = bool(_header(exchange, "content-encoding") or _header(exchange, "transfer-encoding"))
        """Whether the body was sent in a coding, and need not be JSON as it is held."""
        self.has_key = bool(_header(exchange, "authorization") or _header(exchange, "x-api-key"))
        self.key = _header(exchange, "x-api-key") or _header(exchange, "authorization").partition(" ")[2].strip()


def _header(exchange: Exchange, name: str) -> str:
    return next((value for key, value in exchange.request.headers if key == name), "")


def _status(exchange: Exchange) -> int:
    return exchange.status or 0


def _refuses(view: JsonAnswer) -> bool:
    """Whether the API refuses something: not where the server has no such route, and its framework says so."""
    status, value = _status(view.exchange), view.value
    if status not in (404, 405, 501):
        return status >= 400 and view.has_body
    no_route = not isinstance(value, dict) or value in ({"detail": "Not Found"}, {"detail": "Method Not Allowed"})
    return view.has_body and not no_route


@rule(
    "R1",
    Level.MUST,
    "A refusal is a JSON object `error` with a message.",
    source=f"{_ERRORS}; the clients show error.message",
    kinds=("no JSON", "no error", "no message"),
    view=JsonAnswer,
    apis=_OPENAI,
)
def form(view: JsonAnswer, known: Known) -> Iterator[Found]:
    if not _refuses(view):
        return
    error = inside(view.value, "error")
    if not isinstance(view.value, dict):
        yield Found("no JSON", show(view.exchange.text) if view.exchange.body else "an empty body")
    elif not isinstance(error, dict):
        yield Found("no error", show(error) if error is not None else show(view.value))
    elif not is_filled(error.get("message")):
        yield Found("no message", f"message {show(error.get('message'))}")


@rule(
    "R10",
    Level.SHOULD,
    "The error of a refusal has type, param and code, null where there is nothing to say.",
    source=f"{_ERRORS}; clients of the field read errors without",
    kinds=("type", "param", "code"),
    view=JsonAnswer,
    apis=_OPENAI,
)
def keys(view: JsonAnswer, known: Known) -> Iterator[Found]:
    error = inside(view.value, "error")
    if _status(view.exchange) < 400 or not isinstance(error, dict):
        return
    if not is_filled(error.get("type")):
        yield Found("type", f"type {show(error['type'])}" if "type" in error else "no type")
    if "param" not in error or not isinstance(error["param"], str | None):
        yield Found("param", f"param {show(error['param'])}" if "param" in error else "no param")
    code = error.get("code")
    if "code" not in error or not (code is None or isinstance(code, str) or is_integer(code)):
        yield Found("code", f"code {show(code)}" if "code" in error else "no code")


@rule(
    "A7",
    Level.MUST,
    "A refusal of the Messages API is an object of type `error` whose error has a type and a message.",
    source="Anthropic's API reference, Errors, read 2026-11",
    kinds=("no JSON", "type", "error"),
    view=JsonAnswer,
    apis=(Api.MESSAGES,),
)
def messages_form(view: JsonAnswer, known: Known) -> Iterator[Found]:
    if not _refuses(view):
        return
    if not isinstance(view.value, dict):
        yield Found("no JSON", show(view.exchange.text) if view.exchange.body else "an empty body")
        return
    if view.value.get("type") != "error":
        yield Found("type", f"type {show(view.value.get('type'))}")
    error = view.value.get("error")
    if not is_filled(inside(error, "type")) or not is_filled(inside(error, "message")):
        yield Found("error", f"error {show(error)}")


@rule(
    "R2",
    Level.SHOULD,
    "A model that is not in the list is refused by 404 and the code model_not_found.",
    source="Three of three recorded refusals of OpenAI, read 2026-11",
    kinds=("served", "status", "code"),
    view=Answer,
    apis=_ASKING,
    needs=(Held.REQUEST,),
)
def unknown_model(view: Answer, known: Known) -> Iterator[Found]:
    exchange = view.exchange
    model = exchange.asked_for("model")
    if not known.models or not is_filled(model) or any(same_model(one, model) for one in known.models):
        return
    status = _status(exchange)
    if 200 <= status < 300:
        yield Found("served", f"status {status} for the model {show(model)}")
    elif status != 404 and status not in (401, 403, 429, *BUSY):
        yield Found("status", f"status {status} for the model {show(model)}")
    elif status == 404 and view.api is not Api.MESSAGES:
        code = inside(inside(exchange.json, "error"), "code")
        if code != "model_not_found":
            yield Found("code", f"code {show(code)}")


@rule(
    "R3",
    Level.SHOULD,
    "A request without messages, prompt or input is refused, by 400 or 422.",
    source="Recorded refusals of OpenAI, 400 empty_array; many Python servers say 422; read 2026-11",
    kinds=("served", "status"),
    view=Answer,
    apis=(Api.CHAT, Api.COMPLETIONS, Api.RESPONSES, Api.MESSAGES),
    needs=(Held.REQUEST,),
)
def empty(view: Answer, known: Known) -> Iterator[Found]:
    asked, status = view.exchange.asked, _status(view.exchange)
    if not isinstance(asked, dict):
        return
    key = {Api.COMPLETIONS: "prompt", Api.RESPONSES: "input"}.get(view.api, "messages")
    if view.api is Api.RESPONSES and any(asked.get(one) for one in ("previous_response_id", "prompt", "conversation")):
        return
    given = asked.get(key)
    # A prompt may be null: the reference has a default for it.
    wrong = key not in asked or (given is None and key != "prompt") or (given == [] and key == "messages")
    if not wrong:
        return
    told = f"status {status} for {key} {show(given)}"
    if 200 <= status < 300:
        yield Found("served", told)
    elif status >= 500 and status not in BUSY:
        yield Found("status", told)


@rule(
    "R4",
    Level.MUST,
    "A call without a key is refused by 401 where the server wants one.",
    source=f"{_ERRORS}; RFC 9110, 15.5.2",
    kinds=("served", "status"),
    view=Answer,
    apis=_OPENAI,
    needs=(Held.REQUEST,),
)
def key(view: Answer, known: Known) -> Iterator[Found]:
    status = _status(view.exchange)
    if known.key is not True or _Request(view.exchange).has_key:
        return
    if 200 <= status < 300:
        yield Found("served", f"status {status} for a call without a key")
    elif status not in (401, 429, *BUSY):
        yield Found("status", f"status {status} for a call without a key")


@rule(
    "R11",
    Level.MUST,
    "Retry-After is a number of seconds or a date.",
    source="RFC 9110, 10.2.3, read 2026-11",
    kinds=("nonsense",),
    view=Answer,
    needs=(Held.HEADERS,),
)
def retry_after(view: Answer, known: Known) -> Iterator[Found]:
    value = view.exchange.header("retry-after")
    if value is not None and not (value.isascii() and value.isdigit()) and not _is_date(value):
        yield Found("nonsense", show(value))


def _is_date(text: str) -> bool:
    try:
        parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return False
    return True


@rule(
    "R5",
    Level.MUST,
    "A body that is not JSON, or not an object, is refused, and never by a status of 5xx.",
    source="vLLM's tests of invalid requests; RFC 9110, 15.5.1; read 2026-11",
    kinds=("served", "status"),
    view=Answer,
    apis=_ASKING,
    needs=(Held.REQUEST,),
)
def broken_body(view: Answer, known: Known) -> Iterator[Found]:
    request, status = _Request(view.exchange), _status(view.exchange)
    if view.exchange.request.method.upper() != "POST" or view.exchange.request.path.endswith("/cancel"):
        return
    if request.is_coded:
        return
    if request.is_json and isinstance(request.body, dict):
        return
    what = show(request.body) if request.is_json else "a body that is not JSON"
    if 200 <= status < 300:
        yield Found("served", f"status {status} for {what}")
    elif status >= 500 and status not in BUSY:
        yield Found("status", f"status {status} for {what}")


@rule(
    "R6",
    Level.SHOULD,
    "A body that says it is not JSON is refused.",
    source="vLLM's tests of content types; RFC 9110, 15.5.16; read 2026-11",
    kinds=("served", "status"),
    view=Answer,
    apis=_ASKING,
    needs=(Held.REQUEST,),
)
def content_type(view: Answer, known: Known) -> Iterator[Found]:
    kind, status = _Request(view.exchange).content_type, _status(view.exchange)
    if not kind or kind == "application/json" or kind.endswith("+json"):
        return
    if 200 <= status < 300:
        yield Found("served", f"status {status} for the content type {show(kind)}")
    elif status >= 500 and status not in BUSY:
        yield Found("status", f"status {status} for the content type {show(kind)}")


@rule(
    "R7",
    Level.SHOULD,
    "A refusal tells no path, no stack and no key.",
    source="OWASP, Error handling cheat sheet; vLLM's tests of sanitized errors; read 2026-11",
    kinds=("path", "stack", "key"),
    view=JsonAnswer,
)
def leaks(view: JsonAnswer, known: Known) -> Iterator[Found]:
    if _status(view.exchange) < 400:
        return
    text = view.exchange.text[:100_000].replace('\\"', '"').replace("\\/", "/")
    request = ""
    if Held.REQUEST in view.exchange.held:
        request = view.exchange.request.url + view.exchange.request.body.decode("utf-8", "replace")
    for kind, pattern in _LEAKS:
        match = pattern.search(text)
        # What the client itself wrote is not a secret to it.
        if match is not None and match[0] not in request:
            yield Found(kind, show(match[0] if kind != "key" else f"{match[0][:3]}…"))
    own = _Request(view.exchange).key if Held.REQUEST in view.exchange.held else ""
    if len(own) >= 12 and own in text:
        yield Found("key", "the key of the call itself")
