"""What a usage says beside its three counts: tokens from a cache, tokens that are not shown, the server's own pace."""

from __future__ import annotations

from typing import Any, NamedTuple

_FASTEST = 1e9
"""Tokens a second that are not a measurement any more."""


class UsageDetails(NamedTuple):
    """None where the server says nothing."""

    cached_tokens: int | None = None
    """Prompt tokens that came from a cache."""
    reasoning_tokens: int | None = None
    """Output tokens of reasoning, shown or not."""
    tokens_per_second: float | None = None
    """Rate of decoding as the server itself measured it (llama.cpp's `timings`)."""

    def merge(self, later: UsageDetails) -> UsageDetails:
        """The last word on each counts."""
        return UsageDetails(
            self.cached_tokens if later.cached_tokens is None else later.cached_tokens,
            self.reasoning_tokens if later.reasoning_tokens is None else later.reasoning_tokens,
            self.tokens_per_second if later.tokens_per_second is None else later.tokens_per_second,
        )


NO_DETAILS = UsageDetails()


def read_usage_details(data: Any) -> UsageDetails:
    """Return what a reply or an event says of its usage in the forms of OpenAI, Anthropic and llama.cpp."""
    if not isinstance(data, dict):
        return NO_DETAILS
    usage = data.get("usage")
    if usage is None and "type" in data:
        inner = data.get("response", data.get("message"))
        usage = inner.get("usage") if isinstance(inner, dict) else None
    timings = data.get("timings")
    if not isinstance(usage, dict) and not isinstance(timings, dict):
        return NO_DETAILS
    usage = usage if isinstance(usage, dict) else {}
    timings = timings if isinstance(timings, dict) else {}
    read = _part(usage, "prompt_tokens_details", "input_tokens_details").get("cached_tokens")
    cached = next(
        (one for one in (read, usage.get("cache_read_input_tokens"), timings.get("cache_n")) if _counts(one)), None
    )
    reasoning = _part(usage, "completion_tokens_details", "output_tokens_details").get("reasoning_tokens")
    pace = timings.get("predicted_per_second")
    known = isinstance(pace, int | float) and not isinstance(pace, bool) and 0 < pace < _FASTEST
    return UsageDetails(cached, reasoning if _counts(reasoning) else None, float(pace or 0) if known else None)


def _part(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    return next((part for name in names if isinstance(part := usage.get(name), dict)), {})


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
