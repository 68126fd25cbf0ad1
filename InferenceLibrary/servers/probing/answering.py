"""What the answer to a call says: is what was asked for offered, refused, or not there?"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

from InferenceLibrary.client.answers import Reply, shorten
from InferenceLibrary.protocol.exchange import Ending, Exchange
from InferenceLibrary.protocol.rules.apis import api_of
from InferenceLibrary.protocol.rules.rule import Api
from InferenceLibrary.servers.probing.call import NOWHERE, CheckCall

Sort = Literal["good", "refused", "missing", "failed", "busy"]
"""`missing`: there is no such route. `failed`: no answer, no end, or an error of the server's own. `busy`: not now."""

_FORMS: dict[Api, tuple[str, ...]] = {
    Api.CHAT: ("choices",),
    Api.COMPLETIONS: ("choices",),
    Api.RESPONSES: ("output",),
    Api.MESSAGES: ("content", "input_tokens"),
    Api.EMBEDDINGS: ("data",),
    Api.RERANK: ("results", "data"),
    Api.TOKENS: ("tokens", "count"),
    Api.MODELS: ("data", "id"),
}
"""By API the keys of which a success has one."""


class Answered(NamedTuple):
    """An answer, sorted."""

    sort: Sort
    reason: str
    """What was seen, or the server's words; empty where it is good."""


def sorted_answer(call: CheckCall, exchange: Exchange, nowhere: Exchange) -> Answered:
    """Sort an answer.

    Args:
        call: What was asked.
        exchange: What came.
        nowhere: What came for a route that does not exist.
    """
    status = exchange.status
    if status is None:
        return Answered("failed", f"no answer: {exchange.problem}")
    if exchange.ending is not Ending.WHOLE and exchange.problem is not None:
        return Answered("failed", f"status {status}, then {exchange.problem}")
    if 200 <= status < 300:
        if _answers_everything(nowhere) and not _has_form(exchange):
            return Answered("missing", f"it answers every path: {words(exchange)}")
        return Answered("good", "")
    said = words(exchange)
    if status in (429, 503, 529):
        return Answered("busy", said)
    if status in (404, 405) and (_is_like(exchange, nowhere) or not _names_a_model(exchange)):
        return Answered("missing", said)
    if 300 <= status < 400:
        where = exchange.header("location") or "nowhere"
        return Answered("missing", f"status {status}, a redirect to {shorten(where)}")
    if status < 500 or status == 501:
        return Answered("refused", said)
    # The first call of a route tells what the server has; an error of its own in later calls is a failure.
    return Answered("failed" if call.needs else "refused", said)


def words(exchange: Exchange) -> str:
    """Return status and the server's words, on one line."""
    error = Reply(exchange).error
    said = (error.message if error is not None else None) or exchange.text
    kind = "" if error is not None or not exchange.media_type else f"{exchange.media_type} "
    return f"status {exchange.status}: {kind}{shorten(said, 160) or 'an empty body'}"


def _answers_everything(nowhere: Exchange) -> bool:
    return nowhere.status is not None and nowhere.status < 300


def _has_form(exchange: Exchange) -> bool:
    if exchange.is_event_stream:
        return bool(exchange.body)
    keys = _FORMS.get(api_of(exchange), ())
    return isinstance(exchange.json, dict) and any(exchange.json.get(key) is not None for key in keys)


def _is_like(exchange: Exchange, nowhere: Exchange) -> bool:
    """Whether two refusals differ in the path at most."""
    return exchange.status == nowhere.status and _without_path(exchange) == _without_path(nowhere)


def _without_path(exchange: Exchange) -> str:
    return re.sub(r"\d+", "", exchange.text.replace(exchange.request.path, NOWHERE))


def _names_a_model(exchange: Exchange) -> bool:
    """Whether a 404 is about the model and not about the route."""
    error = Reply(exchange).error
    model = exchange.asked_for("model")
    told = f"{error.code} {error.message}" if error is not None else ""
    return bool(told) and ("model_not_found" in told or (isinstance(model, str) and model in told))
