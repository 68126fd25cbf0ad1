"""Containers and compose projects through the Python API: their life as a server's program, with a real engine."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from container_tests import IMAGE, engine_or_skip, labelled

from InferenceLibrary.client.sending import Sending
from InferenceLibrary.containers.container import Container
from InferenceLibrary.containers.engine import ContainerEngine, sdk
from InferenceLibrary.containers.watcher import WATCHER
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.errors import RequestError, ServerError
from InferenceLibrary.processes.ports import is_free
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.compose_starting import ComposeSettings, start_compose
from InferenceLibrary.servers.container_settings import ContainerSettings
from InferenceLibrary.servers.container_starting import start_container
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.server import Server

pytestmark = pytest.mark.docker

OWN = os.getpid()


@pytest.fixture(scope="module")
def engine() -> Iterator[ContainerEngine]:
    engine = engine_or_skip(compose=True)
    yield engine
    engine.close()


@pytest.fixture
def start(engine: ContainerEngine, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a container; whatever happens, nothing is left, and the watcher has gone."""
    servers: list[Server] = []
    numbers = itertools.count()

    def go(*command: str, image: str = IMAGE, redact: Redactor | None = None, **settings: Any) -> Server:
        asked = ContainerSettings(**{"command": command, "health": "/health", "timeout": 60.0, **settings})
        path = tmp_path / f"{next(numbers)}.log"
        server = start_container(
            image, load_profile("openai"), asked, name="sim", new_log=lambda: path, redact=redact or Redactor()
        )
        servers.append(server)
        return server

    yield go
    for server in servers:
        server.stop(0.0)
    assert labelled(engine, OWN) == []
    assert WATCHER._process is None


