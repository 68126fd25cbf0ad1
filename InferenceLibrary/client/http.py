"""The client of one server: single calls over HTTP, with limits, retries and records.

Synchronous, so that Robot's timeouts and Ctrl-C interrupt every wait. Each attempt has a connection of its own, and is
made again only by the policy of retries: a request that was sent may have been carried out.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import RLock
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from InferenceLibrary.client.answers import ModelListReply, Reply, headers_of, is_listed, shorten, what_is_listed
from InferenceLibrary.client.attempting import CANCELLED, AnswerReader, make_attempt, request_of
from InferenceLibrary.client.connection import Dialer, login_of
from InferenceLibrary.client.endings import improper_end, unusable
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.patience import Patience
from InferenceLibrary.client.retry import RetryPolicy, retry_after
from InferenceLibrary.client.route import Route
from InferenceLibrary.client.sending import ANY_STATUS, Sending
from InferenceLibrary.client.stream_reader import JudgeEnd, StreamReader
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.deadline import pause
from InferenceLibrary.errors import RequestError, StreamError, describe
from InferenceLibrary.protocol.errors import PARSE_ERROR, categorize
from InferenceLibrary.protocol.exchange import Attempt, Ending, Exchange, Request
from InferenceLibrary.protocol.paths import CHAT, COMPLETIONS, MODELS
from InferenceLibrary.protocol.requests import HEADERS, Question, body_for
from InferenceLibrary.protocol.statuses import OK, Statuses, is_success
from InferenceLibrary.redaction import Redactor

_PLAIN = Sending()
_LAST_WORDS = 0.2
"""Seconds in which a server whose connection broke may turn out to have died."""
_NOT_FOUND = 404
_LOOK = 2.0
"""Most seconds that a list of models is waited for which serves a hint."""


@dataclass
class Client:
    """Calls one server.

    Args:
        base_url: Scheme, host and port, without `/v1`. User and password in it are sent as Basic authorization.
        name: How errors name the server.
        model: The model to ask for when a call names none.
        api_key: Sent as `Authorization: Bearer ...`, to this server alone.
        headers: Sent with every call to this server.
        limits: Time and size limits of a call.
        stream_limits: The same for streams; `limits` by default.
        retry: Policy for failed attempts; off by default.
        redact: Masks secrets in errors.
        state: Tells what is known of the other side after a failure: `the process exited with code 1`, and the last
            lines of its log. Its argument is how many seconds it may wait for news.
        route: TLS options and proxy.
    """

    base_url: str
    name: str = "server"
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    limits: Limits = field(default_factory=Limits)
    stream_limits: Limits | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    redact: Redactor = field(default_factory=Redactor, repr=False)
    state: Callable[[float], tuple[str | None, list[str]]] = field(default=lambda patience: (None, []), repr=False)
    route: Route = field(default_factory=Route, repr=False)

    def __post_init__(self) -> None:
        url = self.base_url.rstrip("/").removesuffix("/v1")
        parts = urlsplit(url)
        self._login = login_of(parts)
        if self._login is not None:
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
            self.redact.add(parts.password or "")
            self.redact.add(unquote(parts.password or ""))
            self.redact.add(self._login.partition(" ")[2])
        self.base_url = url
        self._dialer = Dialer(self.route)
        self.listed: tuple[str, ...] | None = None
        """The ids of the model list, as it was asked for last; None when it was not."""
        self.seen_models: tuple[str, ...] = ()
        """The ids of the model list that was seen last, at the start too."""
        self._looking = RLock()
        self._looked = False
        """Whether the list was asked for because a model was not found."""
        if self.api_key:
            self.redact.add(self.api_key)

    def chat(self, messages: Sequence[Mapping[str, Any]], sending: Sending = _PLAIN, **parameters: Any) -> Reply:
        """Ask for one chat answer. Parameters: the other fields of a `Question`.

        Raises:
            RequestError: No answer, a status other than the expected one, or nothing that could be a success.
        """
        return self.ask(CHAT, Question(messages=messages, **parameters), sending)

    def complete(self, prompt: str, sending: Sending = _PLAIN, **parameters: Any) -> Reply:
        """Ask for one text completion, like `chat`."""
        return self.ask(COMPLETIONS, Question(prompt=prompt, **parameters), sending)

    def stream_chat(
        self, messages: Sequence[Mapping[str, Any]], sending: Sending = _PLAIN, **parameters: Any
    ) -> Stream:
        """Ask for a streamed chat answer and record it. Parameters: as for `chat`.

        Raises:
            RequestError: No answer, or a status other than 200.
            StreamError: The answer is not an event stream, or broke off.
        """
        question = self._named(Question(messages=messages, **parameters))
        return self.stream(CHAT, body_for(CHAT, question, stream=True), sending)

    def stream_completion(self, prompt: str, sending: Sending = _PLAIN, **parameters: Any) -> Stream:
        """Ask for a streamed text completion and record it, like `stream_chat`."""
        question = self._named(Question(prompt=prompt, **parameters))
        return self.stream(COMPLETIONS, body_for(COMPLETIONS, question, stream=True), sending)

    def ask(self, path: str, question: Question, sending: Sending = _PLAIN) -> Reply:
        """Put a question to the API at `path`; expect a JSON object. As `send` else."""
        return self.ask_body(path, body_for(path, self._named(question)), sending)

    def ask_stream(self, path: str, question: Question, sending: Sending = _PLAIN) -> Stream | Reply:
        """Put a question to the API at `path` and record its streamed answer. As `record` else."""
        return self.record(path, body_for(path, self._named(question), stream=True), sending)

    def ask_body(self, path: str, body: dict[str, Any], sending: Sending = _PLAIN) -> Reply:
        """Post a body; expect an answer that can be what its status says. As `send` else.

        Raises:
            RequestError: It has a good status and cannot be a success: it is not a JSON object, or an error in spite of
                its status, or holds no choice.
        """
        reply = self.send("POST", path, body, sending)
        problem = unusable(reply, path) if is_success(reply.status) else None
        if problem is not None:
            raise self._error(reply.exchange, problem.expected, problem.got)
        return reply

    def models(self) -> list[str]:
        """Return the ids that the model list gives. As `model_list` else."""
        return self.model_list().models

    def model_list(self, sending: Sending = _PLAIN) -> ModelListReply:
        """Ask for the model list.

        Raises:
            RequestError: No answer, a status other than 200, or no model list in it.
        """
        listed = ModelListReply(self.send("GET", MODELS, sending=sending).exchange, self.redact)
        if listed.models_or_none is None:
            raise self._error(listed.exchange, "a list of models in 'data'", shorten(listed.body))
        self.listed = self.seen_models = tuple(listed.models)
        return listed

    def send(self, method: str, path: str, body: Any = None, sending: Sending = ANY_STATUS) -> Reply:
        """Send any request and return the answer.

        Args:
            method: HTTP method.
            path: Path below the base URL, or a whole URL: another server gets neither the key nor the headers of this.
            body: Text or bytes are sent as they are, everything else as JSON; None sends no body.
            sending: How it is sent.

        Raises:
            RequestError: No answer within the limits, or another status than the expected one.
        """
        exchange = self._call(self._request(method, path, body, sending), sending, sending.limits or self.limits)
        if exchange.status not in sending.expected_status:
            raise self._refused(exchange, sending.expected_status)
        return Reply(exchange, self.redact)

    def stream(self, path: str, body: Any, sending: Sending = _PLAIN, ending: JudgeEnd = improper_end) -> Stream:
        """Post a request that is answered by an event stream; read it to its end and record it. As `record` else.

        Raises:
            RequestError: No answer, or a status other than 200.
        """
        stream = self.record(path, body, sending._replace(expected_status=OK), ending)
        assert isinstance(stream, Stream)
        return stream

    def record(
        self,
        path: str,
        body: Any,
        sending: Sending = _PLAIN,
        ending: JudgeEnd = improper_end,
        *,
        method: str = "POST",
    ) -> Stream | Reply:
        """Send a request that is answered by an event stream, by lines of JSON, or by a refusal where one is expected.

        Args:
            path: Path below the base URL.
            body: As for `send`.
            sending: How it is sent; its limits are the client's `stream_limits` by default.
            ending: Says what is wrong with the end of a stream whose bytes came whole; that of the OpenAI API and its
                like by default.
            method: HTTP method.

        Raises:
            RequestError: No answer, or another status than the expected one.
            StreamError: The answer is not an event stream, or broke off; its `stream` holds what had arrived.
        """
        reader = StreamReader(sending, self.redact, ending)
        request = self._request(method, path, body, sending)
        limits = sending.limits or self.stream_limits or self.limits
        exchange = self._call(request, sending, limits, reader)
        if exchange.status not in sending.expected_status:
            raise self._refused(exchange, sending.expected_status)
        if not reader.streams:
            if not is_success(exchange.status):
                return Reply(exchange, self.redact)
            got = f"{exchange.header('content-type') or 'no content type'}: {shorten(exchange.text)!r}"
            text = self._describe(exchange, "an event stream (text/event-stream) or lines of JSON", got)
            raise StreamError(text, category=PARSE_ERROR, exchange=exchange)
        stream = reader.finish()
        if stream.broken and not sending.allow_broken:
            said = repr(shorten(stream.text or stream.reasoning, 40))
            said += ", and [DONE]" if any(chunk.is_done for chunk in stream.chunks) else ""
            arrived = f"{stream.broken} after {len(stream.chunks)} events ({said})"
            patience = _LAST_WORDS if _ended_by_connection(exchange) else 0.0
            raise StreamError(
                self._describe(
                    exchange, "a stream with a proper end", arrived, patience, error=str(stream.error or "")
                ),
                event_index=len(stream.chunks),
                stream=stream,
                category=categorize(None, stream.error) if stream.error or stream.interrupted else PARSE_ERROR,
            )
        return stream

    @property
    def own_headers(self) -> dict[str, str]:
        """What each request to this server bears, the key included: for requests that others send."""
        return dict(self._request("GET", self.base_url, None, _PLAIN).headers)

    @property
    def given_headers(self) -> dict[str, str]:
        """The headers and the login that were given for this server, without those of the client itself."""
        login = f"Bearer {self.api_key}" if self.api_key else self._login
        own = {} if login is None or "authorization" in map(str.lower, self.headers) else {"authorization": login}
        return {**self.headers, **own}

    def _named(self, question: Question) -> Question:
        return question if question.model else question._replace(model=self.model)

    def _request(self, method: str, path: str, body: Any, sending: Sending) -> Request:
        whole = path.startswith(("http://", "https://"))
        url = path if whole else f"{self.base_url}/{path.lstrip('/')}"
        parts = urlsplit(url)
        ours = not whole or _address(parts) == _address(urlsplit(self.base_url))
        headers = {**(self.headers if ours else {}), **HEADERS.get(path, {}), **(sending.headers or {})}
        login = login_of(parts) or (self._login if ours else None)
        key = self.api_key if sending.api_key is None else sending.api_key
        if key and (ours or sending.api_key):
            login = f"Bearer {key}"
        elif sending.api_key is not None:
            login = None
        if login is not None and not any(name.lower() == "authorization" for name in headers):
            headers["authorization"] = login
        if parts.username is not None:
            url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        self.redact.learn_request(url, headers)
        return request_of(method, url, headers, body)

    def _call(self, request: Request, sending: Sending, limits: Limits, reader: AnswerReader | None = None) -> Exchange:
        """Make attempts until one stands; return its exchange, with all of them.

        Raises:
            RequestError: None stands.
        """
        retry, cancellation = sending.retry or self.retry, sending.cancellation
        started = time.perf_counter()
        done: list[Attempt] = []
        while True:
            patience = Patience(limits, started, cancellation)
            exchange = make_attempt(self._dialer, request, patience, limits.body, reader)
            now = time.perf_counter()
            exchange.elapsed = now - started
            headers = headers_of(exchange)
            # A stream that has begun is not tried again, and what ended it is told with the stream.
            begun = reader is not None and reader.streams
            answered = exchange.problem is None or begun
            last = Attempt(
                len(done) + 1,
                exchange.status if answered else None,
                None if answered else exchange.problem,
                now - patience.sent,
                started=patience.sent - started,
                retry_after=retry_after(headers),
            )
            wait = self._wait(retry, last, sending, headers) if not begun else None
            if wait is not None and patience.remaining > wait:
                done.append(last._replace(wait=wait))
                (cancellation.pause if cancellation else pause)(wait)
                continue
            exchange.attempts = (*done, last)
            if answered:
                return exchange
            tries = f" in {len(done) + 1} attempts" if done else ""
            patient = _LAST_WORDS if exchange.ending in {Ending.NO_ANSWER, Ending.CUT} else 0.0
            raise self._error(exchange, "an answer", f"{exchange.problem}{tries}", patient)

    @staticmethod
    def _wait(retry: RetryPolicy, last: Attempt, sending: Sending, headers: Mapping[str, str]) -> float | None:
        """Seconds to wait before another attempt; None when there is to be none."""
        cancelled = sending.cancellation is not None and sending.cancellation.requested
        if cancelled or not retry.retries(last.status) or last.number > retry.max_retries:
            return None
        return retry.wait(last.number - 1, headers)

    def _refused(self, exchange: Exchange, expected: Statuses) -> RequestError:
        reply = Reply(exchange, self.redact)
        got = f"{reply.status}: {reply.error or shorten(reply.body, 200) or 'an empty body'}"
        tries = f" in {len(reply.attempts)} attempts" if len(reply.attempts) > 1 else ""
        if reply.status == _NOT_FOUND:
            self._see_models(exchange)
        hint = self._unlisted(exchange) if reply.status in {400, 404, 422} else None
        return self._error(exchange, f"status {expected}", got + tries, hint=hint)

    def _see_models(self, exchange: Exchange) -> None:
        """Ask this server once which models it has, where a model was asked for and none was ever seen."""
        own = exchange.request.url.startswith(f"{self.base_url}/")
        with self._looking:
            if self.seen_models or self._looked or not own or _model_asked(exchange) is None:
                return
            self._looked = True
            limits = self.limits.replace(total=min(_LOOK, self.limits.total))
            # It serves a hint alone: without a list there is none.
            with contextlib.suppress(RequestError):
                reply = self.send("GET", MODELS, sending=_PLAIN._replace(limits=limits, retry=RetryPolicy()))
                self.seen_models = tuple(ModelListReply(reply.exchange, self.redact).models_or_none or ())

    def _unlisted(self, exchange: Exchange) -> str | None:
        """What to do about a model that the server does not list, where its list is known."""
        asked = _model_asked(exchange)
        if not self.seen_models or asked is None or is_listed(self.seen_models, asked):
            return None
        return f"{what_is_listed(self.seen_models, asked)} Give one of these names with model=."

    def _error(
        self, exchange: Exchange, expected: str, got: str, patience: float = 0.0, hint: str | None = None
    ) -> RequestError:
        answered = exchange.attempts[-1].error is None
        return RequestError(
            self._describe(exchange, expected, got, patience, hint),
            status=exchange.status if answered else None,
            headers=self.redact.headers(headers_of(exchange)) if answered else {},
            body=self.redact(exchange.text) if answered else "",
            attempts=exchange.attempts,
            cancelled=exchange.problem == CANCELLED,
            exchange=exchange,
        )

    def _describe(
        self,
        exchange: Exchange,
        expected: str,
        got: str,
        patience: float = 0.0,
        hint: str | None = None,
        error: str = "",
    ) -> str:
        """What failed; `error` is what the server says of it in the middle of a stream."""
        from InferenceLibrary.causes import find_cause, find_loss

        state, log = self.state(patience)
        if hint is None and state:
            # Where its guard ended first, the end of the process says nothing of its cause.
            own = state if ", after its guard" not in state else ""
            hint = find_cause(log, own.rpartition("ended with ")[2])
        elif hint is None:
            hint = find_loss(got if exchange.status is not None and exchange.status >= 500 else error)
        if "refused" in got and not state and hint is None and exchange.status is None:
            hint = "is a server running there? See Start Server and Connect To Server."
        text = describe(
            f"{exchange.request.method} {exchange.request.url} of server '{self.name}' failed",
            expected=expected,
            got=got,
            after=exchange.elapsed,
            state=state,
            hint=hint,
            detail=("Last lines of the server's log", log) if log else None,
        )
        return self.redact(text)


def _address(url: SplitResult) -> tuple[str, str | None, int | None]:
    """Scheme, host and port of a URL, the port in full."""
    try:
        return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)
    except ValueError:
        # It cannot be read; it is refused when it is called.
        return url.scheme, url.hostname, None


def _ended_by_connection(exchange: Exchange) -> bool:
    """Whether it was the end of the connection that ended a stream, good or bad: the server may have died."""
    framed = exchange.header("transfer-encoding") or exchange.header("content-length")
    return exchange.ending is Ending.CUT or (exchange.ending is Ending.WHOLE and not framed)


def _model_asked(exchange: Exchange) -> str | None:
    """The model that a request names; None where it names none."""
    try:
        asked = json.loads(exchange.request.body or b"{}").get("model")
    except (ValueError, AttributeError):
        return None
    return asked if isinstance(asked, str) else None
