"""A stream that is read in a thread of its own, so that the caller can do other things, and cancel it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from InferenceLibrary.client.cancellation import Cancellation
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import InferenceError

if TYPE_CHECKING:
    from InferenceLibrary.client.http import Client

Call = Callable[[Cancellation, Callable[[Stream], None]], Stream]


class BackgroundStream:
    """One stream under way.

    Args:
        name: How messages call it.
        call: Makes the call: takes its cancellation, and what shall be given the stream as soon as it begins.
        client: The client whose call it is.
        about: What the caller wants to find again at its end.
    """

    def __init__(self, name: str, call: Call, client: Client | None = None, about: object = None) -> None:
        self.name = name
        self.client = client
        self.about = about
        self.so_far: Stream | None = None
        """The stream as far as it is read; None until its answer begins."""
        self._cancellation = Cancellation()
        self._result: Stream | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), daemon=True, name=f"stream {name}")
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    @property
    def token_count(self) -> int:
        """Chunks with output that have arrived so far."""
        return len(self.so_far.tokens) if self.so_far is not None else 0

    def wait_for_tokens(self, count: int, budget: float) -> bool:
        """Wait until so many chunks with output have arrived, or it has ended; return whether they have."""
        wait_until(lambda: self.token_count >= count or not self.running, budget)
        return self.token_count >= count

    def wait_for_end(self, budget: float) -> bool:
        """Wait for the end; return whether it has come in time."""
        return wait_until(lambda: not self.running, budget)

    def result(self) -> Stream:
        """Return the stream, once it has ended.

        Raises:
            RequestError, StreamError: The call failed.
        """
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result

    def cancel(self) -> None:
        """Close its connection."""
        self._cancellation.cancel()

    def close(self) -> None:
        """Cancel it and let its thread end. Its failure, if any, concerns nobody any more."""
        self.cancel()
        self._thread.join(5.0)

    def _run(self, call: Call) -> None:
        try:
            self._result = call(self._cancellation, self._begun)
        except InferenceError as error:
            self._error = error

    def _begun(self, stream: Stream) -> None:
        self.so_far = stream

    def __str__(self) -> str:
        return f"{self.name}, {self.token_count} chunks with text so far"
