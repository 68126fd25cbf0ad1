"""Install the clients that `make test-clients` plays, each set of versions once, in the cache.

    python scripts/install_clients.py [python|node]

What cannot be had is told on stderr with its reason; its tests are skipped then, and say so.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parents[1] / "tests" / "clients"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferencelibrary"
LIMIT = 900.0


def _python(folder: Path) -> list[list[str]]:
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, "--requirement", "requirements.txt"]]


def _node(_folder: Path) -> list[list[str]]:
    return [["npm", "install", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]]


LANGUAGES: dict[str, tuple[str, Callable[[Path], list[list[str]]]]] = {
    "python": ("requirements.txt", _python),
    "node": ("package.json", _node),
}
"""The file that pins the versions, and the commands that install them into a folder, where they find it."""


def folder_of(language: str) -> Path:
    """Return where the clients of a language are, or will be."""
    versions = (PROGRAMS / language / LANGUAGES[language][0]).read_bytes()
    return CACHE / f"clients-{language}-{hashlib.sha256(versions).hexdigest()[:12]}"


def is_installed(language: str) -> bool:
    return (folder_of(language) / "complete").exists()


def install(language: str) -> str:
    """Install; return why that failed, empty when it did not."""
    folder = folder_of(language)
    # Environments of Python name themselves by their path, so they are made where they stay.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(PROGRAMS / language / LANGUAGES[language][0], folder)
    for step in LANGUAGES[language][1](folder):
        try:
            done = subprocess.run(step, check=False, cwd=folder, capture_output=True, text=True, timeout=LIMIT)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
            return "\n".join(lines[-3:]) or f"{step[0]} ended with exit code {done.returncode}"
    (folder / "complete").touch()
    return ""


def main(arguments: list[str]) -> int:
    unknown = sorted(set(arguments) - set(LANGUAGES))
    if unknown:
        print(f"No clients in {unknown[0]!r}; there are those in {', '.join(LANGUAGES)}", file=sys.stderr)
        return 2
    CACHE.mkdir(parents=True, exist_ok=True)
    for language in arguments or LANGUAGES:
        with (CACHE / f"clients-{language}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if is_installed(language):
                continue
            print(f"Installing the clients in {language} into {folder_of(language)}, once", file=sys.stderr)
            if reason := install(language):
                shutil.rmtree(folder_of(language), ignore_errors=True)
                print(f"SKIPPED: the clients in {language} cannot be installed: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
