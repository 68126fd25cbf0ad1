"""Streams on disk: everything that came over the wire, in one JSON file that can be judged again."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from InferenceLibrary.client.endings import improper_end
from InferenceLibrary.client.records import Attempt, Chunk, Stream, decode_json
from InferenceLibrary.errors import StreamError
from InferenceLibrary.protocol.masking import mask_pieces, mask_stream
from InferenceLibrary.protocol.sse import SSEDecoder
from InferenceLibrary.redaction import Redactor

FORMAT = 1


def recording(stream: Stream, request: Any, redact: Redactor) -> dict[str, Any]:
    """Return a stream as data for JSON. Secrets are masked; offsets and sizes then count masked bytes.

    Keys: `request`, `url`, `status`, `headers`, `attempts`, `reads` ([seconds since the request was sent, bytes]),
    `events` (each with its arrival, text and decoded object), `notes`, `raw` (base64), and how it ended.
    """
    datas = [chunk.event.data for chunk in stream.chunks]
    masked = mask_pieces(datas, redact)
    return {
        "format": FORMAT,
        "url": redact(stream.url),
        "request": decode_json(redact(json.dumps(request, default=str))),
        "status": stream.status,
        "headers": redact.headers(stream.headers),
        "elapsed": stream.elapsed,
        "broken": stream.broken and redact(stream.broken),
        "interrupted": stream.interrupted,
        "cancelled": stream.cancelled,
        "attempts": [
            list(attempt._replace(error=attempt.error and redact(attempt.error))) for attempt in stream.attempts
        ],
        "reads": [[round(when, 6), size] for when, size in stream.reads],
        "events": [
            {"arrival": round(chunk.arrival, 6), "name": chunk.event.event, "data": redact(masked.get(at, datas[at]))}
            for at, chunk in enumerate(stream.chunks)
        ],
        "notes": [[note.oddity.value, note.offset, redact(note.text[:200])] for note in stream.notes],
        "raw": base64.b64encode(mask_stream(stream.raw, [chunk.event for chunk in stream.chunks], redact)).decode(),
    }


def write_recording(stream: Stream, request: Any, path: Path, redact: Redactor) -> None:
    """Write a stream to a file."""
    text = json.dumps(recording(stream, request, redact), ensure_ascii=False, indent=1)
    # A half of a surrogate pair, which UTF-8 cannot hold, is written as JSON escapes it.
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def read_recording(path: Path, redact: Callable[[str], str] = str) -> Stream:
    """Return a stream from a file, decoded anew from its bytes, with the arrivals that were recorded.

    Raises:
        StreamError: The file cannot be read, or is no recording.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r}, expected {FORMAT}")
        stream = Stream(
            data["status"],
            data["headers"],
            raw=base64.b64decode(data["raw"], validate=True),
            reads=[(when, size) for when, size in data["reads"]],
            elapsed=data["elapsed"],
            interrupted=data["interrupted"],
            cancelled=data["cancelled"],
            attempts=tuple(Attempt(*attempt) for attempt in data["attempts"]),
            url=data["url"],
            redact=redact,
        )
        arrivals = [event["arrival"] for event in data["events"]]
        broken = data["broken"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StreamError(f"{path} is no recording of a stream: {type(error).__name__}: {error}.") from None
    decoder = SSEDecoder(notes=stream.notes)
    events = decoder.feed(stream.raw)
    decoder.close()
    if len(events) != len(arrivals):
        raise StreamError(
            f"{path} is no sound recording: expected {len(arrivals)} events in its bytes, got {len(events)}."
        )
    for event, arrival in zip(events, arrivals, strict=True):
        stream.chunks.append(Chunk(event, arrival, decode_json(event.data), redact))
    stream.broken = broken if stream.interrupted or stream.cancelled else improper_end(stream)
    return stream
