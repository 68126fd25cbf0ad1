"""Files that the library writes beside the log: a full disk or a folder that cannot be written ends in one line."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from InferenceLibrary.errors import InferenceError, ModelError, describe

_ELSEWHERE = "or write elsewhere with --outputdir."
_HINTS = {
    errno.ENOSPC: f"free some space on the disk, {_ELSEWHERE}",
    errno.EDQUOT: f"free some of your quota, {_ELSEWHERE}",
    errno.EROFS: f"mount the disk so that it can be written, {_ELSEWHERE}",
    errno.EACCES: f"give this user the right to it, {_ELSEWHERE}",
    errno.EPERM: f"give this user the right to it, {_ELSEWHERE}",
    errno.EMFILE: "too many files are open: raise the limit with ulimit -n, or close servers and terminals.",
    errno.EEXIST: "give another name: something else has this one.",
    errno.ENOENT: "check the path; a relative one begins where robot was started.",
}

ELSEWHERE = "give a file name in a directory that you may write to, on a disk with space left"
"""What to do where a file that a test names cannot be written."""
_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}


def refuse_other_kinds(path: Path) -> None:
    """Refuse to write where something other than a regular file is: a pipe would wait, a device would be replaced.

    Raises:
        FileExistsError: Such a thing is there.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        # Nothing is there, or nobody may look: writing tells.
        return
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "a device")
        raise FileExistsError(errno.EEXIST, f"{kind} in its place, which is not a regular file")


def hint_of(number: int | None) -> str | None:
    """Return what to do about an error of the operating system; None where nothing better than its text is known."""
    return _HINTS.get(number or 0)


def write_text(path: Path, text: str, *, errors: str = "strict") -> None:
    """Write a text file as UTF-8; the folder is made.

    Raises:
        InferenceError: It cannot be written; the message names the file, the cause and what to do.
    """
    make_folder(path.absolute().parent)
    try:
        refuse_other_kinds(path)
        path.write_text(text, encoding="utf-8", errors=errors)
    except OSError as error:
        raise _unwritable(path, error) from None


def check_writable(path: Path, *, folder: bool = False) -> None:
    """Tell before long work whether a file, or files in a folder, can be written; the folder is made.

    Raises:
        InferenceError: They cannot; the message names the path, the cause and what to do.
    """
    inside = path if folder else path.absolute().parent
    make_folder(inside)
    try:
        if not folder and path.exists():
            refuse_other_kinds(path)
            path.open("a").close()
        else:
            tempfile.TemporaryFile(dir=inside).close()
    except OSError as error:
        raise _unwritable(path, error) from None


def write_table(path: Path, rows: Sequence[Mapping[str, Any]], as_json: str) -> None:
    """Write rows as CSV, or what they are as JSON where the name ends with `.json`; the folder is made.

    Raises:
        InferenceError: It cannot be written.
    """
    if path.suffix.lower() == ".json":
        write_text(path, as_json)
        return
    with text_file(path) as file:
        import csv

        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@contextlib.contextmanager
def text_file(path: Path, *, errors: str = "strict") -> Iterator[TextIO]:
    """Write a text file as UTF-8 piece by piece, line ends as they are; the folder is made.

    Raises:
        InferenceError: It cannot be written; the message names the file, the cause and what to do.
    """
    make_folder(path.absolute().parent)
    try:
        refuse_other_kinds(path)
        with path.open("w", encoding="utf-8", errors=errors, newline="") as file:
            yield file
    except OSError as error:
        raise _unwritable(path, error) from None


@contextlib.contextmanager
def replaced(path: Path, what: str = "Model file") -> Iterator[Path]:
    """Give a file to write that takes the place of `path` when it is whole, so that nobody ever reads half a file.

    Args:
        path: Where it shall be; the folder is made.
        what: What it is called in errors.

    Raises:
        ModelError: The folder cannot be written to, or something other than a file is at `path`.
    """
    part: Path | None = None
    try:
        refuse_other_kinds(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        part = Path(name)
        yield part
        part.chmod(0o644)
        part.replace(path)
    except OSError as error:
        raise ModelError(
            describe(f"{what} '{path}' cannot be written", got=error.strerror or str(error), hint=ELSEWHERE)
        ) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Make a folder and those above it.

    Raises:
        InferenceError: It cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> InferenceError:
    return InferenceError(
        describe(f"'{path}' cannot be written", got=error.strerror or str(error), hint=hint_of(error.errno))
    )
