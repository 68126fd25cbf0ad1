"""What a load needs before its first request: few modules, and a way to its server that may be a Unix socket."""

from __future__ import annotations

import http.server
import socketserver
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from InferenceLibrary.client.route import Route
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.requests import Kind
from InferenceLibrary.load.run import run

_LATER = {"msgspec", "InferenceLibrary.load.digest", "InferenceLibrary.protocol.rules.rule", "InferenceLibrary.stats"}


@pytest.mark.parametrize("module", ["worker", "run"])
def test_what_reads_and_judges_answers_is_imported_after_the_load(module: str) -> None:
    code = f"import sys, InferenceLibrary.load.{module}; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout.decode().split()
    )
    assert f"InferenceLibrary.load.{module}" in loaded
    assert not _LATER & loaded
    # 130 of them on Python 3.11, the 60 of Python itself included; it was 160 with what is needed later.
    assert len(loaded) < 150


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers every chat in the same words."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = (
            b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "Yes"}, "finish_reason": "stop"}]}'
        )
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.skipif(not hasattr(socketserver, "ThreadingUnixStreamServer"), reason="Unix sockets")
def test_a_load_goes_by_a_unix_socket() -> None:
    with TemporaryDirectory(prefix="load") as folder:
        path = Path(folder) / "s"
        with socketserver.ThreadingUnixStreamServer(str(path), Answering) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
            kind = Kind.chat(stream=False)
            plan = LoadPlan("http://localhost", Users(2), (kind,), requests=4, judged=0, route=Route(unix_socket=path))
            found = run(plan)
            server.shutdown()
        assert found.failures == 0, found.errors
        assert [one.status for one in found.records] == [200] * 4
        path.unlink()
        gone = run(plan)
        assert gone.errors == {"connection": 4}
        assert gone.records[0].detail == "No such file or directory"
