"""A server that answers with exact bytes, and the bytes of common answers."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

RESET = "reset"
"""A step of a script: end the connection by RST."""
HOLD = "hold"
"""A step of a script: send nothing more, keep the connection until the client ends it."""

Step = bytes | float | str


@dataclass
class WireServer:
    """A server that answers each connection with exact bytes, to judge a client at the level of the wire.

    A script is a list of steps: bytes are sent, a number waits so many seconds, `RESET` and `HOLD` end it. Connection k
    gets script k, the last script serves all that follow.
    """

    scripts: Sequence[Sequence[Step]]
    keep_alive: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            threading.Thread(target=self._answer, args=(connection, script), daemon=True).start()

    def _answer(self, connection: socket.socket, script: Sequence[Step]) -> None:
        with connection, contextlib.suppress(OSError):
            while self._read_request(connection):
                for step in script:
                    if isinstance(step, bytes):
                        connection.sendall(step)
                    elif step == RESET:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        connection.close()
                        return
                    elif step == HOLD:
                        connection.recv(1)
                        return
                    else:
                        time.sleep(float(step))
                if not self.keep_alive:
                    connection.close()
                    return

    def _read_request(self, connection: socket.socket) -> bool:
        request = b""
        while b"\r\n\r\n" not in request:
            piece = connection.recv(65536)
            if not piece:
                return False
            request += piece
        head, _, body = request.partition(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return True


def answer(
    body: bytes | str, status: str = "200 OK", content_type: str = "application/json", headers: str = ""
) -> bytes:
    """Return a whole HTTP answer."""
    raw = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(raw)}\r\n{headers}\r\n"
    return head.encode() + raw


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END_OF_BODY = b"0\r\n\r\n"


def piece(data: str | bytes) -> bytes:
    """Return one HTTP chunk."""
    raw = data.encode() if isinstance(data, str) else data
    return f"{len(raw):x}\r\n".encode() + raw + b"\r\n"


def delta(content: str | None = None, *, finish: str | None = None, role: str | None = None, id_: str = "c-1") -> str:
    """Return one event of a chat stream."""
    body = {key: value for key, value in (("role", role), ("content", content)) if value is not None}
    choice = {"index": 0, "delta": body, "finish_reason": finish}
    chunk = {"id": id_, "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return f"data: {json.dumps(chunk)}\n\n"


DONE = "data: [DONE]\n\n"
