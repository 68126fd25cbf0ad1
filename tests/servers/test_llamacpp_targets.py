"""The real llama-server in each of its manners: by `check` and by suites, green with its dialect."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from inner_suites import run_inner

from InferenceLibrary.cli import main
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.report.check_results import TargetCheck, read_results

pytestmark = pytest.mark.real

ROOT = Path(__file__).resolve().parents[2]
KEY = "sk-of-this-test"
ROUTER = """
title: llama-server as a router
dialect: llama.cpp
model: capitals
start:
  command: ["{server}", --host, "{{host}}", --port, "{{port}}", --models-dir, "{models}", --models-max, "1",
    --threads, "1", --parallel, "2"]
ready: {{timeout: 60s}}
stop: {{grace: 5s}}
model_routes: {{load: /models/load, unload: /models/unload, body_key: model}}
"""


@pytest.fixture(scope="module")
def server() -> Path:
    script = ROOT / "scripts" / "build_llamacpp.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("llama.cpp is not built. Build it once (minutes): python scripts/build_llamacpp.py")
    return Path(done.stdout.splitlines()[-1]) / "llama-server"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for kind in ("capitals", "tools", "thinking"):
        create_tiny_model(folder / f"{kind}.gguf", kind)
    return folder


@pytest.fixture
def here(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_SERVER", str(server))
    monkeypatch.setenv("KEY_OF_THE_SERVER", KEY)


def checked(folder: Path, target: str, *words: str) -> tuple[int, TargetCheck]:
    code = main(["check", target, *words, "--json", str(folder / "check.json")])
    (found,) = read_results(folder / "check.json").targets
    return code, found


WAYS = {
    "tools": ("tools", [], {"tool calls": "offered", "embeddings": "refused"}),
    "thinking": ("thinking", [], {"chat": "offered", "tool calls": "not offered"}),
    "embeddings": ("capitals", ["embeddings=true", "pooling=mean"], {"embeddings": "offered"}),
    "key": ("capitals", [f"api_key_required={KEY}"], {"keys": "offered"}),
}
"""Way to the model, options, and what is found out."""


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("way", WAYS)
def test_check_is_green_with_its_dialect(way: str, models: Path, tmp_path: Path) -> None:
    model, options, expected = WAYS[way]
    words = [part for one in [f"model_file={models / model}.gguf", *options] for part in ("--option", one)]
    words += ["--api-key-env", "KEY_OF_THE_SERVER"] if way == "key" else []
    code, found = checked(tmp_path, "llama.cpp", *words)
    assert (code, found.compat) == (0, "pass"), found.reason
    states = {one.capability: one.state for one in reversed(found.coverage)}
    assert {name: states.get(name) for name in expected} == expected
    assert found.dialect == "llama.cpp b0", "the version is found out"
    assert KEY not in (tmp_path / "check.json").read_text(encoding="utf-8")


@pytest.mark.usefixtures("here")
def test_a_router_is_green_by_check_and_by_suites(server: Path, models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(models / "capitals.gguf", folder)
    profile = tmp_path / "router.yaml"
    profile.write_text(ROUTER.format(server=server, models=folder), encoding="utf-8")
    code, found = checked(tmp_path, str(profile))
    assert (code, found.compat) == (0, "pass"), found.reason
    suites = [part for name in ("api", "errors") for part in ("--suite", name)]
    done = run_inner(
        ROOT / "robot" / "integration", tmp_path / "out", "--exclude", "simulatorORonnxORslow", *suites,
        "--variable", f"TARGET:{profile}",
    )  # fmt: skip
    assert {name: one.message for name, one in done.tests.items() if one.status == "FAIL"} == {}
    assert len([one for one in done.tests.values() if one.status == "PASS"]) > 10


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(("model", "suite", "least"), [("tools", "tools", 3), ("thinking", "structured_output", 3)])
def test_suites_are_green_where_the_model_calls_tools_or_thinks(
    model: str, suite: str, least: int, models: Path, tmp_path: Path
) -> None:
    environment = {"LLAMA_SERVER": os.environ["LLAMA_SERVER"], "TEST_MODEL_FILE": str(models / f"{model}.gguf")}
    done = run_inner(
        ROOT / "robot" / "integration", tmp_path, "--exclude", "simulatorORonnxORslow", "--suite", suite,
        "--variable", "TARGET:llama.cpp", env=environment,
    )  # fmt: skip
    assert {name: one.message for name, one in done.tests.items() if one.status == "FAIL"} == {}
    assert len([one for one in done.tests.values() if one.status == "PASS"]) >= least
