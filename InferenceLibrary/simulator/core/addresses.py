"""Addresses of this machine."""

from __future__ import annotations


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach the host; a name that merely begins like an address is none."""
    parts = host.split(".")
    return host in {"localhost", "::1"} or (parts[0] == "127" and len(parts) == 4 and all(map(str.isdecimal, parts)))


def without_port(authority: str) -> str:
    """Return the host of `host:port`, without the brackets of IPv6."""
    if authority.startswith("["):
        return authority.partition("]")[0].removeprefix("[")
    return authority.partition(":")[0]
