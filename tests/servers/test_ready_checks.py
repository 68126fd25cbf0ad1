"""Checks of readiness of one's own: each kind passes, and fails with what was seen; a start waits for them."""

from __future__ import annotations

import importlib
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary.errors import MissingExtraError, ProfileError, ServerError
from InferenceLibrary.processes.ports import free_port
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.checks import Check, Facts, ask, checks_of, facts_of
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.readiness import CHECKS_PASSED
from InferenceLibrary.servers.server import Server
from InferenceLibrary.servers.starting import StartSettings, start


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def facts(port: int = 1, cwd: Path | None = None) -> Facts:
    return facts_of(f"http://127.0.0.1:{port}", "mine", 42, None, cwd)


@pytest.fixture
def hanging() -> Iterator[threading.Event]:
    """What a function waits for that does not answer."""
    event = threading.Event()
    yield event
    event.set()


def asked(check: object, known: Facts | None = None) -> str:
    return ask(checks_of([check])[0], known or facts(), 20)


@pytest.mark.parametrize("form", ["{port}", "127.0.0.1:{port}", "number"])
def test_a_port_must_accept_a_connection(listener: int, form: str) -> None:
    assert asked({"tcp": listener if form == "number" else form}, facts(listener)) == "ok"
    closed = free_port()
    assert asked({"tcp": closed if form == "number" else form}, facts(closed)) == "connection refused"


def test_a_file_must_exist(tmp_path: Path) -> None:
    assert asked({"file": "ready-{port}"}, facts(7, tmp_path)) == "no such file"
    (tmp_path / "ready-7").touch()
    assert asked({"file": "ready-{port}"}, facts(7, tmp_path)) == "ok"
    assert asked({"file": str(tmp_path / "ready-7")}) == "ok"
    # A placeholder that stands for nothing: the folder, which is there, is not the file.
    assert asked({"file": "{model}"}, facts_of("http://127.0.0.1:1", None, 42, None, tmp_path)) == "no such file"


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("import sys; sys.exit(sys.argv[1:] != ['mine', '42'])", "ok"),
        ("import sys; sys.exit(3)", "exit code 3"),
        ("import sys; print('shard 2 is missing', file=sys.stderr); sys.exit(1)", "exit code 1: shard 2 is missing"),
        ("import os; os.kill(os.getpid(), 9)", "signal SIGKILL"),
    ],
    ids=["ends with 0", "ends otherwise", "says why", "killed"],
)
def test_a_command_must_end_with_zero(code: str, seen: str) -> None:
    assert asked({"command": ["{python}", "-I", "-S", "-c", code, "{model}", "{pid}"]}) == seen


def test_a_command_that_hangs_is_ended() -> None:
    seen = asked({"command": ["{python}", "-I", "-S", "-c", "import time; time.sleep(600)"], "timeout": "300ms"})
    assert "did not end: expected its end within 0.3 s" in seen


def test_a_command_that_does_not_exist_ends_the_start() -> None:
    with pytest.raises(ServerError, match="Program 'no-such-check' does not exist"):
        asked({"command": ["no-such-check"]})


@pytest.mark.parametrize(
    ("answer", "seen"),
    [(True, "ok"), (False, "False"), ("2 of 4 workers", "2 of 4 workers")],
)
def test_a_function_says_yes_or_what_is_missing(answer: object, seen: str) -> None:
    told: list[Facts] = []

    def function(known: Facts) -> object:
        told.append(known)
        return answer

    assert asked(function) == seen
    assert told == [facts()]


@pytest.mark.parametrize("answer", [None, 1, "", [True]])
def test_a_function_that_answers_neither_is_refused(answer: object) -> None:
    with pytest.raises(
        ServerError, match=r"The function <lambda> answered neither yes nor no: expected True, or False"
    ):
        asked(lambda known: answer)


def raising(error: BaseException) -> Callable[[Facts], object]:
    def function(known: Facts) -> object:
        raise error

    return function


