"""How much slower than a quiet machine this one is just now, for limits of time in tests.

A limit is written for a quiet machine, and grows with the time that a fresh Python needs here to import Robot
Framework. A bar is never made of it: what a test judges is compared with something else of the same run.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

_QUIET = 0.2
"""Seconds that the yardstick takes on a quiet machine of 2026 with two cores."""
_YARDSTICK = "import robot.run, robot.libraries.BuiltIn"
_LONGEST = 60.0
"""Seconds after which a yardstick is given up: the machine is as slow as that, or slower."""


def slowness() -> float:
    """Measure how many times slower than a quiet machine this one is now; at least 1."""
    began = time.monotonic()
    command = [sys.executable, "-c", _YARDSTICK]
    with contextlib.suppress(subprocess.TimeoutExpired):  # the time that it took says it
        subprocess.run(command, check=True, timeout=_LONGEST, stdin=subprocess.DEVNULL)
    return max(1.0, (time.monotonic() - began) / _QUIET)


def patience(quiet_seconds: float) -> float:
    """Seconds that here are what so many are on a quiet machine: for waits in which others must do something first."""
    return quiet_seconds * slowness()


class Limit:
    """A limit of so many seconds on a quiet machine: measured when made, and again when it seems to be reached."""

    def __init__(self, quiet_seconds: float, factor: float | None = None) -> None:
        self._quiet = quiet_seconds
        self._began = time.monotonic()
        self.seconds = quiet_seconds * (slowness() if factor is None else factor)

    def left(self) -> float:
        """Return the seconds until the limit, 0 when it is reached also by the machine's present pace."""
        gone = time.monotonic() - self._began
        if gone < self.seconds:
            return self.seconds - gone
        self.seconds = max(self.seconds, self._quiet * slowness())
        return max(0.0, self.seconds - (time.monotonic() - self._began))
