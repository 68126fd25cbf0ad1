"""What keywords that call a server share: who is called, how, and what the log says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from InferenceLibrary.client.answers import Reply, headers_of, shorten
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure, RequestError, StreamError
from InferenceLibrary.foreign_text import cut
from InferenceLibrary.keywords.shared.arguments import revealed
from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.protocol.statuses import OK, Statuses, is_success, read_statuses
from InferenceLibrary.types import seconds, shown_kind, to_messages, to_texts

if TYPE_CHECKING:
    from typing import Protocol

    from InferenceLibrary.client.background import BackgroundCall
    from InferenceLibrary.client.sending import Sending
    from InferenceLibrary.protocol.exchange import Exchange
    from InferenceLibrary.protocol.requests import Question
    from InferenceLibrary.protocol.rules.verdicts import Severity, Verdict
    from InferenceLibrary.servers.server import Server

    class HasExchange(Protocol):
        """What came of a call: a reply, a stream, and what is made of one."""

        @property
        def exchange(self) -> Exchange: ...


_SHOWN = 10_000
"""Characters of a body in the log."""
_LONGEST_ASKED = 5_000
"""Bytes of a request's body that are looked at for a message."""
_LIMITS = {
    "timeout": "total",
    "connect_timeout": "connect",
    "first_byte_timeout": "first_byte",
    "silence_timeout": "between",
}
"""Arguments of keywords and the limits that they set."""


UNDER_WAY: ContextVar[BackgroundCall | None] = ContextVar("UNDER_WAY", default=None)
"""In the thread of a call in the background: that call."""

A = TypeVar("A", bound="HasExchange")


class Call:
    """A call of a server as a keyword was asked for it."""

    def __init__(
        self, server: Server, question: Question, sending: Sending, rules: Severity, *, must_fail: bool = False
    ) -> None:
        self.server = server
        self.question = question
        self.sending = sending
        self.rules = rules
        self.must_fail = must_fail
        """A success is a failure of the test."""


def has_failed(answer: object) -> bool:
    """Whether a call gave a refusal or an error that the test expects, in place of what it asks for."""
    return isinstance(answer, RequestError | StreamError) or (
        isinstance(answer, Reply) and not is_success(answer.status)
    )


def exchange_of(answer: Any) -> Exchange:
    """Return the record of a reply, a stream, or the error of a call.

    Raises:
        ValueError: It is something else, or an error without a call.
    """
    exchange: Exchange | None = getattr(answer, "exchange", None)
    if not isinstance(answer, Reply | Stream | RequestError | StreamError) or exchange is None:
        raise ValueError(f"Expected a reply, a stream or the error of a call, got {shown_kind(answer)}.")
    return exchange


def asked_in(exchange: Exchange | None, redact: Callable[[str], str]) -> str:
    """What was asked, for a message: in a loop of bodies nobody knows it otherwise."""
    if exchange is None:
        return "a call whose request is not known"
    request = exchange.request
    body = redact(cut(request.body.decode("utf-8", "replace"), _LONGEST_ASKED))
    return f"{request.method} {request.path}" + (f" with {shorten(body, 300)}" if body else "")


def in_background(make: Callable[[], Any]) -> Callable[[BackgroundCall], Any]:
    """Return a call as a thread of its own makes it."""

    def run(call: BackgroundCall) -> Any:
        UNDER_WAY.set(call)
        return make()

    return run


class Outcome:
    """What came of a call in the background: an answer or an error, to be told by whom awaits it."""

    def __init__(
        self, what: str, call: Call, answer: Any = None, error: RequestError | StreamError | None = None
    ) -> None:
        self.what = what
        self.call = call
        self.answer = answer
        self.error = error

    @property
    def exchange(self) -> Exchange | None:
        found: Exchange | None = (self.error or self.answer).exchange
        return found


