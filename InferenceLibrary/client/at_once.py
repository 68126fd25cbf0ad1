"""Several calls at the same time, functional rather than for measurement: one thread a call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from InferenceLibrary.errors import InferenceError

T = TypeVar("T")


def at_once(calls: Sequence[Callable[[], T]]) -> list[T | InferenceError]:
    """Make all calls at the same time; return what each gave, or the error that it raised, in the order of the calls.

    The threads wait for each other before they call. They are bounded by the limits of the calls; an interruption
    (a Robot timeout, Ctrl-C) is not held up by them.
    """
    results: list[T | InferenceError | None] = [None] * len(calls)
    barrier = threading.Barrier(len(calls)) if calls else None

    def run(index: int, call: Callable[[], T]) -> None:
        assert barrier is not None
        barrier.wait()
        try:
            results[index] = call()
        except InferenceError as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index, call), daemon=True) for index, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    missing = [index for index, result in enumerate(results) if result is None]
    if missing:
        raise InferenceError(
            f"Call {missing[0]} of {len(calls)} ended without a result: this is a defect of the library."
        )
    return [result for result in results if result is not None]
