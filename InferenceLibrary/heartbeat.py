"""Tells on the console that a keyword of this library still runs: who waits in front of a run sees for what.

Keywords that tell more of their progress come first: what was told on the console lately is not told over.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

STEPS = (2.0, 10.0, 30.0, 60.0)
"""Seconds after which it is told that a keyword still runs; after the last, once a minute."""
_LOOK = 0.25
"""Seconds between two looks of the thread: a keyword that begins or ends need not wake it."""


class Heartbeat:
    """Watches the keyword that runs.

    Args:
        tell: Writes a line to the console.
        last_told: When somebody told something there last, on the monotonic clock.
    """

    def __init__(self, tell: Callable[[str], None], last_told: Callable[[], float]) -> None:
        self._tell = tell
        self._last_told = last_told
        self._running: tuple[str, float] | None = None
        """Name and begin of the outermost keyword of this library that runs."""
        self._depth = 0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, name: str) -> None:
        """A keyword begins."""
        self._depth += 1
        if self._depth > 1:
            return
        self._running = (name, time.monotonic())
        if self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="inference-heartbeat", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """It ended."""
        self._depth = max(0, self._depth - 1)
        if not self._depth:
            self._running = None

    def close(self) -> None:
        """The run ends."""
        self._running = None
        self._stopped.set()

    def _watch(self) -> None:
        seen: tuple[str, float] | None = None
        steps = due_times()
        due = next(steps)
        while not self._stopped.wait(_LOOK):
            running = self._running
            if running is None:
                continue
            if running is not seen:
                seen, steps = running, due_times()
                due = next(steps)
            name, began = running
            now = time.monotonic()
            if now - began >= due:
                if now - max(began, self._last_told()) >= STEPS[0]:
                    self._tell(f"{name}: {now - began:.0f} s so far")
                due = next(step for step in steps if began + step > now)


def due_times() -> itertools.chain[float]:
    """Return the seconds of a keyword's life at which it is told that it runs, without end."""
    return itertools.chain(STEPS, itertools.count(STEPS[-1] + 60.0, 60.0))
