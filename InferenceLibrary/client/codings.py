"""Content codings of answers, undone piece by piece. We ask for none; servers and proxies compress all the same."""

from __future__ import annotations

import zlib
from typing import Any, Protocol

_GZIP = 31
_ZLIB = 15
_RAW_DEFLATE = -15
_SLICE = 1024
"""Bytes that Brotli is given at once: it knows no limit for what comes of them."""
_KNOWN = ("gzip", "x-gzip", "deflate", "br")


class CodingError(Exception):
    """A body cannot be unpacked; the text says why and names the coding."""


class TooLarge(Exception):
    """The body exceeds the limit."""


class _Step(Protocol):
    def feed(self, piece: bytes, most: int) -> bytes:
        """Return what comes of a piece, at least `most` bytes of it when it is more."""

    @property
    def whole(self) -> bool:
        """Whether the end has come."""


class Unpacker:
    """Turns the bytes of a body into those before its content codings.

    Args:
        coding: The header `Content-Encoding`: the codings in the order in which they were applied.
        limit: Bytes that may come of it.

    Raises:
        CodingError: A coding is not known, or its library is not installed.
    """

    def __init__(self, coding: str, limit: int) -> None:
        self._coding = coding.strip()
        self._limit = limit
        self._taken = 0
        self._given = 0
        names = [name.strip().lower() for name in coding.split(",") if name.strip()]
        self._steps = [self._step(name) for name in reversed(names) if name != "identity"]

    def feed(self, piece: bytes) -> bytes:
        """Return what a piece of the body holds.

        Raises:
            CodingError: It is not of that coding.
            TooLarge: There is more than the limit.
        """
        self._taken += len(piece)
        left = self._limit - self._given
        for step in self._steps:
            try:
                piece = step.feed(piece, left + 1)
            except Exception as error:
                if isinstance(error, zlib.error) or type(error).__module__.startswith("brotli"):
                    raise CodingError(
                        f"a body that is not of its Content-Encoding '{self._coding}' ({error})"
                    ) from None
                raise
        self._given += len(piece)
        if self._given > self._limit:
            if self._steps:
                raise TooLarge(
                    f"a body of {self._taken:,} bytes that unpacks beyond the limit of {self._limit:,} bytes"
                )
            raise TooLarge(f"a body beyond the limit of {self._limit:,} bytes")
        return piece

    def close(self) -> None:
        """The body has ended.

        Raises:
            CodingError: Its codings have not.
        """
        if self._taken and not all(step.whole for step in self._steps):
            raise CodingError(f"a body that ends before its Content-Encoding '{self._coding}' does")

    def _step(self, name: str) -> _Step:
        if name not in _KNOWN:
            raise CodingError(
                f"a body with Content-Encoding '{self._coding}', which was not asked for and is not known"
            )
        if name == "br":
            return _Brotli(self._coding)
        return _Deflate() if name == "deflate" else _Gzip()


class _Gzip:
    """One member or several (RFC 1952, 2.2)."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP)
        self._begun = False

    def feed(self, piece: bytes, most: int) -> bytes:
        out = b""
        while piece and len(out) < most:
            if self._member.eof:
                self._member = zlib.decompressobj(_GZIP)
            out += self._member.decompress(piece, most - len(out))
            piece = self._member.unused_data or self._member.unconsumed_tail
        return out

    @property
    def whole(self) -> bool:
        return self._member.eof


class _Deflate:
    """The format of zlib (RFC 9110, 8.4.1.2), and the bare one that some servers send under this name."""

    def __init__(self) -> None:
        self._body = zlib.decompressobj(_ZLIB)
        self._begun = b""

    def feed(self, piece: bytes, most: int) -> bytes:
        if self._begun is not None:
            self._begun += piece
            if len(self._begun) < 2:
                return b""
            first, second = self._begun[:2]
            if first & 0x0F != 8 or (first * 256 + second) % 31:
                self._body = zlib.decompressobj(_RAW_DEFLATE)
            piece, self._begun = self._begun, None  # type: ignore[assignment]
        out = self._body.decompress(piece, most)
        if self._body.unused_data:
            raise zlib.error("bytes after its end")
        return out

    @property
    def whole(self) -> bool:
        return self._body.eof


class _Brotli:
    def __init__(self, coding: str) -> None:
        self._body: Any
        try:
            import brotli
        except ImportError:
            raise CodingError(
                f"a body with Content-Encoding '{coding}', which was not asked for and needs the package 'brotli'"
            ) from None
        self._body = brotli.Decompressor()

    def feed(self, piece: bytes, most: int) -> bytes:
        out = bytearray()
        for start in range(0, len(piece), _SLICE):
            out += self._body.process(piece[start : start + _SLICE])
            if len(out) >= most:
                break
        return bytes(out)

    @property
    def whole(self) -> bool:
        return bool(self._body.is_finished())
