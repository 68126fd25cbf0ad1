"""Install oterm, a full-screen chat, into an environment of its own in the cache, once; print the program's path.

Exit code 77: it cannot be had here; the reason stands on stderr.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGE = "oterm==0.26.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferencelibrary"
LIMIT = 900.0
UNAVAILABLE = 77


def install(folder: Path) -> str | None:
    """Install; return why that failed, None when it did not."""
    # Programs name their environment by its path, so it is made where it stays.
    shutil.rmtree(folder, ignore_errors=True)
    steps = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGE],
    ]
    for step in steps:
        try:
            done = subprocess.run(
                step, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=LIMIT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
            return "\n".join(lines[-3:]) or f"exit code {done.returncode}"
    (folder / "complete").touch()
    return None


def main() -> int:
    folder = CACHE / PACKAGE.replace("==", "-")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "oterm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            print(f"Installing {PACKAGE} into {folder}, once", file=sys.stderr)
            reason = install(folder)
            if reason is not None:
                shutil.rmtree(folder, ignore_errors=True)
                print(f"SKIPPED: {PACKAGE} cannot be installed: {reason}", file=sys.stderr)
                return UNAVAILABLE
    print(folder / "bin" / "oterm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
