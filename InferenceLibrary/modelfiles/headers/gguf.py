"""GGUF, versions 1 to 3, as ggml's `docs/gguf.md` defines it."""

from __future__ import annotations

from struct import Struct
from typing import Any

from InferenceLibrary.modelfiles.headers.info import ModelInfo
from InferenceLibrary.modelfiles.headers.reader import HeaderReader, ModelFileError
from InferenceLibrary.modelfiles.headers.tensor_types import FILE_TYPES, tensor_size

MAGIC = b"GGUF"
VERSIONS = (1, 2, 3)
DEFAULT_ALIGNMENT = 32
LONGEST_KEY = 65_535
MOST_DIMENSIONS = 4
DEEPEST_ARRAY = 4
SHOWN_ITEMS = 64
"""Arrays of more items are told by their length; a vocabulary is nothing to look at."""

_STRING, _ARRAY, _BOOL = 8, 9, 7
_SCALARS = {
    0: Struct("<B"),
    1: Struct("<b"),
    2: Struct("<H"),
    3: Struct("<h"),
    4: Struct("<I"),
    5: Struct("<i"),
    6: Struct("<f"),
    _BOOL: Struct("<?"),
    10: Struct("<Q"),
    11: Struct("<q"),
    12: Struct("<d"),
}


class Items(int):
    """The length of an array that is not shown."""


def read_gguf(reader: HeaderReader) -> ModelInfo:
    """Read a file from its begin.

    Raises:
        ModelFileError: It is not a whole GGUF file.
    """
    return _Gguf(reader).read()


