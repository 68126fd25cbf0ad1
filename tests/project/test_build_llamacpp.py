"""The build script of llama.cpp, as far as it goes without building: the cache, the refusals, and what it leaves."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_llamacpp.py"
TARGETS = ("llama-server", "llama-cli", "llama-bench", "llama-tokenize")


def command(*arguments: str) -> list[str]:
    return [sys.executable, str(SCRIPT), *arguments]


def environment(cache: Path, **extra: str) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(cache), **extra}


def run(cache: Path, *arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments),
        env=environment(cache, **extra),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def entries(cache: Path) -> list[str]:
    """What stands in the cache, without the log and the lock."""
    return [entry.name for entry in (cache / "inferencelibrary" / "llama.cpp").glob("*") if entry.suffix == ""]


def script() -> Any:
    """The script as a module."""
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import build_llamacpp  # type: ignore[import-not-found]
    finally:
        sys.path.pop(0)
    return build_llamacpp


CMAKE = """#!/bin/sh
case "$1" in
    --version) echo cmake version 3.25.1; exit ;;
    --build) ;;
    *) exit ;;
esac
if [ -e "$2/half" ]; then
    echo "[38/40] the rest"
    mkdir -p "$2/bin"
    for name in llama-server llama-cli llama-bench llama-tokenize; do cp "$0" "$2/bin/$name"; done
    echo "[40/40] all"
    exit
fi
mkdir -p "$2"
echo "[1/40] one"
: > "$2/half"
kill -TERM "$PPID"
sleep 30
"""
"""Builds half, and is stopped; then builds the rest."""


def test_a_stopped_build_goes_on(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cc", "c++", "ninja"):
        (tools / name).symlink_to("/bin/true")
    for name in ("sh", "mkdir", "cp", "sleep"):
        (tools / name).symlink_to(f"/bin/{name}")
    (tools / "cmake").write_text(CMAKE)
    (tools / "cmake").chmod(0o755)
    final = tmp_path / "inferencelibrary" / "llama.cpp" / script().build_name()
    work = final.with_name(f"{final.name}.building")
    work.mkdir(parents=True)
    (work / "unpacked").write_text(str(work / "sources"))
    stopped = run(tmp_path, PATH=str(tools), CC="", CXX="")
    assert stopped.returncode == 128 + signal.SIGTERM
    assert (work / "tree" / "half").is_file()
    assert not final.exists()
    done = run(tmp_path, PATH=str(tools), CC="", CXX="")
    assert (done.returncode, done.stdout.strip()) == (0, str(final / "bin"))
    assert f"going on with the build that was stopped, in {work}" in done.stderr
    assert "[40/40] after" in done.stderr
    assert not work.exists()


@pytest.mark.parametrize(
    ("first", "done", "seconds", "told"),
    [(1, 5, 4.0, ""), (1, 21, 10.0, ", about 40 s left"), (81, 91, 10.0, ", about 10 s left"), (1, 101, 9.0, "")],
    ids=["too early", "a fifth", "gone on", "at the end"],
)
def test_the_time_that_is_left_is_that_of_the_steps_so_far(first: int, done: int, seconds: float, told: str) -> None:
    assert script().time_left(first, done, 101, seconds) == told


def place_build(cache: Path) -> Path:
    """Put a finished build into the cache without building one."""
    build_llamacpp = script()
    directory = cache / "inferencelibrary" / "llama.cpp" / build_llamacpp.build_name() / "bin"
    directory.mkdir(parents=True)
    for target in TARGETS:
        (directory / target).write_text("#!/bin/sh\n")
        (directory / target).chmod(0o755)
    return directory


def test_check_says_what_to_do_when_nothing_is_built(tmp_path: Path) -> None:
    done = run(tmp_path, "--check")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("llama.cpp: not built yet. Hint: ")


def test_a_finished_build_is_taken_from_the_cache(tmp_path: Path) -> None:
    directory = place_build(tmp_path)
    for arguments in ([], ["--check"]):
        done = run(tmp_path, *arguments, PIP_INDEX_URL="http://127.0.0.1:9/simple")
        assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, [str(directory)], "")


def test_half_a_build_is_none(tmp_path: Path) -> None:
    (place_build(tmp_path) / "llama-cli").unlink()
    assert run(tmp_path, "--check").returncode == 3


def test_no_compiler_is_a_reason_to_skip(tmp_path: Path) -> None:
    done = run(tmp_path, PATH=str(tmp_path), CC="", CXX="")
    assert (done.returncode, done.stdout) == (77, "")
    assert done.stderr.startswith("llama.cpp: no C and C++ compiler on this machine. Hint: ")
    assert entries(tmp_path) == []


def test_a_failed_download_leaves_nothing_and_shows_the_log(tmp_path: Path) -> None:
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0"}
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("cc", "c++", "ninja"):
        (tools / name).symlink_to("/bin/true")
    (tools / "cmake").write_text("#!/bin/sh\necho cmake version 3.25.1\n")
    (tools / "cmake").chmod(0o755)
    done = run(tmp_path, PATH=str(tools), CC="", CXX="", **nowhere)
    assert (done.returncode, done.stdout) == (1, "")
    assert "failed with exit code 1" in done.stderr
    assert "Hint: is the package index reachable?" in done.stderr
    assert "No matching distribution" in done.stderr
    assert "Traceback" not in done.stderr
    assert entries(tmp_path) == []


def test_an_unwritable_cache_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "inferencelibrary").write_text("a file where the directory should be")
    done = run(tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "writable" in done.stderr


def test_wrong_arguments(tmp_path: Path) -> None:
    assert run(tmp_path, "--jobs", "-1").returncode == 2
    assert run(tmp_path, "--nonsense").returncode == 2


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_build_waits_for_the_first_and_can_be_stopped(tmp_path: Path, number: int, code: int) -> None:
    root = tmp_path / "inferencelibrary" / "llama.cpp"
    root.mkdir(parents=True)
    with (root / "build.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = subprocess.Popen(
            command(), env=environment(tmp_path), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            assert waiting.stderr is not None
            assert "another process builds it" in waiting.stderr.readline()
            assert waiting.poll() is None
            waiting.send_signal(number)
            waiting.communicate(timeout=60)
            assert waiting.returncode == code
        finally:
            waiting.kill()
            waiting.communicate()
    assert entries(tmp_path) == []
