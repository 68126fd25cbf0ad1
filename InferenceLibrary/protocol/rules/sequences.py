"""Rules over several exchanges of one server, in their order: what an exchange means for those after it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from InferenceLibrary.protocol.exchange import Ending, Exchange, Held
from InferenceLibrary.protocol.prometheus import Metrics, read_metrics
from InferenceLibrary.protocol.rules.apis import is_streamed
from InferenceLibrary.protocol.rules.forms import inside, is_filled, listed
from InferenceLibrary.protocol.rules.models import same_model
from InferenceLibrary.protocol.rules.rule import Api, Found, Known, Level, NotJudged, rule
from InferenceLibrary.protocol.rules.views import BUSY, Called
from InferenceLibrary.protocol.strict_json import read_json, show

_ASKING = (Api.CHAT, Api.COMPLETIONS, Api.RESPONSES, Api.MESSAGES, Api.EMBEDDINGS)
_GENERATING = (Api.CHAT, Api.COMPLETIONS, Api.RESPONSES, Api.MESSAGES)
_COUNTERS = ("vllm:request_success_total", "vllm:request_success", "http_requests_total")
"""Counters of answers, of several servers."""


def _succeeded(exchange: Exchange) -> bool:
    return exchange.status is not None and 200 <= exchange.status < 300


@rule(
    "M2",
    Level.SHOULD,
    "A model that is served is in the model list.",
    source="Practice of clients, which choose a model from the list; vLLM, llama.cpp, Ollama, read 2026-11",
    kinds=("not listed",),
    view=Called,
    needs=(Held.REQUEST,),
    several=True,
)
def listed_model(views: list[Called], known: Known) -> Iterator[Found]:
    lists: dict[int, list[list[str]]] = {}
    served: dict[tuple[int, str], int] = {}
    span = 0
    for number, view in enumerate(views):
        # What may change the models divides the calls: a list says nothing of those across it.
        span += _may_change_models(view)
        model = view.exchange.asked_for("model")
        if _is_list(view):
            items = listed(inside(read_json(view.exchange.text).value, "data"))
            lists.setdefault(span, []).append([item["id"] for item in items if is_filled(inside(item, "id"))])
        elif view.api in _ASKING and _succeeded(view.exchange) and is_filled(model):
            served.setdefault((span, model), number)
    pairs = [(number, model, ids) for (own, model), number in served.items() for ids in lists.get(own, ())]
    if not pairs:
        raise NotJudged("no model list was read beside a model that was served")
    told: set[int] = set()
    for number, model, ids in pairs:
        if number not in told and not any(same_model(one, model) for one in ids):
            told.add(number)
            yield Found("not listed", f"{show(model)}, listed: {', '.join(ids[:5]) or 'none'}", exchange=number)


def _is_list(view: Called) -> bool:
    path = view.exchange.request.path.rstrip("/")
    return view.api is Api.MODELS and path.endswith("/models") and _succeeded(view.exchange)


def _may_change_models(view: Called) -> bool:
    """Whether a call may load, copy or unload a model."""
    return view.api is Api.OTHER and view.exchange.request.method.upper() != "GET" and _succeeded(view.exchange)


@rule(
    "R8",
    Level.MUST,
    "After a refusal the next good request is served.",
    source="vLLM's and llama.cpp's tests of servers that survive wrong requests, read 2026-11",
    kinds=("no answer", "status"),
    view=Called,
    needs=(Held.REQUEST,),
    several=True,
)
def served_after(views: list[Called], known: Known) -> Iterator[Found]:
    compared = False
    good = {_asked(view.exchange) for view in views if _succeeded(view.exchange)}
    refused: int | None = None
    for number, view in enumerate(views):
        exchange = view.exchange
        status = exchange.status
        if status is not None and 400 <= status < 500 and status not in (429, *BUSY):
            refused = status
            continue
        if view.api not in _ASKING or exchange.ending is Ending.CANCELLED or not _is_good(view):
            continue
        if refused is not None:
            compared = True
            if status is None or exchange.ending is Ending.LIMIT:
                got = f"{exchange.problem or 'no answer'} to a good request after a refusal by {refused}"
                yield Found("no answer", got, exchange=number)
            elif status >= 500 and status not in BUSY and _asked(exchange) in good:
                got = f"status {status} for a good request after a refusal by {refused}"
                yield Found("status", got, exchange=number)
        refused = None
    if not compared:
        raise NotJudged("no good request followed a refusal")


def _asked(exchange: Exchange) -> tuple[Any, ...]:
    """What decides whether a request is right: path, body, and the headers that servers look at."""
    deciding = ("authorization", "x-api-key", "content-type", "content-encoding")
    headers = tuple(item for item in exchange.request.headers if item[0] in deciding)
    return exchange.request.path, headers, exchange.request.body


@rule(
    "F13",
    Level.MUST,
    "A request that offers another protocol is answered as one that offers none.",
    source="RFC 9110, 7.8; clients on the JDK's HttpClient, which offers h2c with each request; read 2026-11",
    kinds=("refused", "no answer"),
    view=Called,
    needs=(Held.REQUEST,),
    several=True,
)
def offers_are_ignored(views: list[Called], known: Known) -> Iterator[Found]:
    answered = {_asked(view.exchange) for view in views if _succeeded(view.exchange) and not _offered(view.exchange)}
    compared = False
    for number, view in enumerate(views):
        exchange = view.exchange
        offered, status = _offered(exchange), exchange.status
        if not offered or _asked(exchange) not in answered or exchange.ending is Ending.CANCELLED:
            continue
        compared = True
        if status is None:
            yield Found("no answer", f"{exchange.problem or 'no answer'} to an offer of {offered}", exchange=number)
        elif status >= 400 and status not in (429, *BUSY):
            yield Found("refused", f"status {status} for an offer of {offered}", exchange=number)
    if not compared:
        raise NotJudged("no request that was answered was made once more with an offer of another protocol")


def _offered(exchange: Exchange) -> str:
    """The protocol that a request offers to change to."""
    return next((value for name, value in exchange.request.headers if name == "upgrade"), "")


def _is_good(view: Called) -> bool:
    """Whether a request has what its API asks for."""
    key = {Api.COMPLETIONS: "prompt", Api.RESPONSES: "input", Api.EMBEDDINGS: "input"}.get(view.api, "messages")
    return bool(view.exchange.asked_for(key)) and is_filled(view.exchange.asked_for("model"))


@rule(
    "R9",
    Level.SHOULD,
    "The metrics count each answer.",
    source="vLLM's tests of request_success_total; Prometheus, Metric types: counter; read 2026-11",
    kinds=("not counted", "falls"),
    view=Called,
    needs=(Held.REQUEST,),
    several=True,
)
def counted(views: list[Called], known: Known) -> Iterator[Found]:
    pages = [
        (number, read_metrics(view.exchange.text))
        for number, view in enumerate(views)
        if view.exchange.request.path.rstrip("/").endswith("/metrics") and _succeeded(view.exchange)
    ]
    compared = False
    for (before, first), (after, second) in itertools.pairwise(pages):
        between = views[before + 1 : after]
        for name, count in _expected(between, first, second):
            compared = True
            earlier, later = _sum(first, name), _sum(second, name)
            if later < earlier:
                yield Found("falls", f"{name} from {earlier:g} to {later:g}", exchange=after)
            elif not later - earlier >= count:
                got = f"{name} rose by {later - earlier:g} over {count} answers"
                yield Found("not counted", got, exchange=after)
    if not compared:
        raise NotJudged("no answer lay between two readings of metrics that count answers")


def _expected(between: Sequence[Called], first: Metrics, second: Metrics) -> Iterator[tuple[str, int]]:
    """Yield the counters that a server has, with the answers that each of them has to count."""
    names = {*first.names, *second.names}
    # Refusals are not expected to be counted: one that a layer in front of the server gives is not.
    done = sum(_succeeded(view.exchange) and view.api in _GENERATING and _is_whole(view.exchange) for view in between)
    for name in _COUNTERS:
        if name in names and done:
            yield name, done


def _is_whole(exchange: Exchange) -> bool:
    return exchange.ending is Ending.WHOLE and not (is_streamed(exchange) and b'"error"' in exchange.body)


def _sum(metrics: Metrics, name: str) -> float:
    return sum(sample.value for sample in metrics.find(name))


@rule(
    "RS12",
    Level.SHOULD,
    "A response that was not to be stored is not found later; one that was cancelled says so.",
    source="OpenAI's API description (openai-openapi f85dbe2), store and cancelResponse; vLLM's tests; read 2026-11",
    kinds=("kept", "not cancelled"),
    view=Called,
    apis=(Api.RESPONSES,),
    needs=(Held.REQUEST,),
    several=True,
)
def stored(views: list[Called], known: Known) -> Iterator[Found]:
    unstored: set[str] = set()
    cancelled: set[str] = set()
    compared = False
    for number, view in enumerate(views):
        exchange = view.exchange
        method, path = exchange.request.method.upper(), exchange.request.path.rstrip("/")
        if method == "POST" and path.endswith("/responses"):
            given = _response_id(exchange) if exchange.asked_for("store") is False and _succeeded(exchange) else None
            if is_filled(given):
                unstored.add(given)
            continue
        name = path.removesuffix("/cancel").rpartition("/")[2]
        status = inside(read_json(exchange.text).value, "status")
        if path.endswith("/cancel") and _succeeded(exchange):
            compared = True
            cancelled.add(name)
            if status != "cancelled":
                yield Found("not cancelled", f"status {show(status)} as it was cancelled", exchange=number)
        elif method == "GET" and name in unstored:
            compared = True
            if exchange.status != 404:
                yield Found("kept", f"status {exchange.status} for a response with store false", exchange=number)
        elif method == "GET" and name in cancelled and _succeeded(exchange) and status != "cancelled":
            yield Found("not cancelled", f"status {show(status)} after it was cancelled", exchange=number)
    if not compared:
        raise NotJudged("no response was asked for after store false, and none was cancelled")


def _response_id(exchange: Exchange) -> Any:
    """The id of a response, whole or streamed."""
    if not is_streamed(exchange):
        return inside(read_json(exchange.text).value, "id")
    for line in exchange.text.splitlines()[:50]:
        if line.startswith("data:"):
            data = read_json(line.removeprefix("data:").strip()).value
            given = inside(inside(data, "response"), "id")
            if given is not None:
                return given
    return None
