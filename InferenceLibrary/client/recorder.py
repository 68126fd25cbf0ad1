"""Records one event stream while it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from InferenceLibrary.client.bodies import TooLarge, bounded
from InferenceLibrary.client.endings import improper_end
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.client.problems import describe_problem, network_errors
from InferenceLibrary.client.records import Attempt, Chunk, Stream, decode_json
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.protocol.masking import mask_pieces
from InferenceLibrary.protocol.sse import SSEDecoder
from InferenceLibrary.redaction import Redactor

if TYPE_CHECKING:
    import httpx

    from InferenceLibrary.client.transport import Wire


class Recorder:
    """Records one event stream."""

    def __init__(
        self,
        limits: Limits,
        sending: Sending,
        redact: Redactor,
        ending: Callable[[Stream], str | None] = improper_end,
    ) -> None:
        self._limits = limits
        self._redact = redact
        self._cancel_after = sending.cancel_after
        self._cancellation = sending.cancellation
        self._watch = sending.watch
        self._ending = ending
        self.is_event_stream = False
        self.ended_by_connection = False
        """Whether it was the end of the connection that ended the stream, good or bad: the server may have died."""

    def begin(self, response: httpx.Response, wire: Wire) -> None:
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        self.is_event_stream = response.status_code == 200 and kind == "text/event-stream"
        self.ended_by_connection = not {"transfer-encoding", "content-length"} & set(response.headers)
        self._wire = wire
        self._stream = Stream(response.status_code, headers_of(response), redact=self._redact)
        self._raw = bytearray()
        if self.is_event_stream:
            wire.by_events()
            if self._watch is not None:
                self._watch(self._stream)

    def record(self, pieces: Iterator[bytes]) -> None:
        """Read to the end. A break is noted, not raised: what had arrived is worth keeping."""
        from InferenceLibrary.client.transport import LimitExceeded

        decoder = SSEDecoder(notes=self._stream.notes)
        tokens = 0
        try:
            for piece in bounded(pieces, self._limits.body):
                arrival = self._wire.reads[-1][0] - self._wire.sent
                self._raw += piece
                events = decoder.feed(piece)
                if events:
                    self._wire.progress = self._wire.reads[-1][0]
                for event in events:
                    chunk = Chunk(event, arrival, decode_json(event.data), self._redact)
                    self._stream.chunks.append(chunk)
                    tokens += chunk.has_token
                if self._cancel_after is not None and tokens >= self._cancel_after:
                    self._stream.cancelled = True
                    return
        except LimitExceeded as error:
            self._stream.broken = f"no end within the {error}"
            self.ended_by_connection = False
        except TooLarge as error:
            self._stream.broken = str(error)
            self.ended_by_connection = False
        except network_errors() as error:
            self._stream.broken = f"a connection that broke off ({describe_problem(error)})"
            self.ended_by_connection = True
        decoder.close()
        if self._cancellation is not None and self._cancellation.requested:
            self._stream.broken = None
            self._stream.cancelled = True
        elif self._stream.broken is not None:
            self._stream.interrupted = True
        else:
            self._stream.broken = self._ending(self._stream)

    def finish(self, attempts: tuple[Attempt, ...], url: str, elapsed: float, wire: Wire) -> Stream:
        stream = self._stream
        stream.raw = bytes(self._raw)
        stream.reads = [(when - wire.sent, size) for when, size in wire.reads]
        stream.attempts = attempts
        stream.url = url
        stream.elapsed = elapsed
        for index, data in mask_pieces([chunk.event.data for chunk in stream.chunks], self._redact).items():
            # What it holds of a secret is only a piece, which nothing knows by itself.
            stream.chunks[index].redact = partial(_as_masked, self._redact(data))
        return stream


def _as_masked(masked: str, _text: str) -> str:
    return masked


def headers_of(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}
