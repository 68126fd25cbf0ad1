"""Steps that end an answer before its end, used by many faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from InferenceLibrary.simulator.exchange import Exchange

_FOREVER = 365.0 * 24 * 3600
# How often to look whether everything before a cut has left the process.
_POLL = 0.001


def close(exchange: Exchange) -> bool:
    """Close the connection in the middle of the answer: FIN, after what was written."""
    connection = exchange.connection
    exchange.broken()
    connection.close()
    return True


def reset(exchange: Exchange) -> bool:
    """Reset the connection: RST, once everything before it has been handed to the network."""
    connection = exchange.connection
    if connection.transport.is_closing():
        return True
    if connection.unsent():
        return exchange.again(_POLL)
    exchange.broken()
    connection.reset()
    return True


def hang(exchange: Exchange) -> bool:
    """Say nothing more, and keep the connection."""
    return exchange.again(_FOREVER)


ENDINGS = {"close": close, "reset": reset, "hang": hang}
