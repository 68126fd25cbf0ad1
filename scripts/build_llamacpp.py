#!/usr/bin/env python3
"""Build llama.cpp's server and tools into the user's cache and print the directory of the binaries.

The sources come from the source distribution of `llama-cpp-python` on PyPI, because a package index is often the only
thing that a build machine may reach; pip checks their hash. The build happens once for a version and a set of flags.
A second call prints the directory at once. Needs Python 3.11 with pip and a C++ compiler; cmake and ninja are fetched
from PyPI when the system has none.

The last line on stdout is the directory; everything else goes to stderr. Exit codes: 0 built or already there,
1 failed, 2 wrong arguments, 3 nothing built yet (`--check`), 77 cannot be built here, skip what needs it.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

PACKAGE = "llama-cpp-python"
VERSION = "0.3.36"
COMMIT = "0c1e57098"
TARGETS = ("llama-server", "llama-cli", "llama-bench", "llama-tokenize")
FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_OPENMP=OFF",
    "-DGGML_CCACHE=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    # Left on, the build downloads a bundle of web pages.
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_BUILD_NUMBER=0",
    f"-DLLAMA_BUILD_COMMIT={COMMIT}",
)
# Most of the archive is a git pack, test vocabularies and documents; a build does not need them.
LEFT_OUT = ("benches", "conversion", "docs", "examples", "gguf-py", "media", "models", "tests")

ENOUGH_STEPS = 10
"""Steps of a build from which the time of the others is told."""
FAILED = 1
NOT_BUILT = 3
CANNOT_BUILD = 77
"""The exit code by which automake's tests say `skipped`."""


class BuildError(Exception):
    """The build cannot go on; `code` is the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def say(text: str) -> None:
    print(f"llama.cpp: {text}", file=sys.stderr, flush=True)


def cpu_flags() -> list[str]:
    """Portable x86-64 binaries need AVX2; a processor without it gets a build for itself."""
    with contextlib.suppress(OSError):
        known = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        if platform.machine() in {"x86_64", "AMD64"} and not {"avx2", "fma", "f16c", "bmi2"} <= set(known.split()):
            return ["-DGGML_NATIVE=ON"]
    return ["-DGGML_NATIVE=OFF"]


def build_flags() -> list[str]:
    flags = [*FLAGS, *cpu_flags()]
    if sys.platform == "linux":
        flags.append("-DCMAKE_EXE_LINKER_FLAGS=-s")
    return flags


def cache_root() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or ""
    # The XDG specification has relative paths ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "inferencelibrary" / "llama.cpp"


def build_name() -> str:
    parts = [VERSION, COMMIT, platform.system(), platform.machine(), *TARGETS, *build_flags()]
    return f"{VERSION}-{hashlib.sha256(' '.join(parts).encode()).hexdigest()[:12]}"


def is_complete(build: Path) -> bool:
    """A build is moved to its place in one step, so what stands there is whole."""
    return all(os.access(build / "bin" / target, os.X_OK) for target in TARGETS)


@contextlib.contextmanager
def only_one(root: Path) -> Iterator[None]:
    """Hold the build lock. The system frees it when its holder dies, however it dies."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "build.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process builds it; waiting for that one")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def time_left(first: int, done: int, of: int, seconds: float) -> str:
    """Return what is left of a build, as far as it can be told from the steps since `first`, which took `seconds`."""
    if done - first < ENOUGH_STEPS or done >= of:
        return ""
    return f", about {seconds / (done - first) * (of - done):.0f} s left"