@pytest.mark.parametrize("error", [AssertionError("no"), OSError("no"), ValueError("no"), KeyError("no")])
def test_a_function_may_raise_while_the_server_is_not_ready(error: Exception) -> None:
    assert asked(raising(error)) == f"{type(error).__name__}: {error}"


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "got"),
    [
        (TypeError("wrong"), "TypeError: wrong"),
        (SystemExit(3), "SystemExit: 3"),
        (Mute(), r"Mute: a text that cannot be had \(RuntimeError\)"),
    ],
)
def test_a_mistake_in_a_function_ends_the_start_and_nothing_else(error: BaseException, got: str) -> None:
    with pytest.raises(ServerError, match=rf"^The function (raising\.<locals>\.)?function failed: got {got}\.$"):
        asked(raising(error))


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "def ready(:", "no_such_name"])
def test_a_module_of_a_function_that_cannot_be_imported_ends_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    (tmp_path / "broken_checks.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ServerError, match=r"^The module of the function broken_checks:ready cannot be imported: got "):
        asked({"python": "broken_checks:ready"})


def test_a_function_that_hangs_is_not_waited_for_beyond_its_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hanging: threading.Event
) -> None:
    name = "hanging_checks"
    (tmp_path / f"{name}.py").write_text("released = None\ndef ready(facts):\n    return released.wait()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module(name).released = hanging
    seen = asked({"python": f"{name}:ready", "timeout": "200ms"})
    assert seen == "TimeoutError: no answer within 0.2 s"


def test_a_function_is_not_waited_for_beyond_the_whole_limit(hanging: threading.Event) -> None:
    assert ask(lambda known: hanging.wait(), facts(), 0.3) == "TimeoutError: no answer within 0.3 s"


def test_a_function_that_is_given_up_ends_nothing_else(hanging: threading.Event) -> None:
    """What it says later is not taken for the next answer."""
    asked_before: list[bool] = []

    def slow_at_first(known: Facts) -> object:
        asked_before.append(True)
        return hanging.wait() and "late" if len(asked_before) == 1 else "2 of 4 workers"

    assert ask(slow_at_first, facts(), 0.2).startswith("TimeoutError")
    hanging.set()
    assert ask(slow_at_first, facts(), 60) == "2 of 4 workers"


def test_a_function_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_checks.py").write_text("def ready(facts):\n    return facts.model == 'mine'\nvalue = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert asked({"python": "some_checks:ready"}) == "ok"
    with pytest.raises(ServerError, match="The function some_checks:missing cannot be found"):
        asked({"python": "some_checks:missing"})
    with pytest.raises(ServerError, match="The function no_such_module:ready cannot be found: got No module named"):
        asked({"python": "no_such_module:ready"})
    with pytest.raises(ServerError, match="some_checks:value is not a function: got int"):
        asked({"python": "some_checks:value"})


@pytest.fixture
def health(request: pytest.FixtureRequest) -> Iterator[tuple[int, Any]]:
    grpc = pytest.importorskip("grpc", reason="pip install grpcio grpcio-health-checking")
    service = pytest.importorskip("grpc_health.v1.health", reason="pip install grpcio-health-checking")
    from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped]

    servicer = service.HealthServicer()
    server = grpc.server(ThreadPoolExecutor(2))
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port, servicer
    server.stop(None).wait()


def test_a_grpc_service_must_serve(health: tuple[int, Any]) -> None:
    from grpc_health.v1 import health_pb2

    port, servicer = health
    assert asked({"grpc": port}) == "ok"
    assert asked({"grpc": "{port}", "service": "decode"}, facts(port)).startswith("NOT_FOUND")
    servicer.set("decode", health_pb2.HealthCheckResponse.NOT_SERVING)
    assert asked({"grpc": port, "service": "decode"}) == "NOT_SERVING"
    servicer.set("decode", health_pb2.HealthCheckResponse.SERVING)
    assert asked({"grpc": f"127.0.0.1:{port}", "service": "decode"}) == "ok"


