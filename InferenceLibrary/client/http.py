"""The client of one server: single calls over HTTP, with limits, retries and records.

Synchronous, so that Robot's timeouts and Ctrl-C interrupt every wait. Streams take a fresh connection each: servers
exist that advertise keep-alive and close the socket after a stream. Other calls reuse connections and are sent once
more when a reused one dies before the first byte of the answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from InferenceLibrary.client.bodies import TooLarge, bounded, unpacked
from InferenceLibrary.client.endings import bad_utf8_in, improper_end
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.problems import describe_problem, network_errors
from InferenceLibrary.client.recorder import Recorder, headers_of
from InferenceLibrary.client.records import Attempt, Reply, Stream, decode_json, shorten
from InferenceLibrary.client.retry import RetryPolicy, retry_after
from InferenceLibrary.client.route import Route
from InferenceLibrary.client.sending import ANY_STATUS, Sending
from InferenceLibrary.client.sessions import Sessions, build_request
from InferenceLibrary.deadline import pause
from InferenceLibrary.errors import RequestError, StreamError, describe
from InferenceLibrary.protocol.errors import PARSE_ERROR, categorize
from InferenceLibrary.protocol.requests import CHAT, COMPLETIONS, HEADERS, MODELS, Question, body_for
from InferenceLibrary.redaction import Redactor

if TYPE_CHECKING:
    from InferenceLibrary.client.transport import Wire

CANCELLED = "a call that was cancelled"

_LAST_WORDS = 0.2
"""Seconds in which a server whose connection broke may turn out to have died."""

_PLAIN = Sending()

Send = Callable[["Wire"], tuple[int, "dict[str, str]", Any]]


@dataclass
class Client:
    """Calls one server.

    Args:
        base_url: Scheme, host and port, without `/v1`.
        name: How errors name the server.
        model: The model to ask for when a call names none.
        api_key: Sent as `Authorization: Bearer ...`.
        headers: Sent with every call.
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
        self.base_url = self.base_url.rstrip("/").removesuffix("/v1")
        self._sessions = Sessions(self.base_url, self.route)
        if self.api_key:
            self.redact.add(self.api_key)

    def chat(self, messages: Sequence[Mapping[str, Any]], sending: Sending = _PLAIN, **parameters: Any) -> Reply:
        """Ask for one chat answer. Parameters: the other fields of a `Question`.

        Raises:
            RequestError: No answer, a status other than the expected one, or a body that is not JSON.
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
            StreamError: The answer is no event stream, or broke off.
        """
        return self.ask_stream(CHAT, Question(messages=messages, **parameters), sending)

    def stream_completion(self, prompt: str, sending: Sending = _PLAIN, **parameters: Any) -> Stream:
        """Ask for a streamed text completion and record it, like `stream_chat`."""
        return self.ask_stream(COMPLETIONS, Question(prompt=prompt, **parameters), sending)

    def ask(self, path: str, question: Question, sending: Sending = _PLAIN) -> Reply:
        """Put a question to the API at `path`; expect a JSON object. As `send` else."""
        return self.ask_body(path, body_for(path, self._named(question)), sending)

    def ask_stream(self, path: str, question: Question, sending: Sending = _PLAIN) -> Stream:
        """Put a question to the API at `path` and record its streamed answer. As `stream` else."""
        return self.stream(path, body_for(path, self._named(question), stream=True), sending)

    def ask_body(self, path: str, body: dict[str, Any], sending: Sending = _PLAIN) -> Reply:
        """Post a body; expect a JSON object. As `send` else."""
        reply = self.send("POST", path, body, sending)
        return self.checked(path, reply) if sending.expected_status == 200 else reply

    def _named(self, question: Question) -> Question:
        return question if question.model else question._replace(model=self.model)

    def checked(self, path: str, reply: Reply) -> Reply:
        """Return a reply that holds a JSON object.

        Raises:
            RequestError: It does not, or is an error in spite of its status.
        """
        problem = None
        kind = reply.headers.get("content-type", "no content type")
        if reply.bad_utf8 is not None:
            problem = f"bytes that are no UTF-8 at byte {reply.bad_utf8} of the body"
        elif not isinstance(reply.json, dict):
            problem = f"{kind}: {shorten(reply.body)!r}"
        elif reply.error is not None and "choices" not in reply.json:
            problem = f"{reply.status} with an error as its body: {reply.error}"
        if problem is not None:
            raise self._error("POST", path, reply.attempts, "a JSON object", problem, reply)
        return reply

    def models(self) -> list[str]:
        """Return the ids that the model list gives.

        Raises:
            RequestError: No answer, a status other than 200, or no model list in it.
        """
        reply = self.send("GET", MODELS, sending=_PLAIN)
        data = reply.json.get("data") if isinstance(reply.json, dict) else None
        if not isinstance(data, list) or not all(isinstance(item, dict) and "id" in item for item in data):
            raise self._error("GET", MODELS, reply.attempts, "a list of models in 'data'", shorten(reply.body), reply)
        return [str(item["id"]) for item in data]

    def send(self, method: str, path: str, body: Any = None, sending: Sending = ANY_STATUS) -> Reply:
        """Send any request and return the answer.

        Args:
            method: HTTP method.
            path: Path below the base URL, or a whole URL.
            body: Text or bytes are sent as they are, everything else as JSON; None sends no body.
            sending: How it is sent.

        Raises:
            RequestError: No answer within the limits, or another status than the expected one.
        """
        limits = sending.limits or self.limits
        sent = {**self.headers, **HEADERS.get(path, {}), **(sending.headers or {})}
        url = self._url(path)

        def attempt(wire: Wire) -> tuple[int, dict[str, str], Any]:
            session = self._sessions.shared()
            request = build_request(session, method, url, body, sent, self.api_key)
            response = session.send(request)
            try:
                raw = b"".join(bounded(response.iter_raw(), limits.body))
            finally:
                response.close()
            raw = unpacked(raw, response.headers.get("content-encoding", ""), limits.body)
            return response.status_code, headers_of(response), raw

        started = time.perf_counter()
        status, answer_headers, raw, attempts, _ = self._attempts(
            method, path, attempt, limits, sending, started, sending.expected_status
        )
        text = raw.decode("utf-8", "replace")
        elapsed = time.perf_counter() - started
        reply = Reply(status, answer_headers, text, elapsed, decode_json(text), attempts, url, self.redact)
        reply.bad_utf8 = bad_utf8_in(raw)
        if sending.expected_status is not None and status != sending.expected_status:
            raise self._refused(method, path, reply, sending.expected_status)
        return reply

    def stream(
        self,
        path: str,
        body: Any,
        sending: Sending = _PLAIN,
        ending: Callable[[Stream], str | None] = improper_end,
    ) -> Stream:
        """Post a request that is answered by an event stream; read it to its end and record it.

        Args:
            path: Path below the base URL.
            body: Sent as JSON.
            sending: How it is sent; its limits are the client's `stream_limits` by default.
            ending: Says what is wrong with the end of a stream whose bytes came whole; that of the OpenAI API and its
                like by default.

        Raises:
            RequestError: No answer, or a status other than 200.
            StreamError: The answer is no event stream, or broke off; its `stream` holds what had arrived.
        """
        limits = sending.limits or self.stream_limits or self.limits
        sent = {**self.headers, **HEADERS.get(path, {}), **(sending.headers or {})}
        url = self._url(path)
        recorder = Recorder(limits, sending, self.redact, ending)

        def attempt(wire: Wire) -> tuple[int, dict[str, str], Any]:
            with self._sessions.new(keep_alive=False) as session:
                request = build_request(session, "POST", url, body, sent, self.api_key)
                response = session.send(request)
                try:
                    recorder.begin(response, wire)
                    if recorder.is_event_stream:
                        recorder.record(response.iter_raw())
                        return response.status_code, headers_of(response), b""
                    answer = b"".join(bounded(response.iter_raw(), limits.body))
                    answer = unpacked(answer, response.headers.get("content-encoding", ""), limits.body)
                    return response.status_code, headers_of(response), answer
                finally:
                    response.close()

        started = time.perf_counter()
        status, answer_headers, raw, attempts, wire = self._attempts(
            "POST", path, attempt, limits, sending, started, 200
        )
        if not recorder.is_event_stream:
            text = raw.decode("utf-8", "replace")
            elapsed = time.perf_counter() - started
            reply = Reply(status, answer_headers, text, elapsed, decode_json(text), attempts, url, self.redact)
            if status != 200:
                raise self._refused("POST", path, reply, 200)
            got = f"{answer_headers.get('content-type', 'no content type')}: {shorten(text)!r}"
            text = self._describe("POST", path, "an event stream (text/event-stream)", got, reply.elapsed)
            raise StreamError(text, category=PARSE_ERROR)
        stream = recorder.finish(attempts, url, time.perf_counter() - started, wire)
        if stream.broken and not sending.allow_broken:
            patience = _LAST_WORDS if recorder.ended_by_connection else 0.0
            arrived = f"{stream.broken} after {len(stream.chunks)} events ({shorten(stream.text, 40)!r})"
            raise StreamError(
                self._describe("POST", path, "a stream with a proper end", arrived, stream.elapsed, patience),
                event_index=len(stream.chunks),
                stream=stream,
                category=categorize(None, stream.error) if stream.error or stream.interrupted else PARSE_ERROR,
            )
        return stream

    def close(self) -> None:
        """Close the connections."""
        self._sessions.close()

    def _attempts(
        self,
        method: str,
        path: str,
        attempt: Send,
        limits: Limits,
        sending: Sending,
        started: float,
        expected_status: int | None,
    ) -> tuple[int, dict[str, str], Any, tuple[Attempt, ...], Wire]:
        """Run attempts until one stands; return status, headers, body, all attempts and the last one's wire."""
        from InferenceLibrary.client.transport import LimitExceeded, Wire

        retry, cancellation = sending.retry or self.retry, sending.cancellation
        done: list[Attempt] = []
        while True:
            wire = Wire(limits, started, cancellation=cancellation)
            status: int | None = None
            headers: dict[str, str] = {}
            raw: Any = b""
            problem: str | None = None
            patience = _LAST_WORDS
            try:
                status, headers, raw = self._send_twice_if_stale(attempt, wire)
            except LimitExceeded as error:
                problem = f"no answer within the {error}" if not wire.reads else f"an answer cut by the {error}"
                problem += f" ({wire.arrived})"
                patience = 0.0
            except TooLarge as error:
                problem = str(error)
            except network_errors() as error:
                problem = describe_problem(error)
            cancelled = cancellation is not None and cancellation.requested
            if cancelled and status is None:
                problem = CANCELLED
                patience = 0.0
            elapsed = time.perf_counter() - wire.sent
            last = Attempt(
                len(done) + 1, status, problem, elapsed, started=wire.sent - started, retry_after=retry_after(headers)
            )
            retried = retry.retries(status) and status != expected_status and len(done) < retry.max_retries
            retried = retried and not cancelled
            wait = retry.wait(len(done), headers) if retried else 0.0
            if retried and wire.remaining > wait:
                done.append(last._replace(wait=wait))
                (cancellation.pause if cancellation else pause)(wait)
                continue
            done.append(last)
            if problem is None:
                assert status is not None
                return status, headers, raw, tuple(done), wire
            tries = f" in {len(done)} attempts" if len(done) > 1 else ""
            raise self._error(method, path, tuple(done), "an answer", f"{problem}{tries}", None, started, patience)

    def _send_twice_if_stale(self, attempt: Send, wire: Wire) -> tuple[int, dict[str, str], Any]:
        """A reused connection may have been closed by the server meanwhile; then nothing was read, and we ask again."""
        from InferenceLibrary.client.transport import watched

        with watched(wire):
            try:
                return attempt(wire)
            except network_errors():
                reused = wire.connected is None
                if not reused or any(size for _, size in wire.reads):
                    raise
                wire.reads.clear()
                return attempt(wire)

    def _url(self, path: str) -> str:
        return path if path.startswith(("http://", "https://")) else f"{self.base_url}/{path.lstrip('/')}"

    def _refused(self, method: str, path: str, reply: Reply, expected: int) -> RequestError:
        got = f"{reply.status}: {reply.error or shorten(reply.body, 200) or 'an empty body'}"
        tries = f" in {len(reply.attempts)} attempts" if len(reply.attempts) > 1 else ""
        return self._error(method, path, reply.attempts, f"status {expected}", got + tries, reply)

    def _error(
        self,
        method: str,
        path: str,
        attempts: tuple[Attempt, ...],
        expected: str,
        got: str,
        reply: Reply | None,
        started: float | None = None,
        patience: float = 0.0,
    ) -> RequestError:
        elapsed = reply.elapsed if reply else time.perf_counter() - (started or 0.0)
        return RequestError(
            self._describe(method, path, expected, got, elapsed, patience),
            status=reply.status if reply else None,
            headers=self.redact.headers(reply.headers) if reply else {},
            body=self.redact(reply.body) if reply else "",
            attempts=attempts,
            cancelled=bool(attempts) and attempts[-1].error == CANCELLED,
        )

    def _describe(self, method: str, path: str, expected: str, got: str, after: float, patience: float = 0.0) -> str:
        state, log = self.state(patience)
        hint = "is a server running there? See Start Server and Connect To Server."
        text = describe(
            f"{method} {self._url(path)} of server '{self.name}' failed",
            expected=expected,
            got=got,
            after=after,
            state=state,
            hint=hint if "refused" in got and not state else None,
            detail=("Last lines of the server's log", log) if log else None,
        )
        return self.redact(text)
