"""Free ports, and whether one can be listened on."""

from __future__ import annotations

import errno
import socket

import pytest

from InferenceLibrary.processes.ports import free_port, is_free


def test_a_free_port_is_free_and_differs() -> None:
    ports = {free_port() for _ in range(5)}
    assert len(ports) > 1
    assert all(is_free(port) for port in ports)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_somebody_listens_on_is_not_free(host: str) -> None:
    with socket.create_server((host, 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)


def test_a_port_in_time_wait_is_free() -> None:
    """Its listener is gone; only the remains of a connection hold it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            served, _ = listener.accept()
            served.close()
            assert client.recv(1) == b""
    assert is_free(port)


def test_a_port_that_may_not_be_bound_is_not_called_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise OSError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    assert is_free(80), "the server will say why it cannot"
