"""What a container writes, carried into a file while it writes it."""

from __future__ import annotations

import http.client
import threading
from pathlib import Path
from typing import Any

from InferenceLibrary.containers.engine import ContainerEngine, api_errors, one_line

_LAST_WORDS = 2.0
_LET_GO = 0.05


class ContainerLog:
    """Follows a container's output from its beginning; ends with the container."""

    def __init__(self, engine: ContainerEngine, container: str, path: Path) -> None:
        self._api = engine.new_api()
        self._container = container
        self._path = path
        self._stream: Any = None
        self._thread = threading.Thread(target=self._follow, name=f"log of {container[:12]}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether there may be more to come."""
        return self._thread.is_alive()

    def finish(self) -> None:
        """Wait for the last words of a container that has ended, then let go."""
        self._thread.join(_LAST_WORDS)
        if self._thread.is_alive() and self._stream is not None:
            self._stream.close()
            self._thread.join(_LAST_WORDS)
        self._api.close()

    def detach(self) -> None:
        """Follow no longer a container that lives on, or whose end is not waited for."""
        if self._stream is not None:
            self._stream.close()
        self._thread.join(_LET_GO)
        self._api.close()

    def _follow(self) -> None:
        with self._path.open("ab", buffering=0) as file:
            try:
                self._stream = self._api.logs(self._container, stream=True, follow=True)
                for piece in self._stream:
                    file.write(piece)
            except api_errors(OSError, http.client.HTTPException, ValueError, AttributeError) as error:
                # Closed from our side, or the engine has gone, or its logging driver cannot be read.
                if self._stream is None:
                    file.write(f"(the engine gives no log: {one_line(error)})\n".encode())
