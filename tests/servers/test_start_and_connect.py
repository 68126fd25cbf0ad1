"""A user's own server by its own profile, ports that are taken, readiness, and servers that run elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from machine import patience
from own_server import write_own_server
from servers.small_server import SmallServer, chat
from wire_server import HOLD, Step, WireServer, answer

from InferenceLibrary.client.http import Client
from InferenceLibrary.client.limits import Limits
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import ProfileError, RequestError, ServerError
from InferenceLibrary.processes.ports import free_port, is_free
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.probes import OK
from InferenceLibrary.servers.profile import Profile, load_profile
from InferenceLibrary.servers.readiness import generate_one, probe
from InferenceLibrary.servers.sections import Health
from InferenceLibrary.servers.server import Server, connect
from InferenceLibrary.servers.starting import StartSettings, start

HELLO = [{"role": "user", "content": "Hi"}]
Begin = Callable[..., Server]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    started: list[Server] = []
    logs: list[Path] = []

    def run(profile: str | Path, **settings: object) -> Server:
        def new_log() -> Path:
            logs.append(tmp_path / f"server-{len(logs)}.log")
            return logs[-1]

        server = start(
            load_profile(str(profile)),
            StartSettings(**settings),  # type: ignore[arg-type]
            name="mine",
            new_log=new_log,
            redact=Redactor(),
        )
        started.append(server)
        return server

    run.logs = logs  # type: ignore[attr-defined]
    yield run
    for server in started:
        server.close()


def test_a_profile_of_ones_own(begin: Begin, tmp_path: Path) -> None:
    server = begin(write_own_server(tmp_path), options={"words": ["a", "b"]}, arguments=["--last"])
    assert (server.name, server.model, server.base_url) == ("mine", "own", server.client.base_url)
    assert list(server.stages) == ["spawned", "listening", "healthy"]
    assert server.log_path is not None
    port = server.base_url.rpartition(":")[2]
    assert f"arguments ['{port}', '--words', 'a', '--words', 'b', '--last']" in server.log_path.read_text()
    assert server.client.chat(HELLO).text == "key no key"
    assert str(server) == f"mine at {server.base_url} (pid {server.pid})"
    assert server.state() == (None, [])
    assert server.stop() is True
    assert is_free(int(port))
    server.close()


def test_the_end_of_a_process_is_told(begin: Begin, tmp_path: Path) -> None:
    server = begin(write_own_server(tmp_path))
    server.stop()
    state, log = server.state()
    assert state == "its process ended with signal SIGTERM"
    assert any("arguments" in line for line in log)


UNLUCKY = """
import os, pathlib, socket, sys
count = pathlib.Path(__file__).with_suffix(".count")
number = int(count.read_text()) if count.exists() else 0
count.write_text(str(number + 1))
if number < int(sys.argv[2]):
    sys.exit("OSError: [Errno 98] Address already in use")
"""
"""Put before the server, it loses the race for its port so many times."""


def unlucky(folder: Path, times: int) -> Path:
    profile = write_own_server(folder)
    script = folder / "own_server.py"
    script.write_text(UNLUCKY + script.read_text())
    profile.write_text(profile.read_text().replace('"{port}"]', f'"{{port}}", "{times}"]'))
    return profile


def test_a_port_that_was_taken_meanwhile_is_replaced(begin: Begin, tmp_path: Path) -> None:
    server = begin(unlucky(tmp_path, 2))
    assert server.client.chat(HELLO).status == 200
    logs = begin.logs  # type: ignore[attr-defined]
    assert len(logs) == 3, "two tries failed, each with a log of its own"
    assert "Address already in use" in logs[0].read_text()


def test_ports_that_are_always_taken_are_told(begin: Begin, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"ended before it was ready: .* Hint: the port is taken") as caught:
        begin(unlucky(tmp_path, 99))
    assert "Address already in use" in str(caught.value)
    assert 2 <= len(begin.logs) <= 20  # type: ignore[attr-defined]


LATE = """
import os, pathlib, sys, time
here = pathlib.Path(__file__)
if not here.with_suffix(".port").exists():
    here.with_suffix(".new").write_text(sys.argv[1])
    here.with_suffix(".new").rename(here.with_suffix(".port"))
    while not here.with_suffix(".taken").exists():
        time.sleep(0.01)
    time.sleep(0.5)
