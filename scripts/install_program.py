"""Install a program from a package registry into the cache, once a version; print the program's path.

    OTERM=$(python scripts/install_program.py oterm)
    OLLAMA=$(python scripts/install_program.py ollama --check)    # only where it is there already

Exit code 77: it cannot be had here; the reason stands on stderr.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "inferencelibrary"
DOWNLOAD_LIMIT = 900.0
"""Seconds that a step without a compiler may take."""
UNAVAILABLE = 77


class Step(NamedTuple):
    """One command of an installation."""

    command: list[str]
    environment: Mapping[str, str] = {}
    compiles: bool = False
    """Takes as long as the machine needs, and shows how far it is."""


class Program(NamedTuple):
    """A program in the version that the tests know, and how it gets into a folder."""

    version: str
    steps: Callable[[Path], list[Step]]
    needs: str = ""
    """The compiler that must be there."""


def _from_pypi(package: str) -> Callable[[Path], list[Step]]:
    def steps(folder: Path) -> list[Step]:
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        return [Step([sys.executable, "-m", "venv", str(folder)]), Step([*pip, package])]

    return steps


def _mistralrs(folder: Path) -> list[Step]:
    command = ["cargo", "install", "--locked", "--root", str(folder), f"mistralrs-cli@{PROGRAMS['mistralrs'].version}"]
    return [Step(command, {"CARGO_TARGET_DIR": str(compiled(folder))}, compiles=True)]


def _ollama(folder: Path) -> list[Step]:
    version = PROGRAMS["ollama"].version
    # A module of Go is shipped without folders named `vendor`, where its JSON header is.
    headers = compiled(folder) / "headers"
    module = "github.com/ollama/ollama"
    flags = ["-ldflags", f"-s -w -X={module}/version.Version={version}"]
    environment = {"GOBIN": str(folder / "bin"), "CGO_ENABLED": "1", "CGO_CPPFLAGS": f"-I{headers}"}
    return [
        Step([sys.executable, str(HERE / "build_llamacpp.py"), "--headers", str(headers)]),
        Step(["go", "install", "-v", *flags, f"{module}@v{version}"], environment, compiles=True),
    ]


def _actionlint(folder: Path) -> list[Step]:
    module = f"github.com/rhysd/actionlint/cmd/actionlint@v{PROGRAMS['actionlint'].version}"
    return [Step(["go", "install", module], {"GOBIN": str(folder / "bin")}, compiles=True)]


PROGRAMS = {
    "actionlint": Program("1.7.12", _actionlint, "go"),  # what is wrong in a workflow of GitHub
    "oterm": Program("0.26.1", _from_pypi("oterm==0.26.1")),  # a full-screen chat
    "litellm": Program("1.106.2", _from_pypi("litellm[proxy]==1.106.2")),  # a gateway
    "ollama": Program("0.17.4", _ollama, "go"),
    "mistralrs": Program("0.8.1", _mistralrs, "cargo"),
}


def compiled(folder: Path) -> Path:
    """Return where the parts of a program lie until it is there: a build that was stopped goes on with them."""
    return folder.with_name(f"{folder.name}.building")


def install(program: Program, folder: Path) -> str | None:
    """Install; return why that failed, None when it did not."""
    if program.needs and shutil.which(program.needs) is None:
        return f"there is no {program.needs} on the PATH"
    # Environments of Python name themselves by their path, so they are made where they stay.
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for step in program.steps(folder):
        try:
            done = subprocess.run(
                step.command, check=False, env={**os.environ, **step.environment}, text=True,
                # What is printed is the path of the program alone.
                stdout=sys.stderr if step.compiles else subprocess.DEVNULL,
                stderr=None if step.compiles else subprocess.PIPE,
                timeout=None if step.compiles else DOWNLOAD_LIMIT,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode:
            lines = [line for line in (done.stderr or "").splitlines() if not line.startswith("WARNING")]
            return "\n".join(lines[-3:]) or f"{step.command[0]} ended with exit code {done.returncode}"
    shutil.rmtree(compiled(folder), ignore_errors=True)
    (folder / "complete").touch()
    return None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("--check", action="store_true", help="only look whether it is there")
    options = parser.parse_args(arguments)
    name, program = options.program, PROGRAMS[options.program]
    folder = CACHE / f"{name}-{program.version}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if options.check and not (folder / "complete").exists():
        print(f"{name} {program.version} is not installed", file=sys.stderr)
        return UNAVAILABLE
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            print(f"Installing {name} {program.version} into {folder}, once", file=sys.stderr)
            reason = install(program, folder)
            if reason is not None:
                shutil.rmtree(folder, ignore_errors=True)
                print(f"SKIPPED: {name} {program.version} cannot be installed: {reason}", file=sys.stderr)
                return UNAVAILABLE
    print(folder / "bin" / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
