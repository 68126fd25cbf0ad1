"""Make the event loop: uvloop where it exists, and without paying for TLS that nobody asked for."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio


def new_event_loop(*, tls: bool = False) -> asyncio.AbstractEventLoop:
    """Return a new loop. Without `tls` the ssl module is kept out: it costs 7 ms and 3 MB of every start."""
    stand_in = None if tls or "asyncio" in sys.modules or "ssl" in sys.modules else _without_ssl()
    try:
        try:
            import uvloop
        except ImportError:
            import asyncio

            return asyncio.new_event_loop()
        loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        return loop
    finally:
        if stand_in is not None and sys.modules.get("ssl") is stand_in:
            # Whoever needs ssl later gets the real one.
            del sys.modules["ssl"]


def _without_ssl() -> types.ModuleType:
    """Put a module with ssl's bare names in its place, which asyncio and uvloop read when they are imported."""
    module = types.ModuleType("ssl")
    for name in ("SSLError", "SSLWantReadError", "SSLSyscallError", "SSLZeroReturnError", "CertificateError"):
        setattr(module, name, type(name, (OSError,), {}))
    for name in ("SSLContext", "SSLObject", "MemoryBIO", "create_default_context"):
        setattr(module, name, type(name, (), {}))
    for number, name in enumerate(("SSL_ERROR_WANT_READ", "SSL_ERROR_WANT_WRITE", "SSL_ERROR_SYSCALL"), start=2):
        setattr(module, name, number)
    sys.modules["ssl"] = module
    return module
