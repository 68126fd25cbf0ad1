"""The stages of a start: told while one waits, on a port that is ours, and again when a forwarder drops."""

from __future__ import annotations

import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from wire_server import WireServer, answer

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import ServerError
from InferenceLibrary.processes.listeners import held_by, listeners, strangers
from InferenceLibrary.processes.ports import FIRST, LAST, free_port, is_free, reserve
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers import readiness, starting
from InferenceLibrary.servers.probes import judge_health, lists_model
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.sections import Health
from InferenceLibrary.servers.server import Server, connect
from InferenceLibrary.servers.starting import StartSettings, start

Begin = Callable[..., Server]
linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc who listens")

SLOW = """
import sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
asked = []
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked.append(time.monotonic())
        self.send_response(200 if asked[-1] - asked[0] > 0.6 else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()
    def log_message(self, *arguments):
        pass
print("loading shard 1 of 2", flush=True)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
KUBECTL = """#!{python}
import json, pathlib, socket, sys, threading, time
here = pathlib.Path(__file__).parent
runs = int((here / "runs").read_text()) if (here / "runs").exists() else 0
(here / "runs").write_text(str(runs + 1))
(here / "arguments").write_text(json.dumps(sys.argv[1:]))
port = int(sys.argv[3].split(":")[0])
server = socket.create_server(("127.0.0.1", port))
print(f"Forwarding from 127.0.0.1:{{port}} -> 8000", flush=True)
if runs == 0:
    while not (here / "drop").exists():
        time.sleep(0.02)
    print("error: lost connection to pod", flush=True)
    sys.exit(1)
time.sleep(600)
"""


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    started: list[Server] = []

    def run(
        profile: str, lines: list[str] | None = None, progress: list[str] | None = None, **settings: object
    ) -> Server:
        path = tmp_path / "mine.yaml"
        if "\n" in profile:
            path.write_text(profile)
        server = start(
            load_profile(str(path) if "\n" in profile else profile),
            StartSettings(**settings),  # type: ignore[arg-type]
            name="mine",
            new_log=lambda: tmp_path / f"{len(started)}.log",
            redact=Redactor(),
            report=(lines if lines is not None else []).append,
            progress=(progress if progress is not None else []).append,
        )
        started.append(server)
        return server

    yield run
    for server in started:
        server.close()


def own(tmp_path: Path, code: str, ready: str) -> str:
    script = tmp_path / "server.py"
    script.write_text(code)
    return f"title: x\nstart: {{command: ['{{python}}', '{script}', '{{port}}']}}\nready: {ready}\n"


def test_a_long_start_is_told_while_it_lasts(begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PROGRESS_EVERY", 0.15)
    monkeypatch.setattr(readiness, "LONG_LOAD", 0.5)
    lines: list[str] = []
    progress: list[str] = []
    begin(own(tmp_path, SLOW, "{first_token: none}"), lines, progress)
    waiting = [line for line in progress if "waiting until it is healthy" in line]
    assert len(waiting) >= 2
    assert re.match(r"Server 'mine': waiting until it is healthy, \d+ s, status 503; its log: ", waiting[0])
    assert waiting[0].endswith("; its log: loading shard 1 of 2")
    assert any("healthy after" in line for line in progress), "the end of a long stage is worth a line"
    assert any("spawned after" in line for line in lines)


def test_a_short_start_is_quiet(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "PROGRESS_EVERY", 1000.0)
    monkeypatch.setattr(readiness, "LONG_LOAD", 1000.0)
    lines: list[str] = []
    progress: list[str] = []
    server = begin("simulator", lines, progress)
    assert [line for line in progress if "waiting" in line] == []
    assert [line.split(": ")[1].split(" after")[0] for line in lines if "after" in line][-1] in {"healthy"}
    times = list(server.stages.values())
    assert times == sorted(times)


@linux
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_another_program_on_the_port_is_told_from_ours(begin: Begin, tmp_path: Path, host: str) -> None:
    """It answers whatever the profile asks, and ours lives on without a port."""
    foreign = subprocess.Popen(
        [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert foreign.stdout is not None
        port = int(foreign.stdout.readline().split("port ")[1].split()[0])
        profile = (
            f"title: x\nstart: {{command: [/bin/sh, -c, 'echo at http://{host}:{port}; exec sleep 60'], "
            "announcement: 'at (?P<url>\\S+)'}\nready: {health: {path: /}, first_token: none, timeout: 20s}\n"
        )
        with pytest.raises(ServerError, match=rf"expected its own listener on port {port}, got one of .*{foreign.pid}"):
            begin(profile)
        assert strangers(port, "127.0.0.1", [foreign.pid]) == []
        assert [str(foreign.pid) in stranger for stranger in strangers(port, "127.0.0.1", [os.getpid()])] == [True]
    finally:
        foreign.kill()
        foreign.wait()
        assert foreign.stdout is not None
        foreign.stdout.close()


@linux
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_listeners_are_found(family: socket.AddressFamily) -> None:
    host = "::" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.create_server((host, 0), family=family) as listener:
        port = listener.getsockname()[1]
        assert [(each.port, each.host) for each in listeners(port)] == [(port, host)]
        assert [(each.inode, pid) for each, pid in held_by([os.getpid()]) if each.port == port] == [
            (listeners(port)[0].inode, os.getpid())
        ]
        assert strangers(port, "127.0.0.1", [os.getpid()]) == []
    assert listeners(port) == []
    assert strangers(port, "127.0.0.1", [os.getpid()]) == [], "nobody is not a stranger"


SHARED = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])), reuse_port=True)
print("listening", flush=True)
time.sleep(600)
"""


