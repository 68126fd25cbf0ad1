"""Install a program from PyPI into an environment of its own in the cache, once a version; print the program's path.

    OTERM=$(python scripts/install_program.py oterm)

Exit code 77: it cannot be had here; the reason stands on stderr.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "oterm": "oterm==0.26.1",  # a full-screen chat
    "litellm": "litellm[proxy]==1.106.2",  # a gateway
}
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferencelibrary"
LIMIT = 900.0
UNAVAILABLE = 77


def install(package: str, folder: Path) -> str | None:
    """Install; return why that failed, None when it did not."""
    # Programs name their environment by its path, so it is made where it stays.
    shutil.rmtree(folder, ignore_errors=True)
    steps = [
        [sys.executable, "-m", "venv", str(folder)],
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package],
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


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", choices=PROGRAMS)
    program = parser.parse_args(arguments).program
    package = PROGRAMS[program]
    folder = CACHE / re.sub(r"\[.*\]==|==", "-", package)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{program}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            print(f"Installing {package} into {folder}, once", file=sys.stderr)
            reason = install(package, folder)
            if reason is not None:
                shutil.rmtree(folder, ignore_errors=True)
                print(f"SKIPPED: {package} cannot be installed: {reason}", file=sys.stderr)
                return UNAVAILABLE
    print(folder / "bin" / program)
    return 0


if __name__ == "__main__":
    sys.exit(main())
