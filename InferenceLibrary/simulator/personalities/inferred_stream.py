"""Streams of answers by inference, in the events of each API, each token when the model has said it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from InferenceLibrary.simulator.answers.engine import Output
from InferenceLibrary.simulator.answers.openai_answers import Shape, envelope, usage_of
from InferenceLibrary.simulator.answers.openai_requests import Ask
from InferenceLibrary.simulator.answers.scored import Scored
from InferenceLibrary.simulator.core.delivery import head_bytes
from InferenceLibrary.simulator.core.draft import DONE, EVENT_STREAM, Draft, Event, chunk, event_bytes

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.inference import Inferred
    from InferenceLibrary.simulator.core.turn import Step, Turn


class Teller(Protocol):
    """The events of one API."""

    def opening(self) -> list[Event]:
        """Return what comes before the first token."""

    def token(self, text: str, offset: int) -> Event | None:
        """Return the event of a token, None for one that is not shown; `offset` characters came before it."""

    def ending(self, output: Output) -> list[Event]:
        """Return what comes after the last token."""


class OpenAITeller:
    """Chunks of chats and completions."""

    def __init__(self, turn: Turn, shape: Shape, ask: Ask) -> None:
        self._shape = shape
        self._ask = ask
        self._base = envelope(shape, turn.id, turn.model, chunk=True)

    def _event(self, choices: list[dict[str, Any]], usage: Any = None) -> Event:
        return Event({**self._base, "choices": choices, "usage": usage})

    def opening(self) -> list[Event]:
        first = self._shape.first(0)
        return [] if first is None else [self._event([first])]

    def token(self, text: str, offset: int) -> Event | None:
        if not isinstance(text, Scored):  # what came free at the end has no token of its own
            return self._event([self._shape.token(0, text, Ask(self._ask.model, [], 0), offset)])
        if not text and self._ask.logprobs is None:
            return None
        return self._event([self._shape.token(0, text, self._ask, offset)])

    def ending(self, output: Output) -> list[Event]:
        events = [self._event([self._shape.last(0, output.finish)])]
        if self._ask.include_usage:
            events.append(self._event([], usage_of(self._ask, [output])))
        return [*events, Event(DONE, "done")]


class TypedTeller:
    """Typed events of responses and messages, taken from the events that an answer as a whole has.

    Args:
        events_of: Returns all events of an answer; those of tokens say that they hold one.
        keep: Called with the whole answer at its end.
    """

    def __init__(
        self, events_of: Callable[[Output], list[Event]], keep: Callable[[Output], None] = lambda _output: None
    ) -> None:
        self._events_of = events_of
        self._keep = keep
        self._number = 0

    def _numbered(self, events: list[Event]) -> list[Event]:
        for event in events:
            if "sequence_number" in event.data:
                event.data["sequence_number"] = self._number
            self._number += 1
        return events

    def opening(self) -> list[Event]:
        events = self._events_of(Output(["-"]))
        return self._numbered(events[: next(place for place, event in enumerate(events) if event.tokens)])

    def token(self, text: str, _offset: int) -> Event | None:
        if not text:
            return None
        event = next(event for event in self._events_of(Output([text])) if event.tokens)
        return self._numbered([event])[0]

    def ending(self, output: Output) -> list[Event]:
        self._keep(output)
        # An answer without a token still has its opening and its ending around nothing.
        events = self._events_of(output if output.tokens else Output([""], output.finish))
        last = max(place for place, event in enumerate(events) if event.tokens)
        return self._numbered(events[last + 1 :])


def inferred_steps(turn: Turn, answer: Inferred, teller: Teller, ended: Callable[[Output], None]) -> Iterator[Step]:
    """Play an answer as it comes.

    Args:
        turn: Whose answer it is.
        answer: What the model says.
        teller: The events of the API.
        ended: Called with the whole answer before its last events.
    """
    yield head_bytes(turn, Draft(content_type=EVENT_STREAM, framing="chunked"), None)
    yield from map(_written, teller.opening())
    sent, offset = 0, 0
    while True:
        done = answer.done  # asked before the tokens: none comes after it
        while sent < len(answer.tokens):
            token = Scored.of(answer.tokens[sent])
            sent += 1
            event = teller.token(token, offset)
            if event is not None:
                yield _written(event)
            offset += len(token)
            turn.sent_tokens(1)
        if done:
            break
        yield partial(_pause_unless, answer, sent)
    if answer.error is not None:
        turn.broken()
        turn.connection.reset()
        return
    output = output_of(answer)
    ended(output)
    rest = teller.token(answer.rest, offset) if answer.rest else None
    yield from map(_written, [*([] if rest is None else [rest]), *teller.ending(output)])
    yield b"0\r\n\r\n"


def _written(event: Event) -> bytes:
    return chunk(event_bytes(event))


def _pause_unless(answer: Inferred, sent: int, turn: Turn) -> bool:
    """Wait for news, unless there are some already."""
    return False if answer.done or len(answer.tokens) > sent else turn.pause()


def output_of(answer: Inferred) -> Output:
    """Return a whole answer; what came free at its end belongs to its last token."""
    tokens: list[str] = [Scored.of(token) for token in answer.tokens]
    if answer.rest and tokens:
        tokens[-1] = Scored.of(answer.tokens[-1], answer.rest)
    return Output(tokens, answer.finish, stopped_by=answer.stopped_by)
