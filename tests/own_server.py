"""A server of a user's own, as a script and a profile that a test writes."""

from __future__ import annotations

from pathlib import Path

SCRIPT = '''
import base64
import html
import json
import os
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Says the key that it was given in every answer and on stderr, as no server should."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {"data": [{"id": "own"}]})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])) or "{}")
        key = self.headers.get("authorization", "no key")
        print("asked with", key, file=sys.stderr, flush=True)
        if "spell" in json.dumps(asked):
            key = key.split()[-1] + os.environ.get("WRITTEN_API_KEY", "")
            said = [urllib.parse.quote(key, ""), "".join(f"%{byte:02x}" for byte in key.encode()), html.escape(key)]
            said += [base64.b64encode(b"x" * at + key.encode() + b"y").decode() for at in range(3)]
            said += [key.encode().hex(), repr(key), json.dumps(json.dumps(key)), str(asked.get("told"))]
            print("spelled", *said, file=sys.stderr, flush=True)
            choices = [[{"index": 0, "delta": {"content": key[at : at + 5]}}] for at in range(0, len(key), 5)]
            if asked.get("stream"):
                events = [f"data: {json.dumps({'id': '1', 'choices': choice})}\\n\\n" for choice in choices]
                kind = "text/event-stream"
                end = {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
                self.answer(200, "".join(events) + f"data: {json.dumps(end)}\\n\\ndata: [DONE]\\n\\n", kind)
            else:
                self.answer(401, {"error": {"message": " ".join(said)}})
        elif asked.get("stream"):
            delta = {"index": 0, "delta": {"content": f"key {key}"}, "finish_reason": None}
            end = {"index": 0, "delta": {}, "finish_reason": "stop"}
            events = "".join(f"data: {json.dumps({'id': '1', 'choices': [choice]})}\\n\\n" for choice in (delta, end))
            self.answer(200, events + "data: [DONE]\\n\\n", "text/event-stream")
        elif "wrong" in json.dumps(asked):
            self.answer(401, {"error": {"message": f"Incorrect key {key}", "type": key}})
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": f"key {key}"}, "finish_reason": "stop"}
            self.answer(200, {"id": "1", "choices": [choice]})

    def answer(self, status, body, kind="application/json"):
        raw = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(raw)))
        self.send_header("Set-Cookie", "sid=cookie-value-5581; Path=/")
        self.send_header("X-Your-Key", self.headers.get("authorization", "none"))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *args):
        pass


print("arguments", sys.argv[1:], flush=True)
if "die" in sys.argv:
    sys.exit("error: died of " + " ".join(sys.argv))
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''

PROFILE = """\
title: A server of our own
model: own
start:
  command: ["{{python}}", "{script}", "{{port}}"]
  environment:
    WRITTEN_API_KEY: {written}
  options:
    words: {{flag: --words, type: list}}
ready:
  health: {{path: /ready}}
  first_token: none
  timeout: 20s
stop:
  grace: 2s
"""


def write_own_server(folder: Path, written: str = "none") -> Path:
    """Write the script and its profile; return the profile's path. `written` is a secret that the profile holds."""
    script = folder / "own_server.py"
    script.write_text(SCRIPT, encoding="utf-8")
    profile = folder / "own.yaml"
    profile.write_text(PROFILE.format(script=script, written=written), encoding="utf-8")
    return profile
