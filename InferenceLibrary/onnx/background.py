"""Run a native call that cannot be interrupted so that the main thread still can be.

A signal handler (Robot's timeouts, Ctrl-C) runs between byte codes of the main thread: inside a C++ call it waits until
the call returns. Here the call runs in a daemon thread and the main thread waits on a lock, which signals do interrupt.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

_SHORT_WAIT = 0.1
"""Seconds that a cancelled call gets to end, before the caller goes on; less than a timeout may be late."""

_LAST_WAIT = 5.0
"""Seconds that it gets at the end of the process."""


class _Box(Generic[T]):
    result: T
    error: BaseException | None = None


def run_interruptibly(work: Callable[[], T], limit: float, cancel: Callable[[], None]) -> T:
    """Return what `work` returns, or raise what it raises.

    Args:
        work: The native call; it must release the interpreter lock while it computes.
        limit: Seconds to wait at most.
        cancel: Asks `work` to end; called when the wait ends before it: time limit, Robot timeout or Ctrl-C.

    Raises:
        TimeoutError: `work` took longer than `limit`.
    """
    box: _Box[T] = _Box()
    finished = threading.Event()

    def body() -> None:
        try:
            box.result = work()
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            box.error = error
        finally:
            finished.set()

    thread = threading.Thread(target=body, name="inference-native-call", daemon=True)
    thread.start()
    try:
        if not finished.wait(limit):
            raise TimeoutError
    finally:
        if not finished.is_set():
            cancel()
            # An interpreter that ends beneath native code aborts the process.
            atexit.register(thread.join, _LAST_WAIT)
            finished.wait(_SHORT_WAIT)
    error, box.error = box.error, None
    if error is not None:
        try:
            raise error
        finally:
            # Its traceback holds this frame: a circle would keep what the call held until the garbage is collected.
            error = None
    return box.result