"""
"""Put before the server, its first start tells its port and binds it when somebody else has long taken it."""


def test_another_server_on_the_port_is_not_taken_for_ours(begin: Begin, tmp_path: Path) -> None:
    profile = write_own_server(tmp_path)
    script = tmp_path / "own_server.py"
    script.write_text(LATE + script.read_text())
    foreign: list[HTTPServer] = []

    class Everything(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    def take() -> None:
        port = script.with_suffix(".port")
        assert wait_until(port.exists, 60)
        foreign.append(HTTPServer(("127.0.0.1", int(port.read_text())), Everything))
        script.with_suffix(".taken").touch()
        foreign[0].serve_forever(0.01)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    try:
        server = begin(profile)
    finally:
        for each in foreign:
            each.shutdown()
            each.server_close()
    assert server.base_url != f"http://127.0.0.1:{foreign[0].server_port}"
    assert server.client.chat(HELLO).text == "key no key"
    assert len(begin.logs) == 2  # type: ignore[attr-defined]


def test_a_port_of_choice_is_not_replaced(begin: Begin, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="ended before it was ready"):
        begin(unlucky(tmp_path, 1), port=free_port())
    assert len(begin.logs) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("port", [-1, 65536, 100_000])
def test_a_port_out_of_range_is_refused(begin: Begin, port: int) -> None:
    with pytest.raises(ServerError, match=rf"expected a port from 0 to 65535, got {port}\."):
        begin("simulator", port=port)


def test_a_port_in_use_is_refused_before_anything_starts(begin: Begin) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(ServerError, match=rf"cannot be started on port {port}: address already in use"):
            begin("simulator", port=port)
    assert begin.logs == []  # type: ignore[attr-defined]


def test_a_stop_right_behind_the_first_health_is_graceful(begin: Begin) -> None:
    """On a port of choice health may be answered before the simulator's loop runs for good."""
    assert [begin("simulator", port=free_port()).stop() for _ in range(5)] == [True] * 5


def test_a_port_of_choice_is_taken(begin: Begin) -> None:
    port = free_port()
    assert begin("simulator", port=port).base_url == f"http://127.0.0.1:{port}"


def test_what_cannot_be_started(begin: Begin) -> None:
    with pytest.raises(ServerError, match=r"Profile 'openai' cannot be started: it has no 'start' section"):
        begin("openai")
    with pytest.raises(ProfileError, match=r"has no option 'modell': .* Did you mean 'model'\?"):
        begin("simulator", options={"modell": "x"}, also_allowed=("model",))


def test_an_announced_port_is_read(begin: Begin, tmp_path: Path) -> None:
    script = tmp_path / "announces.py"
    script.write_text(
        "import sys, time\n"
        "from http.server import HTTPServer, SimpleHTTPRequestHandler\n"
        "server = HTTPServer(('127.0.0.1', int(sys.argv[1])), SimpleHTTPRequestHandler)\n"
        "print('bound to', server.server_port, flush=True)\n"
        "server.serve_forever()\n"
    )
    profile = tmp_path / "announces.yaml"
    profile.write_text(
        f"title: x\n"
        f"start: {{command: ['{{python}}', '{script}', '{{port}}'], announcement: 'bound to (?P<port>[0-9]+)'}}\n"
        "ready: {health: {path: /}, first_token: none, timeout: 20s}\n"
    )
    server = begin(profile)
    assert list(server.stages) == ["spawned", "listening", "healthy"]
    assert not server.base_url.endswith(":0")


def test_the_first_token_is_awaited(begin: Begin) -> None:
    server = begin("simulator", wait_for="first token")
    assert list(server.stages) == ["spawned", "listening", "healthy", "first token"]
    with pytest.raises(ServerError) as caught:
        begin(
            "simulator",
            wait_for="first token",
            options={"fault": "missing-done", "time_to_first_token": "1 min"},
            timeout=patience(1.5),
        )
    assert "(first token): expected a first token from a chat or a completion, got" in str(caught.value)
    assert "process " in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host", "http://", "http:///path", "http://host:99999", "http://host:x", "http://a b", "",
     "http://host:0", "http://a..b", "http://" + "x" * 70],
)  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(
        ServerError,
        match=r"is not the URL of a server: expected http://host:port, .*\.",
    ):
        remote(url)


@pytest.mark.parametrize(("more", "what"), [("/v1?api-version=1", "query"), ("#top", "fragment")])
def test_what_would_swallow_the_paths_of_calls_is_refused(more: str, what: str) -> None:
    with pytest.raises(ServerError, match=rf"got a URL with a {what}\.") as caught:
        remote(f"http://host{more}")
    assert ("Hint: give it with the path of each call" in str(caught.value)) == (what == "query")


