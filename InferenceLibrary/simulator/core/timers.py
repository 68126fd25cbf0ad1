"""One heap of timers for the whole server, driven by a timerfd.

The event loop's own timers have whole milliseconds (uvloop, epoll); a timerfd wakes the loop within some tens of
microseconds of the time asked for. Where there is none, the loop's `call_at` serves.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import asyncio

# What is to be called; None when it was called or cancelled.
Entry: TypeAlias = "list[Callable[[], None] | None]"

# A wake-up costs much more than the work it is for. So they are at least this far apart: a busy server is late by up to
# so much and does more at once; one with few streams is not late at all.
_REST = 200e-6
# With so many calls pending, all that fall into one step of the clock share a wake-up at its end. Usual gaps are whole
# steps, so they stay exact: a stream meets the same place of the step each time.
_MANY = 128
_STEPS = 1000  # in a second
_ABSOLUTE = 1  # TFD_TIMER_ABSTIME


class Timers:
    """Calls functions at points of the monotonic clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        # The points in time, each once, and the calls of each: with many calls a point, the heap stays small.
        self._heap: list[float] = []
        self._calls: dict[float, list[Entry]] = {}
        self._pending = 0
        self._dead = 0
        self._armed = 0.0
        self._woke = 0.0
        self._running = False
        self._handle: asyncio.TimerHandle | None = None
        self._clock = TimerFd() if sys.platform == "linux" else None
        if self._clock is not None:
            loop.add_reader(self._clock.fd, self._wake)

    def at(self, due: float, call: Callable[[], None]) -> Entry:
        """Call `call` at `due` seconds of `time.monotonic`; return the entry that `cancel` takes."""
        entry: Entry = [call]
        self._pending += 1
        if self._pending - self._dead > _MANY:
            # A microsecond more, so that rounding never wakes before the end.
            due = (int(due * _STEPS) + 1) / _STEPS + 1e-6
        calls = self._calls.get(due)
        if calls is not None:
            calls.append(entry)
            return entry
        self._calls[due] = [entry]
        heappush(self._heap, due)
        if not self._running and (not self._armed or due < self._armed):
            self._arm(due)
        return entry

    def cancel(self, entry: Entry | None) -> None:
        """Forget the call. Harmless when it was made already."""
        if entry is None or entry[0] is None:
            return
        entry[0] = None
        self._dead += 1
        if self._dead > 1000 and self._dead * 2 > self._pending:
            self._sweep()

    def _sweep(self) -> None:
        """Let go of what was cancelled."""
        for due, entries in list(self._calls.items()):
            entries[:] = [entry for entry in entries if entry[0] is not None]
            if not entries:
                del self._calls[due]
        self._heap = list(self._calls)
        heapify(self._heap)
        self._pending = sum(map(len, self._calls.values()))
        self._dead = 0

    def _wake(self) -> None:
        self._armed = 0.0
        self._running = True
        try:
            # What gets due while this runs waits for the next turn, so that reading from sockets is not starved.
            limit = self._woke = time.monotonic()
            while self._heap and self._heap[0] <= limit:
                self._call(heappop(self._heap))
        finally:
            self._running = False
            if self._heap:
                # Setting the clock anew also clears that it rang.
                self._arm(self._heap[0])
            elif self._clock is not None:
                self._clock.clear()

    def _call(self, due: float) -> None:
        entries = self._calls.pop(due)
        self._pending -= len(entries)
        left = iter(entries)
        try:
            for entry in left:
                call = entry[0]
                if call is None:
                    self._dead -= 1
                else:
                    entry[0] = None
                    call()
        finally:
            # Only after an error of one of them is there a rest.
            for entry in left:
                if entry[0] is not None:
                    self.at(due, entry[0])
                else:
                    self._dead -= 1

    def _arm(self, due: float) -> None:
        due = max(due, self._woke + _REST)
        if due == self._armed:
            return
        self._armed = due
        if self._clock is not None:
            self._clock.set(due)
            return
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop.call_at(self._loop.time() + max(0.0, due - time.monotonic()), self._wake)

    def close(self) -> None:
        """Stop; no call is made any more."""
        self._heap.clear()
        self._calls.clear()
        if self._clock is not None:
            self._loop.remove_reader(self._clock.fd)
            self._clock.close()


class TimerFd:
    """A Linux timerfd on CLOCK_MONOTONIC: from `os` since Python 3.13, from libc before."""

    def __init__(self) -> None:
        if hasattr(os, "timerfd_create"):
            self.fd: int = os.timerfd_create(time.CLOCK_MONOTONIC, flags=os.O_NONBLOCK | os.O_CLOEXEC)
            self.set = self._set_by_os
            return
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._value = (ctypes.c_long * 4)(0, 0, 0, 0)
        self._settime = libc.timerfd_settime
        self._settime.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self._address = ctypes.addressof(self._value)
        self.set = self._set_by_libc

    def _set_by_os(self, due: float) -> None:
        os.timerfd_settime(self.fd, flags=_ABSOLUTE, initial=due if due > 0 else 1e-9)  # type: ignore[attr-defined]

    def _set_by_libc(self, due: float) -> None:
        seconds = int(due)
        self._value[2] = seconds
        self._value[3] = int((due - seconds) * 1e9) or 1
        self._settime(self.fd, _ABSOLUTE, self._address, None)

    def clear(self) -> None:
        with suppress(BlockingIOError):  # armed again since it fired
            os.read(self.fd, 8)

    def close(self) -> None:
        os.close(self.fd)
