"""One generation, measured: what a recorded answer says about tokens and time. The one home of these definitions.

As GuideLLM, AIPerf and inference-perf have them:

- TTFT: from the sending of the request to the first output that is not empty, of any channel (text, reasoning, tool
  calls); a chunk with a role only does not count. TTST: from there to the second chunk with output;
- gap: between two chunks with output. A chunk is not a token: where it holds one token each, the gaps are the
  inter-token latencies (ITL), else the only latency of a token that is known is TPOT;
- tokens/s: tokens that came after the first moment of output, over the time from there to the last: the rate of
  decoding, without the prompt. TPOT is its inverse;
- E2EL: from the sending of the request to the end of the answer.

Tokens and time must belong together, else a rate lies. `decoding_rate` notices tokens that are counted and not shown,
several tokens a chunk, and chunks that something on the way held back and let go at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal, NamedTuple, Protocol

from InferenceLibrary.protocol.pieces import Piece
from InferenceLibrary.protocol.usage_details import NO_DETAILS, UsageDetails

TokenSource = Literal["usage", "tokenizer", "chunks"]
Channel = Literal["text", "reasoning", "tool calls"]

ONE_MOMENT = 1e-4
"""Seconds: chunks that are not further apart came at one moment."""
_FEW_MOMENTS = 8
_SHORT = 0.2
"""Share of the whole answer's time: output that took less of it, in a few lumps, was held back."""
_UNCOUNTED = 2
"""Tokens that end an answer are counted by some servers and never shown."""
_WORDS = re.compile("[A-Za-z]+")


class DecodingRate(NamedTuple):
    """A rate of decoding, or why there is none."""

    value: float | None
    """Tokens a second."""
    reason: str | None = None
    """Why there is none, in words; None where there is one."""


class OutputChunk(NamedTuple):
    """One chunk with output."""

    arrival: float
    """Seconds since the request was sent."""
    size: int = 0
    """Bytes of its output; zero where that is not known."""
    most_tokens: float = 1
    """So many tokens it may plausibly hold; at least one."""


class CountedTokens(Protocol):
    """The usage that a server reported."""

    @property
    def completion_tokens(self) -> int | None: ...
    @property
    def prompt_tokens(self) -> int | None: ...


class TimedChunk(Protocol):
    """A chunk with output."""

    @property
    def arrival(self) -> float:
        """Seconds since the request was sent."""

    @property
    def pieces(self) -> Sequence[Piece]: ...


class RecordedStream(Protocol):
    """What a measurement needs of a recorded stream."""

    @property
    def tokens(self) -> Sequence[TimedChunk]:
        """The chunks that carry output."""

    @property
    def usage(self) -> CountedTokens | None: ...

    @property
    def usage_details(self) -> UsageDetails: ...

    @property
    def elapsed(self) -> float: ...

    @property
    def finish_reason(self) -> str | None: ...


class Outputs:
    """The chunks with output of one answer, and when each channel began."""

    def __init__(self) -> None:
        self.chunks: list[OutputChunk] = []
        self.channels: dict[Channel, float] = {}
        """Seconds from the sending of the request to the first output of each channel that had some."""

    def add(self, arrival: float, pieces: Sequence[Piece]) -> bool:
        """Take a chunk; return whether it had output."""
        size, most = 0, 0.0
        for piece in pieces:
            for channel, text in (("text", piece.text), ("reasoning", piece.reasoning)):
                if text:
                    self.channels.setdefault(channel, arrival)  # type: ignore[arg-type]  # mypy widens the literals
                    size += len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
                    most += most_tokens(text)
            for call in piece.tool_calls:
                self.channels.setdefault("tool calls", arrival)
                size += len(call.arguments) + len(call.name or "")
                most += len(call.arguments) + len(call.name or "")
        if not size and not most and not any(piece.tool_calls for piece in pieces):
            return False
        self.chunks.append(OutputChunk(arrival, size, max(1.0, most)))
        return True


