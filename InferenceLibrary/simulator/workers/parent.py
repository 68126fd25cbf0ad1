"""The parent of several processes that serve on one port: starts them, speaks for all of them, and ends them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.control import CONTROL_ROUTES, from_here
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.app import App
from InferenceLibrary.simulator.core.connection import Connection
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.eventloop import new_event_loop
from InferenceLibrary.simulator.core.settings import Settings, StartError
from InferenceLibrary.simulator.core.sockets import bind, url_of
from InferenceLibrary.simulator.core.timers import Timers
from InferenceLibrary.simulator.server import announce, warn
from InferenceLibrary.simulator.workers.counts import SharedCounts
from InferenceLibrary.simulator.workers.gathering import METRICS, one_of
from InferenceLibrary.simulator.workers.link import Answered, Link, LinkBroken
from InferenceLibrary.simulator.workers.worker import SHARED, Watched, Worker, give

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Turn

_REAP = 0.005


class Child:
    """A worker, as its parent knows it."""

    def __init__(self, place: int, pid: int, asks: socket.socket, obeys: socket.socket) -> None:
        self.place = place
        self.pid = pid
        self.asks = asks
        self.obeys = obeys
        self.link: Link
        self.ended: str | None = None
        """How it ended; None while it lives."""


class Workers:
    """Several processes as one server."""

    def __init__(self, settings: Settings, announcement: str) -> None:
        self._settings = settings
        self._announcement = announcement
        self._children: list[Child] = []
        self._ending = 0
        self._exit_code = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop

    def run(self) -> int:
        """Serve until a signal; return the exit code.

        Raises:
            StartError: The port cannot be bound.
        """
        settings = self._settings
        # It keeps the port and never listens: connections come to those that do.
        place = bind(settings.host, settings.port, shared=True, listens=False)
        counts = SharedCounts()
        for number in range(settings.workers):
            self._fork(number, replace(settings, port=place.getsockname()[1], control_port=None), counts)
        self._loop = new_event_loop()
        try:
            timers = Timers(self._loop)
            self._serve(timers)
            for number in (signal.SIGTERM, signal.SIGINT):
                self._loop.add_signal_handler(number, self._signalled, number)
            if self._loop.run_until_complete(self._ready()):
                self._tell(place, timers)
                self._loop.run_forever()
            timers.close()
        finally:
            for child in self._living():
                _send(child, signal.SIGKILL)
            self._loop.close()
        return self._exit_code

    def _fork(self, number: int, settings: Settings, counts: SharedCounts) -> None:
        asks, asked = socket.socketpair()
        obeyed, obeys = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for sock in (asked, obeyed, *(sock for child in self._children for sock in (child.asks, child.obeys))):
                    sock.close()
                code = Worker(settings, number, asks, obeys, counts).run()
            except StartError as error:
                sys.stderr.write(f"inference-simulator: error: {error}\n")
            finally:
                sys.stderr.flush()
                os._exit(code)
        asks.close()
        obeys.close()
        for sock in (asked, obeyed):
            sock.setblocking(False)
        self._children.append(Child(number, pid, asked, obeyed))

    def _serve(self, timers: Timers) -> None:
        """Answer what workers ask."""
        for child in self._children:
            child.link = Link(child.obeys)
            own = App(Settings(record_requests=0), timers, lambda _text, _path: [])
            paths = {path: {"POST": self._gather, "GET": self._gather} for path in SHARED}
            own.personality = _Speaker({**paths, "/metrics": {"GET": self._gather_metrics}})
            connection = Watched(own, lambda child=child: self._lost(child))  # type: ignore[misc]
            accept = self._loop.connect_accepted_socket
            self._loop.run_until_complete(accept(lambda connection=connection: connection, child.asks))  # type: ignore[misc]

    async def _ready(self) -> bool:
        """Whether all workers have begun to serve; one that has not has said why."""
        try:
            for child in self._children:
                await child.link.ask("GET", "/health")
        except LinkBroken:
            self._exit_code = 1
            return False
        return True

    def _tell(self, place: socket.socket, timers: Timers) -> None:
        settings = self._settings
        url = url_of(place)
        lines = [self._announcement.format(url=url.replace("http:", "https:", 1) if settings.ssl_certfile else url)]
        if settings.control_port is not None:
            own = App(Settings(record_requests=0), timers, lambda _text, _path: [])
            own.personality = _Speaker(
                {path: {name: from_here(self._gather) for name in names} for path, names in CONTROL_ROUTES.items()}
            )
            control = bind("127.0.0.1", settings.control_port)
            create = self._loop.create_server
            self._loop.run_until_complete(create(lambda: Connection(own), sock=control))
            lines.insert(0, f"control on {url_of(control)}")
        announce(lines)

    # What is asked of all

    def _living(self) -> list[Child]:
        return [child for child in self._children if child.ended is None]

    def _gather(self, turn: Turn) -> None:
        self._start(turn, turn.request.path)

    def _gather_metrics(self, turn: Turn) -> None:
        self._start(turn, METRICS)

    def _start(self, turn: Turn, path: str) -> None:
        task = self._loop.create_task(self._answer(turn, path))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, turn: Turn, path: str) -> None:
        request = turn.request
        try:
            if (request.method, path) == ("PUT", "/scenario"):
                raise ApiError(422, "A scenario counts its steps in one process: start the simulator without --workers")
            answer = await self._ask_all(request.method, path, request.query, request.body, request.headers)
        except ApiError as error:
            if not turn.outcome:
                turn.app.fail(turn, error)
            return
        except Exception as error:  # noqa: BLE001 - a mistake of ours must not leave the client waiting
            turn.app.crashed(turn, error)
            return
        if not turn.outcome:
            give(turn, answer)

    async def _ask_all(self, method: str, path: str, query: str, body: bytes, headers: dict[str, str]) -> Answered:
        target = f"{path}?{query}" if query else path
        content_type = headers.get("content-type", "")
        links = [child.link for child in self._living()]
        found = await asyncio.gather(
            *(link.ask(method, target, body, content_type) for link in links), return_exceptions=True
        )
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, LinkBroken):
                raise one
        answers = [one for one in found if isinstance(one, Answered)]
        if not answers:
            raise ApiError(503, "No worker lives any more")
        whole = one_of(method, path, query, answers)
        if path == "/stats" and whole.status == 200:
            told = [{"pid": child.pid, "ended": child.ended} for child in self._children]
            whole = whole._replace(body=json.dumps({**json.loads(whole.body), "workers": told}).encode())
        return whole

    # Ends

    def _signalled(self, number: signal.Signals) -> None:
        self._ending += 1
        if self._ending > 1:
            self._exit_code = 128 + number
        for child in self._living():
            _send(child, signal.SIGTERM)

    def _lost(self, child: Child) -> None:
        """The connection of a worker has ended, so it has, or will at once."""
        pid, status = os.waitpid(child.pid, os.WNOHANG)
        if not pid:
            self._loop.call_later(_REAP, self._lost, child)
            return
        code = os.waitstatus_to_exitcode(status)
        child.ended = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        living = len(self._living())
        if code or not self._ending:
            self._exit_code = self._exit_code or (1 if code or not living else 0)
            if not self._ending:
                rest = f"{living} of {len(self._children)} go on" if living else "it was the last one"
                warn(f"worker {child.place + 1} (process {child.pid}) ended with {child.ended}; {rest}")
        if not living and self._loop.is_running():
            self._loop.call_soon(self._loop.stop)


class _Speaker:
    """Routes of the parent. Errors are those of the control API."""

    generating: frozenset[str] = frozenset()
    open_paths: frozenset[str] = frozenset()

    def __init__(self, routes: dict[str, dict[str, Handler]]) -> None:
        self.routes = routes

    def error(self, error: ApiError, _path: str = "") -> Draft:
        return Draft(error.status, body={"error": error.message})

    def before(self, _turn: Turn) -> bool:
        return False


def _send(child: Child, number: int) -> None:
    try:
        os.kill(child.pid, number)
    except ProcessLookupError:
        return
