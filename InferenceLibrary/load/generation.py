"""One generation, measured: what a recorded stream says about tokens and time.

Definitions, as GuideLLM, AIPerf and inference-perf have them:

- TTFT: from the sending of the request to the first output that is not empty; a chunk with a role only does not count;
- gap: between two chunks with output. A chunk is not a token, so a gap is an inter-token latency (ITL) only where the
  server sends one token a chunk;
- tokens/s: `(output tokens - 1) / (last output - first output)`: the rate of decoding, without the prompt;
- E2E: from the sending of the request to the end of the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

TokenSource = Literal["usage", "chunks"]


class TimedChunk(Protocol):
    """A chunk with output."""

    @property
    def arrival(self) -> float:
        """Seconds since the request was sent."""


class CountedTokens(Protocol):
    """The usage that a server reported."""

    @property
    def completion_tokens(self) -> int | None: ...


class RecordedStream(Protocol):
    """What a measurement needs of a recorded stream."""

    @property
    def tokens(self) -> Sequence[TimedChunk]:
        """The chunks that carry output."""

    @property
    def usage(self) -> CountedTokens | None: ...

    @property
    def elapsed(self) -> float: ...

    @property
    def finish_reason(self) -> str | None: ...


@dataclass(frozen=True)
class Generation:
    """Times of one streamed answer. All times in seconds.

    Args:
        started: When the request was sent, on the monotonic clock.
        arrivals: When each chunk with output arrived, since the request was sent; ascending, at least one.
        output_tokens: Number of output tokens.
        token_source: Who counted them: the server (`usage`) or we, one per chunk (`chunks`).
        elapsed: E2E.
        finish_reason: Why it ended.
    """

    started: float
    arrivals: tuple[float, ...]
    output_tokens: int
    token_source: TokenSource
    elapsed: float
    finish_reason: str | None = None

    @property
    def time_to_first_token(self) -> float:
        return self.arrivals[0]

    @property
    def gaps(self) -> list[float]:
        """Seconds between neighbouring chunks with output."""
        return [later - earlier for earlier, later in zip(self.arrivals, self.arrivals[1:], strict=False)]

    @property
    def tokens_per_second(self) -> float | None:
        """Rate of decoding; None when there is none: a single token, or everything in one read."""
        span = self.arrivals[-1] - self.arrivals[0]
        return (self.output_tokens - 1) / span if self.output_tokens > 1 and span > 0 else None

    def __str__(self) -> str:
        rate = self.tokens_per_second
        speed = "no rate" if rate is None else f"{rate:.4g} tokens/s"
        return (
            f"{self.output_tokens} tokens ({self.token_source}), first after {shown(self.time_to_first_token)}, "
            f"{speed}, whole answer in {shown(self.elapsed)}"
        )


def shown(seconds: float) -> str:
    """Return a duration for people: `183 ms`, `2.31 s`."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def read_generation(stream: RecordedStream, started: float) -> Generation | None:
    """Return the times of a recorded stream, None when it carried no output at all.

    Args:
        stream: The recorded stream.
        started: When its request was sent, on the monotonic clock.
    """
    arrivals = tuple(chunk.arrival for chunk in stream.tokens)
    if not arrivals:
        return None
    reported = stream.usage.completion_tokens if stream.usage is not None else None
    return Generation(
        started=started,
        arrivals=arrivals,
        output_tokens=reported or len(arrivals),
        token_source="usage" if reported else "chunks",
        elapsed=stream.elapsed,
        finish_reason=stream.finish_reason,
    )