def test_nobody_listens_for_grpc(health: tuple[int, Any]) -> None:
    assert asked({"grpc": free_port(), "timeout": "2s"}).startswith(("UNAVAILABLE", "DEADLINE_EXCEEDED"))


def test_grpc_without_its_packages_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    with pytest.raises(MissingExtraError, match="Hint: pip install grpcio grpcio-health-checking"):
        asked({"grpc": 1})


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("ready", "Check 1 cannot be used: expected a function, or an object with one of command, tcp, grpc"),
        ({}, "expected one of command, tcp, grpc, file, python, got none of them"),
        ({"tcp": 1, "file": "x"}, "got tcp and file"),
        ({"tpc": 1}, "Object contains unknown field `tpc`"),
        ({"tcp": "here"}, "expected a port, or host:port, got 'here'"),
        ({"grpc": "here:there"}, "expected a port, or host:port, got 'here:there'"),
        ({"tcp": 65536}, "expected a port of 1 to 65535, got '65536'"),
        ({"grpc": "here:0"}, "expected a port of 1 to 65535, got 'here:0'"),
        ({"file": ""}, "expected the path of a file, got an empty text"),
        ({"command": []}, "expected a program and its arguments, got an empty list"),
        ({"command": ["x", "{prot}"]}, "nothing fills the placeholder '{prot}'"),
        ({"python": "module.function"}, "expected module:function, got 'module.function'"),
        ({"tcp": 1, "service": "x"}, "'service' belongs to grpc"),
        ({"tcp": 1, "timeout": "soon"}, "soon"),
    ],
)
def test_a_malformed_check_is_refused(check: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=re.escape(message)):
        checks_of([check])


def test_a_profile_with_a_malformed_check_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("title: x\nready:\n  checks:\n    - tcp: 1\n    - {tcp: 1, file: x}\n")
    with pytest.raises(
        ProfileError, match=r"mine\.yaml:5: .*ready\.checks\[1\].*: expected one of .* got tcp and file"
    ):
        load_profile(str(path))


SERVER = """
import pathlib, socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(0.3)
pathlib.Path("loaded").touch()
time.sleep(600)
"""


def begin(tmp_path: Path, ready: str, *checks: Check) -> Server:
    (tmp_path / "server.py").write_text(SERVER)
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"title: x\nstart: {{command: ['{{python}}', '{tmp_path}/server.py', '{{port}}']}}\n"
        f"ready: {{health: null, first_token: none, {ready}}}\n"
    )
    return start(
        load_profile(str(path)),
        StartSettings(checks=checks, cwd=tmp_path),
        name="mine",
        new_log=lambda: tmp_path / "log",
        redact=Redactor(),
    )


def test_a_start_waits_for_all_checks(tmp_path: Path) -> None:
    order: list[str] = []

    def function(known: Facts) -> bool:
        order.append(f"asked while {'loaded' if (tmp_path / 'loaded').exists() else 'loading'}")
        return len(order) == 2

    server = begin(tmp_path, "checks: [{file: loaded}]", function)
    try:
        assert (tmp_path / "loaded").exists()
        assert order == ["asked while loaded"] * 2, "one after the other"
        assert list(server.stages)[-1] == CHECKS_PASSED
        assert len(server.checks) == 2
        assert server.facts.cwd == tmp_path
    finally:
        server.close()


def test_a_check_that_hangs_is_within_the_limit_of_the_start(tmp_path: Path, hanging: threading.Event) -> None:
    with pytest.raises(
        ServerError, match=r"\(checks passed\): expected the function <lambda> to pass, got TimeoutError: no answer"
    ):
        begin(tmp_path, "timeout: 1s", lambda known: hanging.wait())


def test_the_check_that_does_not_pass_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ServerError,
        match=r"Server 'mine' is not ready \(checks passed\): expected the file never to pass, got no such file",
    ) as caught:
        begin(tmp_path, "checks: [{file: loaded}, {file: never}], budgets: {checks_passed: 1s}")
    assert "give it more time with ready.budgets.checks_passed" in str(caught.value)