@pytest.fixture
def compose(engine: ContainerEngine, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def go(text: str, **settings: Any) -> Server:
        file = tmp_path / "compose.yml"
        file.write_text(text.replace("IMAGE", IMAGE), encoding="utf-8")
        server = start_compose(
            file,
            load_profile("openai"),
            ComposeSettings(server=ContainerSettings(port=0, health="/health", timeout=60.0), **settings),
            name="sim",
            new_log=lambda part: tmp_path / f"{part}.log",
            redact=Redactor(),
        )
        servers.append(server)
        return server

    yield go
    for server in servers:
        server.stop(0.0)
    assert labelled(engine, OWN) == []
    assert WATCHER._process is None


def program(server: Server) -> Container:
    assert isinstance(server.process, Container)
    return server.process


def test_its_life(start: Callable[..., Server], engine: ContainerEngine) -> None:
    server = start("--mode", "echo")
    container = program(server)
    assert server.model == "fake-model"
    assert server.client.chat([{"role": "user", "content": "to and fro"}]).text == "to and fro"
    assert container.running
    assert (container.exit_code, container.how_it_ended(), server.exit) == (None, None, None)
    assert labelled(engine, OWN) == [container.name]
    if engine.address.is_local and sys.platform == "linux":
        assert server.pid is not None
        assert "simulator" in Path(f"/proc/{server.pid}/cmdline").read_text().lower()
    assert list(server.stages) == ["spawned", "healthy"]
    port = server.port
    assert server.stop()
    assert (container.running, container.exit_code, container.how_it_ended()) == (False, 0, "exit code 0")
    assert server.exit is not None
    assert server.exit.lifetime > 0
    assert server.pid is None
    assert port is not None
    assert is_free(port)
    assert "listening on" in container.log_text()
    assert server.stop(), "a second stop does nothing"


def test_its_output_is_in_the_file_while_it_runs(start: Callable[..., Server]) -> None:
    server = start("--log-http")
    before = program(server).log_size()
    server.client.chat([{"role": "user", "content": "Hi"}], max_tokens=2)
    assert wait_until(lambda: "/v1/chat/completions" in program(server).log_text(before), 60)


def test_a_term_that_is_ignored_ends_in_kill(start: Callable[..., Server]) -> None:
    server = start("--fault", "ignore-term")
    assert not server.stop(0.3)
    assert program(server).exit_code == -9
    assert program(server).how_it_ended() == "exit code 137 (SIGKILL)"


def test_an_end_by_itself_is_told_at_once(start: Callable[..., Server]) -> None:
    server = start("--fault", "crash-after:code=7,message=the engine died")
    with pytest.raises(RequestError, match="its container ended with exit code 7") as caught:
        server.client.chat([{"role": "user", "content": "Hi"}])
    assert "the engine died" in str(caught.value)


def test_a_container_that_somebody_removed_has_ended(start: Callable[..., Server], engine: ContainerEngine) -> None:
    server = start()
    engine.client.api.remove_container(program(server).id, force=True)
    assert wait_until(lambda: not program(server).running, 60)
    assert program(server).how_it_ended() == "exit code 0 (removed by somebody else)"
    assert server.stop()


def test_pause_resume_kill_restart(start: Callable[..., Server]) -> None:
    server = start()
    server.pause()
    limits = server.client.limits.replace(total=0.5)
    with pytest.raises(RequestError, match="no answer within"):
        server.client.chat([{"role": "user", "content": "Hi"}], Sending(limits=limits))
    server.resume()
    assert server.client.chat([{"role": "user", "content": "Hi"}], max_tokens=2).status == 200
    server.kill()
    assert program(server).exit_code == -9
    with pytest.raises(ServerError, match="cannot be paused"):
        server.pause()
    old, url = program(server).id, server.base_url
    server.restart()
    assert program(server).id != old
    assert server.base_url == url
    assert server.client.chat([{"role": "user", "content": "Hi"}], max_tokens=2).status == 200


def test_a_paused_container_can_be_stopped(start: Callable[..., Server]) -> None:
    server = start()
    server.pause()
    assert server.stop(5.0)


def test_an_engine_that_cannot_freeze_at_once_is_asked_again(
    start: Callable[..., Server], engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start()
    api = program(server)._engine.client.api
    pause, asked = api.pause, []

    def pause_later(container: str) -> None:
        asked.append(container)
        if len(asked) == 1:
            raise sdk().errors.APIError("OCI runtime pause failed: unable to freeze: unknown")
        pause(container)

    monkeypatch.setattr(api, "pause", pause_later)
    server.pause()
    assert len(asked) == 2
    assert server.stop(5.0)


@pytest.mark.parametrize(("problem", "more"), [("unable to freeze", True), ("no such container", False)])
def test_what_an_engine_never_does_is_told(
    start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, problem: str, more: bool
) -> None:
    asked: list[str] = []

    def refuse(container: str) -> None:
        asked.append(container)
        raise sdk().errors.APIError(problem)

    server = start()
    monkeypatch.setattr("InferenceLibrary.containers.container._FREEZE_BUDGET", 0.3)
    monkeypatch.setattr(program(server)._engine.client.api, "pause", refuse)
    with pytest.raises(ServerError, match=problem):
        server.pause()
    assert (len(asked) > 1) is more


def test_the_environment_and_secrets(start: Callable[..., Server]) -> None:
    redact = Redactor()
    redact.add("sk-planted-1")
    server = start(
        "--api-key", "sk-planted-1", environment={"SIM_MODEL": "mine"}, redact=redact, api_key="sk-planted-1"
    )
    assert server.client.models() == ["mine"]
    server.stop()
    assert "sk-planted-1" not in program(server).log_text()


def test_failing_starts_leave_nothing(start: Callable[..., Server], engine: ContainerEngine) -> None:
    with pytest.raises(ServerError, match="ended before it was ready"):
        start("--modle", "x")
    assert labelled(engine, OWN) == []
    first = start()
    with pytest.raises(ServerError, match="the port is taken"):
        start(ports={"8000": first.port})
    assert labelled(engine, OWN) == [program(first).name]


def test_several_at_once_do_not_meet(start: Callable[..., Server], engine: ContainerEngine) -> None:
    servers = [start("--model", f"model-{number}") for number in range(4)]
    assert len({server.base_url for server in servers}) == 4
    assert [server.client.models() for server in servers] == [[f"model-{number}"] for number in range(4)]
    assert len(labelled(engine, OWN)) == 4


def test_a_project_with_a_second_service_a_network_and_a_volume(
    compose: Callable[..., Server], engine: ContainerEngine, tmp_path: Path
) -> None:
    server = compose(
        """
        services:
          web: {image: "IMAGE", ports: ["127.0.0.1::8000"], depends_on: {side: {condition: service_started}}}
          side: {image: "IMAGE", volumes: ["data:/data"], command: [--model, "${SIDE_MODEL}"], scale: 2}
          init: {image: "IMAGE", entrypoint: [sh, -c, "echo prepared"]}
        volumes: {data: {}}
        """,
        environment={"SIDE_MODEL": "side-model"},
    )
    project: Any = server.process
    assert sorted(project.containers) == ["init-1", "side-1", "side-2", "web-1"]
    assert server.client.chat([{"role": "user", "content": "Hi"}], max_tokens=2).status == 200
    # A helper that has done its work and ended with 0 is not a failure.
    assert wait_until(lambda: not project.containers["init-1"].running, 60)
    assert server.state() == (None, [])
    assert wait_until(lambda: "prepared" in (tmp_path / "init-1.log").read_text(), 60)
    assert len(labelled(engine, OWN)) == 6
    project.containers["side-1"].kill()
    assert server.state() == (
        "its compose project ended with exit code 137 (SIGKILL) of service side-1",
        project.log_tail(),
    )
    server.stop()
    assert labelled(engine, OWN) == []


def test_two_projects_of_one_file_do_not_meet(compose: Callable[..., Server]) -> None:
    text = 'services: {sim: {image: "IMAGE", ports: ["127.0.0.1::8000"]}}'
    one, two = compose(text), compose(text)
    assert one.base_url != two.base_url
    one.stop()
    assert two.client.models() == ["fake-model"]


def test_a_project_is_paused_killed_and_restarted(compose: Callable[..., Server]) -> None:
    server = compose('services: {sim: {image: "IMAGE", ports: ["127.0.0.1::8000"]}}')
    server.pause()
    server.resume()
    assert server.client.models() == ["fake-model"]
    server.kill()
    assert server.process is not None
    assert server.process.exit_code == -9
    server.restart()
    assert server.client.models() == ["fake-model"]


def test_the_import_of_the_engines_sdk_waits_until_it_is_needed() -> None:
    code = "import InferenceLibrary.servers.container_starting, InferenceLibrary.servers.compose_starting, sys; "
    code += "print('docker' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
