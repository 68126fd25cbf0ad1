"""Listening sockets: bound, and told by their addresses."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path

from InferenceLibrary.simulator.core.settings import StartError

BACKLOG = 4096
_TRIES = 50
"""How often ports that stand side by side are looked for, where any will do."""


def bind(host: str, port: int, *, shared: bool = False, listens: bool = True) -> socket.socket:
    """Return a listening socket; a shared one shares its port with others of its kind.

    Raises:
        StartError: The address is in use, or is none.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name != "nt":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind((host, port))
        if listens:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        reason = "address already in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error)).lower()
        raise StartError(f"cannot listen on {host}:{port}: {reason}") from None
    sock.setblocking(False)
    return sock


def bind_side_by_side(host: str, port: int, number: int) -> list[socket.socket]:
    """Return sockets that listen on so many ports, one after the other; for port 0 from a free one on.

    Raises:
        StartError: One of the ports is in use, or the address is none.
    """
    tries = _TRIES if port == 0 else 1
    while True:
        bound: list[socket.socket] = []
        try:
            bound.append(bind(host, port))
            first = port_of(bound[0])
            for place in range(1, number):
                bound.append(bind(host, first + place))
            return bound
        except (StartError, OverflowError):
            tries -= 1
            for sock in bound:
                sock.close()
            if not tries:
                raise


def bind_unix(path: str) -> socket.socket:
    """Return a listening Unix socket; one that an earlier server has left is taken over.

    Raises:
        StartError: There cannot be one at the path.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise StartError(f"cannot listen at {path}: expected a system with Unix sockets, got {sys.platform}")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            Path(path).unlink()
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(f"cannot listen on {path}: {(error.strerror or str(error)).lower()}") from None
    sock.setblocking(False)
    return sock


def url_of(sock: socket.socket) -> str:
    """Return the base URL of a listening socket, or the path of one of Unix."""
    if sock.family == getattr(socket, "AF_UNIX", None):
        return f"unix:{sock.getsockname()}"
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def port_of(sock: socket.socket) -> int:
    """Return the port of a bound socket; zero for one of Unix."""
    address = sock.getsockname()
    return 0 if isinstance(address, str) else int(address[1])
