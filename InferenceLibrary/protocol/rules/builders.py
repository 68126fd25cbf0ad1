"""Makes the views of an exchange. A new API registers the function that makes its views by `builds`."""

from __future__ import annotations

from collections.abc import Callable

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules.apis import api_of, is_streamed
from InferenceLibrary.protocol.rules.event_stream import EventStream
from InferenceLibrary.protocol.rules.rule import Api
from InferenceLibrary.protocol.rules.views import Answer, Called, JsonAnswer, View

Builder = Callable[[Exchange, Api], list[View]]
_BUILDERS: dict[tuple[Api, bool], list[Builder]] = {}


def builds(*apis: Api, stream: bool) -> Callable[[Builder], Builder]:
    """Register the function that makes the views of a good answer of these APIs, whole or streamed.

    Those of a whole answer stand beside `JsonAnswer`, and may be made by several functions; those of a stream are made
    by one, and hold an `EventStream` of its own making.
    """

    def write(builder: Builder) -> Builder:
        for api in apis:
            _BUILDERS.setdefault((api, stream), []).append(builder)
        return builder

    return write


def views_of(exchange: Exchange) -> list[View]:
    """Return the views of an exchange, made when they are first asked for; only the call where there was no answer."""
    if exchange.views is None:
        exchange.views = _views_of(exchange)
    return exchange.views


def _views_of(exchange: Exchange) -> list[View]:
    api = api_of(exchange)
    if exchange.status is None:
        return [Called(exchange, api)]
    views: list[View] = [Answer(exchange, api)]
    good = 200 <= exchange.status < 300
    streamed = good and is_streamed(exchange)
    builders = _BUILDERS.get((api, streamed), []) if good else []
    if not streamed:
        views.append(JsonAnswer(exchange, api))
    elif not builders:
        views.append(EventStream(exchange, api))
    for builder in builders:
        views += builder(exchange, api)
    return views
