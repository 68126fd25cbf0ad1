"""What a container is asked to be; where its engine is; whose it is. No engine is needed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from InferenceLibrary.containers.compose_command import Done
from InferenceLibrary.containers.composition import choose_service, label_everything, published_port
from InferenceLibrary.containers.engine import (
    EngineAddress,
    cause_of,
    engine_problem,
    engine_words,
    find_address,
)
from InferenceLibrary.containers.missing import missing_part
from InferenceLibrary.errors import MissingExtraError, ServerError
from InferenceLibrary.processes import owner
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.container_settings import ContainerSettings
from InferenceLibrary.servers.profile import load_profile

ROOT = Path(__file__).resolve().parents[2]


def engine(url: str = "unix:///run/docker.sock", podman: bool = False) -> Any:
    return SimpleNamespace(address=EngineAddress(url, "test"), podman=podman)


def options(settings: ContainerSettings, **where: Any) -> dict[str, Any]:
    return settings.create_options(engine(**where), "My Server")


def test_ports_are_published_to_this_machine_alone() -> None:
    found = options(ContainerSettings(port=9000, ports={"53/udp": None, "7000": 7001}))["ports"]
    assert found == {
        "9000/tcp": ("127.0.0.1", None),
        "53/udp": ("127.0.0.1", None),
        "7000/tcp": ("127.0.0.1", 7001),
    }


def test_the_servers_own_port_can_be_fixed() -> None:
    assert options(ContainerSettings(ports={"8000": 8100}))["ports"] == {"8000/tcp": ("127.0.0.1", 8100)}


def test_an_engine_elsewhere_publishes_to_where_it_can_be_reached() -> None:
    far = "tcp://docker:2375"
    assert options(ContainerSettings(), url=far)["ports"] == {"8000/tcp": ("0.0.0.0", None)}
    assert EngineAddress(far, "").host == "docker"
    assert EngineAddress("tcp://127.0.0.1:2375", "").host == "127.0.0.1"


def test_names_are_unique_and_labels_tell_the_owner() -> None:
    first, second = (options(ContainerSettings(extra={"labels": {"mine": 1}})) for _ in range(2))
    assert re.fullmatch(rf"inference-my-server-{os.getpid()}-[0-9a-f]{{6}}", first["name"])
    assert first["name"] != second["name"]
    assert first["labels"] == {"mine": "1", **owner.labels()}


def test_an_init_is_the_first_process_unless_it_is_not_wanted() -> None:
    assert options(ContainerSettings())["init"] is True
    assert options(ContainerSettings(extra={"init": False}))["init"] is False


def test_gpus_of_docker_and_of_podman() -> None:
    def asked(gpus: str, podman: bool = False) -> dict[str, Any]:
        (request,) = options(ContainerSettings(gpus=gpus), podman=podman)["device_requests"]
        return dict(request)

    assert asked("all")["Count"] == -1
    assert asked("2")["Count"] == 2
    assert asked("device=0,1")["DeviceIDs"] == ["0", "1"]
    assert asked("GPU-1a2b")["DeviceIDs"] == ["GPU-1a2b"]
    assert asked("all", podman=True) | {"Options": {}} == asked("all", podman=True)
    assert asked("all", podman=True)["DeviceIDs"] == ["nvidia.com/gpu=all"]
    assert asked("2", podman=True)["DeviceIDs"] == ["nvidia.com/gpu=0", "nvidia.com/gpu=1"]
    assert options(ContainerSettings(gpus="none"))["device_requests"] is None


def test_mounts_of_folders_and_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    mounts = (f"{tmp_path}:/a", "./models:/b:ro", "cache:/c")
    assert options(ContainerSettings(mounts=mounts))["volumes"] == [
        f"{tmp_path}:/a:rw",
        f"{tmp_path}/models:/b:ro",
        "cache:/c:rw",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": 0},
        {"port": 65536},
        {"ports": {"http": 1}},
        {"ports": {"80": -1}},
        {"ports": {"80": 65536}},
        {"ports": {"80": "8.5"}},
        {"mounts": ("/a",)},
        {"mounts": (":/a",)},
        {"mounts": ("cache:b",)},
        {"mounts": ("cache:/b:rx",)},
        {"gpus": "-1"},
        {"gpus": "0 1"},
        {"extra": {"image": "x"}},
        {"extra": {"remove": True}},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ServerError):
        options(ContainerSettings(**wrong))


def test_secrets_are_not_shown() -> None:
    shown = repr(ContainerSettings(environment={"HF_TOKEN": "hf_12345678"}, api_key="sk-12345678"))
    assert "12345678" not in shown


def test_the_health_path_of_a_start_wins() -> None:
    profile = load_profile("openai")
    changed = ContainerSettings(health="/up").readiness_of(profile)
    assert changed.ready.health is not None
    assert (changed.ready.health.path, changed.ready.health.statuses) == ("/up", [200])
    assert ContainerSettings().readiness_of(profile) is profile


# Whose it is


def test_what_a_living_process_owns_is_no_orphan() -> None:
    assert not owner.is_orphan(owner.labels())


def test_what_a_dead_process_owned_is_an_orphan() -> None:
    code = "from InferenceLibrary.processes.owner import labels; import json; print(json.dumps(labels()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert owner.is_orphan(json.loads(done.stdout))


def test_what_a_container_of_the_same_name_owns_is_left_alone() -> None:
    """A job in a container with the network of its host is called as the host, and its processes have other numbers."""
    code = "from InferenceLibrary.processes.owner import labels; import json; print(json.dumps(labels()))"
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]
    done = subprocess.run([*apart, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"this system gives no numbers of processes of one's own: {done.stderr.strip()}")
    theirs = json.loads(done.stdout)
    assert theirs["inferencelibrary.machine"].partition(":")[0] == socket.gethostname()
    assert not owner.is_orphan(theirs)


def test_a_number_that_has_gone_to_another_process_does_not_save_an_orphan() -> None:
    assert owner.is_orphan({**owner.labels(), "inferencelibrary.started": "1"})


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"inferencelibrary.pid": "1"},
        {**owner.labels(), "inferencelibrary.machine": "another", "inferencelibrary.started": "1"},
        {**owner.labels(), "inferencelibrary.pid": "many"},
    ],
)
def test_what_is_not_known_to_be_ours_is_left_alone(labels: dict[str, str]) -> None:
    assert not owner.is_orphan(labels)


# Where the engine is


def test_the_variable_comes_first(tmp_path: Path) -> None:
    assert find_address({"DOCKER_HOST": "tcp://far:2375"}) == EngineAddress("tcp://far:2375", "DOCKER_HOST")
    assert find_address({"HOME": str(tmp_path)}).origin == "default"


def test_the_context_of_docker_comes_second(tmp_path: Path) -> None:
    meta = tmp_path / ".docker" / "contexts" / "meta" / "abc"
    meta.mkdir(parents=True)
    (tmp_path / ".docker" / "config.json").write_text('{"currentContext": "colima"}')
    (meta / "meta.json").write_text('{"Name": "colima", "Endpoints": {"docker": {"Host": "unix:///c.sock"}}}')
    assert find_address({"HOME": str(tmp_path)}) == EngineAddress("unix:///c.sock", "docker context")
    assert find_address({"HOME": str(tmp_path), "DOCKER_CONTEXT": "default"}).origin == "default"
    (tmp_path / ".docker" / "config.json").write_text("not json")
    assert find_address({"HOME": str(tmp_path)}).origin == "default"


def test_sockets_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "podman").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "podman" / "podman.sock"))
        found = find_address({"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)})
    if not Path("/var/run/docker.sock").exists():
        assert found.url == f"unix://{tmp_path}/podman/podman.sock"


def answering(path: Path, answer: bytes) -> socket.socket:
    """Something on a unix socket that answers each request with the same bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(5)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'HTTP/1.0 200 OK\r\n\r\n{"ApiVersion": "1.45"}', None),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", "expecting value: line 1 column 1 (char 0)"),
        (b"HTTP/1.0 403 No\r\n\r\n{}", "status 403, not the version of an engine"),
        (b"hello", "hello"),
    ],
)
def test_only_an_engine_counts_as_one(tmp_path: Path, body: bytes, problem: str | None) -> None:
    listener = answering(tmp_path / "e.sock", body)
    try:
        found = engine_problem(EngineAddress(f"unix://{tmp_path}/e.sock", "test"))
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    assert found == problem or (problem and found and problem in found)


