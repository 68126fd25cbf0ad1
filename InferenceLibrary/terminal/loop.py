"""An asyncio loop in a thread of its own, called from the outside like plain functions.

Why a thread, and not `asyncio.Runner` in the calling one: a time limit or Ctrl-C arrives as an exception that a signal
handler raises in the main thread, at any bytecode. Raised inside one of the loop's callbacks, asyncio would log it and
go on. Here the main thread only ever waits for a result, which such an exception ends at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, TypeVar

from InferenceLibrary.errors import TerminalError

T = TypeVar("T")

_SLICE = 0.1
"""Seconds of one wait: where signals cannot end a wait, exceptions are raised between two."""


class LoopThread:
    """Runs coroutines; `call` waits for one, from any other thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end and return its result; an exception in the caller cancels it."""
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            while True:
                try:
                    return future.result(_SLICE)
                except FutureTimeoutError:
                    if future.done():
                        return future.result()
                    if not self._thread.is_alive():
                        raise TerminalError("The terminal's event loop has ended.") from None
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what runs and end the thread."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_all(), self._loop).result(1)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(1)
        if not self._thread.is_alive():
            self._loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
