"""The policy of retries: what is tried again, and after which wait."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from InferenceLibrary.protocol.exchange import Attempt

_ROUNDING = 1e-9
_CLOCK = 0.001
"""Seconds by which a sleep may seem short: clocks of different grain."""


@dataclass(frozen=True)
class RetryPolicy:
    """When a failed attempt is made again, and after which wait.

    The wait before retry k (from 0) is `min(initial_backoff * backoff_factor**k, max_backoff) * (1 ± jitter)`, the
    policy of the batch gateway's HTTP client; a Retry-After header that asks for longer is obeyed. Retried are 429, 5xx
    and attempts without an answer.
    """

    max_retries: int = 0
    """Retries beyond the first attempt; 0 turns retrying off."""
    initial_backoff: float = 1.0
    """Seconds."""
    max_backoff: float = 60.0
    """Seconds."""
    backoff_factor: float = 2.0
    jitter: float = 0.1
    """Fraction of the wait, 0 to 1."""

    def __post_init__(self) -> None:
        problems = []
        if self.max_retries < 0:
            problems.append(f"max_retries must be 0 or more, got {self.max_retries}")
        if self.initial_backoff < 0:
            problems.append(f"initial_backoff must not be negative, got {self.initial_backoff} s")
        if self.max_backoff < self.initial_backoff:
            problems.append(f"max_backoff ({self.max_backoff} s) is below initial_backoff ({self.initial_backoff} s)")
        if self.backoff_factor < 1:
            problems.append(f"backoff_factor must be 1 or more, got {self.backoff_factor}")
        if not 0 <= self.jitter <= 1:
            problems.append(f"jitter must lie between 0 and 1, got {self.jitter}")
        if problems:
            raise ValueError(f"The retry policy is contradictory: {'; '.join(problems)}.")

    def retries(self, status: int | None) -> bool:
        """Whether an attempt that ended in this status (None: no answer) may be made again."""
        return status is None or status == 429 or status >= 500

    def base_wait(self, retry: int) -> float:
        """Seconds before retry number `retry` (from 0), without jitter."""
        return min(self.initial_backoff * self.backoff_factor**retry, self.max_backoff)

    def deviations(self, attempts: Sequence[Attempt]) -> list[str]:
        """Return where recorded waits leave the policy: out of the bounds of the jitter, or not truly waited."""
        found = []
        for retry, (attempt, following) in enumerate(itertools.pairwise(attempts)):
            base = self.base_wait(retry)
            low, high = base * (1 - self.jitter), base * (1 + self.jitter)
            rounding = _ROUNDING if attempt.retry_after is None else _CLOCK
            if attempt.retry_after is not None:
                low, high = max(low, attempt.retry_after), max(high, attempt.retry_after)
            if not low - rounding <= attempt.wait <= high + rounding:
                expected = f"{low:.4g} s" if high == low else f"{low:.4g} to {high:.4g} s"
                found.append(f"wait {retry + 1}: expected {expected}, got {attempt.wait:.4g} s")
            truly = following.started - attempt.started - attempt.elapsed
            if truly < attempt.wait - _CLOCK:
                found.append(f"wait {retry + 1}: expected {attempt.wait:.4g} s between the attempts, got {truly:.4g} s")
        if len(attempts) > self.max_retries + 1:
            found.append(f"attempts: expected at most {self.max_retries + 1}, got {len(attempts)}")
        return found

    def wait(self, retry: int, headers: Mapping[str, str]) -> float:
        """Seconds to wait before retry number `retry` (from 0), after an answer with these headers."""
        wait = self.base_wait(retry) * (1 + random.uniform(-self.jitter, self.jitter))
        return max(wait, retry_after(headers) or 0.0)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3: seconds or a date), None without one."""
    value = next((value for name, value in headers.items() if name.lower() == "retry-after"), None)
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        return max(0.0, (date - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        # It is not a date, or one beyond the calendar.
        return None
