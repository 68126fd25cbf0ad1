"""Fixtures that several test modules share."""

from collections.abc import Callable, Iterator, Sequence

import pytest
from wire_server import Step, WireServer


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
