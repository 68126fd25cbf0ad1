"""Records one event stream while it is read, and names what may go wrong on a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.records import Attempt, Chunk, Stream, decode_json
from InferenceLibrary.protocol.sse import SSEDecoder

if TYPE_CHECKING:
    import httpx

    from InferenceLibrary.client.transport import Wire


class TooLarge(Exception):
    """The body exceeds the limit."""


class Recorder:
    """Records one event stream."""

    def __init__(self, limits: Limits, cancel_after: int | None, redact: Callable[[str], str] = str) -> None:
        self._limits = limits
        self._redact = redact
        self._cancel_after = cancel_after
        self.is_event_stream = False

    def begin(self, response: httpx.Response, wire: Wire) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.is_event_stream = response.status_code == 200 and kind == "text/event-stream"
        self._wire = wire
        self._stream = Stream(response.status_code, headers_of(response), redact=self._redact)
        self._raw = bytearray()

    def record(self, pieces: Iterator[bytes]) -> None:
        """Read to the end. A break is noted, not raised: what had arrived is worth keeping."""
        from InferenceLibrary.client.transport import LimitExceeded

        decoder = SSEDecoder(notes=self._stream.notes)
        tokens = 0
        try:
            for piece in bounded(pieces, self._limits.body):
                arrival = self._wire.reads[-1][0] - self._wire.sent
                self._raw += piece
                for event in decoder.feed(piece):
                    chunk = Chunk(event, arrival, decode_json(event.data), self._redact)
                    self._stream.chunks.append(chunk)
                    tokens += chunk.has_token
                if self._cancel_after is not None and tokens >= self._cancel_after:
                    self._stream.cancelled = True
                    return
        except LimitExceeded as error:
            self._stream.broken = f"no end within the {error}"
        except TooLarge as error:
            self._stream.broken = str(error)
        except network_errors() as error:
            self._stream.broken = f"a connection that broke off ({describe_problem(error)})"
        decoder.close()
        if self._stream.broken is None:
            self._stream.broken = self._improper_end(decoder)

    def finish(self, attempts: tuple[Attempt, ...], url: str, elapsed: float, wire: Wire) -> Stream:
        stream = self._stream
        stream.raw = bytes(self._raw)
        stream.reads = [(when - wire.sent, size) for when, size in wire.reads]
        stream.attempts = attempts
        stream.url = url
        stream.elapsed = elapsed
        return stream

    def _improper_end(self, decoder: SSEDecoder) -> str | None:
        stream = self._stream
        if decoder.truncated:
            return "an end inside an event"
        if not stream.chunks:
            return "an end without any event"
        if stream.error is not None:
            return f"an error event: {stream.error}"
        if stream.finish_reason is None and not stream.ended_with_done:
            return "an end with neither a finish reason nor [DONE]"
        return None


def bounded(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise TooLarge(f"a body beyond the limit of {limit:,} bytes")
        yield piece


def headers_of(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def network_errors() -> tuple[type[Exception], ...]:
    import httpcore
    import httpx

    return (
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
        httpx.InvalidURL,
        httpx.UnsupportedProtocol,
    )


def describe_problem(error: Exception) -> str:
    """Return a short text for a network error, without the digits of an errno."""
    text = str(error).strip()
    low = text.lower()
    if "refused" in low:
        return "connection refused"
    if "name or service not known" in low or "name resolution" in low or "nodename nor servname" in low:
        return "an unknown host name"
    if "without sending a response" in low:
        return "a connection closed without an answer"
    if "reset" in low:
        return "a connection reset"
    return text or type(error).__name__
