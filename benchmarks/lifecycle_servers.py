"""The server that the lifecycle benchmark starts: `lifecycle_servers.py PORT KIND [SIZE]`.

Kinds: `ordinary`; `deaf` ignores TERM; `double` leaves a daemon that forked twice; `both`; `loud` writes SIZE
megabytes of log as fast as it can; `cleared` leaves a daemon that has left its session and its group, ignores TERM
and has cleared its environment, `hidden` one that has closed its output too, both known by SIZE alone; `silent` never
listens; `loading` answers 503; `other` lists another model; `hanging` never answers a chat.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, KIND = int(sys.argv[1]), sys.argv[2]


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if KIND == "loading":
            self.answer(503, {})
        else:
            self.answer(200, {"data": [{"id": "another" if KIND == "other" else os.environ.get("MODEL", "mine")}]})

    def do_POST(self):
        if KIND == "hanging":
            time.sleep(600)
        self.answer(200, {"choices": [{"message": {"content": os.environ.get("MODEL", "mine")}}]})

    def answer(self, status, body):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *arguments):
        pass


def write_log(megabytes):
    line = ("x" * 127 + "\n").encode() * 8192
    for _ in range(megabytes):
        os.write(1, line)
    os.write(1, b"all is written\n")


if KIND in {"deaf", "both"}:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if KIND in {"double", "both"}:
    subprocess.Popen(["/bin/sh", "-c", "(setsid sleep 600 &)"], close_fds=True)
if KIND in {"cleared", "hidden"} and os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.setpgid(0, 0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if KIND == "hidden":
        os.closerange(0, 64)
    os.execvpe("sleep", ["sleep", "600", f"0.{sys.argv[3]}"], {})
if KIND == "loud":
    threading.Thread(target=write_log, args=(int(sys.argv[3]),), daemon=True).start()
if KIND == "silent":
    time.sleep(600)
server = ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
server.daemon_threads = True
server.serve_forever()
