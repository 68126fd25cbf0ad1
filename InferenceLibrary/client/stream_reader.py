"""Reads one event stream: while it comes, and again from its bytes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from InferenceLibrary.client.endings import improper_end
from InferenceLibrary.client.patience import Patience
from InferenceLibrary.client.sending import Sending
from InferenceLibrary.client.streams import Chunk, Stream, bare_error, bare_error_in
from InferenceLibrary.protocol.exchange import Ending, Exchange, decode_json
from InferenceLibrary.protocol.json_lines import JsonLinesDecoder
from InferenceLibrary.protocol.masking import mask_pieces
from InferenceLibrary.protocol.sse import Event, Note, SSEDecoder
from InferenceLibrary.redaction import Redactor

_AFTER_THE_END = 2.0
"""Seconds that a connection may stay open after the last event of a stream."""
_AFTER_AN_ERROR = 0.2
"""Seconds in which what an error event ends may come to its end properly; then the connection is closed."""

JudgeEnd = Callable[[Stream], "str | None"]
"""Says what is wrong with the end of a stream that came whole."""


class StreamReader:
    """Reads one event stream while it comes.

    Args:
        sending: How the call is sent: after how many chunks it is cancelled, who watches.
        redact: Masks secrets where the stream is shown.
        ending: Says what is wrong with the end of a stream whose bytes came whole.
    """

    def __init__(self, sending: Sending, redact: Callable[[str], str] = str, ending: JudgeEnd = improper_end) -> None:
        self._sending = sending
        self._redact = redact
        self._ending = ending
        self._tokens = 0
        self.streams = False
        """Whether the answer is a stream."""

    def begin(self, exchange: Exchange, patience: Patience) -> None:
        self.streams = exchange.status == 200 and (exchange.is_event_stream or exchange.is_json_lines)
        if not self.streams:
            return
        patience.by_events()
        self._patience = patience
        self.stream = Stream(exchange, self._redact)
        self._decoder = decoder_of(exchange, self.stream.notes)
        if self._sending.watch is not None:
            self._sending.watch(self.stream)

    def feed(self, piece: bytes, arrival: float) -> bool:
        if not self.streams:
            return True
        noted = len(self.stream.notes)
        events = self._decoder.feed(piece)
        if events:
            self._patience.event()
        self._take(events, arrival)
        if bare_error_in(self.stream.notes[noted:]) or bare_error(self._decoder.open_block.decode("utf-8", "replace")):
            self._patience.closing("an error", _AFTER_AN_ERROR, is_wrong=False)
        return self._sending.cancel_after is None or self._tokens < self._sending.cancel_after

    def _take(self, events: list[Event], arrival: float) -> None:
        for event in events:
            chunk = Chunk(event, arrival, decode_json(event.data), self._redact)
            self.stream.chunks.append(chunk)
            self._tokens += chunk.has_token
            if chunk.error is not None:
                self._patience.closing("an error event", _AFTER_AN_ERROR, is_wrong=False)
            elif chunk.is_last_word:
                self._patience.closing(chunk.type or chunk.event.data, _AFTER_THE_END)

    def finish(self) -> Stream:
        """The answer has come to its end, good or bad."""
        reads = self.stream.exchange.reads
        self._take(self._decoder.close(), reads[-1][0] if reads else 0.0)
        _complete(self.stream, self._ending)
        return self.stream


def decoder_of(exchange: Exchange, notes: list[Note]) -> SSEDecoder | JsonLinesDecoder:
    """Return what turns the bytes of a stream into events: those of the standard, or lines of JSON."""
    return JsonLinesDecoder(notes) if exchange.is_json_lines else SSEDecoder(notes=notes)


def stream_of(exchange: Exchange, redact: Callable[[str], str] = str, ending: JudgeEnd = improper_end) -> Stream:
    """Return the stream that an exchange holds, decoded from its bytes; arrivals are those of the reads."""
    stream = Stream(exchange, redact)
    decoder = decoder_of(exchange, stream.notes)
    start, arrival = 0, 0.0
    for arrival, end in exchange.reads or ((0.0, len(exchange.body)),):
        for event in decoder.feed(exchange.body[start:end]):
            stream.chunks.append(Chunk(event, arrival, decode_json(event.data), redact))
        start = end
    for event in decoder.close():
        stream.chunks.append(Chunk(event, arrival, decode_json(event.data), redact))
    _complete(stream, ending)
    return stream


def _complete(stream: Stream, ending: JudgeEnd) -> None:
    """All events are there: mask what they hold of secrets in pieces, and say how the stream broke off, if it did."""
    if isinstance(stream.redact, Redactor):
        for index, data in mask_pieces([chunk.event.data for chunk in stream.chunks], stream.redact).items():
            # What it holds of a secret is only a piece, which nothing knows by itself.
            stream.chunks[index].redact = partial(_as_masked, stream.redact(data))
    exchange = stream.exchange
    if stream.error is None and exchange.ending is Ending.CANCELLED and exchange.problem is None:
        stream.broken = None
    elif exchange.problem is not None and stream.error is None:
        stream.broken = exchange.problem
    else:
        stream.broken = ending(stream)


def _as_masked(masked: str, _text: str) -> str:
    return masked