def most_tokens(text: str) -> float:
    """Return how many tokens a text may plausibly be: a word is one for each two letters or more, all else but white
    space one a byte.

    A vocabulary that splits words further exists; a stream of it shows one token a chunk, which `decoding_rate` counts
    first.
    """
    if text.isascii():
        words = _WORDS.findall(text)
        others = len(text) - sum(map(len, words)) - sum(map(str.isspace, text))
        return float(sum((len(word) + 1) // 2 for word in words) + others)
    return float(len(text.encode("utf-8", "replace")))


def decoding_rate(chunks: Sequence[OutputChunk], tokens: int, elapsed: float, *, hidden: int = 0) -> DecodingRate:
    """Return the rate of decoding of one answer, or the reason why none can be given.

    Args:
        chunks: The chunks with output, in the order of their arrival.
        tokens: Output tokens, those that are not shown included.
        elapsed: Seconds of the whole answer.
        hidden: Tokens of which the server says that they are not shown.
    """
    shown = tokens - hidden
    if shown < 2 or not chunks:
        return DecodingRate(None, f"{max(shown, 0)} token{'' if shown == 1 else 's'} shown: a rate needs two or more")
    plausible = sum(chunk.most_tokens for chunk in chunks) + _UNCOUNTED
    if any(chunk.size for chunk in chunks) and shown > plausible:
        return DecodingRate(
            None,
            f"{shown} tokens are counted, but what was shown in {_chunks(len(chunks))} can be {plausible:.0f} at most: "
            "the others are hidden, and their time is unknown",
        )
    if tokens * 2 < len(chunks):
        return DecodingRate(None, f"{tokens} tokens are counted, but {len(chunks)} chunks with output came")
    first, last = chunks[0].arrival, chunks[-1].arrival
    moments, at_first = 1, 1
    for earlier, later in pairwise(chunks):
        if later.arrival - earlier.arrival > ONE_MOMENT:
            moments += 1
        elif moments == 1:
            at_first += 1
    span = last - first
    if moments == 1 or span <= 0:
        return DecodingRate(None, f"{shown} tokens in {_chunks(len(chunks))} at one moment: something held them back")
    if shown >= 2 * moments and (moments < 3 or (moments < _FEW_MOMENTS and span < _SHORT * elapsed)):
        return DecodingRate(
            None,
            f"{shown} tokens came in {moments} bursts within {shown_time(span)} of {shown_time(elapsed)}: something "
            "held them back",
        )
    return DecodingRate((shown - _tokens_of_first(chunks, at_first, shown)) / span)


def _tokens_of_first(chunks: Sequence[OutputChunk], count: int, tokens: int) -> float:
    """Tokens of the first `count` chunks: even shares, unless the sizes say that these chunks were others."""
    even = tokens * count / len(chunks)
    if tokens <= len(chunks) + _UNCOUNTED:
        return float(count)
    size = sum(chunk.size for chunk in chunks)
    by_size = tokens * sum(chunk.size for chunk in chunks[:count]) / size if size else even
    found = even if abs(by_size - even) <= even / 3 else by_size
    return min(max(found, 1.0), tokens - 1.0)


def _chunks(count: int) -> str:
    return f"{count} chunk{'' if count == 1 else 's'}"


@dataclass(frozen=True)
class Generation:
    """Times of one streamed answer. All times in seconds.

    Args:
        started: When the request was sent, on the monotonic clock.
        chunks: The chunks with output; at least one.
        output_tokens: Number of output tokens, those that are not shown included.
        token_source: Who counted them: the server (`usage`), a named tokenizer, or we, one per chunk (`chunks`).
        elapsed: E2EL.
        finish_reason: Why it ended.
        channels: Time to the first output of each channel that had some.
        prompt_tokens: As the server counted them.
        details: What the usage says beside its counts.
    """

    started: float
    chunks: tuple[OutputChunk, ...]
    output_tokens: int
    token_source: TokenSource
    elapsed: float
    finish_reason: str | None = None
    channels: dict[Channel, float] = field(default_factory=dict)
    prompt_tokens: int | None = None
    details: UsageDetails = NO_DETAILS

    @cached_property
    def arrivals(self) -> tuple[float, ...]:
        """When each chunk with output arrived, since the request was sent; ascending."""
        return tuple(chunk.arrival for chunk in self.chunks)

    @property
    def time_to_first_token(self) -> float:
        """TTFT."""
        return self.chunks[0].arrival

    @property
    def time_to_second_token(self) -> float | None:
        """TTST: from the first chunk with output to the second; None without a second."""
        return self.chunks[1].arrival - self.chunks[0].arrival if len(self.chunks) > 1 else None

    @property
    def gaps(self) -> list[float]:
        """Seconds between neighbouring chunks with output."""
        return [later - earlier for earlier, later in pairwise(self.arrivals)]

    @property
    def hidden_tokens(self) -> int:
        """Tokens of reasoning that the server counted and did not show."""
        return 0 if "reasoning" in self.channels else self.details.reasoning_tokens or 0

    @property
    def is_a_token_a_chunk(self) -> bool:
        """Whether each chunk with output is one token, as far as the counts say."""
        return abs(self.output_tokens - self.hidden_tokens - len(self.chunks)) <= max(
            _UNCOUNTED, len(self.chunks) // 20
        )

    @property
    def token_latencies(self) -> list[float]:
        """ITL: the gaps where each chunk is a token, else TPOT alone; empty where there is neither."""
        if self.is_a_token_a_chunk:
            return self.gaps
        latency = self.time_per_output_token
        return [] if latency is None else [latency]

    @cached_property
    def rate(self) -> DecodingRate:
        """The rate of decoding, or why there is none."""
        return decoding_rate(self.chunks, self.output_tokens, self.elapsed, hidden=self.hidden_tokens)

    @property
    def tokens_per_second(self) -> float | None:
        """DecodingRate of decoding; None when there is none: `rate` has the reason."""
        return self.rate.value

    @property
    def time_per_output_token(self) -> float | None:
        """TPOT; None where there is no rate."""
        value = self.rate.value
        return None if not value else 1 / value

    @property
    def cached_share(self) -> float | None:
        """Share of the prompt that came from a cache; None where the server does not say."""
        if self.details.cached_tokens is None or not self.prompt_tokens:
            return None
        return self.details.cached_tokens / self.prompt_tokens

    def __str__(self) -> str:
        speed = "no rate" if self.tokens_per_second is None else f"{self.tokens_per_second:.4g} tokens/s"
        return (
            f"{self.output_tokens} tokens ({self.token_source}), first after {shown_time(self.time_to_first_token)}, "
            f"{speed}, whole answer in {shown_time(self.elapsed)}"
        )


def shown_time(seconds: float) -> str:
    """Return a duration for people: `183 ms`, `2.31 s`."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def read_generation(stream: RecordedStream, started: float) -> Generation | None:
    """Return the times of a recorded stream, None when it carried no output at all.

    Args:
        stream: The recorded stream.
        started: When its request was sent, on the monotonic clock.
    """
    outputs = Outputs()
    for chunk in stream.tokens:
        outputs.add(chunk.arrival, chunk.pieces)
    usage = stream.usage
    return generation_of(
        outputs,
        started=started,
        elapsed=stream.elapsed,
        completion_tokens=usage.completion_tokens if usage is not None else None,
        prompt_tokens=usage.prompt_tokens if usage is not None else None,
        details=stream.usage_details,
        finish_reason=stream.finish_reason,
    )


def generation_of(
    outputs: Outputs,
    *,
    started: float,
    elapsed: float,
    completion_tokens: int | None = None,
    prompt_tokens: int | None = None,
    details: UsageDetails = NO_DETAILS,
    finish_reason: str | None = None,
    counted: int | None = None,
) -> Generation | None:
    """Return the generation that some outputs are, None without output.

    Args:
        outputs: The chunks with output.
        started: When the request was sent.
        elapsed: Seconds of the whole answer.
        completion_tokens: Output tokens by the server's usage; zero beside output is not believed.
        prompt_tokens: Prompt tokens by the usage.
        details: What the usage says beside.
        finish_reason: Why it ended.
        counted: Output tokens by a named tokenizer, used where there is no usage.
    """
    if not outputs.chunks:
        return None
    source: TokenSource = "usage" if completion_tokens else "tokenizer" if counted else "chunks"
    return Generation(
        started=started,
        chunks=tuple(outputs.chunks),
        output_tokens=completion_tokens or counted or len(outputs.chunks),
        token_source=source,
        elapsed=elapsed,
        finish_reason=finish_reason,
        channels=outputs.channels,
        prompt_tokens=prompt_tokens,
        details=details,
    )
