"""The simulator that is kept running in containers, and its variants: `make test-integration-up`, `-logs`, `-down`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from container_tests import IMAGE, engine_or_skip

from InferenceLibrary.client.http import Client
from InferenceLibrary.containers.engine import ContainerEngine
from InferenceLibrary.errors import RequestError
from InferenceLibrary.processes.ports import free_port, is_free

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
import standing_simulator
from standing_simulator import Standing

pytestmark = pytest.mark.docker

VARIANTS = ("LATENCY", "FAILURES", "LORA")


@pytest.fixture(scope="module")
def engine() -> Iterator[ContainerEngine]:
    engine = engine_or_skip(compose=True)
    yield engine
    engine.close()


@pytest.fixture
def ports(engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    monkeypatch.setenv("DOCKER_HOST", engine.address.url)
    monkeypatch.setenv("INFERENCE_SIMULATOR_IMAGE", IMAGE)
    ports = {name: free_port() for name in VARIANTS}
    for name, port in ports.items():
        monkeypatch.setenv(f"INFERENCE_{name}_PORT", str(port))
    return ports


@pytest.fixture
def standing(ports: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Standing]:
    monkeypatch.setattr(standing_simulator, "ROOT", tmp_path)
    standing = Standing(free_port())
    yield standing
    standing.down()


def containers(engine: ContainerEngine, standing: Standing) -> list[str]:
    filters = {"label": f"com.docker.compose.project=inference-{standing.port}"}
    return [item["Names"][0] for item in engine.client.api.containers(all=True, filters=filters)]


def test_its_life_in_a_container(
    standing: Standing, engine: ContainerEngine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert standing.up("docker") == 0
    assert f"A simulator stands at http://127.0.0.1:{standing.port} (container)." in capsys.readouterr().out
    assert len(containers(engine, standing)) == 1
    client = Client(f"http://127.0.0.1:{standing.port}")
    assert client.models() == ["fake-model"]
    assert standing.up("docker") == 0
    assert "already" in capsys.readouterr().out
    assert standing.logs() == 0
    assert "listening on http://0.0.0.0:8000" in capsys.readouterr().out
    assert standing.down() == 0
    assert containers(engine, standing) == []
    assert is_free(standing.port)


def test_its_variants(
    standing: Standing, engine: ContainerEngine, ports: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPOSE_PROFILES", "latency,failures,lora")
    assert standing.up("docker") == 0
    monkeypatch.delenv("COMPOSE_PROFILES")
    latency, failures, lora = (Client(f"http://127.0.0.1:{ports[name]}", model="fake-model") for name in VARIANTS)
    stream = latency.stream_chat([{"role": "user", "content": "Hi"}], max_tokens=4)
    # Behind each delay is a standard deviation of a tenth, cut at 30 %.
    assert stream.time_to_first_token is not None
    assert stream.time_to_first_token >= 0.7 * 0.2
    assert set(lora.models()) == {"fake-model", "sql-adapter", "summary-adapter"}
    failed = 0
    for _ in range(40):
        try:
            failures.chat([{"role": "user", "content": "Hi"}], max_tokens=2)
        except RequestError:
            failed += 1
    # Half of 40; outside of 8 to 32 it would be once in ten thousand runs.
    assert 8 <= failed <= 32
    assert len(containers(engine, standing)) == 4
    assert standing.down() == 0
    assert containers(engine, standing) == []


def test_containers_whose_state_was_lost_are_taken_down(standing: Standing, engine: ContainerEngine) -> None:
    assert standing.up("docker") == 0
    standing.state.unlink()
    assert standing.down() == 0
    assert containers(engine, standing) == []


def test_an_image_that_cannot_be_had_is_told_and_leaves_nothing(
    standing: Standing, engine: ContainerEngine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INFERENCE_SIMULATOR_IMAGE", "registry.invalid/nobody/nothing:1")
    assert standing.up("docker") == 1
    said = capsys.readouterr().err
    assert "docker compose up failed" in said
    assert "Hint: INFERENCE_SIMULATOR_IMAGE names another image" in said
    assert containers(engine, standing) == []
    assert not standing.state.exists()


def test_the_official_image_is_pinned(ports: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFERENCE_SIMULATOR_IMAGE")
    found = Standing(8100)._compose("--profile", "*", "config", "--format", "json")
    services = json.loads(found.stdout)["services"]
    assert {service["image"] for service in services.values()} == {"ghcr.io/llm-d/llm-d-inference-sim:v0.10.2"}
    assert services["inference-simulator"]["ports"][0]["published"] == "8100"
