"""An answer before it is bytes: faults change it as objects, then as frames, then as steps on the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.http_connection import date_line, status_line

if TYPE_CHECKING:
    from InferenceLibrary.simulator.exchange import Exchange, Step

JSON = "application/json"
EVENT_STREAM = "text/event-stream"
DONE = "[DONE]"
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


@dataclass(slots=True)
class Event:
    """One server-sent event. `data` is an object, or text such as `[DONE]`; `delay` seconds pass before it."""

    data: Any
    kind: str = "token"  # role, token, tool, finish, usage, done, error, or a name of a typed event
    delay: float = 0.0
    tokens: int = 0
    name: str = ""  # for the `event:` line


@dataclass(slots=True)
class Frame:
    """Bytes of a stream's body, or an action, after `delay` seconds."""

    data: Any
    kind: str = ""
    delay: float = 0.0
    tokens: int = 0


@dataclass(slots=True)
class Draft:
    """An answer. With `events` it is a stream, else `body` (bytes, or an object for JSON) is sent after `delay`."""

    status: int = 200
    content_type: str = JSON
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: Any = b""
    events: list[Event] | None = None
    delay: float = 0.0
    tokens: int = 0
    framing: str = ""  # "chunked", "length" or "close"; chosen by the content when empty
    content_length: int | None = None  # a wrong one, told instead of the true one


def to_json(data: Any) -> bytes:
    """Return compact JSON in UTF-8."""
    return _encode(data).encode("utf-8", "replace")


def event_bytes(event: Event) -> bytes:
    """Return the event in the form of a server-sent event."""
    data = event.data if isinstance(event.data, bytes) else _data_bytes(event.data)
    name = b"event: " + event.name.encode() + b"\n" if event.name else b""
    return name + b"data: " + data + b"\n\n"


def _data_bytes(data: Any) -> bytes:
    return data.encode("utf-8", "replace") if isinstance(data, str) else to_json(data)


def head_bytes(exchange: Exchange, draft: Draft, length: int | None) -> bytes:
    """Return status line and headers. `length` is the body's, None for a body without a known one."""
    lines = [status_line(draft.status), date_line(), f"content-type: {draft.content_type}\r\n"]
    if draft.framing == "chunked":
        lines.append("transfer-encoding: chunked\r\n")
    elif draft.content_length is not None or length is not None:
        lines.append(f"content-length: {length if draft.content_length is None else draft.content_length}\r\n")
    lines.extend(f"{name}: {value}\r\n" for name, value in (*exchange.app.answer_headers(exchange), *draft.headers))
    if not exchange.keep_alive or exchange.app.draining:
        exchange.keep_alive = False
        lines.append("connection: close\r\n")
    elif exchange.request.version == "1.0":
        lines.append("connection: keep-alive\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1", "replace")


def deliver(exchange: Exchange, draft: Draft) -> None:
    """Send the answer, changed by the faults of the exchange."""
    exchange.status = draft.status
    faults = exchange.faults
    for fault in faults:
        fault.change_draft(draft, exchange)
    exchange.status = draft.status
    if draft.events is None:
        if not isinstance(draft.body, bytes):
            draft.body = to_json(draft.body)
        for fault in faults:
            fault.change_body(draft, exchange)
        steps = _body_steps(exchange, draft)
    else:
        frames = [Frame(event_bytes(event), event.kind, event.delay, event.tokens) for event in draft.events]
        for fault in faults:
            frames = fault.change_frames(frames, exchange)
        steps = _stream_steps(exchange, draft, frames)
    for fault in faults:
        steps = fault.change_wire(steps, exchange)
    exchange.play(steps, exchange.started)


def _body_steps(exchange: Exchange, draft: Draft) -> Iterator[Step]:
    body: bytes = draft.body
    if draft.framing == "close":
        exchange.keep_alive = False
    head = head_bytes(exchange, draft, None if draft.framing in {"close", "chunked"} else len(body))
    if draft.framing == "chunked":
        body = chunk(body) + b"0\r\n\r\n" if body else b"0\r\n\r\n"
    if draft.delay > 0:
        yield draft.delay
    yield head if exchange.request.method == "HEAD" else head + body
    if draft.tokens:
        exchange.sent_tokens(draft.tokens)


def _stream_steps(exchange: Exchange, draft: Draft, frames: list[Frame]) -> Iterator[Step]:
    if not draft.framing:
        draft.framing = "close" if exchange.request.version == "1.0" else "chunked"
    if draft.framing == "close":
        exchange.keep_alive = False
    yield head_bytes(exchange, draft, None)
    chunked = draft.framing == "chunked"
    separate = exchange.app.settings.one_write_per_token
    waiting: list[bytes] = []
    tokens = 0
    for frame in frames:
        if waiting and (frame.delay > 0 or callable(frame.data) or separate):
            yield b"".join(waiting)
            waiting.clear()
            if tokens:
                exchange.sent_tokens(tokens)
                tokens = 0
        if frame.delay > 0:
            yield float(frame.delay)
        if callable(frame.data):
            yield frame.data
        elif frame.kind == "raw" or not chunked:
            waiting.append(frame.data)
        elif frame.data:
            waiting.append(chunk(frame.data))
        tokens += frame.tokens
    if chunked:
        waiting.append(b"0\r\n\r\n")
    if waiting:
        yield b"".join(waiting)
    if tokens:
        exchange.sent_tokens(tokens)


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk of the chunked transfer coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)
