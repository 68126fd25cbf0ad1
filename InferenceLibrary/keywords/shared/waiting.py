"""Checks that are tried again until they hold, or their time is over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from InferenceLibrary.deadline import Deadline, wait_until

T = TypeVar("T")


def checked_within(check: Callable[[], T], within: timedelta) -> T:
    """Return what a check gives, tried again as long as it fails and the time lasts; at least once.

    Raises:
        AssertionError: It failed to the end; the message is that of the last try.
    """
    failures: list[AssertionError] = []
    results: list[T] = []

    def holds() -> bool:
        try:
            results.append(check())
        except AssertionError as error:
            failures.append(error)
            return False
        return True

    if not wait_until(holds, Deadline(within.total_seconds()), first=0.01, longest=0.2):
        raise failures[-1]
    return results[-1]
