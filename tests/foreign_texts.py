"""Hostile texts, and a server that says them wherever a server can say something."""

from __future__ import annotations

import json
import random
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

PIECES = (
    "\ud83d",
    "\ude00",
    "\ude00\ud83d",
    "\ud83d\ude00",
    "\udcff",
    "\0",
    "\b\v\f\x0e\x1f\x7f",
    "\x85\x9b2J",
    "\x1b[2J\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\r",
    "\r\n",
    "\u2028\u2029",
    "\ufdd0\ufffe\uffff",
    "\U0001ffff\U0010fffe",
    "\u202eright to left\u2066",
    "\ufeff",
    "]]>",
    "<script>alert(1)</script>",
    "&#0;&#xD800;&amp;",
    "</msg></kw>",
    "*HTML* <b>bold</b>",
    "${missing} %{MISSING} @{x} &{y} \\",
    "\U0001f468\u200d\U0001f469\u200d\U0001f466 e\u0301",
    "x" * 3_000,
    "line\n" * 60,
)
"""Each shape of text that something on the way does not take, or takes for its own."""


def hostile_texts(count: int, seed: int) -> list[str]:
    """Return texts, at first each piece alone, then mixtures."""
    draw = random.Random(seed)
    mixed = (
        "".join(draw.choices((*PIECES, "word "), k=draw.randint(1, 8))) for _ in range(max(0, count - len(PIECES)))
    )
    return [*PIECES, *mixed][:count]


class HostileServer:
    """Says text number N of its list in every place of the answer to the prompt `N KIND`."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/metrics":
                    lines = [
                        f"said{{text={json.dumps(text, ensure_ascii=False)}}} {n}" for n, text in enumerate(outer.texts)
                    ]
                    self._answer(200, "\n".join(lines).encode("utf-8", "surrogatepass"), "text/plain")
                else:
                    self._json(200, {"object": "list", "data": [{"id": f"m{text}"} for text in outer.texts]})

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                said = re.fullmatch(r"(\d+) (\w+)", asked["messages"][-1]["content"])
                text, kind = (outer.texts[int(said[1])], said[2]) if said else ("no number", "refused")
                if kind == "refused":
                    self._json(400, {"error": {"message": text, "type": text, "code": text, "param": text}})
                elif kind == "bytes":
                    self._answer(500, text.encode("utf-8", "surrogatepass") + b"\xff\xfe\x80", "text/plain")
                elif asked.get("stream"):
                    self._answer(200, _events(text, broken=kind == "broken"), "text/event-stream")
                else:
                    self._json(200, _completion(text))

            def _json(self, status: int, data: Any) -> None:
                self._answer(status, json.dumps(data).encode(), "application/json")

            def _answer(self, status: int, raw: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(raw)))
                self.send_header("X-Odd", "a\x1bb\x9bc")
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _call(text: str) -> dict[str, Any]:
    return {
        "index": 0,
        "id": text,
        "type": "function",
        "function": {"name": text, "arguments": json.dumps({text: text})},
    }


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "reasoning_content": text, "tool_calls": [_call(text)]}
    choice = {"index": 0, "message": message, "finish_reason": text}
    return {"id": text, "object": "chat.completion", "created": 1, "model": text, "choices": [choice]}


def _events(text: str, broken: bool) -> bytes:
    """The text in one event for each of its units of UTF-16 at the begin, then the rest."""
    units = [text.encode("utf-16-le", "surrogatepass")[at : at + 2] for at in range(0, 40, 2)]
    parts = [unit.decode("utf-16-le", "surrogatepass") for unit in units if unit] + [text]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": part, "reasoning_content": part} for part in parts]
    deltas += [{"tool_calls": [_call(text)]}]
    chunks = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    if not broken:
        chunks.append({"index": 0, "delta": {}, "finish_reason": text})
    events = [
        {"id": text, "object": "chat.completion.chunk", "created": 1, "model": text, "choices": [c]} for c in chunks
    ]
    if broken:
        events.append({"error": {"message": text, "type": text}})
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"
