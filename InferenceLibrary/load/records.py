"""The records of a load, in memory while they are few and in a file without a name when they become many.

An hour of load leaves hundreds of thousands: they are read again one by one, in the order of their numbers.
"""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, overload

import msgspec

from InferenceLibrary.load.record import Record

_FEW = 10_000
"""Records that are kept in memory."""

_decode: Any = msgspec.msgpack.Decoder(Record).decode


class Selection(Sequence[Record]):
    """Some of the records, by their places."""

    def __init__(self, records: Sequence[Record], places: Sequence[int]) -> None:
        self._records = records
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | Sequence[Record]:
        if isinstance(place, slice):
            return Selection(self._records, self._places[place])
        return self._records[self._places[place]]

    def __iter__(self) -> Iterator[Record]:
        return map(self._records.__getitem__, self._places)


class _File:
    """A file without a name that closes itself."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the records
        self._end = 0

    def append(self, data: bytes) -> int:
        """Write some bytes; return where they begin."""
        self._file.seek(self._end)
        start = self._end
        self._end += self._file.write(data)
        return start

    def read(self, start: int, size: int) -> bytes:
        self._file.seek(start)
        return self._file.read(size)

    def __del__(self) -> None:
        self._file.close()


class _Filed(Sequence[Record]):
    """Records in a file."""

    def __init__(self, file: _File, starts: array[int], sizes: array[int]) -> None:
        self._file, self._starts, self._sizes = file, starts, sizes

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Record]: ...
    def __getitem__(self, place: int | slice) -> Record | Sequence[Record]:
        if isinstance(place, slice):
            return _Filed(self._file, self._starts[place], self._sizes[place])
        found: Record = _decode(self._file.read(self._starts[place], self._sizes[place]))
        return found


class RecordStore:
    """Takes the records of a load as workers send them.

    Args:
        few: So many are kept in memory.
    """

    def __init__(self, few: int = _FEW) -> None:
        self._few = few
        self._kept: list[Record] = []
        self._file: _File | None = None
        self._numbers, self._starts, self._sizes = array("Q"), array("Q"), array("L")

    def __len__(self) -> int:
        return len(self._kept) if self._file is None else len(self._numbers)

    def add(self, data: bytes) -> Record:
        """Take one, encoded; return it."""
        record: Record = _decode(data)
        if self._file is None and len(self._kept) < self._few:
            self._kept.append(record)
            return record
        if self._file is None:
            self._file = _File()
            for one in self._kept:
                self._write(self._file, one.number, msgspec.msgpack.encode(one))
            self._kept = []
        self._write(self._file, record.number, data)
        return record

    def _write(self, file: _File, number: int, data: bytes) -> None:
        self._numbers.append(number)
        self._starts.append(file.append(data))
        self._sizes.append(len(data))

    def records(self) -> Sequence[Record]:
        """Return all of them by number."""
        if self._file is None:
            return sorted(self._kept, key=lambda one: one.number)
        order = sorted(range(len(self._numbers)), key=self._numbers.__getitem__)
        starts = array("Q", map(self._starts.__getitem__, order))
        return _Filed(self._file, starts, array("L", map(self._sizes.__getitem__, order)))
