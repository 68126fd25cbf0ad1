"""Time limits and the only waiting loop of the library."""

from __future__ import annotations

import time
from collections.abc import Callable


class Deadline:
    """A point on the monotonic clock, `budget` seconds after its creation."""

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.started = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    @property
    def remaining(self) -> float:
        """Seconds that are left, never below zero."""
        return max(0.0, self.budget - self.elapsed)

    @property
    def expired(self) -> bool:
        return self.remaining == 0.0


def wait_until(
    check: Callable[[], bool], budget: float | Deadline, *, first: float = 0.002, longest: float = 0.05
) -> bool:
    """Poll `check` until it is true; return whether it became true within the budget.

    The pause between polls doubles from `first` to `longest` seconds, so that what is fast is not waited for. The check
    is asked once more at the end of the budget. Robot's timeouts and Ctrl-C interrupt the pause.
    """
    deadline = budget if isinstance(budget, Deadline) else Deadline(budget)
    pause = first
    while not check():
        if deadline.expired:
            return check()
        time.sleep(min(pause, deadline.remaining))
        pause = min(pause * 2, longest)
    return True


def pause(seconds: float) -> None:
    """Wait a given time, such as a backoff between attempts; interruptible like everything here."""
    time.sleep(max(0.0, seconds))
