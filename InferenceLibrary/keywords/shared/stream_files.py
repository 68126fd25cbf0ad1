"""Streams kept beside the log: the recording and a picture of each."""

from __future__ import annotations

from InferenceLibrary.client.streams import Stream
from InferenceLibrary.context import Context
from InferenceLibrary.log import Log

_LARGEST = 5 * 2**20
"""Bytes of a stream that is still recorded in a file by itself."""


def keep_stream(context: Context, stream: Stream) -> None:
    """Record a stream in a file beside the log, with its picture."""
    log = Log(context)
    log.debug("\n".join(str(chunk) for chunk in stream.chunks[:200]))
    if len(stream.raw) > _LARGEST:
        log.info(f"Not recorded: {len(stream.raw):,} bytes are more than {_LARGEST:,}.")
        return
    from InferenceLibrary.client.recordings import write_recording
    from InferenceLibrary.client.stream_picture import stream_picture

    path = context.artifact("streams", "stream", "json")
    write_recording(stream.exchange, path, context.redactor)
    stream.recording = path
    if stream.tokens:
        picture = path.with_suffix(".svg")
        picture.write_text(stream_picture(stream), encoding="utf-8")
        log.picture("Text over time", picture)
    log.file("Recording", path)
