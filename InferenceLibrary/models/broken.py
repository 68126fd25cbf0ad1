"""Model files that a server must refuse: each is broken in one way."""

from __future__ import annotations

import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.models.gguf_file import replaced
from InferenceLibrary.models.tiny import ModelFile, create_tiny_model

# The fixed begin of a GGUF file: magic, version (u32), number of tensors (u64), number of metadata entries (u64).
VERSION_AT, TENSORS_AT = 4, 8
UNKNOWN_VERSION = 9999


def _truncated(whole: bytes) -> bytes:
    """The last tensors are missing, as after a download that broke off."""
    return whole[: len(whole) * 2 // 3]


def _truncated_header(whole: bytes) -> bytes:
    """The file ends within its metadata."""
    return whole[:200]


def _bad_magic(whole: bytes) -> bytes:
    """The file is not GGUF by its first four bytes."""
    return b"XXXX" + whole[4:]


def _wrong_version(whole: bytes) -> bytes:
    """The file claims a version of the format that does not exist."""
    return whole[:VERSION_AT] + struct.pack("<I", UNKNOWN_VERSION) + whole[VERSION_AT + 4 :]


def _huge_count(whole: bytes) -> bytes:
    """The file claims more tensors than any machine can hold."""
    return whole[:TENSORS_AT] + struct.pack("<Q", 1 << 60) + whole[TENSORS_AT + 8 :]


def _empty(_whole: bytes) -> bytes:
    """The file has no byte."""
    return b""


def _garbage(whole: bytes) -> bytes:
    """The file is noise, the same each time."""
    return random.Random(0).randbytes(min(len(whole), 100_000))


_BREAKERS: dict[str, Callable[[bytes], bytes]] = {
    "truncated": _truncated,
    "truncated-header": _truncated_header,
    "bad-magic": _bad_magic,
    "wrong-version": _wrong_version,
    "huge-count": _huge_count,
    "empty": _empty,
    "garbage": _garbage,
}
BROKEN_KINDS = tuple(_BREAKERS)


def create_broken_model(path: str | Path, kind: str = "truncated") -> ModelFile:
    """Write a GGUF file that no server may load.

    Args:
        path: The file to write; an older one is replaced, its directory is made.
        kind: `truncated` (the last third of the weights is missing), `truncated-header` (ends within the metadata),
            `bad-magic`, `wrong-version` (9999), `huge-count` (claims 2^60 tensors), `empty` or `garbage`.

    Raises:
        ModelError: The kind is unknown, or the file cannot be written.
        MissingExtraError: numpy or the `gguf` package is not installed.
    """
    if kind not in _BREAKERS:
        raise ModelError(
            describe(
                "Broken model cannot be made", expected=f"kind to be one of {', '.join(_BREAKERS)}", got=repr(kind)
            )
        )
    target = Path(path)
    with tempfile.TemporaryDirectory() as directory:
        whole = create_tiny_model(Path(directory) / "whole.gguf", context_length=128).path.read_bytes()
    with replaced(target) as part:
        part.write_bytes(_BREAKERS[kind](whole))
    return ModelFile(target, kind, f"broken-{kind}", target.stat().st_size, 0, 0)
