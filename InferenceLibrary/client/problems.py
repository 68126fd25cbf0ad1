"""Names what may go wrong on a connection."""

from __future__ import annotations


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
    if "too long" in low or "too large" in low or "too many" in low:
        return f"headers beyond what a client takes ({text})"
    if "reset" in low:
        return "a connection reset"
    return text or type(error).__name__
