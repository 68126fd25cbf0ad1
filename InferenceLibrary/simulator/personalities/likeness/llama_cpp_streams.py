"""What llama.cpp's server adds to its streams when it is asked to, and streams that a client takes up again."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft, Event
from InferenceLibrary.simulator.personalities.likeness.refusals import Refusal

if TYPE_CHECKING:
    from InferenceLibrary.simulator.answers.openai_requests import Ask
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.likeness.llama_cpp_completions import Completions
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_CONVERSATION = "x-conversation-id"
_MOST_KEPT = 32


class Streams:
    """Changes the streams of a server, and keeps those that name a conversation."""

    def __init__(self, server: Likeness, completions: Completions) -> None:
        self._server = server
        self._completions = completions
        self._kept: OrderedDict[str, list[Event]] = OrderedDict()
        server.with_events = self.changed

    def changed(self, turn: Turn, api: str, ask: Ask, data: dict[str, Any], events: list[Event]) -> list[Event]:
        """Return the events of a stream with what the request asks for besides: progress, and times of each token."""
        if data.get("timings_per_token") is True:
            self._add_times(api, ask, events)
        if data.get("return_progress") is True and events:
            events = self._with_progress(api, ask, events)
        name = turn.request.headers.get(_CONVERSATION)
        if name:
            self._kept[name] = events
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return events

    def _add_times(self, api: str, ask: Ask, events: list[Event]) -> None:
        count = 0
        for event in events:
            if event.tokens and isinstance(event.data, dict) and api in {"chat", "completions", "responses"}:
                count += event.tokens
                event.data["timings"] = self._completions.timings(ask, count)

    def _with_progress(self, api: str, ask: Ask, events: list[Event]) -> list[Event]:
        """Tell behind the first event how much of the prompt is read."""
        if api not in {"chat", "responses"} or not isinstance(events[0].data, dict):
            return events
        first = events[0].data
        told = []
        for progress in self._completions.progress(ask):
            if api == "chat":
                choice: dict[str, Any] = {"finish_reason": None, "index": 0, "delta": {}}
                told.append(Event({**first, "choices": [choice], "prompt_progress": progress}, "progress"))
            else:
                data = {**first, "type": "response.in_progress", "prompt_progress": progress}
                told.append(Event(data, "response.in_progress", name="response.in_progress"))
        return [events[0], *told, *events[1:]]

    def _asked(self, turn: Turn) -> str:
        name = parse_qs(turn.request.query).get("conv_id", [""])[0]
        if not name:
            raise Refusal("no conversation", "Missing conversation id in path")
        if name not in self._kept:
            raise Refusal("no route", f"There is no stream of the conversation {name}")
        return name

    def resume(self, turn: Turn) -> None:
        """Send a stream again, from the event on that the query names."""
        events = self._kept[self._asked(turn)]
        start = parse_qs(turn.request.query).get("from", ["0"])[0]
        shown = [Event(one.data, one.kind, name=one.name) for one in events[int(start) if start.isdigit() else 0 :]]
        deliver(turn, Draft(content_type=self._server.choices.stream_type, events=shown))

    def stop(self, turn: Turn) -> None:
        """Forget a stream."""
        del self._kept[self._asked(turn)]
        deliver(turn, Draft(204, ""))
