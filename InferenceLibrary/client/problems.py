"""What may go wrong on a connection, in words. The only place that knows the errors of sockets, TLS and h11."""

from __future__ import annotations


class UnreachableError(Exception):
    """There is no way to the server, or no request that could be sent; the text says why."""


def network_errors() -> tuple[type[Exception], ...]:
    """The errors that end an attempt."""
    import h11

    return (OSError, h11.ProtocolError, UnreachableError)


def describe_problem(error: Exception) -> str:
    """Return a short text for a network error, without the digits of an errno."""
    if isinstance(error, UnreachableError):
        return str(error)
    text = str(error).strip()
    low = text.lower()
    if "refused" in low:
        return "connection refused"
    if "name or service not known" in low or "name resolution" in low or "nodename nor servname" in low:
        return "an unknown host name"
    if "too long" in low or "too large" in low or "too many" in low:
        return f"headers beyond what a client takes ({text})"
    if "reset" in low or "broken pipe" in low:
        return "a connection reset"
    return text or type(error).__name__
