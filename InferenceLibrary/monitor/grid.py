"""When monitors look: on a grid of times, which a late look does not shift."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Halt:
    """Ends a loop, as an event of `threading` does; a wait for it costs a part of what one for an event costs.

    One thread waits: with `wait` or, where each call counts, with `sleep(True, seconds)`, which returns true once only.
    """

    def __init__(self) -> None:
        self._held = threading.Lock()
        self._held.acquire()
        self._set = False
        self.sleep = self._held.acquire

    def set(self) -> None:
        """End it, at once; a second call does nothing."""
        if not self._set:
            self._set = True
            self._held.release()

    def is_set(self) -> bool:
        return self._set

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most; return whether it is set."""
        return self._set or self.sleep(True, seconds)


def following(due: float, interval: float) -> float:
    """Return the time on a grid after `due`; times that passed meanwhile are left out."""
    behind = max(0.0, time.monotonic() - due)
    return due + interval * (1 + behind // interval)


def on_grid(stop: Halt, started: float, interval: float, look: Callable[[], bool]) -> None:
    """Look at each time of the grid until `stop` is set or a look says that it was the last.

    Args:
        stop: Ends it, at once.
        started: The beginning of the grid on the monotonic clock; the first look is an interval later.
        interval: Seconds.
        look: Returns whether there will be more. Times that pass meanwhile are left out.
    """
    due = started + interval
    while not stop.wait(max(0.0, due - time.monotonic())):
        if not look():
            return
        due = following(due, interval)