def test_why_no_engine_can_be_reached(tmp_path: Path) -> None:
    assert engine_problem(EngineAddress(f"unix://{tmp_path}/none.sock", "test")) == "no such socket"
    (tmp_path / "file.sock").write_text("")
    assert engine_problem(EngineAddress(f"unix://{tmp_path}/file.sock", "test")) == "connection refused"
    assert engine_problem(EngineAddress("tcp://127.0.0.1:1", "test")) == "connection refused"


def test_a_missing_sdk_says_which_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = answering(tmp_path / "e.sock", b'HTTP/1.0 200 OK\r\n\r\n{"ApiVersion": "1.45"}')
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/e.sock")
    monkeypatch.setitem(sys.modules, "docker", None)
    try:
        found = missing_part()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    assert found is not None
    assert "pip install docker requests" in found
    assert issubclass(MissingExtraError, Exception)


def test_words_of_engines_are_cut_to_what_tells() -> None:
    said = (
        "Error response from daemon: driver failed programming external connectivity on endpoint a-b (0f): Bind for 1"
    )
    assert engine_words(said) == "Bind for 1"
    assert cause_of("Bind failed: port is already allocated") is not None
    assert cause_of('could not select device driver "" with capabilities: [[gpu]]') is not None
    assert cause_of("something else") is None


