"""Which format a file has, by its first bytes; for what is none, what it is instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from InferenceLibrary.modelfiles.headers.ggml import MAGICS, read_ggml
from InferenceLibrary.modelfiles.headers.gguf import MAGIC, read_gguf
from InferenceLibrary.modelfiles.headers.info import ModelInfo
from InferenceLibrary.modelfiles.headers.reader import HEADER_LIMIT, HeaderReader, ModelFileError
from InferenceLibrary.modelfiles.headers.safetensors import looks_like_safetensors, read_safetensors

FORMATS: dict[str, Callable[[HeaderReader], ModelInfo]] = {
    "gguf": read_gguf,
    "safetensors": read_safetensors,
    "ggml": read_ggml,
}
_STRANGERS = (
    (b"version https://git-lfs", "the pointer of a Git LFS file; fetch the file itself with git lfs pull"),
    (b"<!DOCTYPE", "a web page; the download has got an error page"),
    (b"<html", "a web page; the download has got an error page"),
    (b"PK\x03\x04", "a ZIP archive, such as a PyTorch checkpoint"),
    (b"\x1f\x8b", "compressed by gzip"),
    (b"\x80", "a Python pickle, such as an old PyTorch checkpoint"),
    (b"\x7fELF", "a program"),
    (b"algg", "a GGML adapter (LoRA), no model"),
    (b"FUGG", "a GGUF file for big-endian machines"),
    (b"{", "a JSON text"),
)
_BEGIN = 32


def read_model_info(file: BinaryIO, expected: str | None = None, *, limit: int = HEADER_LIMIT) -> ModelInfo:
    """Read the header of a model file.

    Args:
        file: The file, opened for reading bytes; it must be able to seek. It is read from its begin.
        expected: `gguf`, `safetensors` or `ggml`; None takes any of them.
        limit: Bytes that may be read in all.

    Raises:
        ModelFileError: It is empty, of another format, cut off or broken; the text is a clause about the file.
    """
    reader = HeaderReader(file, limit - _BEGIN)
    begin = HeaderReader(file, _BEGIN).take(min(_BEGIN, reader.size), "the begin")
    if not begin:
        raise ModelFileError("empty", "it is empty")
    file.seek(0)
    found = _format_of(begin)
    if found is None or (expected is not None and found != expected):
        raise ModelFileError("foreign", _stranger(begin, found, expected))
    return FORMATS[found](reader)


def _format_of(begin: bytes) -> str | None:
    if begin[:4] == MAGIC:
        return "gguf"
    if begin[:4] in MAGICS:
        return "ggml"
    return "safetensors" if looks_like_safetensors(begin) else None


def _stranger(begin: bytes, found: str | None, expected: str | None) -> str:
    wanted = f"not a {expected} file" if expected else f"not a model file ({', '.join(FORMATS)})"
    if found is not None:
        return f"it is {wanted} but a {found} file"
    for start, text in _STRANGERS:
        if begin.startswith(start):
            return f"it is {wanted} but {text}"
    return f"it is {wanted}: it begins with {begin[:4].hex(' ')}"