class _Gguf:
    def __init__(self, reader: HeaderReader) -> None:
        self._reader = reader
        self._version = 0

    def read(self) -> ModelInfo:
        reader = self._reader
        if reader.take(4, "the magic number") != MAGIC:
            raise ModelFileError("foreign", "it does not begin with GGUF")
        self._version = reader.u32("the version")
        if self._version not in VERSIONS:
            swapped = int.from_bytes(self._version.to_bytes(4, "little"), "big")
            meant = f"; it is written for big-endian machines (version {swapped})" if swapped in VERSIONS else ""
            raise ModelFileError(
                "version", f"its GGUF version is {self._version}, known are {', '.join(map(str, VERSIONS))}{meant}"
            )
        tensors, entries = self._length("the number of tensors"), self._length("the number of metadata entries")
        width = 4 if self._version == 1 else 8
        reader.claims(entries, width + 4 + 1, "metadata entries")
        reader.claims(tensors, width + 4 + 4 + 8, "tensors")
        info = ModelInfo("gguf", self._version, size=reader.size)
        for index in range(entries):
            key = self._key(f"metadata key {index + 1}")
            if key in info.metadata:
                raise ModelFileError("metadata", f"its metadata has the key '{key}' twice")
            info.metadata[key] = self._value(reader.u32(f"the type of '{key}'"), key, 0)
        self._describe(info)
        self._tensors(info, tensors)
        return info.settle()

    def _length(self, what: str) -> int:
        return self._reader.u32(what) if self._version == 1 else self._reader.u64(what)

    def _key(self, what: str) -> str:
        length = self._length(f"the length of {what}")
        if length > LONGEST_KEY:
            raise ModelFileError("size", f"it claims {length:,} bytes for {what}, allowed are {LONGEST_KEY:,}")
        try:
            return self._reader.take(length, what).decode("utf-8")
        except UnicodeDecodeError:
            raise ModelFileError("metadata", f"{what} is not UTF-8") from None

    def _value(self, kind: int, key: str, depth: int) -> Any:
        reader = self._reader
        if kind in _SCALARS:
            scalar = _SCALARS[kind]
            return scalar.unpack(reader.take(scalar.size, f"the value of '{key}'"))[0]
        if kind == _STRING:
            return reader.text(self._length(f"the length of '{key}'"), f"the text of '{key}'")
        if kind != _ARRAY:
            raise ModelFileError("metadata", f"its metadata entry '{key}' is of the unknown type {kind}")
        if depth == DEEPEST_ARRAY:
            raise ModelFileError("metadata", f"its metadata entry '{key}' is an array of arrays, {depth} deep")
        return self._array(key, depth)

    def _array(self, key: str, depth: int) -> Any:
        reader = self._reader
        kind, count = reader.u32(f"the item type of '{key}'"), self._length(f"the length of '{key}'")
        shown = count <= SHOWN_ITEMS
        if kind in _SCALARS:
            size = _SCALARS[kind].size
            reader.claims(count, size, f"items of '{key}'")
            if not shown:
                reader.skip(count * size, f"the items of '{key}'")
                return Items(count)
            return [_SCALARS[kind].unpack(reader.take(size, f"an item of '{key}'"))[0] for _ in range(count)]
        reader.claims(count, 4 if self._version == 1 else 8, f"items of '{key}'")
        if shown:
            return [self._value(kind, key, depth + 1) for _ in range(count)]
        if kind == _STRING:
            for _ in range(count):
                reader.skip(self._length(f"the length of an item of '{key}'"), f"an item of '{key}'")
        else:
            for _ in range(count):
                self._value(kind, key, depth + 1)
        return Items(count)

    def _describe(self, info: ModelInfo) -> None:
        metadata = info.metadata
        info.architecture = _text(metadata, "general.architecture")
        if not info.architecture:
            raise ModelFileError("metadata", "its metadata names no general.architecture")
        info.name = _text(metadata, "general.name")
        prefix = info.architecture
        info.layers = _number(metadata, f"{prefix}.block_count")
        info.heads = _number(metadata, f"{prefix}.attention.head_count")
        info.kv_heads = _number(metadata, f"{prefix}.attention.head_count_kv")
        info.embedding_length = _number(metadata, f"{prefix}.embedding_length")
        info.feed_forward_length = _number(metadata, f"{prefix}.feed_forward_length")
        info.context_length = _number(metadata, f"{prefix}.context_length")
        tokens = metadata.get("tokenizer.ggml.tokens")
        info.vocabulary = len(tokens) if isinstance(tokens, list) else tokens if isinstance(tokens, Items) else None
        if info.vocabulary is None:
            info.vocabulary = _number(metadata, f"{prefix}.vocab_size")
        file_type = _number(metadata, "general.file_type")
        info.quantization = None if file_type is None else FILE_TYPES.get(file_type)

    def _tensors(self, info: ModelInfo, count: int) -> None:
        reader = self._reader
        alignment = _number(info.metadata, "general.alignment") or DEFAULT_ALIGNMENT
        if alignment & (alignment - 1):
            raise ModelFileError("metadata", f"its general.alignment is {alignment}, which is not a power of two")
        names: set[str] = set()
        places: list[tuple[int, int, str]] = []
        for index in range(count):
            name = self._key(f"the name of tensor {index + 1}")
            if name in names:
                raise ModelFileError("tensor", f"it has the tensor '{name}' twice")
            names.add(name)
            dimensions = reader.u32(f"the dimensions of '{name}'")
            if dimensions > MOST_DIMENSIONS:
                raise ModelFileError("tensor", f"its tensor '{name}' has {dimensions:,} dimensions, at most 4 can be")
            shape = tuple(self._length(f"the shape of '{name}'") for _ in range(dimensions))
            kind, elements, size = tensor_size(name, shape, reader.u32(f"the type of '{name}'"))
            offset = reader.u64(f"the place of '{name}'")
            if offset % alignment:
                raise ModelFileError("tensor", f"its tensor '{name}' stands at {offset:,}, no multiple of {alignment}")
            if size > reader.size:
                raise ModelFileError(
                    "size", f"its tensor '{name}' claims {size:,} bytes, and the whole file has {reader.size:,}"
                )
            info.count(kind, elements, size)
            places.append((offset, offset + size, name))
        begin, end, name = -(-reader.position // alignment) * alignment, 0, ""
        for offset, stop, following in sorted(places):
            if offset < end:
                raise ModelFileError("tensor", f"its tensor '{following}' overlaps '{name}'")
            end, name = stop, following
        if places and begin + end > reader.size:
            raise ModelFileError(
                "truncated",
                f"it is cut off: tensor '{name}' ends at byte {begin + end:,}, and the file after {reader.size:,}",
            )


def _text(metadata: dict[str, Any], key: str) -> str | None:
    value = metadata.get(key)
    if value is not None and not isinstance(value, str):
        raise ModelFileError("metadata", f"its metadata entry '{key}' is not a text")
    return value


def _number(metadata: dict[str, Any], key: str) -> int | None:
    """Return a whole number; of a list with one for each layer, the largest."""
    value = metadata.get(key)
    if isinstance(value, Items):
        # One for each of very many layers: the file does not say one number.
        return None
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        value = max(value)
    if value is not None and (type(value) is not int or value < 0):
        raise ModelFileError("metadata", f"its metadata entry '{key}' is not a whole number")
    return value