# Compose files

MODEL: dict[str, Any] = {
    "services": {
        "web": {"ports": [{"target": 8000, "published": "1"}, {"target": 53, "protocol": "udp"}]},
        "db": {},
        "cache": {"ports": [{"target": 6379}, {"target": 6380}]},
    },
    "networks": {"default": None, "theirs": {"external": True, "name": "x"}},
    "volumes": {"data": {"labels": {"a": "b"}}},
}


def test_the_service_that_is_talked_to() -> None:
    file = Path("compose.yml")
    assert choose_service(MODEL, "db", (), file) == "db"
    assert choose_service(MODEL, None, ("web", "db"), file) == "web"
    with pytest.raises(ServerError, match="got web, cache"):
        choose_service(MODEL, None, (), file)
    with pytest.raises(ServerError, match="no service 'wb': expected one of web, db, cache"):
        choose_service(MODEL, "wb", (), file)


def test_the_port_that_is_talked_to() -> None:
    file = Path("compose.yml")
    assert published_port(MODEL, "web", 0, file) == 8000
    assert published_port(MODEL, "cache", 6380, file) == 6380
    with pytest.raises(ServerError, match="one published port, got 6379, 6380"):
        published_port(MODEL, "cache", 0, file)
    with pytest.raises(ServerError, match="port 53 to be published, got 8000"):
        published_port(MODEL, "web", 53, file)


def test_all_that_compose_creates_is_labelled() -> None:
    model = json.loads(json.dumps(MODEL))
    label_everything(model)
    assert model["services"]["db"]["labels"] == owner.labels()
    assert model["networks"]["default"]["labels"] == owner.labels()
    assert "labels" not in model["networks"]["theirs"]
    assert model["volumes"]["data"]["labels"] == {"a": "b", **owner.labels()}


def test_what_compose_says_is_told_without_its_progress() -> None:
    progress = ' Network x  Creating\n Container x-1  Started\ntime="now" level=warning msg="obsolete"\n'
    done = Done(1, "", progress + "Error response from daemon: no sk-12345678\n")
    redact = Redactor()
    redact.add("sk-12345678")
    assert done.reason(redact) == "no ***"
    assert done.lines(redact) == ["Error response from daemon: no ***"]
    assert len(Done(None, "", progress).lines(redact)) == 3
    assert Done(3, "", "").reason(redact) == "exit code 3"


# The image


def test_the_image_installs_what_the_project_asks_for() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {item.split(";")[0].strip() for item in project["dependencies"]}
    line = next(line for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines() if "pip install" in line)
    installed = set(re.findall(r'"([^"]+)"', line))
    assert installed <= needed
    assert {re.split(r"[<>=]", item)[0] for item in installed} == {"httptools", "msgspec", "PyYAML", "regex", "uvloop"}
