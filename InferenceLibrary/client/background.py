"""A call that is made in a thread of its own, so that the caller can do other things, and cancel it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from InferenceLibrary.client.cancellation import Cancellation
from InferenceLibrary.deadline import wait_until

if TYPE_CHECKING:
    from InferenceLibrary.client.http import Client
    from InferenceLibrary.client.streams import Stream


class BackgroundCall:
    """One call under way.

    Args:
        name: How messages call it.
        run: Makes the call: is given this object, tells it by `begin` that it is about to ask, and lets `cancellation`
            and `watch` go with what it sends.
        held: Whether it waits for `release` before it asks.
    """

    def __init__(self, name: str, run: Callable[[BackgroundCall], Any], *, held: bool = False) -> None:
        self.name = name
        self.client: Client | None = None
        """Whose call it is, once it has begun."""
        self.cancellation = Cancellation()
        self.so_far: Stream | None = None
        """The stream as far as it is read; None until its answer begins, or where the answer is not a stream."""
        self.outcomes: list[Any] = []
        """What came of what it asked, for whom awaits it."""
        self._begun = threading.Event()
        self._released = threading.Event()
        if not held:
            self._released.set()
        self._result: Any = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(run,), daemon=True, name=name)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def token_count(self) -> int:
        """Chunks with output that have arrived so far."""
        return len(self.so_far.tokens) if self.so_far is not None else 0

    def begin(self, client: Client) -> None:
        """The call knows what it asks, and whom; return when it may."""
        self.client = client
        self._begun.set()
        self._released.wait()

    def watch(self, stream: Stream) -> None:
        """Take a stream as soon as it begins; it grows while it is read."""
        self.so_far = stream

    def wait_for_begin(self) -> None:
        """Wait until the call knows what it asks.

        Raises:
            TargetError, ValueError: It ended before, by what it raised.
        """
        self._begun.wait()
        if self.client is None:
            self.result()

    def release(self) -> None:
        """Let it ask."""
        self._released.set()

    def wait_for_tokens(self, count: int, budget: float) -> bool:
        """Wait until so many chunks with output have arrived, or it has ended; return whether they have."""
        wait_until(lambda: self.token_count >= count or not self.running, budget)
        return self.token_count >= count

    def wait_for_end(self, budget: float | None = None) -> bool:
        """Wait for the end, however long without a budget; return whether it has come in time."""
        if budget is None:
            self._thread.join()
            return True
        return wait_until(lambda: not self.running, budget)

    def result(self) -> Any:
        """Return what the call gave, once it has ended.

        Raises:
            RequestError, StreamError, ValueError: What it raised.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def cancel(self) -> None:
        """Close its connection."""
        self.cancellation.cancel()
        self.release()

    def close(self) -> None:
        """Cancel it and let its thread end. Its failure, if any, concerns nobody any more."""
        self.cancel()
        self._thread.join(5.0)

    def _run(self, run: Callable[[BackgroundCall], Any]) -> None:
        try:
            self._result = run(self)
        except Exception as error:  # noqa: BLE001 - raised again by result()
            self._error = error
        finally:
            self._begun.set()

    def __str__(self) -> str:
        return f"{self.name}, {self.token_count} chunks with text so far"
