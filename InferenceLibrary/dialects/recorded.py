"""Recordings of one's own, which prove the waivers of a dialect: read whole before they count."""

from __future__ import annotations

import io
import lzma
import re
from functools import lru_cache
from pathlib import Path

import msgspec

from InferenceLibrary.errors import ProfileError

_FORM = "one request and its answer a line, as JSON with `group`, `name`, `request` and `answer`"
_HINT = "Hint: record it anew, or `evidence`, a source with its date, in its place; its waivers are unproven then."

_LARGEST = 64 * 2**20
"""Bytes of a recording that is unpacked."""


class _Asked(msgspec.Struct):
    method: str
    path: str


class _Told(msgspec.Struct):
    status: int | None
    headers: dict[str, str]
    body: str


class _Record(msgspec.Struct):
    group: str
    name: str
    request: _Asked
    answer: _Told


def check_recording(name: str, folder: Path, where: str) -> None:
    """Refuse what a dialect says to be recorded where its folder does not hold the whole recording.

    Args:
        name: The recording, without suffix.
        folder: Where the dialect lies.
        where: Where it is named, for errors.

    Raises:
        ProfileError: It is not there, is cut, empty, or not a recording; one line.
    """
    if not re.fullmatch(r"\w[\w.+-]{0,99}", name):
        raise ProfileError(f"{where}: expected the name of a recording beside it, without a folder, got '{name[:80]}'.")
    path = folder / f"{name}.jsonl.xz"
    if not path.is_file():
        raise ProfileError(f"{where}: expected the name of a recording beside it, {path.name} is not there. {_HINT}")
    try:
        known = path.stat()
        wrong = _wrong(path, known.st_mtime_ns, known.st_size)
    except OSError as error:
        wrong = f"it cannot be read: {error.strerror or error}"
    if wrong:
        raise ProfileError(f"{where}: {path.name} is not a whole recording: {wrong}. {_HINT}")


@lru_cache(maxsize=16)
def _wrong(path: Path, _changed: int, size: int) -> str:
    """What is wrong with a recording; empty where it is whole. It is read again when it has changed."""
    if not size:
        return "it is empty"
    try:
        with lzma.open(path) as file:
            text = file.read(_LARGEST + 1)
    except (lzma.LZMAError, EOFError) as error:
        return f"expected a file of xz, {str(error)[:1].lower()}{str(error)[1:]}"
    if len(text) > _LARGEST:
        return f"it is larger than {_LARGEST // 2**20} MiB"
    decoder = msgspec.json.Decoder(_Record)
    found = False
    for number, line in enumerate(io.BytesIO(text), start=1):
        try:
            if line.strip():
                decoder.decode(line)
                found = True
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return f"line {number}: expected {_FORM}: {error}"
    return "" if found else f"it holds nothing, expected {_FORM}"
