"""How a call is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from InferenceLibrary.protocol.statuses import ANY, OK, Statuses

if TYPE_CHECKING:
    from InferenceLibrary.client.cancellation import Cancellation
    from InferenceLibrary.client.limits import Limits
    from InferenceLibrary.client.retry import RetryPolicy
    from InferenceLibrary.client.streams import Stream


class Sending(NamedTuple):
    """How a call is sent, and what may come of it."""

    limits: Limits | None = None
    """In place of the client's limits."""
    headers: Mapping[str, str] | None = None
    """Sent beside the client's own."""
    api_key: str | None = None
    """In place of the client's key; an empty one sends none, and no other login either."""
    retry: RetryPolicy | None = None
    """In place of the client's policy; a stream that has begun is not tried again."""
    expected_status: Statuses = OK
    """Another status is an error."""
    cancel_after: int | None = None
    """Of a stream: close the connection after so many chunks with output."""
    allow_broken: bool = False
    """Of a stream: return one that broke off instead of raising."""
    cancellation: Cancellation | None = None
    """Lets another thread end the call."""
    watch: Callable[[Stream], None] | None = None
    """Is given a stream as soon as it begins; it grows while it is read."""


ANY_STATUS = Sending(expected_status=ANY)