@linux
def test_a_stranger_who_shares_the_port_later_is_named(begin: Begin, tmp_path: Path) -> None:
    server = begin(own(tmp_path, SHARED, "{health: null, first_token: none}"))
    assert server.strangers() == []
    stranger = subprocess.Popen([sys.executable, "-c", SHARED, str(server.port)], stdout=subprocess.PIPE)
    try:
        assert stranger.stdout is not None
        stranger.stdout.readline()
        assert [f"(pid {stranger.pid})" in each for each in server.strangers()] == [True]
        assert len(server.untold_strangers()) == 1
        assert server.untold_strangers() == [], "it is told once"
    finally:
        stranger.kill()
        stranger.wait()
        stranger.stdout.close()
    assert server.strangers() == []


@linux
def test_a_stranger_at_another_address_gets_no_call(begin: Begin, tmp_path: Path) -> None:
    server = begin(own(tmp_path, SHARED, "{health: null, first_token: none}"))
    assert server.port is not None
    with socket.create_server(("::1", server.port), family=socket.AF_INET6):
        assert server.strangers() == []


ONE_FAMILY = """
import socket, sys, time
server = socket.create_server(("::1", int(sys.argv[1])), family=socket.AF_INET6)
print(f"listening on http://[::1]:{server.getsockname()[1]}", flush=True)
time.sleep(600)
"""


@linux
def test_a_server_at_the_other_loopback_address_alone_is_told(begin: Begin, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"expected a listener on port (\d+), got connection refused") as caught:
        begin(own(tmp_path, ONE_FAMILY, "{health: null, first_token: none, budgets: {listening: 1s}}"))
    assert re.search(
        r"Hint: process \d+ listens at \[::1\] alone, and is asked at 127\.0\.0\.1: pass {host} in start\.command of "
        r"the profile, or let start\.announcement find the address that it tells, http://\[::1\]:\d+\.",
        str(caught.value),
    )


@linux
def test_a_server_that_announces_the_other_loopback_address_is_reached_there(begin: Begin, tmp_path: Path) -> None:
    profile = own(tmp_path, ONE_FAMILY, "{health: null, first_token: none}")
    announced = profile.replace("'{port}']", "'{port}'], announcement: 'listening on (?P<url>\\S+)'")
    server = begin(announced)
    assert re.fullmatch(r"http://\[::1\]:\d+", server.base_url)
    assert server.strangers() == []


