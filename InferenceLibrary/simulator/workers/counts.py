"""Counters that several processes share, so that the first three requests are the first three of all of them."""

from __future__ import annotations

import fcntl
import itertools
import mmap
import tempfile
from collections.abc import Callable
from functools import partial

_SLOTS = 1 << 16
_SIZE = 8


class SharedCounts:
    """Made before the processes part. Each of them takes the counters in the same order."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        self._file.truncate(_SLOTS * _SIZE)
        self._memory = mmap.mmap(self._file.fileno(), 0)
        self._slots = itertools.count()

    def new(self) -> Callable[[], int]:
        """Return the next counter: each call gives the next number, from 1 on, whichever process asks."""
        return partial(self._next, next(self._slots) % _SLOTS * _SIZE)

    def _next(self, place: int) -> int:
        # A lock of the process: of the file itself it would be one that all of them hold.
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            value = int.from_bytes(self._memory[place : place + _SIZE], "little") + 1
            self._memory[place : place + _SIZE] = value.to_bytes(_SIZE, "little")
            return value
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
