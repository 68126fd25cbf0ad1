"""The log of requests of mistral.rs: one line as a request begins, and one as it ends."""

from __future__ import annotations

import json
import sys
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.personalities.mistralrs_log import log

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Turn
    from InferenceLibrary.simulator.personalities.likeness.personality import Likeness

_MODULE = "mistralrs_server_core::access_log"
_QUIET = ("/health", "/metrics", "/docs", "/ui", "/api-doc")
"""Beginnings of the paths that are logged on demand only."""


class AccessLog:
    """Writes to stdout, as the rest of the log.

    Args:
        server: The stand-in.
    """

    def __init__(self, server: Likeness) -> None:
        self._all = bool(server.flags["access-log-health"])
        self._as_json = server.flags["access-log-format"] == "json"
        self._begun: set[int] = set()
        server.app.on_generating.append(self._begin)
        server.app.on_ended.append(self._end)

    def _begin(self, turn: Turn) -> None:
        self._begun.add(id(turn))
        self._tell("request started", turn)

    def _end(self, turn: Turn) -> None:
        if not self._all and turn.request.path.startswith(_QUIET):
            return
        if id(turn) not in self._begun:
            self._tell("request started", turn)
        self._begun.discard(id(turn))
        took = round((monotonic() - turn.started) * 1000)
        outcome = "cancelled" if turn.outcome == "cancelled" else "completed"
        self._tell("request completed", turn, status=turn.status, outcome=outcome, latency_ms=took)

    def _tell(self, text: str, turn: Turn, **more: Any) -> None:
        fields = {"method": turn.request.method, "path": turn.request.path, **more}
        if self._as_json:
            record = {"timestamp": time(), "level": "INFO", "message": text, **fields}
            sys.stdout.write(f"{json.dumps(record)}\n")
            sys.stdout.flush()
        else:
            log(f"{text}: {' '.join(f'{name}={value}' for name, value in fields.items())}", _MODULE)
