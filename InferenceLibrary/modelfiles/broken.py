"""Model files that a server must refuse: each is broken in one way."""

from __future__ import annotations

import json
import os
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from InferenceLibrary.errors import ModelError, describe
from InferenceLibrary.files import replaced
from InferenceLibrary.modelfiles.ggml_file import CONTEXT_LENGTH, to_ggml
from InferenceLibrary.modelfiles.plain_llama import plain_llama
from InferenceLibrary.modelfiles.safetensors_file import to_safetensors, write_companions
from InferenceLibrary.modelfiles.tiny import ModelFile, create_tiny_model

# GGUF begins with magic, version (u32), number of tensors (u64), number of metadata entries (u64); GGML with magic,
# version (u32), number of tokens (u32); SafeTensors with the length of its header (u64).
VERSION_AT, TENSORS_AT, TOKENS_AT = 4, 8, 8
UNKNOWN_VERSION = 9999
HUGE_LENGTH = 1 << 40
_HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>No such model.</body></html>\n"
_LFS = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 668788096\n"
)
Breaker = Callable[[bytes], bytes]


def _truncated(whole: bytes) -> bytes:
    """The last tensors are missing, as after a download that broke off."""
    return whole[: len(whole) * 2 // 3]


def _truncated_header(whole: bytes) -> bytes:
    """The file ends within its metadata."""
    return whole[:200]


def _empty(_whole: bytes) -> bytes:
    """The file has no byte."""
    return b""


def _garbage(whole: bytes) -> bytes:
    """The file is noise, the same each time."""
    return random.Random(0).randbytes(min(len(whole), 100_000))


def _html_page(_whole: bytes) -> bytes:
    """The download has got an error page."""
    return _HTML


def _lfs_pointer(_whole: bytes) -> bytes:
    """The repository was cloned without its large files."""
    return _LFS


def _bad_magic(whole: bytes) -> bytes:
    """The file is not of its format by its first four bytes."""
    return b"XXXX" + whole[4:]


def _wrong_version(whole: bytes) -> bytes:
    """The file claims a version of the format that does not exist."""
    return _with_number(whole, VERSION_AT, "<I", UNKNOWN_VERSION)


def _gguf_huge_count(whole: bytes) -> bytes:
    """The file claims more tensors than any machine can hold."""
    return _with_number(whole, TENSORS_AT, "<Q", 1 << 60)


def _gguf_huge_size(whole: bytes) -> bytes:
    """The first tensor claims more rows than any machine can hold."""
    name = b"token_embd.weight"
    # After the name stand the number of dimensions (u32) and the lengths (u64).
    return _with_number(whole, whole.index(name) + len(name) + 4 + 8, "<Q", HUGE_LENGTH)


def _safetensors_no_brace(whole: bytes) -> bytes:
    """The header is not a JSON object; the format has no magic number."""
    return whole[:8] + b"X" + whole[9:]


def _safetensors_huge_count(whole: bytes) -> bytes:
    """The file claims a header that is longer than any file."""
    return _with_number(whole, 0, "<Q", 1 << 60)


def _safetensors_huge_size(whole: bytes) -> bytes:
    """The first tensor claims more rows, and more bytes, than any machine can hold."""
    length = struct.unpack_from("<Q", whole)[0]
    header = json.loads(whole[8 : 8 + length])
    first = next(entry for name, entry in header.items() if name != "__metadata__")
    first["shape"][0] = HUGE_LENGTH
    first["data_offsets"] = [0, 4 * HUGE_LENGTH * first["shape"][1]]
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + whole[8 + length :]


def _ggml_huge_count(whole: bytes) -> bytes:
    """The file claims more tokens than it has bytes."""
    return _with_number(whole, TOKENS_AT, "<I", 0xFFFF_FFFF)


def _ggml_huge_size(whole: bytes) -> bytes:
    """The first tensor claims more rows than the file can hold: the lengths stand before its name."""
    return _with_number(whole, whole.index(b"tok_embeddings.weight") - 4, "<I", 0x7FFF_FFFF)


def _with_number(whole: bytes, place: int, kind: str, number: int) -> bytes:
    return whole[:place] + struct.pack(kind, number) + whole[place + struct.calcsize(kind) :]


_EVERYWHERE: dict[str, Breaker] = {
    "truncated": _truncated,
    "truncated-header": _truncated_header,
    "empty": _empty,
    "garbage": _garbage,
    "html-page": _html_page,
    "lfs-pointer": _lfs_pointer,
}
_BREAKERS: dict[str, dict[str, Breaker]] = {
    "gguf": {
        **_EVERYWHERE,
        "bad-magic": _bad_magic,
        "wrong-version": _wrong_version,
        "huge-count": _gguf_huge_count,
        "huge-size": _gguf_huge_size,
    },
    "safetensors": {
        **_EVERYWHERE,
        "bad-magic": _safetensors_no_brace,
        "huge-count": _safetensors_huge_count,
        "huge-size": _safetensors_huge_size,
    },
    "ggml": {
        **_EVERYWHERE,
        "bad-magic": _bad_magic,
        "wrong-version": _wrong_version,
        "huge-count": _ggml_huge_count,
        "huge-size": _ggml_huge_size,
    },
}
_DIRECTORY, _UNREADABLE = "directory", "unreadable"
BROKEN_FORMATS = tuple(_BREAKERS)
BROKEN_KINDS = (*_BREAKERS["gguf"], _DIRECTORY, _UNREADABLE)
"""Kinds of broken GGUF files; the other formats have those of them that they can have."""


def broken_kinds(file_format: str) -> tuple[str, ...]:
    """Return the kinds of broken files of a format."""
    return (*_BREAKERS[file_format], _DIRECTORY, _UNREADABLE)


def create_broken_model(path: str | Path, kind: str = "truncated", file_format: str = "gguf") -> ModelFile:
    """Write a model file that no server may load.

    Beside SafeTensors and GGML lie a sound `config.json` and tokenizer, which programs read first: so it is the weights
    that are refused.

    Args:
        path: The file to write; an older one is replaced, its directory is made.
        kind: `truncated` (the last third of the weights is missing), `truncated-header` (ends within the metadata),
            `bad-magic`, `wrong-version` (9999; SafeTensors has none), `huge-count` (claims more tensors, tokens or
            header than the file can hold), `huge-size` (one tensor claims 2^40 rows), `empty`, `garbage`, `html-page`
            (the download got an error page), `lfs-pointer` (cloned without the large files), `directory` (an empty
            directory of that name) or `unreadable` (no right to read; root reads it all the same).
        file_format: `gguf`, `safetensors` or `ggml`.

    Raises:
        ModelError: Kind or format is unknown, or the file cannot be written or made unreadable.
        MissingExtraError: For GGUF: numpy or the `gguf` package is not installed.
    """
    if file_format not in _BREAKERS:
        raise _refusal(f"a format of {', '.join(_BREAKERS)}", repr(file_format))
    if kind not in broken_kinds(file_format):
        raise _refusal(f"kind to be one of {', '.join(broken_kinds(file_format))}", repr(kind))
    target = Path(path)
    if kind == _DIRECTORY:
        _make_directory(target)
    else:
        whole = _whole(file_format)
        with replaced(target) as part:
            part.write_bytes(whole if kind == _UNREADABLE else _BREAKERS[file_format][kind](whole))
    if kind == _UNREADABLE:
        _make_unreadable(target)
    if file_format != "gguf":
        write_companions(target.parent, plain_llama(0), CONTEXT_LENGTH)
    return ModelFile(target, kind, f"broken-{kind}", target.stat().st_size, 0, 0, format=file_format)


def _whole(file_format: str) -> bytes:
    if file_format == "safetensors":
        return to_safetensors(plain_llama(0), {"format": "pt"})
    if file_format == "ggml":
        return to_ggml(plain_llama(0))
    with tempfile.TemporaryDirectory() as directory:
        return create_tiny_model(Path(directory) / "whole.gguf", context_length=128).path.read_bytes()


def _make_directory(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            describe(f"Directory '{path}' cannot be made", got=error.strerror or str(error), hint="is a file there?")
        ) from error


def _make_unreadable(path: Path) -> None:
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.chmod(0o644)
        path.unlink()
        raise ModelError(
            describe(
                f"Model file '{path}' cannot be made unreadable",
                expected="a user whose rights end somewhere",
                got="one who may read everything",
                hint="run as another user than root, or leave out this kind",
            )
        )


def _refusal(expected: str, got: str) -> ModelError:
    return ModelError(describe("Broken model cannot be made", expected=expected, got=got))
