"""A real llama-server as a router loads and unloads a model by the routes of its profile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from inner_suites import run_text

from InferenceLibrary.modelfiles.tiny import create_tiny_model

pytestmark = pytest.mark.real

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_llamacpp.py"

PROFILE = """
title: llama-server as a router
model: capitals
start:
  command: [{server}, --host, "{{host}}", --port, "{{port}}", --models-dir, {models}, --models-max, "1",
    --no-models-autoload]
ready: {{first_token: none, timeout: 60s}}
stop: {{grace: 5s}}
model_routes: {{load: /models/load, unload: /models/unload, body_key: model}}
"""
SUITE = """
*** Settings ***
Library    InferenceLibrary

*** Test Cases ***
Come And Gone
    Start Server    {profile}
    Load Served Model    capitals
    Wait Until Keyword Succeeds    30 s    200 ms    Chat    Hello    max_tokens=4
    Unload Served Model    capitals
    Wait Until Keyword Succeeds    30 s    200 ms    Chat    Hello    max_tokens=4    expected_status=failure
    Load Served Model    nobody    expected_status=404
"""


def test_a_model_comes_and_goes(tmp_path: Path) -> None:
    built = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    if built.returncode != 0:
        pytest.skip("llama.cpp is not built. Build it once (minutes): python scripts/build_llamacpp.py")
    server = Path(built.stdout.splitlines()[-1]) / "llama-server"
    models = tmp_path / "models"
    models.mkdir()
    create_tiny_model(models / "capitals.gguf", kind="capitals")
    profile = tmp_path / "router.yaml"
    profile.write_text(PROFILE.format(server=server, models=models), encoding="utf-8")

    run = run_text(SUITE.format(profile=profile), tmp_path / "run")

    assert run["Come And Gone"].message == ""
    assert run["Come And Gone"].status == "PASS"
    assert run.leftovers == []
