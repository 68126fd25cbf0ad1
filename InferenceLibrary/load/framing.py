"""Where an answer ends (RFC 9112), found while its bytes come and cheap enough for each read of a load."""

from __future__ import annotations

import re
from typing import NamedTuple

_FIELDS = re.compile(
    rb"\r\n(?:transfer-encoding:[ \t]*([^\r]*)|content-length:[ \t]*(\d{1,18})[ \t]*(?=\r)|connection:[ \t]*([^\r]*))",
    re.I,
)
_STATUS = re.compile(rb"HTTP/1\.([01]) (\d{3})")
_OUTPUT = re.compile(
    rb'"(?:content|reasoning|reasoning_content|thinking|text|response|arguments|partial_json)": ?"[^"]'
    rb'|"tool_calls": ?\[ ?\{'
)


class Head(NamedTuple):
    """What the head of an answer says of its body."""

    status: int
    length: int | None
    """Bytes of the body; None for a chunked one and one that the end of the connection ends."""
    chunked: bool
    keeps: bool
    """Whether the connection serves another request."""


def read_head(data: bytes) -> Head | None:
    """Return what a whole head says; None when it is not one of HTTP/1."""
    first = _STATUS.match(data)
    if first is None:
        return None
    status = int(first[2])
    length, chunked, keeps = None, False, first[1] == b"1"
    for coding, size, connection in _FIELDS.findall(data):
        if coding:
            chunked = chunked or coding.strip().lower().endswith(b"chunked")
        elif size:
            length = int(size)
        elif connection:
            word = connection.lower()
            keeps = b"close" not in word and (keeps or b"keep-alive" in word)
    if status in {204, 304}:
        length, chunked = 0, False
    if chunked:
        length = None
    return Head(status, length, chunked, keeps and (chunked or length is not None))


def shows_output(data: bytes) -> bool:
    """Whether a part of an answer holds output, as far as that can be told without decoding it: a role does not."""
    return _OUTPUT.search(data) is not None


class ChunkWalk:
    """Goes from chunk to chunk; what it went over once it does not look at again."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._at = 0
        """Where the next size line begins."""
        self.spans: list[tuple[int, int]] = []
        """Where each chunk's bytes stand in what was fed."""
        self.ended = False
        self.broken = False
        """Whether something stood where a size should."""

    def feed(self, data: bytes) -> bool:
        """Take bytes of the body; return whether it has ended."""
        self._data += data
        whole = self._data
        while not self.ended and not self.broken:
            end = whole.find(b"\r\n", self._at)
            if end < 0:
                break
            try:
                size = int(bytes(whole[self._at : end]).partition(b";")[0], 16)
            except ValueError:
                self.broken = True
                break
            if size == 0:
                # Trailers, each a line, then an empty one.
                if whole[end : end + 4] == b"\r\n\r\n" or (last := whole.find(b"\r\n\r\n", end)) >= 0:
                    self._at = (end if whole[end : end + 4] == b"\r\n\r\n" else last) + 4
                    self.ended = True
                break
            start = end + 2
            if len(whole) < start + size + 2:
                break
            self.spans.append((start, start + size))
            self._at = start + size + 2
        return self.ended

    @property
    def left_over(self) -> bytes:
        """What came after the end."""
        return bytes(self._data[self._at :]) if self.ended else b""

    def body(self) -> tuple[bytes, list[tuple[int, int]]]:
        """Return the body so far, and for each chunk (where it ends in what was fed, where in the body)."""
        pieces, marks, length = [], [], 0
        for start, end in self.spans:
            pieces.append(self._data[start:end])
            length += end - start
            marks.append((end, length))
        if not self.ended and not self.broken:
            # What has come of a chunk that is not whole.
            end = self._data.find(b"\r\n", self._at)
            if end >= 0 and self._data[self._at : end]:
                rest = self._data[end + 2 :]
                pieces.append(rest)
                marks.append((len(self._data), length + len(rest)))
        return b"".join(pieces), marks
