"""Free ports on the loopback interface, and their reservation among the runs on this machine.

A port that the system hands out may be handed out again before a server has bound it. So ports are taken from below the
range from which systems hand them out, where only those meet who ask for a number, and each is locked in a file as
long as its server lives: two runs never try the same one. Who binds a fixed number all the same is met by a retry.
"""

from __future__ import annotations

import errno
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path

from InferenceLibrary.processes.runtime_dir import runtime_dir

LOOPBACK = "127.0.0.1"
FIRST, LAST = 20_000, 32_767
"""Linux hands out from 32768, macOS and Windows from 49152."""
_TRIES = 100


def free_port(host: str = LOOPBACK) -> int:
    """Return a port that was free a moment ago. Whoever binds it later must bear that somebody was faster."""
    numbers = random.SystemRandom()
    for _ in range(_TRIES):
        port = numbers.randint(FIRST, LAST)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are in TIME_WAIT can be bound.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            # Another reason, such as a port for the superuser alone, is for the server to tell.
            return error.errno != errno.EADDRINUSE
        return True


class Reservation:
    """A port that no other run takes until `release`, or until this process ends."""

    def __init__(self, port: int, path: Path | None = None, descriptor: int | None = None) -> None:
        self.port = port
        self._path = path
        self._descriptor = descriptor

    def release(self) -> None:
        """Give it back. A second call does nothing."""
        if self._descriptor is not None and self._path is not None:
            # While it is locked: whoever has opened it meanwhile sees that it is another file now.
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def reserve(choose: Callable[[], int] = free_port) -> Reservation:
    """Return a free port, locked against other runs of this user."""
    for _ in range(_TRIES):
        port = choose()
        path = runtime_dir("ports") / f"{port}.lock"
        try:
            return Reservation(port, path, _lock(path))
        except BlockingIOError:
            continue
    # So many locks mean that something else is wrong; the server will tell whether the port is taken.
    return Reservation(choose())


def _lock(path: Path) -> int | None:
    """Lock a file and return its descriptor, None where there is no such lock.

    Raises:
        BlockingIOError: Somebody holds it.
    """
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows; a retry bears a collision there
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    locked = False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists() or path.stat().st_ino != os.fstat(descriptor).st_ino:
            raise BlockingIOError("its holder has just given it back")
        locked = True
    finally:
        if not locked:
            os.close(descriptor)
    return descriptor
