"""The application: takes requests from connections, gives them to a personality, and keeps account."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from InferenceLibrary.simulator.api_errors import ApiError
from InferenceLibrary.simulator.drafts import Draft, deliver
from InferenceLibrary.simulator.draws import Draws
from InferenceLibrary.simulator.exchange import Exchange, Request
from InferenceLibrary.simulator.ledger import Ledger

if TYPE_CHECKING:
    from InferenceLibrary.simulator.faults.spec import Fault
    from InferenceLibrary.simulator.http_connection import Connection
    from InferenceLibrary.simulator.settings import Settings
    from InferenceLibrary.simulator.timers import Timers

Handler = Callable[[Exchange], None]
FAULT_HEADER = "x-inference-fault"


class Personality(Protocol):
    """A system that the simulator stands in for."""

    # Path to method to handler; a path that ends with `*` takes all below it.
    routes: dict[str, dict[str, Handler]]
    # Paths whose requests are counted and get faults: those that generate.
    generating: frozenset[str]
    # Paths that need no key.
    open_paths: frozenset[str]

    def error(self, error: ApiError, path: str = "") -> Draft:
        """Return the answer for an error, in the shape that the system has on this path."""

    def before(self, exchange: Exchange) -> bool:
        """Called first for generating requests; true when it answered already."""


class App:
    """State of one simulator."""

    def __init__(self, settings: Settings, timers: Timers, truth: TextIO | None = None) -> None:
        self.settings = settings
        self.timers = timers
        self.ledger = Ledger(settings.record_requests, settings.api_key, truth)
        self.connections: set[Connection] = set()
        self.max_body_bytes = settings.max_request_body_size_mb * 1024 * 1024
        self.faults: list[Fault] = []
        self.scenario: Any = None
        self.draining = False
        # Memory of faults that outlive their request.
        self.stuck = False
        self.frozen_metrics: Any = None
        self.started = monotonic()
        self.running = 0
        self.waiting: deque[tuple[Exchange, Callable[[], None]]] = deque()
        self.on_idle: Callable[[], None] | None = None
        self.on_ended: list[Callable[[Exchange], None]] = []
        # Each gives headers for every answer.
        self.header_sources: list[Callable[[Exchange], tuple[tuple[str, str], ...]]] = []
        pod = {"x-inference-pod": os.environ.get("POD_NAME"), "x-inference-namespace": os.environ.get("POD_NAMESPACE")}
        self._pod_headers = [(name, value) for name, value in pod.items() if value]
        if pod["x-inference-pod"]:
            self._pod_headers.append(("x-inference-port", str(settings.port)))
        self._ids = 0
        seed = os.urandom(8).hex() if settings.seed is None else settings.seed
        self.chance = Draws("chance", seed)
        self._id_base = f"{Draws('id', seed).bits():016x}"
        self._log = settings.log_http or settings.v >= 4
        self.personality: Personality

    def new_id(self, prefix: str) -> str:
        """Return an id that no other answer of this server has; the same in the same order under a seed."""
        self._ids += 1
        base = self._id_base
        return f"{prefix}{base[:8]}-{base[8:12]}-{base[12:]}-{self._ids:012x}"

    # Requests

    def on_connect(self, connection: Connection) -> None:
        self.ledger.connections += 1
        for fault in self.faults:
            if fault.kind.on_connect is not None and fault.matches_connection():
                fault.kind.on_connect(connection, fault.values)
                return

    def on_head(self, connection: Connection, request: Request) -> None:
        """A request's head is here, its body perhaps not yet: for faults that do not wait for it."""
        for fault in self._faults_for(request, only_head=True):
            exchange = Exchange(self, connection, request)
            exchange.faults = [fault]
            connection.current = exchange
            self.ledger.begin(exchange)
            fault.kind.on_head(exchange, fault.values)  # type: ignore[misc]
            return

    def handle(self, exchange: Exchange) -> None:
        """Answer one request."""
        request = exchange.request
        personality = self.personality
        try:
            generates = request.path in personality.generating and request.method == "POST"
            if generates:
                self.ledger.begin(exchange)
            if (self.faults or FAULT_HEADER in request.headers) and self._apply_faults(exchange):
                return
            handler = self._route(request)
            if generates:
                if self.draining:
                    raise ApiError(503, "The server is shutting down")
                if self.scenario is not None:
                    self.scenario.read(exchange)
                    if exchange.status or exchange.outcome:
                        return
                if personality.before(exchange):
                    return
            handler(exchange)
        except ApiError as error:
            self.fail(exchange, error)

    def _route(self, request: Request) -> Handler:
        """Return the handler, or raise what is wrong with the request before anybody reads its body."""
        if request.version not in {"1.1", "1.0"}:
            raise ApiError(505, f"HTTP version {request.version} is not supported")
        if "host" not in request.headers and request.version == "1.1":
            raise ApiError(400, "The request has no Host header")
        routes = self.personality.routes.get(request.path) or self._below(request.path)
        if routes is None:
            raise ApiError(404, f"The path {request.path} does not exist")
        handler = routes.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            allow = (("Allow", ", ".join(routes)),)
            raise ApiError(405, f"{request.path} takes no {request.method}", headers=allow)
        if self.settings.api_key and request.path not in self.personality.open_paths:
            self._check_key(request)
        return handler

    def fail(self, exchange: Exchange, error: ApiError) -> None:
        """Answer with an error, in the shape of the personality."""
        draft = self.personality.error(error, exchange.request.path)
        draft.headers.extend(error.headers)
        deliver(exchange, draft)

    def crashed(self, exchange: Exchange, error: Exception) -> None:
        """Answer 500 after a mistake of the simulator itself, and show it on stderr; cut what is half sent."""
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
        exchange.faults = []
        if exchange.outcome or exchange.connection.transport.is_closing():
            return
        if exchange.playing:
            exchange.broken()
            exchange.connection.reset()
        else:
            self.fail(exchange, ApiError(500, "The simulator made a mistake; its stderr says more"))

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Return content type and body of an error outside of any request."""
        from InferenceLibrary.simulator.drafts import to_json

        draft = self.personality.error(ApiError(status, message))
        return draft.content_type, draft.body if isinstance(draft.body, bytes) else to_json(draft.body)

    def _below(self, path: str) -> dict[str, Handler] | None:
        for pattern, routes in self.personality.routes.items():
            if pattern[-1] == "*" and path.startswith(pattern[:-1]) and len(path) >= len(pattern):
                return routes
        return None

    def _check_key(self, request: Request) -> None:
        import hmac

        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        given = given or request.headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode("latin-1", "replace"), self.settings.api_key.encode()):
            text = "Incorrect API key provided" if given else "No API key provided; send Authorization: Bearer KEY"
            raise ApiError(401, text, headers=(("WWW-Authenticate", "Bearer"),))

    def _faults_for(self, request: Request, *, only_head: bool) -> list[Fault]:
        from InferenceLibrary.simulator.faults.spec import parse_faults

        generates = request.path in self.personality.generating
        found = [
            fault
            for fault in self.faults
            if (fault.kind.on_head is not None) == only_head and fault.matches(request, generates, self.chance)
        ]
        if FAULT_HEADER in request.headers:
            try:
                asked = parse_faults(request.headers[FAULT_HEADER])
            except ValueError as error:
                if only_head:
                    return found
                raise ApiError(400, f"X-Inference-Fault: {error}", param="X-Inference-Fault") from None
            found += [fault for fault in asked if (fault.kind.on_head is not None) == only_head]
        return found

    def _apply_faults(self, exchange: Exchange) -> bool:
        exchange.faults = self._faults_for(exchange.request, only_head=False)
        return any(
            fault.kind.on_answer is not None and fault.kind.on_answer(exchange, fault.values)
            for fault in exchange.faults
        )

    # Places for generation

    def when_free(self, exchange: Exchange, start: Callable[[], None]) -> None:
        """Call `start` when one of the `max-num-seqs` places is free.

        Raises:
            ApiError: 429, the queue is full.
        """
        if self.running < self.settings.max_num_seqs:
            self.running += 1
            exchange.at_end(self._leave)
            start()
            return
        if len(self.waiting) >= self.settings.max_waiting_queue_length:
            raise ApiError(429, "The waiting queue is full; try again later")
        place = (exchange, start)
        self.waiting.append(place)
        exchange.at_end(lambda _: self.waiting.remove(place) if place in self.waiting else None)

    def _leave(self, _exchange: Exchange) -> None:
        self.running -= 1
        while self.waiting and self.running < self.settings.max_num_seqs:
            exchange, start = self.waiting.popleft()
            self.running += 1
            exchange.started = monotonic()
            exchange.at_end(self._leave)
            try:
                start()
            except ApiError as error:
                self.fail(exchange, error)
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the client waiting
                self.crashed(exchange, error)

    # Ends

    def answer_headers(self, exchange: Exchange) -> tuple[tuple[str, str], ...]:
        """Return headers that every answer bears."""
        headers = [header for source in self.header_sources for header in source(exchange)]
        headers += self._pod_headers
        if self.settings.enable_request_id_headers:
            headers.append(("X-Request-Id", exchange.request.headers.get("x-request-id") or self.new_id("req-")))
        return tuple(headers)

    def ended(self, exchange: Exchange) -> None:
        """Keep account of an exchange that is over."""
        self.ledger.end(exchange)
        for listener in self.on_ended:
            listener(exchange)
        if self._log:
            request = exchange.request
            sys.stderr.write(
                f"{request.method} {request.path} {exchange.status or '-'} {exchange.outcome} "
                f"tokens={exchange.tokens} ms={(monotonic() - request.received) * 1000:.1f}\n"
            )
        if self.draining and self.on_idle is not None:
            self.timers.at(monotonic(), self.on_idle)