class CallGroup(KeywordGroup):
    """Base of the keyword classes that call servers."""

    def _call(self, options: Mapping[str, Any], *, stream: bool = False, success: Statuses = OK, **own: Any) -> Call:
        """Return who is called, what is asked and how it is sent.

        Args:
            options: The shared arguments of a keyword.
            stream: Whether the limits of streams hold.
            success: Statuses that the call expects where the test names none.
            own: Arguments of the keyword itself that say what is asked or how it is sent.
        """
        from InferenceLibrary.client.sending import Sending
        from InferenceLibrary.protocol.requests import Question

        given = {name: revealed(self.context, value) for name, value in {**options, **own}.items()}
        server = self.context.servers.get(given.get("server"))
        limits = (server.client.stream_limits if stream else None) or server.client.limits
        bounds: dict[str, Any] = {limit: seconds(given.get(argument)) for argument, limit in _LIMITS.items()}
        given["limits"] = limits.replace(**{limit: value for limit, value in bounds.items() if value is not None})
        given["headers"] = {name: str(value) for name, value in (given.get("headers") or {}).items()}
        expected = given.get("expected_status")
        expected = success if expected is None else read_statuses(expected)
        given["expected_status"] = success if expected.failure else expected
        if given.get("api_key") == "none":
            given["api_key"] = ""
        if given.get("messages") is not None:
            given["messages"] = to_messages(given["messages"])
        if given.get("stop"):
            given["stop"] = to_texts(given["stop"])
        return Call(
            server,
            Question(**{name: given[name] for name in Question._fields if name in given}),
            Sending(**{name: given[name] for name in Sending._fields if name in given}),
            given.get("rules") or self.context.rules,
            must_fail=expected.failure,
        )

    def _made(self, what: str, call: Call, make: Callable[[], A]) -> A:
        """Make a call, judge and log it.

        Returns:
            The answer; in its place the error of a call that must fail.

        Raises:
            RequestError, StreamError: It failed.
            CheckFailure: It broke rules of the wire that fail it, or succeeded where it must fail.
        """
        background = UNDER_WAY.get()
        if background is not None:
            return self._made_in_background(background, what, call, make)
        try:
            answer = make()
        except (RequestError, StreamError) as error:
            self._failed(what, call, error)
            if not call.must_fail:
                raise
            return cast("A", error)
        self._tell(what, call, answer)
        return answer

    def _made_in_background(self, background: BackgroundCall, what: str, call: Call, make: Callable[[], A]) -> A:
        """Make a call in a thread of its own, whose messages Robot would drop: what came of it is told later."""
        call.sending = call.sending._replace(cancellation=background.cancellation, watch=background.watch)
        background.begin(call.server.client)
        try:
            answer = make()
        except (RequestError, StreamError) as error:
            background.outcomes.append(Outcome(what, call, error=error))
            if not call.must_fail:
                raise
            return cast("A", error)
        background.outcomes.append(Outcome(what, call, answer))
        return answer

    def _tell_background(self, background: BackgroundCall) -> None:
        """Judge and log what came of a call in the background.

        Raises:
            CheckFailure: It broke rules of the wire that fail it.
        """
        for outcome in background.outcomes:
            if outcome.error is not None:
                self._failed(outcome.what, outcome.call, outcome.error)
            else:
                self._tell(outcome.what, outcome.call, outcome.answer)

    def _tell(self, what: str, call: Call, answer: HasExchange) -> None:
        """Judge and log the answer of a call.

        Raises:
            CheckFailure: It broke rules of the wire that fail it, or had to fail.
        """
        from InferenceLibrary.keywords.shared.judging import judged, refuse_broken

        exchange = answer.exchange
        verdict = judged(self.context, call.server, exchange, call.rules)
        self.context.last_calls.append((exchange, verdict))
        self.log.info(f"{what} on {call.server.name}: {answer}{verdict}")
        self._tell_rest(exchange, verdict)
        if isinstance(answer, Stream):
            from InferenceLibrary.keywords.shared.stream_files import keep_stream
            from InferenceLibrary.keywords.shared.test_facts import note_stream

            keep_stream(self.context, answer)
            note_stream(self.context, answer)
        refuse_broken(self.context, what, call.server, verdict, call.rules)
        if call.must_fail:
            asked = asked_in(exchange, self.context.redactor)
            raise CheckFailure(f"{what.capitalize()}: expected a failure, got {shorten(str(answer), 200)} for {asked}.")

    def _failed(self, what: str, call: Call, error: RequestError | StreamError) -> None:
        """Judge and log a call that failed.

        Raises:
            CheckFailure: It was refused, and the refusal broke rules of the wire that fail it.
        """
        if call.must_fail:
            self.log.info(f"{what} failed as expected: {error}")
        exchange = error.exchange
        if exchange is None:
            return
        from InferenceLibrary.keywords.shared.evidence import show_call
        from InferenceLibrary.keywords.shared.judging import judged, refuse_broken

        verdict = judged(self.context, call.server, exchange, call.rules)
        self.log.info(f"{what} on {call.server.name} failed{verdict}")
        show_call(self.context, exchange, verdict)
        if isinstance(error, RequestError) and error.status is not None:
            refuse_broken(self.context, what, call.server, verdict, call.rules)

    def _tell_rest(self, exchange: Exchange, verdict: Verdict) -> None:
        for attempt in exchange.attempts[:-1]:
            self.log.info(f"    attempt {attempt}")
        if verdict.held:
            from InferenceLibrary.protocol.rules.verdicts import listed

            self.log.info(listed(verdict.held))
        self.log.debug(f"Request: {cut(exchange.request.body.decode('utf-8', 'replace'), _SHOWN)}")
        if not exchange.is_event_stream:
            # As it came: to indent what nobody may read would cost every call.
            headers = self.context.redactor.headers(headers_of(exchange))
            self.log.debug(f"Headers: {headers}\nBody: {cut(exchange.text, _SHOWN)}")
