"""Give freed memory back to the system: glibc keeps what a closed session freed, for the next allocation."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Have the allocator return free memory, where it can be told to (glibc); elsewhere this does nothing."""
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