class Runner:
    """Runs the build's commands, keeps their output in a log, and leaves none of them behind."""

    def __init__(self, log: Path, work: Path) -> None:
        self.log = log
        # Temporary files go where they are removed, even those of a command that is killed.
        self.environment = {**os.environ, "TMPDIR": str(work)}
        self.started = time.monotonic()

    def elapsed(self) -> float:
        return time.monotonic() - self.started

    def run(self, command: list[str], *, hint: str, environment: dict[str, str] | None = None) -> None:
        """Run one command; show ninja's progress every ten seconds; raise BuildError with the log's tail."""
        shown = 0.0
        first: tuple[int, float] | None = None
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"\n$ {' '.join(command)}\n")
            log.flush()
            process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                errors="replace",
                env={**self.environment, **(environment or {})},
                start_new_session=True,
            )
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    log.write(line)
                    step = re.match(r"\[(\d+)/(\d+)\]", line)
                    if step and first is None:
                        first = (int(step[1]), time.monotonic())
                    if step and first and (time.monotonic() - shown >= 10 or step[1] == step[2]):
                        shown = time.monotonic()
                        left = time_left(first[0], int(step[1]), int(step[2]), shown - first[1])
                        say(f"[{step[1]}/{step[2]}] after {self.elapsed():.0f} s{left}")
                code = process.wait()
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        if code != 0:
            tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:]
            shown_tail = "\n".join(f"    {line}" for line in tail)
            raise BuildError(
                f"'{Path(command[0]).name}' failed with exit code {code} after {self.elapsed():.0f} s. Hint: {hint}\n"
                f"Last lines of {self.log}:\n{shown_tail}"
            )


def ensure_compiler(runner: Runner) -> None:
    """Find a C and a C++ compiler or install them where that needs nobody's permission: as root with apt-get."""

    def found() -> bool:
        cxx, cc = os.environ.get("CXX"), os.environ.get("CC")
        return any(shutil.which(name) for name in ([cxx] if cxx else ["c++", "g++", "clang++"])) and any(
            shutil.which(name) for name in ([cc] if cc else ["cc", "gcc", "clang"])
        )

    if found():
        return
    apt = shutil.which("apt-get")
    if apt and os.geteuid() == 0:
        say("no C++ compiler; installing one with apt-get")
        quiet = {"DEBIAN_FRONTEND": "noninteractive"}
        hint = "install a C++ compiler by hand: apt-get install g++"
        with contextlib.suppress(BuildError):
            runner.run([apt, "update"], hint=hint, environment=quiet)
            runner.run(
                [apt, "install", "-y", "--no-install-recommends", "gcc", "g++", "libc6-dev"],
                hint=hint,
                environment=quiet,
            )
    if not found():
        command = (
            "xcode-select --install"
            if sys.platform == "darwin"
            else "sudo apt-get install g++  (Fedora: dnf install gcc-c++; Alpine: apk add build-base linux-headers)"
        )
        raise BuildError(f"no C and C++ compiler on this machine. Hint: {command}", CANNOT_BUILD)


