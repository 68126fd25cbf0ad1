"""Where the library keeps what one run must know of another: this user's folder for running programs."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

_NAME = "robotframework-inferencelibrary"


def runtime_dir(part: str) -> Path:
    """Return the folder of that name, made when it is not there: for this user alone.

    Below `XDG_RUNTIME_DIR`, which the system empties when the user logs out; else below the folder for caches; else,
    where that cannot be written, below the folder for temporary files.
    """
    last: OSError | None = None
    for base in _candidates():
        folder = base / part
        try:
            base.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            last = error
            continue
        if os.access(folder, os.W_OK | os.X_OK) and not _of_somebody_else(folder):
            return folder
    raise last or PermissionError(
        f"no folder for running programs can be written: {', '.join(map(str, _candidates()))}"
    )


def _candidates() -> list[Path]:
    found = []
    given = os.environ.get("XDG_RUNTIME_DIR")
    if given and Path(given).is_dir():
        found.append(Path(given) / _NAME)
    if sys.platform == "win32":
        caches = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        caches = str(Path("~/Library/Caches").expanduser())
    else:
        caches = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    if caches and Path(caches).is_absolute():
        found.append(Path(caches) / _NAME)
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    found.append(Path(tempfile.gettempdir()) / f"{_NAME}-{user}")
    return found


def _of_somebody_else(folder: Path) -> bool:
    return hasattr(os, "getuid") and folder.stat().st_uid != os.getuid()
