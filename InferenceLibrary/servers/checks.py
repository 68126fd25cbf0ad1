"""Checks of readiness of a user's own: a command, a TCP port, a gRPC health service, a file, a Python function."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec

from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import (
    InferenceError,
    MissingExtraError,
    ProfileError,
    ProgramError,
    ServerError,
    describe,
)
from InferenceLibrary.foreign_text import named
from InferenceLibrary.servers.command import filled
from InferenceLibrary.servers.limited import within
from InferenceLibrary.servers.probes import OK, connects
from InferenceLibrary.servers.ready_check import READY_CHECKS, ReadyCheck, ready_check_problem

OFTEN, SELDOM = 0.01, 0.25
"""Seconds between two times that the same check is asked: what starts a program is asked seldom."""
_NOT_READY = (AssertionError, OSError, ValueError, LookupError, InferenceError)
"""What a function may raise while the server is not ready; anything else is a mistake in it and ends the start."""


class _Mistake(Exception):
    """A function of a user's raised what it must not."""


class Facts(NamedTuple):
    """What a check is told of the server; a function gets it as its argument."""

    base_url: str
    host: str
    port: int
    model: str | None
    pid: int | None
    """Process id; None when it does not run as a process here."""
    log_path: Path | None
    cwd: Path | None = None
    """Where a relative path of a file begins, and where commands run; the runner's own directory by default."""


def facts_of(
    base_url: str, model: str | None, pid: int | None, log_path: Path | None, cwd: Path | None = None
) -> Facts:
    """Return the facts of the server at an address."""
    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Facts(base_url, parts.hostname or "", port, model, pid, log_path, cwd)


Function = Callable[[Facts], object]
Check = ReadyCheck | Function


def checks_of(items: Iterable[object]) -> list[Check]:
    """Return checks as they are given to `Start Server`: functions, or objects as in a profile.

    Raises:
        ProfileError: One is neither, or is malformed.
    """
    found: list[Check] = []
    for number, item in enumerate(items, 1):
        if callable(item):
            found.append(item)
            continue
        expected = f"a function, or an object with one of {', '.join(READY_CHECKS)}"
        if not isinstance(item, Mapping):
            raise ProfileError(describe(f"Check {number} cannot be used", expected=expected, got=repr(item)))
        try:
            check = msgspec.convert(dict(item), ReadyCheck)
        except msgspec.ValidationError as error:
            raise ProfileError(describe(f"Check {number} cannot be used", expected=expected, got=str(error))) from None
        problem = ready_check_problem(check)
        if problem is not None:
            raise ProfileError(f"Check {number} cannot be used: {problem}.")
        found.append(check)
    return found


def label(check: Check) -> str:
    """Return how messages call a check: `the command nvidia-smi`, `TCP port 9090`."""
    if not isinstance(check, ReadyCheck):
        return f"the function {getattr(check, '__name__', type(check).__name__)}"
    if check.command is not None:
        return f"the command {check.command[0]}"
    if check.tcp is not None:
        return f"TCP port {check.tcp}"
    if check.grpc is not None:
        return f"the gRPC health service at {check.grpc}" + (f" of {check.service}" if check.service else "")
    if check.file is not None:
        return f"the file {check.file}"
    return f"the function {check.python}"


def pause_of(check: Check) -> float:
    """Return the seconds between two times that it is asked."""
    return OFTEN if isinstance(check, ReadyCheck) and (check.tcp is not None or check.file is not None) else SELDOM


