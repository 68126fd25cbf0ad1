"""Addresses of this machine."""

from __future__ import annotations

import re
import socket

_NUMBERS = re.compile(r"[0-9a-fx.]+", re.ASCII)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach the host, in any form that the system reads: `127.1`, `0x7f000001`.

    A name that merely begins like an address is not one.
    """
    host = host.lower()
    if host == "localhost":
        return True
    try:
        if ":" in host:
            address = socket.inet_pton(socket.AF_INET6, host)
            return address == socket.inet_pton(socket.AF_INET6, "::1") or address[:13] == _MAPPED + b"\x7f"
        return _NUMBERS.fullmatch(host) is not None and socket.inet_aton(host)[0] == 127
    except OSError:
        return False


_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv6 address begins that stands for one of IPv4 (RFC 4291, 2.5.5.2)."""


def without_port(authority: str) -> str:
    """Return the host of `host:port`, without the brackets of IPv6."""
    if authority.startswith("["):
        return authority.partition("]")[0].removeprefix("[")
    return authority.partition(":")[0]
