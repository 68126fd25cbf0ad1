"""Fixtures that several test modules share."""

import signal
from collections.abc import Callable, Iterator, Sequence

import pytest
from wire_server import Step, WireServer

# A run in the background, or under nohup, ignores these, and every program that a test starts would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def wire() -> Iterator[Callable[..., WireServer]]:
    """Start wire servers that end with the test."""
    servers: list[WireServer] = []

    def start(*scripts: Sequence[Step], keep_alive: bool = False) -> WireServer:
        server = WireServer(scripts, keep_alive)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()
