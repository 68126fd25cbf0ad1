"""Calls of the router, and backends for it."""

import socket
import threading
import uuid

CHAT = "/v1/chat/completions"
KEY = {"X-API-Key": "dev-test-key"}
ASKED = [{"role": "user", "content": "one two three"}]
ADMIN = "/v1/admin/routing"


def ask(simulator, headers=KEY, path=CHAT, **changes):
    body = {"model": "gpt-4o", "messages": ASKED, **changes}
    return simulator.request("POST", path, body, headers)


def infer(simulator, headers=KEY, **changes):
    body = {"request_id": str(uuid.uuid4()), "model": "gpt-4o", "payload": "one two three", **changes}
    return simulator.request("POST", "/v1/inference", body, headers)


def refusal(answer):
    assert set(answer.json) >= {"error", "code"}
    assert isinstance(answer.json["error"], str)
    return answer.status, answer.json["code"]


def status_server(status, body=b"{}", headers=b""):
    """Answer every connection with one status; return the URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener:
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    head = b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
                    connection.sendall(head % (status, len(body), headers) + body)

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}"
