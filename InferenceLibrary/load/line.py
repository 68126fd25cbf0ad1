"""How a load reaches its server: an address found once, and connections that do not block."""

from __future__ import annotations

import errno
import socket
import sys
import time
from typing import Any
from urllib.parse import urlsplit

from InferenceLibrary.load.connections import LoadConnection
from InferenceLibrary.load.plan import LoadPlan

_TIMESTAMPNS = 35
_ON_ITS_WAY = {0, errno.EINPROGRESS, errno.EWOULDBLOCK}
_LINUX = sys.platform == "linux"
_clock = time.monotonic
_PATIENCE = 1.0
"""Seconds that each address of a name has to take a connection, where there are several."""
_PORTS = {"http": 80, "https": 443}


class Line:
    """Opens the connections of a worker.

    Args:
        plan: The load.
    """

    def __init__(self, plan: LoadPlan) -> None:
        parts = urlsplit(plan.url)
        self._host = parts.hostname or ""
        self._context = plan.route.context() if parts.scheme == "https" else None
        self._unix = plan.route.unix_socket
        self._address: Any = None
        if self._unix is None:
            port = parts.port or _PORTS[parts.scheme]
            self._address = _address_of(self._host, port)

    def open(self) -> LoadConnection:
        """Begin a connection; it stands when it can be written."""
        if self._unix is not None:
            sock, address = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), str(self._unix)
        else:
            family, kind, protocol, _, address = self._address
            sock = socket.socket(family, kind, protocol)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if _LINUX:
                sock.setsockopt(socket.SOL_SOCKET, _TIMESTAMPNS, 1)
        sock.setblocking(False)
        tls = None
        if self._context is not None:
            from InferenceLibrary.load.secure import SecurePipe

            tls = SecurePipe(self._context, self._host)
        connection = LoadConnection(sock, tls)
        if (code := sock.connect_ex(address)) not in _ON_ITS_WAY:
            connection.problem = code
        return connection


def _address_of(host: str, port: int) -> Any:
    """Return the first address of a host that takes connections; where none does, the first: each request says why."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for family, kind, protocol, name, address in found if len(found) > 1 else ():
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(_PATIENCE)
            if sock.connect_ex(address) == 0:
                return family, kind, protocol, name, address
    return found[0]


def kernel_offset() -> float:
    """Return the seconds from the monotonic clock to that of the kernel's stamps: the closest of some pairs."""
    pairs = [(time.time() - _clock(), _clock() - first) for first in (_clock() for _ in range(5))]
    return min(pairs, key=lambda pair: pair[1])[0]
