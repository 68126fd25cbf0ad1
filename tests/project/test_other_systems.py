"""What Windows lacks is missed by nothing: the package is read, and its parts are used, without the names of POSIX."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from InferenceLibrary.processes import groups

WITHOUT = """
import asyncio, importlib, importlib.metadata, os, pkgutil, signal, socket, subprocess, sys, tempfile, time
import docker, httpx, msgspec, numpy, onnx, onnxruntime, psutil, robot.libdocpkg, robot.run, yaml
GONE = {
    os: "fork killpg getuid geteuid getgid getpgid getsid setsid setpgid waitid wait mkfifo uname sysconf set_blocking "
        "getloadavg sched_getaffinity WNOHANG O_NONBLOCK O_CLOEXEC",
    signal: "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGSTOP SIGCONT SIGALRM setitimer pthread_sigmask SIG_BLOCK SIG_UNBLOCK",
    socket: "AF_UNIX SO_REUSEPORT",
    time: "CLOCK_MONOTONIC",
}
for module, names in GONE.items():
    for name in filter(lambda name: hasattr(module, name), names.split()):
        delattr(module, name)
for name in ("fcntl", "termios", "pty", "resource", "pwd", "grp", "tty", "uvloop"):
    sys.modules[name] = None
"""
"""What a program begins with that shall believe to run without POSIX; what others need of it they have by then."""
MODULES = """
import InferenceLibrary
for info in pkgutil.walk_packages(InferenceLibrary.__path__, "InferenceLibrary."):
    if not info.name.endswith(("__main__", ".guard")):  # programs
        try:
            importlib.import_module(info.name)
        except Exception as error:
            print(info.name, type(error).__name__)
"""
ELSEWHERE = {"monitor.linux", "simulator.workers.counts", "simulator.workers.parent"}
"""Modules that are read after a look at the system."""
_OF_OS = "fork killpg getuid geteuid setsid getpgid waitid wait mkfifo uname sysconf"
_OF_SIGNAL = "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGSTOP SIGCONT SIGALRM setitimer"
POSIX = {
    *(f"os.{name}" for name in _OF_OS.split()),
    *(f"signal.{name}" for name in _OF_SIGNAL.split()),
    "signal.pthread_sigmask",
    "socket.AF_UNIX",
    "socket.SO_REUSEPORT",
    "fcntl.flock",
}
GUARDED = {
    "client.connection": {"socket.AF_UNIX"},
    "containers.engine": {"os.getuid", "socket.AF_UNIX"},
    "load.line": {"socket.AF_UNIX"},
    "load.machine": {"os.sysconf"},
    "monitor.linux": {"os.sysconf"},
    "onnx.benchmark": {"os.sysconf"},
    "servers.probing.shared": {"fcntl.flock"},
    "simulator.faults.process": {"os.fork", "os.setsid", "os.wait", "signal.SIGHUP"},
    "simulator.core.sockets": {"socket.AF_UNIX", "socket.SO_REUSEPORT"},
    "simulator.server": {"signal.pthread_sigmask"},
    "simulator.workers.parent": {"os.fork", "signal.SIGKILL"},
    "terminal.emulator": {"os.mkfifo"},
    "terminal.session": {"signal.SIGHUP"},
}
"""Modules beside `processes` that use such names, each after a look at the system or for what only POSIX has."""
PARTS = """
import io
from InferenceLibrary.containers import watcher
from pathlib import Path
from InferenceLibrary.client.route import Route
from InferenceLibrary.containers.engine import EngineAddress, engine_problem, find_address
from InferenceLibrary.errors import ServerError
from InferenceLibrary.simulator.cli import main
from InferenceLibrary.simulator.core.settings import StartError
from InferenceLibrary.simulator.faults.catalogue import parse_fault
from InferenceLibrary.simulator.faults.process import ProcessFaults, _signal
from InferenceLibrary.simulator.core.sockets import bind_unix
print(find_address({}).url)
print(engine_problem(EngineAddress("unix:///run/docker.sock", "DOCKER_HOST")))
try:
    Route(unix_socket=Path("/tmp/s")).check("http://localhost")
except ServerError as error:
    print(error)
print(_signal("TERM") == _signal("nothing") == signal.SIGTERM)
class Input:
    buffer = io.BytesIO(b"over\\n")
sys.stdin = Input()
print(watcher.main("", ""))
print(main(["--port", "0", "--workers", "2"]))
try:
    bind_unix("/tmp/s")
except StartError as error:
    print(error)
try:
    ProcessFaults([parse_fault("forked-child")]).attach(None, None, object())
except StartError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="tells what happens elsewhere")
def test_modules_are_read_and_parts_used_without_posix() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + MODULES + PARTS], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    missing = {line.split()[0].partition(".")[2] for line in lines if line.startswith("InferenceLibrary.")}
    assert missing == ELSEWHERE, done.stderr
    needs = "--fault: forked-child needs a system that can fork, which Windows cannot"
    said = [line for line in lines if not line.startswith("InferenceLibrary.")]
    assert said == [
        "npipe:////./pipe/docker_engine",
        "'unix:///run/docker.sock' is a Unix socket, which this system lacks; set DOCKER_HOST",
        "The Unix socket '/tmp/s' cannot be used: expected a system whose Python has them, got linux. "
        "Hint: connect by an address and a port.",
        "True",
        "None",
        "2",
        "cannot listen at /tmp/s: expected a system with Unix sockets, got linux",
        needs,
    ], done.stderr
    assert "--workers: " in done.stderr


def uses_of_posix(text: str) -> set[str]:
    """The names of POSIX that a module uses."""
    if not any(name in text for name in POSIX):  # reading all modules as trees takes seconds
        return set()
    found = {f"{one.value.id}.{one.attr}" for one in ast.walk(ast.parse(text))
             if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name)}  # fmt: skip
    return found & POSIX


def test_what_meets_the_system_stands_in_few_places() -> None:
    package = Path(groups.__file__).parents[1]
    found = {}
    for path in package.rglob("*.py"):
        module = ".".join(path.relative_to(package).with_suffix("").parts)
        if not module.startswith("processes.") and (used := uses_of_posix(path.read_text(encoding="utf-8"))):
            found[module] = used
    assert found == GUARDED


def test_a_name_of_posix_is_seen() -> None:
    assert uses_of_posix("import os\n\ndef f(): return os.getuid(), os.getpid()") == {"os.getuid"}


@pytest.mark.skipif(sys.platform == "win32", reason="tells both where both can be had")
@pytest.mark.parametrize("posix", [True, False])
def test_a_program_is_ended_by_its_group_or_alone(posix: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    if not posix:
        monkeypatch.delattr(groups.os, "killpg")
    groups.end_group(process.pid)
    process.communicate()
    assert process.returncode == (-9 if posix else -15)
    # What has ended is left alone.
    groups.end_group(process.pid)
