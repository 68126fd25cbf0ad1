"""Reading the headers of model files, to accept what is whole and refuse what is not, as a real server does."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

_MOST = 1_000_000
_LONGEST_TEXT = 64 * 1024 * 1024


class ModelFileError(Exception):
    """The file cannot be loaded; the text is one line."""


@dataclass(slots=True)
class ModelFile:
    """What the header says."""

    path: str
    format: str
    architecture: str = ""
    tensors: int = 0
    size: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


class _Reader:
    """Reads little-endian values, and says where a file ends too early."""

    def __init__(self, file: BinaryIO, path: str, size: int) -> None:
        self._file = file
        self.path = path
        self.size = size

    def bytes(self, count: int) -> bytes:
        if count > _LONGEST_TEXT:
            raise ModelFileError(f"'{self.path}' is damaged: it declares {count} bytes for one value")
        data = self._file.read(count)
        if len(data) != count:
            raise ModelFileError(f"'{self.path}' is truncated: its header ends after {self.size} bytes")
        return data

    def value(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.bytes(struct.calcsize(f"<{code}")))[0]

    def count(self, what: str) -> int:
        number: int = self.value("Q")
        if number > _MOST:
            raise ModelFileError(f"'{self.path}' is damaged: it declares {number} {what}")
        return number

    def text(self) -> str:
        return self.bytes(self.value("Q")).decode("utf-8", "replace")

    def place(self) -> int:
        return self._file.tell()


# GGUF: kind of a metadata value to its struct code; 8 is a text, 9 an array.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
# GGUF: kind of a tensor to (values in a block, bytes of a block).
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36), 10: (256, 84),
    11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66), 17: (256, 74),
    18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136), 24: (1, 1), 25: (1, 2),
    26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54), 35: (256, 66),
}  # fmt: skip


def _gguf_value(reader: _Reader, kind: int, depth: int = 0) -> Any:
    if kind in _SCALARS:
        return reader.value(_SCALARS[kind])
    if kind == 8:
        return reader.text()
    if kind == 9 and depth < 4:
        inner, count = reader.value("I"), reader.value("Q")
        if inner in _SCALARS:
            code = _SCALARS[inner]
            reader.bytes(count * struct.calcsize(f"<{code}"))
            return f"{count} numbers"
        if count > 10 * _MOST:
            raise ModelFileError(f"'{reader.path}' is damaged: it declares {count} values in one list")
        for _ in range(count):
            _gguf_value(reader, inner, depth + 1)
        return f"{count} values"
    raise ModelFileError(f"'{reader.path}' is damaged: metadata of the unknown kind {kind}")


def _read_gguf(reader: _Reader) -> ModelFile:
    reader.bytes(4)
    version = reader.value("I")
    if version not in {2, 3}:
        raise ModelFileError(f"'{reader.path}' has GGUF version {version}; versions 2 and 3 are supported")
    tensors, pairs = reader.count("tensors"), reader.count("metadata values")
    found = ModelFile(reader.path, "gguf", tensors=tensors, size=reader.size)
    for _ in range(pairs):
        key = reader.text()
        found.metadata[key] = _gguf_value(reader, reader.value("I"))
    end = 0
    for _ in range(tensors):
        name, dimensions = reader.text(), reader.value("I")
        if dimensions > 8:
            raise ModelFileError(f"'{reader.path}' is damaged: tensor '{name}' has {dimensions} dimensions")
        shape = [reader.value("Q") for _ in range(dimensions)]
        kind, offset = reader.value("I"), reader.value("Q")
        if kind not in _BLOCKS:
            raise ModelFileError(f"'{reader.path}' has a tensor '{name}' of the unknown kind {kind}")
        values, size = _BLOCKS[kind]
        end = max(end, offset + prod(shape) // values * size)
    alignment = found.metadata.get("general.alignment", 32)
    alignment = alignment if isinstance(alignment, int) and alignment > 0 else 32
    start = -(-reader.place() // alignment) * alignment
    if tensors and start + end > reader.size:
        raise ModelFileError(
            f"'{reader.path}' is truncated: its tensors need {start + end} bytes, it has {reader.size}"
        )
    found.architecture = str(found.metadata.get("general.architecture", ""))
    if not found.architecture:
        raise ModelFileError(f"'{reader.path}' does not name its architecture (general.architecture)")
    return found


def _read_safetensors(reader: _Reader) -> ModelFile:
    length = reader.value("Q")
    if length > min(reader.size, 100_000_000):
        raise ModelFileError(f"'{reader.path}' is no SafeTensors file: its header would have {length} bytes")
    try:
        header = json.loads(reader.bytes(length))
    except ValueError:
        raise ModelFileError(f"'{reader.path}' is no SafeTensors file: its header is not JSON") from None
    if not isinstance(header, dict):
        raise ModelFileError(f"'{reader.path}' is no SafeTensors file: its header is no JSON object")
    metadata = header.pop("__metadata__", {})
    end = 0
    for name, tensor in header.items():
        offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(item) is int for item in offsets):
            raise ModelFileError(f"'{reader.path}' is damaged: tensor '{name}' has no place")
        end = max(end, offsets[1])
    needed = 8 + length + end
    if needed > reader.size:
        raise ModelFileError(f"'{reader.path}' is truncated: its tensors need {needed} bytes, it has {reader.size}")
    return ModelFile(reader.path, "safetensors", "", len(header), reader.size, dict(metadata or {}))


def _read_ggml(reader: _Reader) -> ModelFile:
    magic = reader.value("I")
    version = reader.value("I") if magic != 0x67676D6C else 0
    names = ("vocabulary", "embedding", "multiple", "heads", "layers", "rotary", "kind")
    values = dict(zip(names, (reader.value("I") for _ in names), strict=True))
    if not 0 < values["vocabulary"] < 10_000_000 or not 0 < values["layers"] < 10_000:
        raise ModelFileError(f"'{reader.path}' is damaged: {values['vocabulary']} tokens, {values['layers']} layers")
    for _ in range(values["vocabulary"]):
        reader.bytes(reader.value("I"))
        if magic != 0x67676D6C:
            reader.value("f")
    return ModelFile(reader.path, "ggml", "llama", 0, reader.size, {"version": version, **values})


_FORMATS: dict[str, Callable[[_Reader], ModelFile]] = {
    "gguf": _read_gguf,
    "safetensors": _read_safetensors,
    "ggml": _read_ggml,
}
_MAGICS = {b"GGUF": "gguf", b"lmgg": "ggml", b"fmgg": "ggml", b"tjgg": "ggml"}


def read_model_file(path: Path, wanted: str = "") -> ModelFile:
    """Read the header of a model file.

    Args:
        path: The file.
        wanted: `gguf`, `ggml` or `safetensors`; whatever it is when empty.

    Raises:
        ModelFileError: It does not exist, is no model file, or is not whole.
    """
    if path.is_dir():
        raise ModelFileError(f"'{path}' is a directory, not a model file")
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if not size:
                raise ModelFileError(f"'{path}' is empty")
            start = file.read(9)
            file.seek(0)
            kind = _MAGICS.get(start[:4], "safetensors" if start[8:9] == b"{" else "")
            if not kind or (wanted and kind != wanted):
                shown = (wanted or "model").upper()
                raise ModelFileError(f"'{path}' is no {shown} file: it begins with {start[:4]!r}")
            return _FORMATS[kind](_Reader(file, str(path), size))
    except FileNotFoundError:
        raise ModelFileError(f"'{path}' does not exist") from None
    except OSError as error:
        raise ModelFileError(f"'{path}' cannot be read: {error.strerror}") from None
