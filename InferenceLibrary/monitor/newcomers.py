"""Which processes began since the last look, found without a look at all of them.

The last field of /proc/loadavg is the newest number that the kernel gave to a process or a thread, so only the numbers
since then are looked at. Where that field does not tell (a sandbox, a container with a /proc of its own), all are.
"""

from __future__ import annotations

import os
import threading

_FEW = 64
"""So many numbers are tried one by one; with more of them the list of all processes costs less."""
_ON_THEIR_WAY = 16
"""A process has its number shortly before it can be seen: so many of the latest are looked at once more."""


class Newcomers:
    """Tells the numbers of new processes, look by look.

    Args:
        proc: Where procfs is mounted.
    """

    def __init__(self, proc: str) -> None:
        self._proc = proc
        try:
            self._file = os.open(f"{proc}/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._file = -1
        self._newest: int | None = None
        self._settled = False
        """Whether nothing began between the last two looks."""
        self._tells = self._file >= 0 and self._counts_a_thread()

    def look(self) -> list[int]:
        """Return the numbers of processes, and perhaps of threads, that began since the last look or shortly before;
        at first those of all processes.
        """
        before = self._newest
        if not self._tells or before is None:
            self._newest = self._read() if self._tells else None
            return self._all()
        newest = self._newest = self._read()
        if newest == before and self._settled:
            return []
        self._settled = newest == before
        since = before - _ON_THEIR_WAY
        if before <= newest <= before + _FEW:
            numbers = range(max(1, since + 1), newest + 1)
            return [pid for pid in numbers if os.access(f"{self._proc}/{pid}", os.F_OK)]
        if newest > before:
            return [pid for pid in self._all() if since < pid <= newest]
        # The numbers began anew.
        return [pid for pid in self._all() if pid > since or pid <= newest]

    def close(self) -> None:
        """Close the file that is kept open; a second call does nothing."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self) -> int:
        return int(os.pread(self._file, 128, 0).split()[-1])

    def _counts_a_thread(self) -> bool:
        """Whether a thread of our own is seen in the count."""
        try:
            before = self._read()
            thread = threading.Thread(target=int)
            thread.start()
            thread.join()
            return self._read() != before
        except (OSError, ValueError, IndexError):
            return False

    def _all(self) -> list[int]:
        return [int(name) for name in os.listdir(self._proc) if name.isdigit()]  # noqa: PTH208 - ten times as fast
