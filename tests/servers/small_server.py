"""A server of a user's own with three routes: models, chats whole and streamed, health. It asks for nothing else."""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[Any], tuple[int, Any]]
"""From the decoded body to status and answer; a text is sent as an event stream, event by event."""
MODELS = {"object": "list", "data": [{"id": "small", "object": "model", "created": 1, "owned_by": "me"}]}


def refused(message: str, code: str | None = None) -> dict[str, Any]:
    """An error object of the reference."""
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def chat(asked: Any) -> tuple[int, Any]:
    """Repeat the last message."""
    messages = asked.get("messages") if isinstance(asked, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        return 400, refused("messages: a list of messages is needed")
    if not all(one.get("role") in ("system", "user", "assistant") and "content" in one for one in messages):
        return 400, refused("messages: each needs a role and a content")
    if asked.get("model") != "small":
        return 404, refused(f"The model {asked.get('model')} does not exist", "model_not_found")
    for name, kind, least in (("max_tokens", int, 1), ("temperature", (int, float), 0)):
        value = asked.get(name)
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool) or value < least):
            return 400, refused(f"{name}: a number of at least {least} is needed")
    if asked.get("stream_options") and not asked.get("stream"):
        return 400, refused("stream_options: for streams only")
    content = messages[-1]["content"]
    text = content if isinstance(content, str) else "".join(part.get("text", "") for part in content)
    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split())] or ["nothing"]
    given = words[: asked.get("max_tokens") or len(words)]
    reason = "stop" if len(given) == len(words) else "length"
    prompt = sum(len(str(one["content"]).split()) for one in messages) + 1
    usage = {"prompt_tokens": prompt, "completion_tokens": len(given), "total_tokens": prompt + len(given)}
    head = {"id": f"chatcmpl-{next(_numbers)}", "created": 1, "model": "small"}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "".join(given), "refusal": None}
        choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
        return 200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage}
    deltas = [{"role": "assistant", "content": ""}, *({"content": word} for word in given)]
    choices: list[Any] = [[{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas]
    choices.append([{"index": 0, "delta": {}, "finish_reason": reason}])
    wants_usage = (asked.get("stream_options") or {}).get("include_usage")
    extra = {"usage": None} if wants_usage else {}
    chunks = [{**head, "object": "chat.completion.chunk", "choices": choice, **extra} for choice in choices]
    chunks += [{**chunks[0], "choices": [], "usage": usage}] if wants_usage else []
    return 200, "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"


_numbers = iter(range(1, 1 << 30))
ROUTES: dict[str, Answer] = {
    "/health": lambda asked: (200, {"status": "ok"}),
    "/v1/models": lambda asked: (200, MODELS),
    "/v1/models/small": lambda asked: (200, MODELS["data"][0]),  # type: ignore[index]
    "/v1/chat/completions": chat,
}


class SmallServer:
    """Answers on loopback until it is closed.

    Args:
        routes: Path to answer, beside or in place of its own.
        port: Where it listens; a free one by default.
        everything: The answer to every other path; 404 by default.
    """

    def __init__(self, routes: Mapping[str, Answer] = {}, port: int = 0, everything: Answer | None = None) -> None:
        self.requests: list[tuple[str, Any]] = []
        known = {**ROUTES, **routes}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                raw = self.rfile.read(int(self.headers.get("content-length") or 0))
                try:
                    asked = json.loads(raw) if raw else None
                    status, said = 200, None
                except ValueError:
                    asked, status, said = None, 400, refused("The body is not JSON")
                owner.requests.append((self.path, asked))
                if said is None:
                    answer = known.get(self.path, everything or (lambda asked: (404, refused("There is no such path"))))
                    status, said = answer(asked)
                self.send_response(status)
                if isinstance(said, str):
                    self.stream(said)
                    return
                body = json.dumps(said).encode()
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def stream(self, events: str) -> None:
                """Each event when it is made: a token takes its time."""
                self.send_header("content-type", "text/event-stream; charset=utf-8")
                # Clients of HTTP/1.0 know no chunks; to them the end of the connection is that of the answer.
                chunked = self.request_version != "HTTP/1.0"
                if chunked:
                    self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                try:
                    for event in events.split("\n\n")[:-1]:
                        body = f"{event}\n\n".encode()
                        self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) if chunked else body)
                        time.sleep(0.003)
                    if chunked:
                        self.wfile.write(b"0\r\n\r\n")
                except ConnectionError:
                    # A client may give a stream up.
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def begin(self) -> SmallServer:
        """Answer in a thread."""
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    small = SmallServer(port=parser.parse_known_args()[0].port)
    print(f"listening on {small.url}", flush=True)
    small.server.serve_forever()
