"""Answers that come while the request is still being written."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from wire_server import answer

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.route import Route
from InferenceLibrary.errors import RequestError

REPLY = '{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}'


class EarlyServer:
    """A server that reads a kilobyte of a request, answers, and reads no further before it is told to."""

    def __init__(self, *answers: bytes, context: ssl.SSLContext | None = None) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._answers, self._context = answers, context
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._listener.getsockname()[1]}"
        self.go_on = threading.Event()
        self.read = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        if self._context is not None:
            connection = self._context.wrap_socket(connection, server_side=True)
        with connection, contextlib.suppress(OSError):
            self.read = len(connection.recv(1000))
            connection.sendall(self._answers[0])
            self.go_on.wait()
            while len(self._answers) > 1 and (data := connection.recv(1_000_000)):
                self.read += len(data)
                if data.endswith(b"}"):
                    connection.sendall(self._answers[1])
                    return

    def close(self) -> None:
        self.go_on.set()
        self._thread.join()
        self._listener.close()


@pytest.fixture
def own_certificate(tmp_path: Path) -> ssl.SSLContext:
    if shutil.which("openssl") is None:
        pytest.skip("makes its certificate with openssl")
    options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-subj", "/CN=x"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "certificate.pem")]
    subprocess.run(["openssl", "req", "-x509", *options, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    return context


REFUSAL = answer('{"error": {"message": "too long"}}', "413 Too Large")
LONG = [{"role": "user", "content": "x" * 64_000_000}]


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_a_refusal_of_a_request_that_is_not_read_is_read_at_once(secure, own_certificate):
    """The server keeps the connection and takes nothing: the rest of the request would wait for the total limit."""
    server = EarlyServer(REFUSAL, context=own_certificate if secure else None)
    with pytest.raises(RequestError, match="expected status 200, got 413: too long"):
        Client(server.url, limits=Limits(total=300), route=Route(verify=False)).chat(LONG)
    assert server.read == 1000
    server.close()


def test_an_answer_of_a_stranger_to_http_is_told_while_the_request_is_written():
    server = EarlyServer(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
    with pytest.raises(RequestError, match=r"got an answer that is not HTTP/1: b'SSH-2\.0-OpenSSH_9\.2"):
        Client(server.url, limits=Limits(total=300)).chat(LONG)
    server.close()


@pytest.mark.parametrize("first", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
def test_what_is_not_a_refusal_ends_no_request(first):
    server = EarlyServer(first, answer(REPLY))
    threading.Timer(0.3, server.go_on.set).start()
    assert Client(server.url, limits=Limits(total=300)).chat(LONG).text == "Hello"
    assert server.read > 64_000_000
    server.close()


def test_a_success_that_begins_early_lets_the_request_go_on():
    whole = answer(REPLY)
    server = EarlyServer(whole[:40], whole[40:])
    threading.Timer(0.3, server.go_on.set).start()
    assert Client(server.url, limits=Limits(total=300)).chat(LONG).text == "Hello"
    assert server.read > 64_000_000
    server.close()