@linux
def test_calls_reach_a_server_at_the_other_loopback_address(begin: Begin) -> None:
    server = begin(
        "title: x\nmodel: fake-model\n"
        "start: {command: [inference-simulator, --host, '::1', --port, '{port}'], "
        "announcement: 'listening on (?P<url>http://\\S+)'}\nready: {first_token: chat}\n"
    )
    assert re.fullmatch(r"http://\[::1\]:\d+", server.base_url)
    again = connect(
        server.base_url,
        server.profile,
        name="again",
        model="fake-model",
        api_key=None,
        limits=Limits(),
        redact=Redactor(),
    )
    assert again.client.models() == ["fake-model"]
    again.close()


def test_ports_are_taken_from_below_those_that_the_system_hands_out() -> None:
    assert all(FIRST <= free_port() <= LAST for _ in range(20))


def test_a_reserved_port_is_not_reserved_twice() -> None:
    wanted = [21_001, 21_001, 21_002]
    first = reserve(lambda: 21_001)
    second = reserve(lambda: wanted.pop(0))
    assert (first.port, second.port) == (21_001, 21_002)
    first.release()
    first.release()
    again = reserve(lambda: 21_001)
    assert again.port == 21_001
    again.release()
    second.release()


def test_two_processes_do_not_reserve_the_same_port() -> None:
    code = "from InferenceLibrary.processes.ports import reserve; print(reserve(iter([21_003, 21_004]).__next__).port)"
    mine = reserve(lambda: 21_003)
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    mine.release()
    assert other.stdout.strip() == "21004"


@pytest.mark.parametrize(
    ("bodies", "body", "seen"),
    [
        (["any"], b"whatever", "ok"),
        (["empty"], b"", "ok"),
        (["empty"], b"x", "status 200 with the body 'x'"),
        (["ok"], b" OK\n", "ok"),
        (["ok", "empty"], b"", "ok"),
        (["status"], b'{"status": "Healthy"}', "ok"),
        (["status"], b'{"status": "loading"}', 'status 200 with the body \'{"status": "loading"}\''),
        (["status"], b"[1]", "status 200 with the body '[1]'"),
        (["status"], b"no JSON", "status 200 with the body 'no JSON'"),
        (["ok"], b"x" * 100, "status 200 with the body '" + "x" * 80 + "…'"),
    ],
)
def test_bodies_that_count_as_healthy(bodies: list[str], body: bytes, seen: str) -> None:
    assert judge_health(Health(bodies=bodies), 200, body) == seen  # type: ignore[arg-type]
    assert judge_health(Health(bodies=bodies), 500, body) == "status 500"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reply", "model", "seen"),
    [
        ('{"data": [{"id": "mine"}]}', "mine", "ok"),
        ('{"data": [{"id": "mine:latest"}]}', "mine", "ok"),  # as Ollama lists it
        ('{"data": [{"id": "mine:7b"}]}', "mine", "a list of mine:7b"),
        ('{"data": [{"id": "a"}, {"id": "b"}]}', "mine", "a list of a, b"),
        ('{"data": [{"id": "a"}]}', None, "ok"),
        ('{"data": []}', None, "a list without a model"),
        ("[]", "mine", "a list without a model"),
    ],
)
def test_the_model_must_be_listed(wire: Callable[..., WireServer], reply: str, model: str | None, seen: str) -> None:
    client = Client(wire([answer(reply)]).url, model=model)
    assert lists_model(client, "/v1/models") == seen