def ask(check: Check, facts: Facts, remaining: float) -> str:
    """Ask once; return `ok`, or what was seen instead.

    Args:
        check: What to ask.
        facts: What is known of the server.
        remaining: Seconds that are left of the whole.

    Raises:
        MissingExtraError: gRPC is asked for, and its packages are not installed.
        ServerError: A program or function cannot be found, or the function answers neither yes nor no.
    """
    if not isinstance(check, ReadyCheck):
        return _ask_function(check, facts, label(check), max(remaining, 0.1))
    budget = max(min(parse_duration(check.timeout), remaining), 0.1)
    values = _values(facts)
    if check.command is not None:
        return _run([filled(word, values) for word in check.command], facts.cwd, budget)
    if check.tcp is not None:
        return connects(*_address(check.tcp, facts, values), budget)
    if check.grpc is not None:
        return _ask_grpc(_address(check.grpc, facts, values), check.service, budget)
    if check.file is not None:
        path = filled(check.file, values)  # a placeholder may be empty: the folder itself is not meant then
        return OK if path and ((facts.cwd or Path()) / path).exists() else "no such file"
    assert check.python is not None
    return _ask_function(_function(check.python), facts, f"the function {check.python}", budget)


def _values(facts: Facts) -> dict[str, str]:
    return {
        "base_url": facts.base_url,
        "host": facts.host,
        "port": str(facts.port),
        "model": facts.model or "",
        "pid": str(facts.pid or ""),
        "python": sys.executable,
    }


def _address(given: str | int, facts: Facts, values: Mapping[str, str]) -> tuple[str, int]:
    host, _, port = filled(str(given), values).rpartition(":")
    if not port.isdigit():
        raise ServerError(describe(f"'{given}' is not an address", expected="a port, or host:port"))
    return host.strip("[]") or facts.host, int(port)


def _run(command: list[str], cwd: Path | None, budget: float) -> str:
    from InferenceLibrary.processes.find import find_program
    from InferenceLibrary.programs.run import run_program

    try:
        find_program(command[0], cwd=cwd)
    except ProgramError as error:
        raise ServerError(str(error)) from None
    try:
        result = run_program(command, timeout=budget, cwd=cwd)
    except ProgramError as error:
        return str(error).splitlines()[0]
    if result.exit_code == 0:
        return OK
    said = (result.stderr.strip() or result.stdout.strip()).splitlines()
    ended = f"signal {result.signal}" if result.signal else f"exit code {result.exit_code}"
    return ended + (f": {said[-1]}" if said else "")


def _ask_grpc(address: tuple[str, int], service: str, budget: float) -> str:
    """Ask by the health checking protocol of gRPC."""
    try:
        import grpc  # type: ignore[import-untyped]
        from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingExtraError("grpcio-health-checking", "grpc", "A gRPC health check") from error
    host, port = address
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    with grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)]) as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=budget)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return OK if status == "SERVING" else str(status)


def _function(name: str) -> Function:
    module, _, attribute = name.partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        what = f"The function {name} cannot be found"
        raise ServerError(describe(what, got=str(error), hint="is its folder in PYTHONPATH?")) from None
    except (SyntaxError, NameError, SystemExit) as error:
        what = f"The module of the function {name} cannot be imported"
        raise ServerError(describe(what, got=named(error))) from error
    if not callable(found):
        raise ServerError(describe(f"{name} is not a function", got=type(found).__name__))
    return found  # type: ignore[no-any-return]


def _ask_function(function: Function, facts: Facts, name: str, budget: float) -> str:
    def call() -> object:
        # Here, where no time limit of Robot Framework and no Ctrl-C arrives. SystemExit would end the whole run.
        try:
            return function(facts)
        except _NOT_READY:
            raise
        except (Exception, SystemExit) as error:
            raise _Mistake(named(error)) from error

    try:
        said = within(budget, call)
    except _NOT_READY as error:
        return named(error)
    except _Mistake as mistake:
        raise ServerError(describe(f"{_capital(name)} failed", got=str(mistake))) from mistake
    if said is True:
        return OK
    if said is False or (isinstance(said, str) and said):
        return said or "False"
    # A function without `return` would pass unseen.
    raise ServerError(
        describe(
            f"{_capital(name)} answered neither yes nor no",
            expected="True, or False or a text that says what is missing",
            got=repr(said),
        )
    )


def _capital(text: str) -> str:
    """Begin a sentence; the names in it stay as they are."""
    return text[:1].upper() + text[1:]
