"""Interrupt a call of the library from a signal handler, as Robot's time limits and Ctrl-C do."""

from __future__ import annotations

import contextlib
import gc
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType


class Interruption(BaseException):
    """What a time limit or Ctrl-C raises."""


@contextlib.contextmanager
def interruption(seconds: float = 0.0) -> Iterator[Callable[[float], None]]:
    """Raise `Interruption` in the main thread after so many seconds; give a function that sets the time, 0 for never.

    The garbage collector rests meanwhile, and calls nobody back where the library calls it: what is raised in one of
    its callbacks is lost. The time limit of the test goes on afterwards.
    """

    def raise_it(_number: int, frame: FrameType | None) -> None:
        while frame is not None and not Path(frame.f_code.co_filename).name.startswith("test_"):
            frame = frame.f_back
        if frame is not None:  # else the test has failed, and its report is being written
            raise Interruption

    collects = gc.isenabled()
    gc.disable()
    callbacks = gc.callbacks[:]
    gc.callbacks.clear()
    before = signal.signal(signal.SIGALRM, raise_it)
    began = time.monotonic()
    limit, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield lambda later: signal.setitimer(signal.ITIMER_REAL, later) and None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if limit:
            signal.setitimer(signal.ITIMER_REAL, max(0.01, limit - (time.monotonic() - began)))
        gc.callbacks[:] = callbacks
        if collects:
            gc.enable()
