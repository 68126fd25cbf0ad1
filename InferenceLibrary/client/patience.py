"""How long one attempt of a call may still wait, for what, and what had come by then."""

from __future__ import annotations

import time

from InferenceLibrary.client.cancellation import Cancellation
from InferenceLibrary.client.limits import Limits


class LimitExceeded(Exception):
    """A limit of the call was exceeded."""

    def __init__(self, limit: str, seconds: float) -> None:
        super().__init__(f"{limit} limit of {seconds:g} s")
        self.seconds = seconds


class StillOpen(LimitExceeded):
    """The answer had said its last word, and its connection stayed open."""

    def __init__(self, after: str, seconds: float, *, is_wrong: bool) -> None:
        super().__init__(after, seconds)
        self.is_wrong = is_wrong
        """Whether that is what is wrong with the call; else something worse is, and it is closed on purpose."""
        self.args = (f"a connection that is still open {seconds:g} s after {after}",)


class Patience:
    """The limits of one attempt, as its time goes by. Times are of `time.perf_counter`.

    Args:
        limits: Those of the call.
        started: When the call began: the total limit counts from here, over all attempts.
        cancellation: Lets another thread end the attempt.
    """

    def __init__(self, limits: Limits, started: float, cancellation: Cancellation | None = None) -> None:
        self.limits = limits
        self.started = started
        self.cancellation = cancellation
        self.sent = time.perf_counter()
        """When this attempt began: arrivals are measured from here."""
        self.arrived = 0
        """Bytes that were read."""
        self.last = self.sent
        """When something was read last."""
        self._progress: float | None = None
        self._waiting_since = self.sent
        self._silence = "between-reads"
        self._closing: tuple[LimitExceeded, float] | None = None

    def written(self) -> None:
        """The request is written: the wait for the answer begins."""
        self._waiting_since = time.perf_counter()

    def by_events(self) -> None:
        """From now on only events end a silence, not comments and pieces of events."""
        self._silence = "between-events"

    def event(self) -> None:
        """An event has come."""
        self._progress = self.last

    def closing(self, after: str, seconds: float, *, is_wrong: bool = True) -> None:
        """The answer has said its last word: the connection may stay open for so many seconds."""
        if self._closing is None:
            self._closing = (StillOpen(after, seconds, is_wrong=is_wrong), time.perf_counter())

    def read(self, size: int) -> float:
        """So many bytes were read now; return the time."""
        self.last = time.perf_counter()
        self.arrived += size
        if self._progress is None or self._silence == "between-reads":
            self._progress = self.last
        return self.last

    def forget_reads(self) -> None:
        """What was read so far does not belong to the answer."""
        self.arrived = 0
        self._progress = None

    @property
    def so_far(self) -> str:
        """What there is of an answer, for an error."""
        if not self.arrived:
            return "nothing had arrived"
        return f"{self.arrived:,} bytes had arrived, the last after {self.last - self.sent:.3f} s"

    @property
    def remaining(self) -> float:
        """Seconds that are left of the whole call."""
        return self.limits.total - (time.perf_counter() - self.started)

    def to_connect(self, since: float) -> tuple[LimitExceeded, float]:
        """Return the limit that holds for a connection begun at `since`, and the seconds that are left of it."""
        return self._tighter("connect", self.limits.connect, since)

    def to_write(self) -> tuple[LimitExceeded, float]:
        """Return the limit that holds for writing, and the seconds that are left of it."""
        return self._tighter()

    def to_read(self) -> tuple[LimitExceeded, float]:
        """Return the limit that holds for the next read, and the seconds that are left of it."""
        if self._progress is None:
            return self._tighter("first-byte", self.limits.first_byte, self._waiting_since)
        return self._tighter(self._silence, self.limits.between, self._progress)

    def _tighter(self, name: str = "", seconds: float | None = None, since: float = 0.0) -> tuple[LimitExceeded, float]:
        """Return the tightest of the total, another limit and the one for what comes after the last word.

        Raises:
            LimitExceeded: It is over already.
        """
        now = time.perf_counter()
        limit, left = LimitExceeded("total time", self.limits.total), self.limits.total - (now - self.started)
        if seconds is not None and seconds - (now - since) < left:
            limit, left = LimitExceeded(name, seconds), seconds - (now - since)
        if self._closing is not None and self._closing[0].seconds - (now - self._closing[1]) < left:
            limit, left = self._closing[0], self._closing[0].seconds - (now - self._closing[1])
        if left <= 0:
            raise limit
        return limit, left