def find_tools(runner: Runner, work: Path) -> tuple[str, str]:
    """Return cmake and ninja: the system's where they are new enough, else from PyPI into a private environment."""
    cmake, ninja = shutil.which("cmake"), shutil.which("ninja") or shutil.which("ninja-build")
    if cmake:
        told = subprocess.run([cmake, "--version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"(\d+)\.(\d+)", told)
        if version is None or (int(version[1]), int(version[2])) < (3, 18):
            cmake = None
    if cmake and ninja:
        return cmake, ninja
    say("fetching cmake and ninja from PyPI")
    tools = work / "tools"
    runner.run([sys.executable, "-m", "venv", str(tools)], hint="install Python's venv module (Debian: python3-venv)")
    runner.run(
        [str(tools / "bin" / "pip"), "install", "cmake>=3.18,<5", "ninja"], hint="is the package index reachable?"
    )
    return cmake or str(tools / "bin" / "cmake"), ninja or str(tools / "bin" / "ninja")


def fetch_sources(runner: Runner, work: Path) -> Path:
    """Download the source distribution with pip and unpack what is compiled; return llama.cpp's directory."""
    say(f"downloading {PACKAGE} {VERSION} (77 MB)")
    # pip asks a source distribution for its metadata even when it only downloads it, which needs the tools of its
    # build: as binaries and not, as `--no-binary=:all:` would have it, compiled from their sources for half an hour.
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    runner.run(
        [*pip, "download", "--no-deps", f"--no-binary={PACKAGE}", f"--dest={work}", f"{PACKAGE}=={VERSION}"],
        hint="is the package index reachable? Does 'python -m pip --version' work?",
    )
    archives = list(work.glob("*.tar.gz"))
    if len(archives) != 1:
        raise BuildError(f"pip left {len(archives)} archives in {work}, expected one")
    say(f"unpacking after {runner.elapsed():.0f} s")
    with tarfile.open(archives[0]) as archive:
        wanted = []
        for member in archive:
            parts = Path(member.name).parts
            if parts[1:3] == ("vendor", "llama.cpp") and len(parts) > 3 and parts[3] not in LEFT_OUT:
                wanted.append(member)
        # The first 3.11 releases have no filter against archives that write elsewhere; pip has checked the hash.
        if hasattr(tarfile, "data_filter"):
            archive.extraction_filter = tarfile.data_filter
        archive.extractall(work, wanted)
    archives[0].unlink()
    sources = list(work.glob("*/vendor/llama.cpp"))
    if len(sources) != 1:
        raise BuildError(f"the archive of {PACKAGE} {VERSION} holds no vendor/llama.cpp")
    return sources[0]


def put_headers(folder: Path) -> None:
    """Put the headers of others that llama.cpp vendors into a folder: modules of Go are shipped without them."""
    work = folder.with_name(f"{folder.name}.sources")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        sources = fetch_sources(Runner(work / "log", work), work)
        shutil.copytree(sources / "vendor", folder, dirs_exist_ok=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def build(final: Path, jobs: int) -> None:
    """Build into a directory beside `final` and move it there when every binary has run once.

    What a build that was stopped has compiled stays there, and the next one goes on with it.
    """
    work = final.with_name(f"{final.name}.building")
    unpacked = work / "unpacked"
    goes_on = unpacked.is_file()
    if not goes_on:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
    log = final.with_name(f"{final.name}.log")
    log.unlink(missing_ok=True)
    runner = Runner(log, work)
    try:
        ensure_compiler(runner)
        cmake, ninja = find_tools(runner, work)
        if goes_on:
            sources = Path(unpacked.read_text(encoding="utf-8"))
            say(f"going on with the build that was stopped, in {work}")
        else:
            sources = fetch_sources(runner, work)
            unpacked.write_text(str(sources), encoding="utf-8")
        say(f"building {', '.join(TARGETS)} with {jobs} jobs: about five minutes on two cores. Log: {log}")
        tree, staged = work / "tree", work / "staged"
        runner.run(
            [
                cmake,
                "-S",
                str(sources),
                "-B",
                str(tree),
                "-G",
                "Ninja",
                f"-DCMAKE_MAKE_PROGRAM={ninja}",
                *build_flags(),
            ],
            hint="a missing compiler part or an old cmake; the lines below name it",
        )
        runner.run(
            [cmake, "--build", str(tree), "-j", str(jobs), "--target", *TARGETS],
            hint="'Killed' means too little memory: try --jobs 1; 'No space left': the build needs 1 GB",
            environment={"NINJA_STATUS": "[%f/%t] "},
        )
        (staged / "bin").mkdir(parents=True)
        for target in TARGETS:
            shutil.copy2(tree / "bin" / target, staged / "bin" / target)
        runner.run([str(staged / "bin" / "llama-server"), "--version"], hint="the binary does not run on this machine")
        shutil.rmtree(final, ignore_errors=True)
        staged.rename(final)
        shutil.rmtree(work, ignore_errors=True)
        say(f"built in {runner.elapsed():.0f} s")
    finally:
        if not unpacked.is_file():
            shutil.rmtree(work, ignore_errors=True)


def stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only look: print the directory, or exit with 3")
    parser.add_argument("--jobs", type=int, default=0, help="compilers at once (default: one for each core)")
    parser.add_argument("--headers", type=Path, metavar="DIR", help="only put the headers that it vendors into DIR")
    options = parser.parse_args(arguments)
    if options.jobs < 0:
        parser.error("--jobs must be 1 or more")
    jobs = options.jobs or len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else options.jobs or 2
    final = cache_root() / build_name()
    try:
        if options.headers:
            put_headers(options.headers)
            return 0
        if options.check and not is_complete(final):
            raise BuildError(f"not built yet. Hint: python {sys.argv[0]}", NOT_BUILT)
        if not is_complete(final):
            signal.signal(signal.SIGTERM, stop)
            with only_one(final.parent):
                if not is_complete(final):
                    build(final, jobs)
    except BuildError as error:
        say(str(error))
        return error.code
    except KeyboardInterrupt:
        say("stopped")
        return 130
    except OSError as error:
        say(f"{error}. Hint: is {final.parent} writable, with 1 GB free?")
        return FAILED
    print(final / "bin")
    return 0


if __name__ == "__main__":
    sys.exit(main())
