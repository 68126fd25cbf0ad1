"""A client of HTTP/1.0, as some proxies and health checks are."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from robot.api.deco import keyword

WAIT = 60.0


class _Old(http.client.HTTPConnection):
    _http_vsn = 10
    _http_vsn_str = "HTTP/1.0"


@keyword("Ask By HTTP 1.0")
def ask_by_http_1_0(url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[str, str]:
    """Post a JSON body by HTTP/1.0; return the head of the answer in lower case, and how its body begins."""
    parts = urlsplit(url)
    connection = _Old(parts.hostname or "", parts.port, timeout=WAIT)
    try:
        text = json.dumps(dict(body)).encode()
        sent = {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}
        connection.request("POST", parts.path, text, sent)
        assert connection.sock is not None
        whole = b""
        while piece := connection.sock.recv(65536):
            whole += piece
    finally:
        connection.close()
    head, _, rest = whole.partition(b"\r\n\r\n")
    return head.decode("latin-1").lower(), rest[:200].decode("utf-8", "replace")
