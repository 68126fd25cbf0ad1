"""A server of one odd habit, or a small right one: what a check meets in the field."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODELS = {"object": "list", "data": [{"id": "tiny", "object": "model", "created": 1, "owned_by": "me"}]}
MISSING = (404, {"error": {"message": "Not found", "type": "invalid_request_error", "param": None, "code": None}})


class OddServer:
    """Answers on loopback until it is closed.

    Args:
        habit: What it does to every request; empty: it has a model list and chats.
        lives_for: So many requests are answered; afterwards it is gone.
    """

    def __init__(self, habit: str = "", lives_for: int = 10**9) -> None:
        self.habit = habit
        self.left = lives_for
        self._over = threading.Event()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        self.requests.append((handler.command, handler.path, {k.lower(): v for k, v in handler.headers.items()}))
        self.left -= 1
        if self.habit == "closes" or self.left < 0:
            handler.close_connection = True
            return
        if self.habit == "speaks otherwise":
            handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")
            handler.close_connection = True
            return
        if self.habit == "silent":
            self._over.wait()
            return
        status, said, headers = self._said(handler.path, body)
        raw = said.encode() if isinstance(said, str) else json.dumps(said).encode()
        handler.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(raw)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        cut = self.habit == "stops in the middle"
        handler.wfile.write(raw[: len(raw) // 2] if cut else raw)
        handler.close_connection = handler.close_connection or cut

    def _said(self, path: str, body: bytes) -> tuple[int, Any, dict[str, str]]:
        match self.habit:
            case "200":
                return 200, {"status": "ok"}, {}
            case "html":
                return 200, "<html><body>Welcome</body></html>", {"content-type": "text/html"}
            case "redirects":
                return 302, "", {"location": path}
            case "503":
                return 503, {"error": {"message": "Loading model"}}, {}
            case "no models" if path == "/v1/models":
                return 200, {"object": "list", "data": []}, {}
            case "key":
                return 401, {"error": {"message": "Incorrect API key", "type": "auth", "param": None, "code": None}}, {}
        if path == "/v1/models":
            return 200, MODELS, {}
        if path == "/v1/chat/completions":
            return *self._chat(body), {}
        return *MISSING, {}

    def _chat(self, body: bytes) -> tuple[int, Any]:
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict) or not asked.get("messages"):
            return 400, {"error": {"message": "No messages", "type": "invalid", "param": None, "code": None}}
        if asked.get("model") != "tiny":
            wrong = {"message": "No such model", "type": "invalid", "param": None, "code": "model_not_found"}
            return 404, {"error": wrong}
        taken = {"model", "messages", "max_tokens", "temperature"}
        if set(asked) - taken and self.habit != "ignores fields":
            odd = ", ".join(sorted(set(asked) - taken))
            return 400, {"error": {"message": f"not taken: {odd}", "type": "invalid", "param": None, "code": None}}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        if self.habit == "wrong usage":
            usage["total_tokens"] = 99
        message = {"role": "assistant", "content": "one two three", "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        answer = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "tiny"}
        return 200, {**answer, "choices": [choice], "usage": usage}
