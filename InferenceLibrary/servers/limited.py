"""A time limit for what keeps none of its own: functions of a user's, and questions whose answer may drip."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

_T = TypeVar("_T")
_LOGGED_THREAD = "RobotFrameworkTimeoutThread"
"""What is logged from a thread of this name is not lost to Robot Framework, as it is from others."""


def within(budget: float, call: Callable[[], _T]) -> _T:
    """Return what a call returns, or raise what it raises; wait for it at most `budget` seconds.

    It runs in a thread, and is left to itself when the time is over. Robot's
    timeouts and Ctrl-C end the wait.

    Raises:
        TimeoutError: It has not ended in time.
    """
    returned: list[_T] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - raised where it was called
            raised.append(error)

    thread = threading.Thread(target=run, name=_LOGGED_THREAD, daemon=True)
    thread.start()
    thread.join(budget)
    if raised:
        raise raised[0]
    if not returned:
        raise TimeoutError(f"no answer within {budget:.2g} s")
    return returned[0]
