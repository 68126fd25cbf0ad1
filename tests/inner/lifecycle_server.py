"""A server that goes wrong in one way: `lifecycle_server.py PORT WAY`."""

import json
import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, WAY = int(sys.argv[1]), sys.argv[2]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if WAY == "loads":
            self.answer(503, {"status": "loading"})
        elif self.path == "/v1/models":
            self.answer(200, {"data": [{"id": "another-model"}]})
        else:
            self.answer(200, {"status": "starting" if WAY == "unwell" else "ok"})

    def do_POST(self):
        if WAY == "hangs":
            time.sleep(600)
        self.answer(401, {"error": {"message": "no such key"}})

    def answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *arguments):
        pass


def die_while_loading():
    time.sleep(0.4)
    print("loading shard 3 of 8", flush=True)
    os._exit(9)


if WAY == "loads":
    threading.Thread(target=die_while_loading, daemon=True).start()
if WAY == "leaks":
    subprocess.Popen(["sleep", "600"], start_new_session=True)
print("begun", flush=True)
ThreadingHTTPServer.allow_reuse_port = WAY == "shares"
ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
