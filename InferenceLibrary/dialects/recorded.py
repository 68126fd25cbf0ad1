"""Recordings of one's own, which prove the waivers of a dialect: read whole before they count."""

from __future__ import annotations

import lzma
import re
from functools import lru_cache
from pathlib import Path

import msgspec

from InferenceLibrary.errors import ProfileError

_FORM = "one request and its answer a line, as JSON with `group`, `name`, `request` and `answer`"
_HINT = "Hint: record it anew, or `evidence`, a source with its date, in its place; its waivers are unproven then."


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


def check_recording(name: str, source: Path) -> None:
    """Refuse what a dialect says to be recorded where there is no whole recording beside its file.

    Raises:
        ProfileError: It is not there, is cut, empty, or not a recording; one line.
    """
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ProfileError(
            f"{source}: key 'recording': expected the name of a recording beside it, without a folder, got '{name}'."
        )
    path = source.parent / f"{name}.jsonl.xz"
    if not path.is_file():
        raise ProfileError(
            f"{source}: key 'recording': expected the name of a recording beside it, {path.name} is not there. {_HINT}"
        )
    try:
        known = path.stat()
        wrong = _wrong(path, known.st_mtime_ns, known.st_size)
    except OSError as error:
        wrong = f"it cannot be read: {error.strerror or error}"
    if wrong:
        raise ProfileError(f"{source}: key 'recording': {path.name} is not a whole recording: {wrong}. {_HINT}")


@lru_cache(maxsize=16)
def _wrong(path: Path, _changed: int, _size: int) -> str:
    """What is wrong with a recording; empty where it is whole. It is read again when it has changed."""
    packed = path.read_bytes()
    if not packed:
        return "it is empty"
    try:
        lines = lzma.decompress(packed).split(b"\n")
    except lzma.LZMAError as error:
        return f"expected a file of xz, {str(error)[:1].lower()}{str(error)[1:]}"
    decoder = msgspec.json.Decoder(_Record)
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return f"line {number}: expected {_FORM}: {error}"
    return "" if any(line.strip() for line in lines) else f"it holds nothing, expected {_FORM}"
