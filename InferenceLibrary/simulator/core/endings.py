"""Steps that end an answer before its end, used by many faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Turn

_FOREVER = 365.0 * 24 * 3600
# How often to look whether everything before a cut has left the process.
_POLL = 0.001


def close(turn: Turn) -> bool:
    """Close the connection in the middle of the answer: FIN, after what was written."""
    connection = turn.connection
    turn.broken()
    connection.close()
    return True


def reset(turn: Turn) -> bool:
    """Reset the connection: RST, once everything before it has been handed to the network."""
    connection = turn.connection
    if connection.transport.is_closing():
        return True
    if connection.unsent():
        return turn.again(_POLL)
    turn.broken()
    connection.reset()
    return True


def hang(turn: Turn) -> bool:
    """Say nothing more, and keep the connection."""
    return turn.again(_FOREVER)


ENDINGS = {"close": close, "reset": reset, "hang": hang}
