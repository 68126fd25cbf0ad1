"""When monitors look: on a grid of times, which a late look does not shift."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def on_grid(stop: threading.Event, started: float, interval: float, look: Callable[[], bool]) -> None:
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
        behind = max(0.0, time.monotonic() - due)
        due += interval * (1 + behind // interval)
