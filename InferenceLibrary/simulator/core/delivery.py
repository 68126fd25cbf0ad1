"""An answer before it is bytes: faults change it as objects, then as frames, then as steps on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic, time
from typing import TYPE_CHECKING

from InferenceLibrary.simulator.core.draft import Draft, Frame, Gap, chunk, event_bytes, to_json
from InferenceLibrary.simulator.core.http_text import date_line, status_line

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.turn import Step, Turn


def head_bytes(turn: Turn, draft: Draft, length: int | None) -> bytes:
    """Return status line and headers. `length` is the body's, None for a body without a known one."""
    lines = [status_line(draft.status), date_line()]
    if draft.content_type:
        lines.append("content-type: " + draft.content_type + "\r\n")
    if draft.framing == "chunked":
        lines.append("transfer-encoding: chunked\r\n")
    elif draft.content_length is not None or length is not None:
        lines.append(f"content-length: {length if draft.content_length is None else draft.content_length}\r\n")
    for name, value in () if draft.bare else turn.app.answer_headers(turn):
        lines.append(f"{name}: {value}\r\n")
    for name, value in draft.headers:
        lines.append(f"{name}: {value}\r\n")
    if not turn.keep_alive or turn.app.draining:
        turn.keep_alive = False
        lines.append("connection: close\r\n")
    elif turn.request.version == "1.0":
        lines.append("connection: keep-alive\r\n")
    lines.append("\r\n")
    return "".join(lines).encode("latin-1", "replace")


_plain = (0, b"")


def plain_head(turn: Turn, length: int) -> bytes:
    """Return the head of a whole answer in JSON with status 200; most of it is the same for a second."""
    global _plain  # noqa: PLW0603 - one clock for the process
    app = turn.app
    if not turn.keep_alive or app.draining or turn.request.version != "1.1" or app.answer_headers(turn):
        return head_bytes(turn, Draft(), length)
    now = int(time())
    if _plain[0] != now:
        _plain = now, head_bytes(turn, Draft(), None)[:-2] + b"content-length: %d\r\n\r\n"
    return _plain[1] % length


def deliver(turn: Turn, draft: Draft) -> None:
    """Send the answer, changed by the faults of the turn."""
    turn.status = draft.status
    faults = turn.faults
    for fault in faults:
        fault.change_draft(draft, turn)
    turn.status = draft.status
    if draft.events is None:
        if not isinstance(draft.body, bytes):
            draft.body = to_json(draft.body)
        for fault in faults:
            fault.change_body(draft, turn)
        steps = _body_steps(turn, draft)
    else:
        frames = [Frame(event_bytes(event), event.kind, event.delay, event.tokens) for event in draft.events]
        for fault in faults:
            frames = fault.change_frames(frames, turn)
        steps = _stream_steps(turn, draft, frames)
    for fault in faults:
        steps = fault.change_wire(steps, turn)
    if "x-inference-fault" in turn.request.headers:
        inert = [fault.text for fault in faults if fault not in turn.struck and not fault.lasting]
        if inert:
            # The head is made when it is sent: what struck nothing is told there.
            draft.headers.append(("X-Inference-Fault-Inert", "; ".join(inert)))
    turn.play(steps, turn.started)


def _body_steps(turn: Turn, draft: Draft) -> Iterator[Step]:
    body: bytes = draft.body
    if draft.framing == "close":
        turn.keep_alive = False
    head = head_bytes(turn, draft, None if draft.framing in {"close", "chunked"} else len(body))
    if draft.framing == "chunked":
        body = chunk(body) + b"0\r\n\r\n" if body else b"0\r\n\r\n"
    if draft.delay > 0:
        yield draft.delay
    moments = draft.moments
    if draft.gaps:
        moments = [monotonic() - turn.started]
        for gap in draft.gaps:
            yield seconds_now(turn, gap)
            moments.append(monotonic() - turn.started)
    yield head if turn.request.method == "HEAD" else head + body
    if draft.tokens:
        turn.sent_tokens(draft.tokens, moments)


def seconds_now(turn: Turn, delay: float) -> float:
    """Return how long a wait lasts that begins now."""
    return delay.alone * turn.app.load() if isinstance(delay, Gap) else float(delay)


def _stream_steps(turn: Turn, draft: Draft, frames: list[Frame]) -> Iterator[Step]:
    if not draft.framing:
        draft.framing = "close" if turn.request.version == "1.0" and not turn.app.chunks_for_all else "chunked"
    if draft.framing == "close":
        turn.keep_alive = False
    yield head_bytes(turn, draft, None)
    chunked = draft.framing == "chunked"
    separate = turn.app.settings.one_write_per_token
    waiting: list[bytes] = []
    tokens = 0
    for frame in frames:
        if waiting and (frame.delay > 0 or callable(frame.data) or separate):
            yield b"".join(waiting)
            waiting.clear()
            if tokens:
                turn.sent_tokens(tokens)
                tokens = 0
        if frame.delay > 0:
            yield seconds_now(turn, frame.delay)
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
        turn.sent_tokens(tokens)
