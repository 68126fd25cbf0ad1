"""What may go wrong on a connection, in words. The only place that knows the errors of sockets, TLS and h11."""

from __future__ import annotations

from InferenceLibrary.foreign_text import cut


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
    if "switch" in low and "without a pending proposal" in low:
        return "another protocol that nobody asked for (status 101)"
    if "reset" in low or "broken pipe" in low:
        return "a connection reset"
    return text or type(error).__name__


def stranger_to_http(begun: bytes) -> str | None:
    """Say what an answer is that begins with these bytes; None where it may be one of HTTP/1.

    Records of TLS: RFC 8446, 5.1; the frame that begins HTTP/2: RFC 9113, 3.4 and 6.5.
    """
    begun = begun.lstrip(b"\r\n")
    if b"HTTP/".startswith(begun[:5]):
        return None
    if begun[:1] in {b"\x15", b"\x16"} and b"\x03".startswith(begun[1:2]):
        return "an answer in TLS: does the URL begin with https:?"
    if begun.startswith(b"\0") and begun[3:5] == b"\x04\0":
        return "an answer in HTTP/2, as gRPC speaks it: does the server have another port for HTTP/1?"
    return f"an answer that is not HTTP/1: {cut(repr(begun[:80]), 60)}"
