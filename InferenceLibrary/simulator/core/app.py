"""The application: takes requests from connections, gives them to a personality, and keeps account."""

from __future__ import annotations

import itertools
import os
import sys
from collections import deque
from collections.abc import Callable, Collection, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any, TextIO

from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import to_json
from InferenceLibrary.simulator.core.draws import Draws
from InferenceLibrary.simulator.core.ledger import Ledger
from InferenceLibrary.simulator.core.request import Request
from InferenceLibrary.simulator.core.turn import Turn

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.inference import TextModel, VectorModel
    from InferenceLibrary.simulator.core.settings import Settings
    from InferenceLibrary.simulator.core.timers import Timers
    from InferenceLibrary.simulator.core.turn import AskedFault, Handler, Line, Personality

FAULT_HEADER = "x-inference-fault"
_DEEP = 200
"""A body with more brackets than this may be nested too deeply to be read."""


def _id_base(*seed: object) -> str:
    base = f"{Draws('id', *seed).bits():016x}"
    return f"{base[:8]}-{base[8:12]}-{base[12:]}"


def _refuse_at_the_end(_turn: Turn) -> None:
    raise ApiError(503, "The server is shutting down")


class App:
    """State of one simulator.

    Args:
        settings: Those of the simulator.
        timers: The heap on which all waits stand.
        read_faults: Returns the faults that a header asks for on a path; raises ValueError with one line for what is
            wrong, or can never strike there.
        truth: File for what was truly sent.
    """

    chunks_for_all = False
    """Whether streams to clients of HTTP/1.0 have chunks too, which those do not know."""

    def __init__(
        self,
        settings: Settings,
        timers: Timers,
        read_faults: Callable[[str, str], Sequence[AskedFault]],
        truth: TextIO | None = None,
    ) -> None:
        self.settings = settings
        self.timers = timers
        self.ledger = Ledger(settings.record_requests, settings.api_key, truth)
        self.connections: set[Line] = set()
        self.max_body_bytes = settings.max_request_body_size_mb * 1024 * 1024
        self._read_faults = read_faults
        self.faults: list[AskedFault] = []
        self.lasting: list[AskedFault] = []
        """Faults from outside of the suite, before its own."""
        self.scenario: Any = None
        self.strict = False
        """Whether no more is taken than OpenAI's reference takes, and all is given that it gives."""
        self.draining = False
        # Memory of faults that outlive their request.
        self.stuck = False
        # Whether a client left an answer, and the next one is to suffer.
        self.harmed = False
        self.frozen_metrics: Any = None
        self.started = monotonic()
        self.running = 0
        self.waiting: deque[tuple[Turn, Callable[[], None]]] = deque()
        self.admits: Callable[[Turn, Collection[Turn]], bool] = lambda _turn, _placed: True
        """Whether a turn may take a place beside those that have one."""
        self.load: Callable[[], float] = lambda: 1.0
        """How much slower everything is just now than with one answer alone."""
        self.on_idle: Callable[[], None] | None = None
        self.on_generating: list[Callable[[Turn], None]] = []
        self.on_ended: list[Callable[[Turn], None]] = []
        self.tells_pod: Callable[[Turn], bool] = lambda _turn: True
        """Whether an answer bears the names of the pod, and the id of the request."""
        # Each gives headers for every answer.
        self.header_sources: list[Callable[[Turn], tuple[tuple[str, str], ...]]] = []
        self.headers_for_pages: Callable[[Turn], tuple[tuple[str, str], ...]] | None = None
        """Gives those for the answers to pages of other sites, which name their origin."""
        pod = {"x-inference-pod": os.environ.get("POD_NAME"), "x-inference-namespace": os.environ.get("POD_NAMESPACE")}
        self._pod_headers = [(name, value) for name, value in pod.items() if value]
        if pod["x-inference-pod"]:
            self._pod_headers.append(("x-inference-port", str(settings.port)))
        self._ids = 0
        self.new_count: Callable[[], Callable[[], int]] = lambda: itertools.count(1).__next__
        """Makes what counts the requests of a new fault."""
        seed = os.urandom(8).hex() if settings.seed is None else settings.seed
        self.chance = Draws("chance", seed)
        self._id_base = _id_base(seed)
        self._log = settings.log_http or settings.v >= 4
        self.personality: Personality
        # Models that answer by inference, and how their threads reach the event loop.
        self.text_model: TextModel | None = None
        self.vector_model: VectorModel | None = None
        self.from_thread: Callable[[Callable[[], None]], object] = lambda call: call()
        self._placed: set[Turn] = set()
        # What a personality may do in its own way: ask for the key, read a request before a script does, and refuse one
        # that comes while it ends.
        self.while_draining: Callable[[Turn], None] = _refuse_at_the_end
        self.check_key: Callable[[Request], None] = self._check_key
        self.read_first: Callable[[Turn], None] | None = None

    def number(self, place: int) -> None:
        """Make ids that differ from those of the other processes which serve under the same seed."""
        if self.settings.seed is not None and place:
            self._id_base = _id_base(self.settings.seed, place)

    def new_id(self, prefix: str) -> str:
        """Return an id that no other answer of this server has; the same in the same order under a seed."""
        self._ids += 1
        return f"{prefix}{self._id_base}-{self._ids:012x}"

    # Requests

    def on_connect(self, connection: Line) -> None:
        self.ledger.connections += 1
        for fault in (*self.lasting, *self.faults):
            if fault.take_connection(connection):
                return

    def on_head(self, connection: Line, request: Request) -> None:
        """A request's head is here, its body perhaps not yet: for faults that do not wait for it."""
        for fault in self._faults_for(request, only_head=True):
            turn = Turn(self, connection, request)
            turn.faults = [fault]
            connection.current = turn
            self.ledger.begin(turn)
            fault.take_head(turn)
            return

    def handle(self, turn: Turn) -> None:
        """Answer one request."""
        request = turn.request
        personality = self.personality
        try:
            generates = request.path in personality.generating and request.method == "POST"
            if generates:
                self.ledger.begin(turn)
            if (self.faults or self.lasting or FAULT_HEADER in request.headers) and self._apply_faults(turn):
                return
            handler = self._route(request)
            if generates:
                if self.draining:
                    self.while_draining(turn)
                if self.read_first is not None:
                    self.read_first(turn)
                if self.scenario is not None:
                    self.scenario.read(turn)
                    if turn.status or turn.outcome:
                        return
                for listener in self.on_generating:
                    listener(turn)
                if personality.before(turn):
                    return
            handler(turn)
        except ApiError as error:
            self.fail(turn, error)

    def _route(self, request: Request) -> Handler:
        """Return the handler, or raise what is wrong with the request before anybody reads its body."""
        if request.version not in {"1.1", "1.0"}:
            raise ApiError(505, f"HTTP version {request.version} is not supported")
        if "host" not in request.headers and request.version == "1.1":
            raise ApiError(400, "The request has no Host header")
        routes = self._own_routes(request.path)
        scripted = routes is None and self.scenario is not None
        if scripted:
            routes = self.scenario.routes_of(request.path)
        if routes is None:
            raise ApiError(404, f"The path {request.path} does not exist")
        handler = routes.get("GET" if request.method == "HEAD" else request.method)
        if (
            handler is None
            and not scripted
            and request.path not in self.personality.routes
            and "/" in self._rest_below(request.path)
        ):
            # Below a route with an id there is nothing but the id.
            raise ApiError(404, f"The path {request.path} does not exist")
        if handler is None:
            allow = (("Allow", ", ".join(routes)),)
            raise ApiError(405, f"{request.path} takes no {request.method}", headers=allow)
        if self.settings.api_key and request.path not in self.personality.open_paths:
            self.check_key(request)
        return handler

    def fail(self, turn: Turn, error: ApiError) -> None:
        """Answer with an error, in the shape of the personality."""
        draft = self.personality.error(error, turn.request.path)
        draft.headers.extend(error.headers)
        deliver(turn, draft)

    def crashed(self, turn: Turn, error: Exception) -> None:
        """Answer 500 after a mistake of the simulator itself, and show it on stderr; cut what is half sent.

        What is nested more deeply than Python goes is a mistake of the request.
        """
        body = turn.request.body
        deep = isinstance(error, RecursionError) and body.count(b"[") + body.count(b"{") > _DEEP
        if deep and not (turn.outcome or turn.playing):
            self.fail(turn, ApiError(400, "The request is nested too deeply"))
            return
        import traceback

        sys.stderr.write("".join(traceback.format_exception(error)))
        turn.faults = []
        if turn.outcome or turn.connection.transport.is_closing():
            return
        if turn.playing:
            turn.broken()
            turn.connection.reset()
        else:
            self.fail(turn, ApiError(500, "The simulator made a mistake; its stderr says more"))

    def error_body(self, status: int, message: str) -> tuple[str, bytes]:
        """Return content type and body of an error outside of any request."""
        draft = self.personality.error(ApiError(status, message))
        return draft.content_type, draft.body if isinstance(draft.body, bytes) else to_json(draft.body)

    def has_route(self, path: str) -> bool:
        """Whether the personality itself answers on a path."""
        return self._own_routes(path) is not None

    def _own_routes(self, path: str) -> dict[str, Handler] | None:
        return self.personality.routes.get(path) or self._below(path)

    def _below(self, path: str) -> dict[str, Handler] | None:
        pattern = self._pattern_of(path)
        return None if pattern is None else self.personality.routes[pattern]

    def _rest_below(self, path: str) -> str:
        """What a path has below the route that takes it."""
        return path[len(self._pattern_of(path) or path) - 1 :]

    def _pattern_of(self, path: str) -> str | None:
        for pattern in self.personality.routes:
            if pattern[-1] == "*" and path.startswith(pattern[:-1]) and len(path) >= len(pattern):
                return pattern
        return None

    def _check_key(self, request: Request) -> None:
        import hmac

        given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        given = given or request.headers.get("x-api-key", "")
        if not hmac.compare_digest(given.encode("latin-1", "replace"), self.settings.api_key.encode()):
            text = "Incorrect API key provided" if given else "No API key provided; send Authorization: Bearer KEY"
            raise ApiError(401, text, headers=(("WWW-Authenticate", "Bearer"),))

    def _faults_for(self, request: Request, *, only_head: bool) -> list[AskedFault]:
        generates = request.path in self.personality.generating
        found = [
            fault
            for fault in (*self.lasting, *self.faults)
            if fault.before_body == only_head and fault.matches(request, generates, self.chance)
        ]
        if FAULT_HEADER in request.headers:
            try:
                asked = self._read_faults(request.headers[FAULT_HEADER], request.path)
            except ValueError as error:
                if only_head:
                    return found
                raise ApiError(400, f"X-Inference-Fault: {error}", param="X-Inference-Fault") from None
            found += [fault for fault in asked if fault.before_body == only_head]
        return found

    def _apply_faults(self, turn: Turn) -> bool:
        turn.faults = self._faults_for(turn.request, only_head=False)
        return any(fault.take_request(turn) for fault in turn.faults)

    # Places for generation

    def when_free(self, turn: Turn, start: Callable[[], None]) -> None:
        """Call `start` when one of the `max-num-seqs` places is free; at once for a turn that has one.

        Raises:
            ApiError: 429, the queue is full.
        """
        if turn in self._placed:
            start()
            return
        if self.running < self.settings.max_num_seqs and self.admits(turn, self._placed):
            self._place(turn)
            start()
            return
        if len(self.waiting) >= self.settings.max_waiting_queue_length:
            raise ApiError(429, "The waiting queue is full; try again later")
        place = (turn, start)
        self.waiting.append(place)
        turn.at_end(lambda _: self.waiting.remove(place) if place in self.waiting else None)

    def _place(self, turn: Turn) -> None:
        self.running += 1
        self._placed.add(turn)
        turn.at_end(self._leave)

    def _leave(self, ended: Turn) -> None:
        self.running -= 1
        self._placed.discard(ended)
        while self.waiting and self.running < self.settings.max_num_seqs:
            following = next((place for place in self.waiting if self.admits(place[0], self._placed)), None)
            if following is None:
                return
            self.waiting.remove(following)
            turn, start = following
            turn.started = monotonic()
            self._place(turn)
            try:
                start()
            except ApiError as error:
                self.fail(turn, error)
            except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the client waiting
                self.crashed(turn, error)

    # Ends

    def answer_headers(self, turn: Turn) -> tuple[tuple[str, str], ...]:
        """Return headers that every answer bears."""
        for_page = self.headers_for_pages if "origin" in turn.request.headers else None
        if not (for_page or self.header_sources or self._pod_headers or self.settings.enable_request_id_headers):
            return ()
        headers = [header for source in self.header_sources for header in source(turn)]
        headers += for_page(turn) if for_page else ()
        if not self.tells_pod(turn):
            return tuple(headers)
        headers += self._pod_headers
        if self.settings.enable_request_id_headers:
            given = turn.request.headers.get("x-request-id")
            headers.append(("X-Request-Id", given or turn.request_id or self.new_id("req-")))
        return tuple(headers)

    def ended(self, turn: Turn) -> None:
        """Keep account of a turn that is over."""
        self.ledger.end(turn)
        for listener in self.on_ended:
            listener(turn)
        if self._log:
            request = turn.request
            sys.stderr.write(
                f"{request.method} {request.path} {turn.status or '-'} {turn.outcome} "
                f"tokens={turn.tokens} ms={(monotonic() - request.received) * 1000:.1f}\n"
            )
        if self.draining and self.on_idle is not None:
            self.timers.at(monotonic(), self.on_idle)
