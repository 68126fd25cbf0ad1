"""Cancel a call from another thread: its connection is shut down, whatever it waits for."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any


class Cancellation:
    """Handed to a call; `cancel` ends it from anywhere. The call tells it which socket it uses."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = threading.Event()
        self._socket: socket.socket | None = None

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    def cancel(self) -> None:
        """End the call now, or at its first connection when it has none yet. A second call does nothing."""
        with self._lock:
            self._requested.set()
            self._shut()

    def attach(self, sock: Any) -> None:
        """The call uses this socket from now on."""
        with self._lock:
            self._socket = sock
            if self.requested:
                self._shut()

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond a cancellation."""
        self._requested.wait(seconds)

    def _shut(self) -> None:
        if self._socket is not None:
            # It may be closed already; then there is nothing to end.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
