"""What clients on the JDK's HTTP client send."""

import json

from simulator.conftest import Answer

CHAT = "/v1/chat/completions"


def java_request(model="fake-model", *, chunked=False, connection="Upgrade, HTTP2-Settings", pretty=True):
    """The first request of langchain4j 1.19, which goes by the JDK's HTTP client: each offers h2c over plain HTTP."""
    messages = [{"role": "user", "content": "one two three"}]
    body = json.dumps({"model": model, "messages": messages, "stream": False}, indent=2 if pretty else None).encode()
    length = "Transfer-encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = (
        f"POST {CHAT} HTTP/1.1\r\n"
        f"Connection: {connection}\r\n"
        f"{length}\r\n"
        "Host: 127.0.0.1:8102\r\n"
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
        "Upgrade: h2c\r\n"
        "User-Agent: langchain4j-openai\r\n"
        "Authorization: Bearer dev-test-key\r\n"
        "Content-Type: application/json\r\n\r\n"
    )
    return head.encode() + (b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)


def one_answer(simulator, data, step=0):
    """Send bytes, in pieces of `step` where it is given, and return the answer; the connection stays open."""
    with simulator.connect() as sock:
        for start in range(0, len(data), step or len(data)):
            sock.sendall(data[start : start + (step or len(data))])
        raw = b""
        while b"\r\n\r\n" not in raw or len(Answer(raw).body) < int(Answer(raw).headers["content-length"]):
            part = sock.recv(65536)
            assert part, raw
            raw += part
    return Answer(raw)