def test_a_key_in_a_url_that_is_refused_is_masked() -> None:
    with pytest.raises(ServerError, match=r"^'http://host\?api_key=\*\*\*' is not the URL of a server: "):
        remote("http://host?api_key=planted-1")


@pytest.mark.parametrize(
    "url", ["http://host", "https://host:1/v1/", "http://[::1]:80", "http://me:pw@host", "http://h.a."]
)
def test_what_is_an_address_is_taken(url: str) -> None:
    assert remote(url).base_url in {url, "https://host:1"}


def remote(url: str, api_key: str | None = None) -> Server:
    return connect(
        url, load_profile("openai"), name="far", model=None, api_key=api_key, limits=Limits(), redact=Redactor()
    )


def test_a_server_that_runs_elsewhere_is_let_go() -> None:
    server = remote("http://127.0.0.1:9")
    assert (server.pid, server.log_path, server.model) == (None, None, None)
    assert server.stop() is True
    assert server.state() == (None, [])
    assert str(server) == "far at http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("script", "health", "seen"),
    [
        ([answer("{}")], Health(), "ok"),
        ([answer("{}", "503 Service Unavailable")], Health(), "status 503"),
        ([answer("{}", "401 Unauthorized")], Health(statuses=[200, 401]), "ok"),
        ([b""], Health(), "Remote end closed connection without response"),
        ([b"nonsense\r\n\r\n"], Health(), "nonsense\r\n"),
        ([HOLD], None, "ok"),
    ],
)
def test_a_probe_tells_what_it_saw(
    wire: Callable[..., WireServer], script: list, health: Health | None, seen: str
) -> None:  # type: ignore[type-arg]
    assert probe(wire(script).url, health) == seen


def test_a_health_that_drips_is_given_up_at_the_limit(wire: Callable[..., WireServer]) -> None:
    """Each byte comes in time, and the answer never ends."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nX-Slow: "
    drip: list[Step] = [part for _ in range(500) for part in (b"x", 0.05)]
    assert probe(wire([head, *drip]).url, Health(bodies=["ok"]), 0.3) == "no answer within 0.3 s"


def test_a_probe_of_nobody() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert probe(url, Health()) == "connection refused"
    assert probe(url, None) == "connection refused"
    assert "label" in probe("http://" + "x" * 70, Health()), "a name that cannot be looked up"


def test_a_probe_asks_below_the_path_of_the_address(wire: Callable[..., WireServer]) -> None:
    server = wire([answer("{}")])
    probe(server.url + "/prefix", Health("/health"))
    assert server.requests[0].startswith(b"GET /prefix/health ")


NOTHING_SHOWN = (
    'data: {"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant"}, "finish_reason": null}]}\n\n'
    'data: {"id": "1", "choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]}\n\ndata: [DONE]\n\n'
)


@pytest.mark.parametrize("kind", ["chat", "completion"])
def test_a_stream_without_a_token_is_not_ready(wire: Callable[..., WireServer], kind: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    server = wire([head, b"data: [DONE]\n\n"])
    client = Client(server.url)
    assert generate_one(client, kind, 5).startswith("a stream without a token: 200 in ")
    assert f"/v1/{'chat/completions' if kind == 'chat' else 'completions'} ".encode() in server.requests[0]


def test_a_model_whose_first_token_is_a_mark_is_asked_for_more() -> None:
    asked: list[int] = []

    def think(body: Any) -> tuple[int, Any]:
        asked.append(body["max_tokens"])
        return chat(body) if asked[1:] else (200, NOTHING_SHOWN)

    small = SmallServer({"/v1/chat/completions": think}).begin()
    try:
        assert generate_one(Client(small.url, model="small"), "chat", 5) == OK
    finally:
        small.close()
    assert asked == [1, 32]


def test_a_handshake_that_never_ends_is_bounded(wire: Callable[..., WireServer]) -> None:
    """A plain TCP server takes the hello of TLS and keeps silent."""
    server = wire([HOLD])
    client = Client(server.url.replace("http:", "https:"), limits=Limits(total=0.4, connect=None))
    with pytest.raises(RequestError, match=r"no answer within the total time limit of 0\.4 s"):
        client.send("GET", "/health")


def test_a_profile_says_what_is_healthy() -> None:
    profile = Profile(title="x")
    assert profile.ready.health is not None
    assert (profile.ready.health.path, profile.ready.health.statuses) == ("/health", [200])
