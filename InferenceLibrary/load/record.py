"""What is kept of each request of a load."""

from __future__ import annotations

import array
import operator
from collections.abc import Iterator

import msgspec


class Record(msgspec.Struct):
    """One request. Times in seconds; `scheduled`, `sent` and `ended` from the beginning of the load."""

    number: int
    kind: str
    scheduled: float
    """When it was due."""
    sent: float
    ended: float
    """When the last byte came."""
    connect: float | None = None
    """How long a new connection took; None on one that was there."""
    status: int | None = None
    error: str | None = None
    """Kind of failure: `status 500`, `refused`, `connection`, `cut`, `timeout`, `stall`, `hung`, `protocol`,
    `tls`, `error event`, `no output`, `rules`, `wrong answer`; None: it succeeded."""
    detail: str = ""
    warmup: bool = False
    cancelled: bool = False
    turn: int = 1
    """Which question of its conversation it is."""
    resent: bool = False
    """Whether it was sent a second time, because the server had closed the idle connection that it was sent on."""
    first_token: float | None = None
    """TTFT, from the sending: to the first output of any channel."""
    first_text: float | None = None
    """The same of a channel: the text, the reasoning, a tool call."""
    first_reasoning: float | None = None
    first_tool_call: float | None = None
    second_token: float | None = None
    last_token: float | None = None
    output_tokens: int = 0
    token_source: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    rate: float | None = None
    """Tokens a second of decoding."""
    no_rate: str | None = None
    """Why there is no such rate."""
    server_rate: float | None = None
    """The server's own word on it."""
    token_a_chunk: bool = False
    held_back: bool = False
    """Whether its output came in lumps."""
    finish_reason: str | None = None
    answer_id: str | None = None
    broken: list[str] | None = None
    """Ids of the rules that it breaks, waived ones apart; None: it was not judged."""
    micros: bytes = b""
    """When each chunk with output came: microseconds since the sending, 32 bits each."""

    @property
    def succeeded(self) -> bool:
        return self.error is None and not self.cancelled

    @property
    def latency(self) -> float:
        """E2EL, from the sending."""
        return self.ended - self.sent

    @property
    def arrivals(self) -> list[float]:
        """Seconds from the sending to each chunk with output."""
        found = array.array("I")
        found.frombytes(self.micros)
        return [value / 1e6 for value in found]

    def gap_micros(self) -> array.array[int]:
        """Microseconds between chunks with output."""
        found = memoryview(self.micros).cast("I")
        return array.array("q", map(operator.sub, found[1:], found))

    def gaps(self) -> Iterator[float]:
        """Seconds between chunks with output."""
        for gap in self.gap_micros():
            yield gap / 1e6
