"""The way to a server: certificates of an authority of one's own, client certificates, proxies."""

from __future__ import annotations

import contextlib
import shutil
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.route import Route
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.errors import RequestError, ServerError
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.server import connect

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="makes its certificates with openssl")


class Handler(BaseHTTPRequestHandler):
    """Answers every GET; as a proxy it is asked by whole URLs."""

    seen: list[str]

    def do_GET(self) -> None:
        self.server.seen.append(f"{self.path} {self.headers.get('Proxy-Authorization', '')}".strip())  # type: ignore[attr-defined]
        if self.path.startswith("http://"):
            with urlopen(self.path, timeout=5) as answer:
                body = answer.read()
        else:
            body = b'{"status": "ok"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Handshakes that the client breaks off are what is tested."""


@contextlib.contextmanager
def serve(context: ssl.SSLContext | None = None) -> Iterator[socketserver.BaseServer]:
    server = Quiet(("127.0.0.1", 0), Handler)
    server.seen = []  # type: ignore[attr-defined]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a certificate for 127.0.0.1, and one for a client; ec keys are quick to make."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA",
            "-addext", "keyUsage=critical,keyCertSign")  # fmt: skip
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")):
        openssl("req", *key[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (folder / f"{name}.ext").write_text(extension)
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.pem")  # fmt: skip
    return folder


@pytest.fixture(params=[False, True], ids=["server-only", "mutual"])
def secure(request: pytest.FixtureRequest, certificates: Path) -> Iterator[tuple[str, bool]]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    if request.param:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates / "ca.pem")
    with serve(context) as server:
        yield f"https://127.0.0.1:{server.server_address[1]}", request.param  # type: ignore[index]


def ask(url: str, route: Route) -> str:
    client = Client(url, route=route, limits=Limits(total=10))
    return client.send("GET", "/health", sending=Sending()).body


@needs_openssl
def test_certificates(secure: tuple[str, bool], certificates: Path) -> None:
    url, mutual = secure
    ours = {"client_certificate": certificates / "client.pem", "client_key": certificates / "client.key"}
    with pytest.raises(RequestError, match=r"(?i)certificate"):
        ask(url, Route(**ours))
    assert ask(url, Route(ca_file=certificates / "ca.pem", **ours)) == '{"status": "ok"}'
    assert ask(url, Route(verify=False, **ours)) == '{"status": "ok"}'
    assert ask(url, Route(verify=False, ca_file=certificates / "ca.pem", **ours)) == '{"status": "ok"}'
    if mutual:
        with pytest.raises(RequestError):
            ask(url, Route(ca_file=certificates / "ca.pem"))
    else:
        assert ask(url, Route(ca_file=certificates / "ca.pem")) == '{"status": "ok"}'


def test_files_that_are_no_certificates_are_told(tmp_path: Path) -> None:
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for route, what in (
        (Route(ca_file=text), "CA"),
        (Route(client_certificate=text), "client certificate or key"),
    ):
        with pytest.raises(ServerError, match=rf"The {what} file '.*text\.pem' cannot be read: expected PEM, got"):
            route.check("https://127.0.0.1:9")
    with pytest.raises(ServerError, match="The key file '/no/such' of a TLS connection does not exist"):
        Route(client_key=Path("/no/such")).check("https://127.0.0.1:9")


def test_a_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with serve() as server, serve() as proxy:
        url = f"http://127.0.0.1:{server.server_address[1]}"  # type: ignore[index]
        way = f"127.0.0.1:{proxy.server_address[1]}"  # type: ignore[index]
        assert ask(url, Route(proxy=f"http://me:secret@{way}")) == '{"status": "ok"}'
        assert proxy.seen == [f"{url}/health Basic bWU6c2VjcmV0"]  # type: ignore[attr-defined]
        assert server.seen == ["/health"]  # type: ignore[attr-defined]
        monkeypatch.setenv("HTTP_PROXY", f"http://{way}")
        assert ask(url, Route()) == '{"status": "ok"}'
        assert len(proxy.seen) == 1, "the environment is not honoured unless asked"  # type: ignore[attr-defined]
        assert ask(url, Route(proxy="environment")) == '{"status": "ok"}'
        assert len(proxy.seen) == 2  # type: ignore[attr-defined]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert ask(url, Route(proxy="environment")) == '{"status": "ok"}'
        assert len(proxy.seen) == 2, "NO_PROXY leads straight there"  # type: ignore[attr-defined]


def test_what_has_no_effect_is_refused() -> None:
    with pytest.raises(ServerError, match=r"TLS options have no effect on http://host:1: expected a URL that begins"):
        connect("http://host:1", load_profile("openai"), name="x", model=None, api_key=None, limits=Limits(),
                redact=Redactor(), route=Route(verify=False))  # fmt: skip
    with pytest.raises(ServerError, match="The proxy cannot be used: expected none, environment or http://host:port"):
        Route(proxy="socks5://host:1").check("http://host:1")
