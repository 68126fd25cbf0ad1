"""What is wrong with an answer whose bytes came whole."""

from __future__ import annotations

from InferenceLibrary.client.records import Stream, shorten
from InferenceLibrary.protocol.sse import Oddity
from InferenceLibrary.protocol.typed_messages import TERMINAL, is_typed


def improper_end(stream: Stream) -> str | None:
    """Return what is wrong with a stream whose bytes came whole; None when nothing is that makes it unusable."""
    odd = {note.oddity: note for note in reversed(stream.notes)}
    if Oddity.TRUNCATED in odd:
        return "an end inside an event"
    if not stream.chunks:
        return "an end without any event"
    if stream.error is not None:
        return f"an error event: {stream.error}"
    if Oddity.INVALID_UTF8 in odd:
        return f"bytes that are no UTF-8 at byte {odd[Oddity.INVALID_UTF8].offset}"
    for number, chunk in enumerate(stream.chunks, start=1):
        if chunk.json is None and not chunk.is_done and chunk.event.data != "null":
            return f"event {number}, which is no JSON ({shorten(chunk.event.data, 40)!r}),"
    if any(is_typed(chunk.json) for chunk in stream.chunks):
        # A foreign [DONE] behind the end is borne here, and left to the checks.
        if not any(chunk.type in TERMINAL for chunk in stream.chunks):
            return "an end without a terminal event"
    elif stream.finish_reason is None and not stream.ended_with_done:
        return "an end with neither a finish reason nor [DONE]"
    return None


def bad_utf8_in(raw: bytes) -> int | None:
    """Return the offset of the first bytes that are no UTF-8."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None
