"""Bodies of requests and answers: JSON as bytes, content codings, all of them bounded."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any


class TooLarge(Exception):
    """The body exceeds the limit."""


def bounded(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    """Pass pieces on until they exceed the limit.

    Raises:
        TooLarge: They do.
    """
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limit:
            raise TooLarge(f"a body beyond the limit of {limit:,} bytes")
        yield piece


def unpacked(raw: bytes, coding: str, limit: int) -> bytes:
    """Return a body without its content coding. We ask for none; proxies compress all the same.

    Raises:
        TooLarge: It unpacks to more than the limit.
    """
    if coding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        return raw
    unpacker = zlib.decompressobj(wbits=47)
    try:
        text = unpacker.decompress(raw, limit + 1)
    except zlib.error:
        return raw
    if len(text) > limit:
        raise TooLarge(f"a body of {len(raw):,} bytes that unpacks beyond the limit of {limit:,} bytes")
    return text


def encoded(text: str) -> bytes:
    """Return text as UTF-8; halves of surrogate pairs are let through, for a test may want to send them."""
    return text.encode("utf-8", "surrogatepass")


def written(body: Any) -> bytes:
    """Return JSON; half a surrogate pair, which UTF-8 cannot hold, as an escape."""
    try:
        return json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(body).encode()
