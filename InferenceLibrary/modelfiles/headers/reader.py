"""Reading numbers and texts from a binary file: nothing beyond its end, and no more than a limit."""

from __future__ import annotations

import os
from struct import Struct
from typing import BinaryIO

from InferenceLibrary.errors import ModelError

HEADER_LIMIT = 100_000_000
"""Bytes of a header that are read at most; SafeTensors' own limit. The largest vocabularies need a tenth of it."""

_U32, _U64, _I32, _F32 = Struct("<I"), Struct("<Q"), Struct("<i"), Struct("<f")


class ModelFileError(ModelError):
    """A file is not a whole model file.

    Attributes:
        problem: `empty`, `foreign` (another kind of file), `version`, `truncated`, `size` (numbers that cannot be),
            `metadata`, `tensor` or `limit`.
    """

    def __init__(self, problem: str, text: str) -> None:
        super().__init__(text)
        self.problem = problem


class HeaderReader:
    """Reads a header piece by piece. All numbers are little-endian.

    Args:
        file: The file, from whose begin is read; it must be able to seek.
        limit: Bytes that may be read in all.
    """

    def __init__(self, file: BinaryIO, limit: int = HEADER_LIMIT) -> None:
        self._file = file
        self._limit = limit
        self.size = file.seek(0, os.SEEK_END)
        self.position = file.seek(0)

    @property
    def remaining(self) -> int:
        """Bytes from here to the end of the file."""
        return self.size - self.position

    def take(self, count: int, what: str) -> bytes:
        """Return the next bytes; `what` they are is for the error.

        Raises:
            ModelFileError: The file ends before, or the limit is reached.
        """
        if count > self.remaining:
            raise self._ends(count, what)
        self._limit -= count
        if self._limit < 0:
            raise ModelFileError("limit", f"its header is longer than any real one; {what} is not read any more")
        data = self._file.read(count)
        if len(data) != count:
            raise self._ends(count, what)
        self.position += count
        return data

    def skip(self, count: int, what: str) -> None:
        """Go on behind bytes that nobody needs.

        Raises:
            ModelFileError: The file ends before.
        """
        if count > self.remaining:
            raise self._ends(count, what)
        self.position = self._file.seek(self.position + count)

    def u32(self, what: str) -> int:
        number: int = _U32.unpack(self.take(4, what))[0]
        return number

    def u64(self, what: str) -> int:
        number: int = _U64.unpack(self.take(8, what))[0]
        return number

    def i32(self, what: str) -> int:
        number: int = _I32.unpack(self.take(4, what))[0]
        return number

    def f32(self, what: str) -> float:
        number: float = _F32.unpack(self.take(4, what))[0]
        return number

    def text(self, length: int, what: str) -> str:
        """Return so many bytes as text; what is not UTF-8 becomes a replacement character."""
        return self.take(length, what).decode("utf-8", "replace")

    def claims(self, count: int, least: int, what: str) -> None:
        """Refuse a count of things that cannot fit into the rest of the file, `least` bytes each.

        Raises:
            ModelFileError: They cannot.
        """
        if count * least > self.remaining:
            raise ModelFileError(
                "size",
                f"it claims {count:,} {what}, which need {count * least:,} bytes, and has {self.remaining:,} left",
            )

    def _ends(self, count: int, what: str) -> ModelFileError:
        return ModelFileError(
            "truncated",
            f"it is cut off: {what} needs {count:,} bytes at byte {self.position:,}, and the file ends after "
            f"{self.size:,}",
        )
