"""Plain calls of a simulator, as records that the rulebook judges."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from InferenceLibrary.protocol.exchange import EVERYTHING, Ending, Exchange, Held, Request
from InferenceLibrary.protocol.rules.book import judge
from InferenceLibrary.protocol.rules.rule import Judgement, Known

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts"))
from plain_calls import CALLS, PlainCall, asked_of

BY_NAME = {call.name: call for call in CALLS}
KNOWN = Known(models=("fake-model",))


def play(simulator, call: PlainCall, fault: str = "") -> tuple[Exchange, Judgement]:
    """Make one call, with a fault if one is given; return its record and what the rules say."""
    body = asked_of(call, "fake-model")
    headers = {"X-Inference-Fault": fault} if fault else {}
    answer = simulator.request(call.method, call.path, body, headers)
    status = tuple(answer.head.decode("latin-1").split("\r\n")[1:])
    came = tuple((line.partition(": ")[0].lower(), line.partition(": ")[2]) for line in status)
    sent = b"" if body is None else json.dumps(body).encode()
    request = Request(call.method, f"http://localhost{call.path}", (("content-type", "application/json"),), sent)
    body_bytes, ending, left = _body_of(answer.raw.partition(b"\r\n\r\n")[2], dict(came))
    held = EVERYTHING - {Held.READS, Held.TIMES}
    exchange = Exchange(request, answer.status, came, body_bytes, ending=ending, left_over=left, held=held)
    return exchange, judge(exchange, KNOWN)


def _body_of(rest: bytes, headers: dict[str, str]) -> tuple[bytes, Ending, bytes]:
    if "content-length" in headers:
        length = int(headers["content-length"])
        return rest[:length], Ending.WHOLE if len(rest) >= length else Ending.CUT, rest[length:]
    if "transfer-encoding" not in headers:
        return rest, Ending.WHOLE, b""
    found = b""
    while True:
        line, _, rest = rest.partition(b"\r\n")
        try:
            size = int(line, 16)
        except ValueError:
            return found, Ending.CUT, b""
        if not size:
            return found, Ending.WHOLE, rest[2:]
        if len(rest) < size + 2:
            return found + rest[:size], Ending.CUT, b""
        found += rest[:size]
        rest = rest[size + 2 :]