def test_a_forwarder_that_drops_comes_again_at_the_same_port(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "kubectl"
    program.write_text(KUBECTL.format(python=sys.executable))
    program.chmod(stat.S_IRWXU)
    server = begin(
        "kubectl-port-forward", options={"program": str(program), "resource": "svc/vllm", "namespace": "serving"}
    )
    assert server.port is not None
    assert FIRST <= server.port <= LAST, "the port is ours to choose, so that it stays"
    assert (folder / "arguments").read_text() == (
        f'["port-forward", "svc/vllm", "{server.port}:8000", "--address", "127.0.0.1", "--namespace", "serving"]'
    )
    first = server.pid
    (folder / "drop").touch()
    assert server.process is not None
    assert wait_until(lambda: server.process is not None and server.process.running and server.pid != first, 60)
    assert wait_until(lambda: not is_free(server.port or 0), 60)
    assert server.state() == (None, [])
    assert "lost connection" in server.process.log_text()
    assert server.stop() is True


def test_a_port_that_was_taken_is_replaced_on_restart(begin: Begin, tmp_path: Path) -> None:
    server = begin(own(tmp_path, SLOW, "{health: null, first_token: none}"))
    before = server.base_url
    server.kill()
    assert server.exit is not None
    assert str(server.exit) == "signal SIGKILL"
    with socket.create_server(("127.0.0.1", server.port or 0)):
        server.restart()
    assert server.base_url != before
    assert server.client.base_url == server.base_url
    assert server.process is not None
    assert server.process.running


def test_the_address_in_the_environment_of_a_profile_is_filled(begin: Begin, tmp_path: Path) -> None:
    code = (
        "import os, time\nfrom http.server import *\nhost, _, port = os.environ['MY_HOST'].partition(':')\n"
        "print(os.environ['OTHER'], flush=True)\n"
        "HTTPServer((host, int(port)), SimpleHTTPRequestHandler).serve_forever()\n"
    )
    profile = own(tmp_path, code, "{health: {path: /}, first_token: none}").replace(
        "start: {", "start: {environment: {MY_HOST: '{host}:{port}', OTHER: '{\"a\": {b}}'}, "
    )
    server = begin(profile)
    assert server.process is not None
    assert server.process.log_text().startswith('{"a": {b}}')


def test_nothing_is_reserved_after_a_failed_start(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starting, "free_port", lambda: 21_005)
    with pytest.raises(ServerError, match="ended before it was ready"):
        begin(own(tmp_path, "raise SystemExit(3)", "{first_token: none}"))
    again = reserve(iter([21_005, 21_006]).__next__)
    assert again.port == 21_005
    again.release()


LISTING = """
import json, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
begun = time.monotonic()
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        names = ["my-model", "other"] if time.monotonic() - begun > {late} else ["my-model"]
        body = json.dumps({{"data": [{{"id": name}} for name in names]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("asked", flush=True)
    def log_message(self, *arguments):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def listing_profile(folder: Path, late: float) -> str:
    (folder / "server.py").write_text(LISTING.format(late=late))
    (folder / "listing.yaml").write_text(
        f"title: Lists its models\nmodel: other\n"
        f"start: {{command: ['{{python}}', '{folder}/server.py', '{{port}}']}}\n"
        "ready: {health: {path: /}, model_list: /v1/models, first_token: none, timeout: 60s}\n"
    )
    return str(folder / "listing.yaml")


def test_a_model_that_the_list_lacks_is_told_long_before_the_time_is_over(begin: Begin, tmp_path: Path) -> None:
    with pytest.raises(ServerError) as error:
        begin(listing_profile(tmp_path, late=1e9))
    first, *log = str(error.value).splitlines()
    assert re.search(
        r"is not ready \(model listed\): expected the model 'other' on GET /v1/models, got a list of my-model "
        r"after \d\.\d+ s; .* Hint: give one of the listed names with model=, or as model: in the profile\.$",
        first,
    )
    assert re.fullmatch(r"    asked \(\d+ times\)", log[1]), "a line that repeats itself is told once"


def test_a_model_that_the_list_gains_is_waited_for(begin: Begin, tmp_path: Path) -> None:
    assert begin(listing_profile(tmp_path, late=1.0)).model == "other"
