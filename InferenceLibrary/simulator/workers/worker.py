"""One of several processes that serve on one port: a server that asks the others for what concerns all."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.control import Control
from InferenceLibrary.simulator.core.api_errors import ApiError
from InferenceLibrary.simulator.core.app import App
from InferenceLibrary.simulator.core.connection import Connection
from InferenceLibrary.simulator.core.delivery import deliver
from InferenceLibrary.simulator.core.draft import Draft
from InferenceLibrary.simulator.core.settings import Settings
from InferenceLibrary.simulator.core.sockets import bind
from InferenceLibrary.simulator.personalities.openai import OpenAI
from InferenceLibrary.simulator.server import Server
from InferenceLibrary.simulator.workers.gathering import METRICS, as_json
from InferenceLibrary.simulator.workers.link import Answered, Link, LinkBroken

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Handler, Host, Turn
    from InferenceLibrary.simulator.workers.counts import SharedCounts

SHARED = ("/v1/load_lora_adapter", "/v1/unload_lora_adapter", "/sleep", "/wake_up", "/admin/config", "/fake_metrics")
"""Paths whose requests change the server, so that all workers obey them."""


class Worker(Server):
    """A server whose port others serve too.

    Args:
        settings: Its settings, with the port that all share.
        place: Its number among the workers, from 0 on.
        asks: Its end of the connection on which it asks the parent.
        obeys: Its end of the one on which the parent asks.
        counts: Counters of faults.
    """

    def __init__(
        self, settings: Settings, place: int, asks: socket.socket, obeys: socket.socket, counts: SharedCounts
    ) -> None:
        super().__init__(settings, "")
        self._place = place
        self._asks = asks
        self._obeys = obeys
        self._counts = counts
        self._tasks: set[asyncio.Task[None]] = set()

    def bind(self, port: int) -> socket.socket:
        return bind(self.settings.host, port, shared=True)

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGINT:
            # Ctrl-C comes to all of the group; the parent hands it on, once.
            signal.signal(number, signal.SIG_IGN)
        else:
            super()._on_signal(number)

    def _build(self) -> None:
        super()._build()
        app = self.app
        app.number(self._place)
        app.new_count = self._counts.new
        for fault in self._faults:
            fault.count = self._counts.new()
        link = Link(self._asks)
        routes = app.personality.routes
        inside = {path: routes[path] for path in SHARED}
        for path in (*SHARED, "/metrics"):
            routes[path] = {method: self._asks_all(link) for method in routes[path]}
        self._inside = App(Settings(record_requests=0), app.timers, lambda _text, _path: [])
        self._inside.personality = Inside(app, self, inside)

    def _tell(self, sock: socket.socket, tls: Any) -> None:
        create = self.loop.connect_accepted_socket
        self.loop.run_until_complete(create(lambda: Watched(self._inside, self._orphaned), self._obeys))

    def _orphaned(self) -> None:
        """The parent is gone: nobody could tell what this process counts."""
        self.exit_code = 1
        self.loop.stop()

    def _asks_all(self, link: Link) -> Handler:
        def handler(turn: Turn) -> None:
            task = self.loop.create_task(self._relay(link, turn))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return handler

    async def _relay(self, link: Link, turn: Turn) -> None:
        request = turn.request
        target = f"{request.path}?{request.query}" if request.query else request.path
        try:
            answer = await link.ask(request.method, target, request.body, request.headers.get("content-type", ""))
        except LinkBroken as error:
            if not turn.outcome:
                self.app.fail(turn, ApiError(503, f"The other workers cannot be asked: {error}"))
            return
        if not turn.outcome:
            give(turn, answer)


def give(turn: Turn, answer: Answered) -> None:
    """Answer with what another process answered."""
    deliver(turn, Draft(answer.status, answer.content_type, body=answer.body))


class Inside(Control):
    """What the parent asks a worker: the control API, what concerns all workers, and the metrics."""

    def __init__(self, app: App, host: Host, shared: dict[str, dict[str, Handler]]) -> None:
        super().__init__(app, host)
        self._shared = shared
        self.routes |= {**shared, METRICS: {"GET": self.metrics}}

    def error(self, error: ApiError, path: str = "") -> Draft:
        return self._app.personality.error(error, path) if path in self._shared else super().error(error, path)

    def metrics(self, turn: Turn) -> None:
        personality = self._app.personality
        assert isinstance(personality, OpenAI)
        personality.admin.note_adapters()
        found = personality.metrics
        deliver(turn, Draft(body=as_json(found.families(), fake=found.fake is not None)))


class Watched(Connection):
    """The connection on which the other side of a pair asks; it tells when that side is lost."""

    __slots__ = ("_lost",)

    def __init__(self, app: App, lost: Callable[[], None]) -> None:
        super().__init__(app)
        self._lost = lost

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._lost()
