"""What is shown of a call that failed: the request, the answer, the attempts and what the rules say, as folded HTML."""

from __future__ import annotations

from dataclasses import replace

from InferenceLibrary.client.recordings import masked_exchange
from InferenceLibrary.durations import milliseconds
from InferenceLibrary.foreign_text import limited, markup
from InferenceLibrary.protocol.exchange import Exchange
from InferenceLibrary.redaction import Redactor

_SHOWN_BODY = 2_000
"""Characters of a body; the recording holds the whole."""
_SHOWN_HEADERS = 40
_LARGEST_MASKED = 2**20
"""Bytes of an answer that are looked at: a failure must not take long to be told."""


def evidence_of(exchange: Exchange, redact: Redactor, *, rules: str = "", recording: str = "") -> str:
    """Return HTML that folds up: one line first.

    Args:
        exchange: The call.
        redact: Masks secrets.
        rules: What the rules say of it.
        recording: A link to the recording, as HTML.
    """
    size = len(exchange.body)
    if size > _LARGEST_MASKED:
        exchange = replace(exchange, body=exchange.body[:_LARGEST_MASKED], reads=())
    masked = masked_exchange(exchange, redact)
    request = masked.request
    parts = [
        ("Request", _message(f"{request.method} {request.url}", request.headers, request.body)),
        ("Answer", _answer(masked, size)),
        ("Attempts", "\n".join(map(str, masked.attempts))),
        ("Rules", redact(rules)),
    ]  # fmt: skip
    sections = "".join(f"<b>{title}</b><pre>{markup(text)}</pre>" for title, text in parts if text)
    return f"<details><summary>{markup(_summary(masked))}</summary>{sections}{recording}</details>"


def _summary(exchange: Exchange) -> str:
    outcome = f"status {exchange.status}" if exchange.status is not None else "no answer"
    tries = f", {len(exchange.attempts)} attempts" if len(exchange.attempts) > 1 else ""
    return f"{exchange.request.method} {exchange.request.url}: {outcome} in {milliseconds(exchange.elapsed)}{tries}"


def _message(first: str, headers: tuple[tuple[str, str], ...], body: bytes) -> str:
    lines = [first, *(f"{name}: {value}" for name, value in headers[:_SHOWN_HEADERS])]
    if len(headers) > _SHOWN_HEADERS:
        lines.append(f"… and {len(headers) - _SHOWN_HEADERS} more headers")
    if body:
        lines += ["", limited(body.decode("utf-8", "replace"), _SHOWN_BODY)]
    return "\n".join(lines)


def _answer(exchange: Exchange, size: int) -> str:
    if exchange.status is None:
        return exchange.problem or "none"
    text = _message(f"status {exchange.status}", exchange.headers, exchange.body)
    ending = f"\n\n{size:,} bytes of a body; its end: {exchange.ending}"
    return text + ending + (f" ({exchange.problem})" if exchange.problem else "")
