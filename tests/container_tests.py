"""What the tests of containers share: the engine, the image, and what a run has left behind."""

from __future__ import annotations

import os
import select
import subprocess
from typing import Any

import pytest

from InferenceLibrary.containers.engine import ContainerEngine, connect_engine
from InferenceLibrary.containers.missing import missing_part
from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes.owner import RUN_LABEL

IMAGE = os.environ.get("INFERENCE_SIMULATOR_IMAGE", "inference-simulator:local")
HOW_TO_RUN = "run them with: make test-containers"


def engine_or_skip(compose: bool = False) -> ContainerEngine:
    """Return the engine; skip loudly where there is none, or not the image."""
    missing = missing_part(IMAGE, compose)
    if missing is not None:
        pytest.skip(f"{missing} These tests: {HOW_TO_RUN}")
    return connect_engine()


def labelled(engine: ContainerEngine, pid: int | None = None) -> list[str]:
    """Return names of all that carries our label: containers, networks, volumes; only of one runner, by its pid."""
    api = engine.client.api
    filters: dict[str, Any] = {"label": RUN_LABEL if pid is None else f"inferencelibrary.pid={pid}"}
    found = [item["Names"][0].lstrip("/") for item in api.containers(all=True, filters=filters)]
    found += [item["Name"] for item in api.networks(filters=filters)]
    return found + [item["Name"] for item in api.volumes(filters=filters).get("Volumes") or []]


def await_standing(process: subprocess.Popen[str], engine: ContainerEngine, stage: str) -> None:
    """Wait until the run has said that it waits and something of it stands."""
    assert process.stdout is not None
    seen = ""
    while "waiting now" not in seen:
        ready, _, _ = select.select([process.stdout], [], [], 60)
        assert ready, f"'waiting now' never came: {seen}"
        piece = os.read(process.stdout.fileno(), 4096).decode()
        assert piece, f"The run ended early: {seen}"
        seen += piece
    assert wait_until(lambda: labelled(engine, process.pid) != [], 30), f"nothing stands in stage {stage}"
