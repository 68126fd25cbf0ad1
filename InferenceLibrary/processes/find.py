"""Find a program, and say why one cannot be run."""

from __future__ import annotations

import difflib
import os
import platform
import shutil
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from InferenceLibrary.errors import ProgramError, describe

# e_machine of the ELF header (System V ABI and its processor supplements), with what platform.machine() says.
_ELF_MACHINES = {
    0x03: "x86",
    0x28: "arm",
    0x3E: "x86_64",
    0xB7: "aarch64",
    0xF3: "riscv64",
    0x15: "ppc64",
    0x16: "s390x",
}
_MACHINE_NAMES = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "i386": "x86",
    "i686": "x86",
    "armv7l": "arm",
    "ppc64le": "ppc64",
}
_NATIVE_FORMAT = {"linux": "ELF", "darwin": "Mach-O", "win32": "Windows"}
_MOST_FOLDERS = 5
"""Folders of the PATH that an error names."""
Reason = tuple[str, str, str | None]
"""Why a file is not a program to run: expected, got, hint."""
_MACH_O = {b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xfe\xed\xfa\xcf"}


def find_program(
    program: str, *, env: Mapping[str, str] | None = None, cwd: Path | None = None, hint: str | None = None
) -> Path:
    """Return the file that a program's name or path stands for, found to be executable.

    Args:
        program: A name that is looked up beside the running Python and on the PATH, or a path.
        env: The environment whose PATH counts; None is ours.
        cwd: What a relative path is relative to; None is the working directory.
        hint: How to come by it, for the error that it is missing.

    Raises:
        ProgramError: It is missing, a directory, not executable, or made for another machine; the message says which.
    """
    if not program.strip():
        raise ProgramError(describe("No program is named", expected="a name or a path", got="an empty text"))
    if not _is_path(program):
        return _on_path(program, env, hint)
    path = Path(os.path.normpath((cwd or Path.cwd()) / Path(program).expanduser()))
    reason = _why_not(path)
    if reason is not None and hint is not None and not path.exists():
        reason = (*reason[:2], _joined(reason[2], hint))
    _refuse(path, reason)
    return path


def check_directory(cwd: Path | None) -> None:
    """Refuse a working directory that is none.

    Raises:
        ProgramError: It does not exist or is not a directory.
    """
    if cwd is not None and not cwd.is_dir():
        got = f"the file '{cwd}'" if cwd.exists() else f"'{cwd}', which does not exist"
        raise ProgramError(describe("The working directory cannot be used", expected="a directory", got=got))


def _is_path(program: str) -> bool:
    return os.sep in program or (os.altsep is not None and os.altsep in program) or program.startswith("~")


def _on_path(program: str, env: Mapping[str, str] | None, hint: str | None) -> Path:
    # Console scripts of a virtual environment count also where it is not activated.
    beside = str(Path(sys.executable).parent)
    search = os.pathsep.join([beside, (os.environ if env is None else env).get("PATH", os.defpath)])
    found = shutil.which(program, path=search)
    if found is not None:
        path = Path(found).absolute()
        _refuse(path, _why_not(path))
        return path
    folders = list(dict.fromkeys(Path(folder) for folder in search.split(os.pathsep) if folder))
    for folder in folders:
        candidate = folder / program
        if candidate.exists():
            _refuse(candidate, _why_not(candidate))
    here = Path.cwd() / program
    if here.is_file():
        advice = f"It stands in the working directory: write ./{program}"
    elif hint is not None:
        advice = _joined(_near(program, folders), hint)
    else:
        advice = _near(program, folders) or "Give its path, or put its folder on the PATH"
    raise ProgramError(
        describe(
            f"Program '{program}' does not exist",
            expected="a file on the PATH",
            got="none",
            hint=advice,
            detail=("Searched", _shown(folders) or ["nothing: the PATH is empty"]),
        )
    )


def _shown(folders: list[Path]) -> list[str]:
    """The folders for an error: the first of them, and how many more there are."""
    lines = [str(folder) for folder in folders[:_MOST_FOLDERS]]
    more = len(folders) - len(lines)
    return [*lines, f"and {more} more"] if more else lines


def _joined(near: str | None, hint: str) -> str:
    """Both pieces of advice as sentences."""
    if near is None:
        return hint
    return f"{near if near.endswith('?') else near + '.'} {hint[:1].upper()}{hint[1:]}"


def _refuse(path: Path, reason: Reason | None) -> None:
    if reason is not None:
        expected, got, hint = reason
        raise ProgramError(describe(f"Program '{path}' cannot be run", expected=expected, got=got, hint=hint))


def _why_not(path: Path) -> Reason | None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return _why_missing(path, error)
    if stat.S_ISDIR(mode):
        return "an executable file", "a directory", _inside(path)
    if not stat.S_ISREG(mode):
        return "an executable file", "no regular file", None
    if not os.access(path, os.X_OK):
        return "an executable file", f"mode {stat.filemode(mode)} without the right to execute", f"chmod +x {path}"
    return _wrong_content(path)


def _why_missing(path: Path, error: OSError) -> Reason:
    if isinstance(error, FileNotFoundError):
        if path.is_symlink():
            return "a file", f"a link to {path.readlink()}, which does not exist", None
        return "a file", "nothing at that path", _near_path(path)
    if isinstance(error, PermissionError):
        return "a file", "a folder that may not be entered", "Look at the permissions of the folders above it"
    return "a file", error.strerror or str(error), None


def _wrong_content(path: Path) -> Reason | None:
    try:
        with path.open("rb") as file:
            head = file.read(256)
    except OSError:  # executable and unreadable is legal
        return None
    if not head:
        return "a program", "an empty file", "Was the build or the download cut off?"
    if head.startswith(b"#!"):
        return _wrong_interpreter(head)
    return _wrong_format(head)


def _wrong_format(head: bytes) -> Reason | None:
    native = _NATIVE_FORMAT.get(sys.platform, "")
    found = _format_of(head)
    if found == native == "ELF":
        return _wrong_machine(head)
    if found not in {native, "text", "unknown"}:
        return f"a program for {sys.platform}", f"a program in the format {found}", "Build it for this system"
    if native == "ELF" and found == "unknown":
        return "a program", "a file in an unknown format", "Is it the program, or an archive of it?"
    if native == "ELF":
        return "a program", "a text file whose first line names no interpreter", "Begin it with #!/bin/sh or the like"
    return None


def _format_of(head: bytes) -> str:
    if head.startswith(b"\x7fELF"):
        return "ELF"
    if head[:4] in _MACH_O:
        return "Mach-O"
    if head.startswith(b"MZ"):
        return "Windows"
    return "unknown" if b"\0" in head else "text"


def _wrong_interpreter(head: bytes) -> Reason | None:
    line = head.splitlines()[0][2:].decode("utf-8", "replace").split()
    if not line:
        return "an interpreter in its first line", "#! alone", "Write #!/bin/sh or the like"
    if not Path(line[0]).exists():
        carriage = (
            " (the line ends with a carriage return)" if head.splitlines(keepends=True)[0].endswith(b"\r\n") else ""
        )
        return "an interpreter that exists", f"'{line[0]}' in its first line{carriage}", None
    return None


def _wrong_machine(head: bytes) -> Reason | None:
    if len(head) < 20:
        return "a program", "an ELF header that is cut off", "Was the build or the download cut off?"
    number = int.from_bytes(head[18:20], "little" if head[5] == 1 else "big")
    theirs = _ELF_MACHINES.get(number, f"machine number {number}")
    ours = _MACHINE_NAMES.get(platform.machine().lower(), platform.machine().lower())
    # An x86_64 kernel usually runs x86 programs, and an aarch64 one those of arm: not for us to refuse.
    if (
        theirs == ours
        or (ours, theirs) in {("x86_64", "x86"), ("aarch64", "arm")}
        or ours not in _ELF_MACHINES.values()
    ):
        return None
    return f"a program for {ours}", f"one for {theirs}", "Build it, or download it, for this machine"


def _near(program: str, folders: list[Path]) -> str | None:
    names: set[str] = set()
    for folder in folders:
        try:
            names.update(entry.name for entry in folder.iterdir())
        except OSError:
            continue
    close = difflib.get_close_matches(program, names, n=3, cutoff=0.75)
    return f"Did you mean {' or '.join(close)}?" if close else None


def _near_path(path: Path) -> str | None:
    parent = path.parent
    if not parent.is_dir():
        existing = next((folder for folder in parent.parents if folder.is_dir()), None)
        return f"The folder '{parent}' does not exist either; '{existing}' does" if existing else None
    try:
        close = difflib.get_close_matches(path.name, [entry.name for entry in parent.iterdir()], n=3)
    except OSError:
        return None
    return f"In that folder there is {' and '.join(close)}" if close else None


def _inside(folder: Path) -> str | None:
    try:
        programs = [entry.name for entry in folder.iterdir() if entry.is_file() and os.access(entry, os.X_OK)]
    except OSError:
        return None
    if not programs:
        return None
    close = difflib.get_close_matches(folder.name, programs, n=1, cutoff=0.3)
    return f"It holds the program {(close or sorted(programs))[0]}"
