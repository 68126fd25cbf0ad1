"""Calls on disk: an exchange in one JSON file that can be read and judged again."""

from __future__ import annotations

import base64
import json
import math
from bisect import bisect_right
from dataclasses import replace
from pathlib import Path
from typing import Any

from InferenceLibrary.errors import StreamError, describe
from InferenceLibrary.files import write_text
from InferenceLibrary.protocol.exchange import Attempt, Ending, Exchange, Held, Request
from InferenceLibrary.protocol.json_lines import JsonLinesDecoder
from InferenceLibrary.protocol.masking import mask_stream
from InferenceLibrary.protocol.sse import Event, SSEDecoder
from InferenceLibrary.redaction import Redactor

FORMAT = 2


def write_recording(exchange: Exchange, path: Path, redact: Redactor) -> None:
    """Write an exchange to a file, without its secrets.

    Bodies stand there as text, or as base64 in `{"base64": ...}` when they are not UTF-8. `reads` are of [seconds since
    the request was sent, bytes of the body until then]; where a mask moved them and nobody knows to where, they are
    left out, and `held` says so.
    """
    masked = masked_exchange(exchange, redact)
    request = masked.request
    data = {
        "format": FORMAT,
        "request": {
            "method": request.method,
            "url": request.url,
            "headers": request.headers,
            "body": _packed(request.body),
        },
        "status": masked.status,
        "headers": masked.headers,
        "body": _packed(masked.body),
        "reads": [[round(when, 6), size] for when, size in masked.reads],
        "ending": masked.ending,
        "left_over": _packed(masked.left_over),
        "attempts": masked.attempts,
        "elapsed": masked.elapsed,
        "problem": masked.problem,
        "held": sorted(masked.held),
    }
    # Halves of surrogate pairs, which UTF-8 cannot hold, are written as JSON escapes them.
    write_text(path, json.dumps(data, default=list, indent=1))


def read_recording(path: Path) -> Exchange:
    """Return an exchange from a file.

    Raises:
        StreamError: The file cannot be read, or is not a sound recording.
    """
    import msgspec

    try:
        data = msgspec.json.decode(path.read_bytes())
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            found = data.get("format") if isinstance(data, dict) else None
            raise ValueError(f"format {found!r}, expected {FORMAT}")
        exchange = _exchange(msgspec, data)
        _check(exchange)
    except (OSError, ValueError, KeyError, RecursionError, msgspec.MsgspecError) as error:
        reason = f"no '{error.args[0]}'" if isinstance(error, KeyError) else str(error)
        if isinstance(error, OSError):
            reason = str(error.strerror).lower()
        raise StreamError(
            describe(f"'{path}' is not a recording of a call", expected=f"a file of format {FORMAT}", got=reason)
        ) from None
    return exchange


def masked_exchange(exchange: Exchange, redact: Redactor) -> Exchange:
    """Return the same exchange without its secrets."""
    request = exchange.request
    body, reads = _masked_reads(exchange, redact)
    lost = frozenset({Held.READS, Held.TIMES}) if exchange.reads and not reads else frozenset()
    return replace(
        exchange,
        request=Request(
            request.method, redact(request.url), _headers(request.headers, redact), _masked(request.body, redact)
        ),
        headers=_headers(exchange.headers, redact),
        body=body,
        reads=reads,
        left_over=_masked(exchange.left_over, redact),
        attempts=tuple(one._replace(error=one.error and redact(one.error)) for one in exchange.attempts),
        problem=exchange.problem and redact(exchange.problem),
        held=exchange.held - lost,
    )


def _masked_reads(exchange: Exchange, redact: Redactor) -> tuple[bytes, tuple[tuple[float, int], ...]]:
    """Return the body without its secrets, and the reads moved to where their bytes stand now."""
    if not exchange.is_event_stream and not exchange.is_json_lines:
        body = _masked(exchange.body, redact)
        return body, exchange.reads if body == exchange.body else ()
    events = _events(exchange, exchange.body)
    body = mask_stream(exchange.body, events, redact, lines=exchange.is_json_lines)
    if body == exchange.body:
        return body, exchange.reads
    old = [0, *(event.end for event in events), len(exchange.body)]
    new = [0, *(event.end for event in _events(exchange, body)), len(body)]
    if len(old) != len(new):
        return body, ()
    moved: list[tuple[float, int]] = []
    for when, end in exchange.reads:
        number = bisect_right(old, end) - 1
        # Inside an event that was masked, the place is not exact: it stays inside that event.
        most = new[-1] if number + 1 >= len(new) else max(new[number], new[number + 1] - (end != old[number]))
        at = min(new[number] + end - old[number], most)
        moved.append((when, max(at, moved[-1][1] + 1 if moved else 0)))
    return body, tuple(moved) if moved and moved[-1][1] == len(body) else ()


def _events(exchange: Exchange, body: bytes) -> list[Event]:
    if not exchange.is_json_lines:
        return SSEDecoder().feed(body)
    decoder = JsonLinesDecoder([])
    return decoder.feed(body) + decoder.close()


def _masked(raw: bytes, redact: Redactor) -> bytes:
    if not redact.knows_any:
        return raw
    # Bytes that are not UTF-8 survive the mask.
    return redact(raw.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _headers(headers: tuple[tuple[str, str], ...], redact: Redactor) -> tuple[tuple[str, str], ...]:
    return tuple((name, redact.headers({name: value})[name]) for name, value in headers)


def _packed(raw: bytes) -> Any:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(raw).decode()}


def _unpacked(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        return base64.b64decode(value["base64"], validate=True)
    raise ValueError(f"a body of {type(value).__name__}, expected text or base64")


def _exchange(msgspec: Any, data: dict[str, Any]) -> Exchange:
    convert = msgspec.convert
    request = data["request"]
    if not isinstance(request, dict):
        raise ValueError("a request that is not an object")
    pairs = tuple[tuple[str, str], ...]
    return Exchange(
        Request(
            convert(request["method"], str),
            convert(request["url"], str),
            convert(request["headers"], pairs),
            _unpacked(request["body"]),
        ),
        convert(data["status"], int | None),
        convert(data["headers"], pairs),
        _unpacked(data["body"]),
        convert(data["reads"], tuple[tuple[float, int], ...]),
        convert(data["ending"], Ending),
        _unpacked(data["left_over"]),
        convert(data["attempts"], tuple[Attempt, ...]),
        convert(data["elapsed"], float),
        convert(data["problem"], str | None),
        convert(data["held"], frozenset[Held]),
    )


def _check(exchange: Exchange) -> None:
    """Refuse what cannot have been.

    Raises:
        ValueError: Times or sizes run backwards or miss the end of the body.
    """
    last_time, last_size = 0.0, 0
    for when, size in exchange.reads:
        if not (math.isfinite(when) and last_time <= when and last_size < size):
            raise ValueError("reads that run backwards")
        last_time, last_size = when, size
    if exchange.reads and last_size != len(exchange.body):
        raise ValueError(f"a body of {len(exchange.body)} bytes where {last_size} were read")
