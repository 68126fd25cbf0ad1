"""Makes the views of chats and completions, in one pass over the body."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.protocol.rules import choice_shapes
from InferenceLibrary.protocol.rules.builders import builds
from InferenceLibrary.protocol.rules.choices import Choices, ChoicesAnswer, ChoicesStream
from InferenceLibrary.protocol.rules.event_stream import EventStream
from InferenceLibrary.protocol.rules.rule import Api
from InferenceLibrary.protocol.rules.shape import misfits_of
from InferenceLibrary.protocol.rules.templates import Templates
from InferenceLibrary.protocol.rules.views import NOWHERE, Place, View
from InferenceLibrary.protocol.sse import Event
from InferenceLibrary.protocol.strict_json import read_json

_SHAPES = {
    (Api.CHAT, True): choice_shapes.CHAT_CHUNK,
    (Api.CHAT, False): choice_shapes.CHAT_ANSWER,
    (Api.COMPLETIONS, True): choice_shapes.COMPLETION_CHUNK,
    (Api.COMPLETIONS, False): choice_shapes.COMPLETION_ANSWER,
}


def _check_shape(view: Choices, place: Place, data: Any) -> bool:
    """Note where an object does not have its shape; return whether it has."""
    shape = _SHAPES[view.api, view.streamed]
    if type(data) is dict and shape.fits(data):
        return True
    if isinstance(data, dict) and data.get("choices") == [] and "prompt_filter_results" in data:
        return False
    for misfit in misfits_of(shape, data):
        view.misfits.add(place, misfit)
    return False


class _Reader:
    """Reads the chunks of a stream; those that differ from one seen before in their text alone, at sight."""

    def __init__(self, view: ChoicesStream) -> None:
        self._view = view
        self._templates = Templates()
        self.quick: Callable[[str, int, int], bool] = self._templates.take
        self.at_sight = None

    def take(self, place: Place, event: Event, data: dict[str, Any]) -> None:
        view = self._view
        fits = _check_shape(view, place, data)
        view.take_object(place, data)
        if fits and event.event == "message":
            self._templates.learn(view, event.data, data)


@builds(Api.CHAT, Api.COMPLETIONS, stream=True)
def _stream(exchange: Exchange, api: Api) -> list[View]:
    view = ChoicesStream(exchange, api)
    view.events = EventStream(exchange, api, _Reader(view))
    return [view.events, view]


@builds(Api.CHAT, Api.COMPLETIONS, stream=False)
def _answer(exchange: Exchange, api: Api) -> list[View]:
    value = read_json(exchange.text).value
    view = ChoicesAnswer(exchange, api, value)
    _check_shape(view, NOWHERE, value)
    if isinstance(value, dict):
        view.take_object(NOWHERE, value)
    return [view]
