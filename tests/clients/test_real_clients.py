"""What the clients of others see of the reference: one program for each plays its cases and tells their outcomes.

A fault that a client must notice has an outcome that names the error; what it passes over is not asked here. The
outcomes stand in `outcomes.yaml`, by client and case.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "scripts"))

import install_clients  # noqa: E402

pytestmark = pytest.mark.clients
OUTCOMES: dict[str, dict[str, str]] = yaml.safe_load((HERE / "outcomes.yaml").read_text())
LIMIT = 240.0
"""Seconds until a program is given up."""


class Client(NamedTuple):
    language: str
    program: str


CLIENTS = {
    "openai for Python": Client("python", "openai_client.py"),
    "anthropic for Python": Client("python", "anthropic_client.py"),
    "LiteLLM": Client("python", "litellm_client.py"),
    "openai for Node": Client("node", "openai_client.mjs"),
    "anthropic for Node": Client("node", "anthropic_client.mjs"),
    "AI SDK": Client("node", "ai_sdk_client.mjs"),
    "openai-go": Client("go", "openai"),
    "anthropic-sdk-go": Client("go", "anthropic"),
    "openai-java": Client("java", "openai"),
    "langchain4j": Client("java", "langchain4j"),
}


def command(client: Client, scratch: Path) -> list[str]:
    """Return what starts the program; `scratch` is an empty folder."""
    installed = install_clients.folder_of(client.language)
    if client.language == "python":
        return [str(installed / "bin" / "python"), str(HERE / "python" / client.program)]
    if client.language == "go":
        return [str(installed / "clients"), client.program]
    if client.language == "java":
        return [
            "java",
            "-cp",
            os.pathsep.join([str(installed / "classes"), f"{installed}/jars/*"]),
            "Playing",
            client.program,
        ]
    # Node looks for the packages of a module beside it alone.
    shutil.copytree(HERE / "node", scratch / "node")
    (scratch / "node" / "node_modules").symlink_to(installed / "node_modules")
    return [str(install_clients.node_in(installed)), str(scratch / "node" / client.program)]


def play(client: Client, *flags: str, scenario: Path = HERE / "scenario.yaml") -> dict[str, dict[str, str]]:
    """Run a client's program against a reference of its own; return what it told, by case."""
    simulator = [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", "--mode", "echo"]
    started = [*simulator, "--scenario", str(scenario), *flags]
    with (
        tempfile.TemporaryDirectory() as scratch,
        subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as server,
    ):
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            assert line.startswith("listening on "), f"the simulator did not start: {' '.join(started)}"
            url = line.split()[-1]
            run = [*command(client, Path(scratch)), url]
            done = subprocess.run(run, check=False, capture_output=True, text=True, timeout=LIMIT)
        finally:
            server.kill()
    assert done.returncode == 0, f"{client.program} ended with {done.returncode}:\n{done.stderr[-3000:]}"
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return {one["case"]: one for one in told}


@pytest.fixture(scope="module")
def programs(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[dict[str, dict[str, str]]]]]:
    """The programs that this run asks, side by side: they wait more than they work."""
    asked = {name for item in request.session.items for name in CLIENTS if f"[{name}" in item.nodeid}
    with ThreadPoolExecutor(3) as pool:
        yield {
            name: pool.submit(play, client)
            for name, client in CLIENTS.items()
            if name in asked and install_clients.is_installed(client.language)
        }


def skip_unless_installed(name: str) -> None:
    language = CLIENTS[name].language
    if not install_clients.is_installed(language):
        pytest.skip(f"{name} is not installed; why, is told by: scripts/install_clients.py {language}")


def told_by(name: str, programs: dict[str, Future[dict[str, dict[str, str]]]]) -> dict[str, dict[str, str]]:
    skip_unless_installed(name)
    return programs[name].result()


@pytest.mark.parametrize("name", CLIENTS)
def test_all_cases_are_played(name, programs):
    assert sorted(told_by(name, programs)) == sorted(OUTCOMES[name])


@pytest.mark.parametrize(
    ("name", "case"), [(name, case) for name, cases in OUTCOMES.items() for case in cases], ids=lambda part: part
)
def test_a_client_sees(name, case, programs):
    told = told_by(name, programs)[case]
    assert told["outcome"] == OUTCOMES[name][case], told["detail"]


SCHEMAS = {"structured output", "responses structured"}


CONCERNED = {
    "openai for Python": {"retry", "usage of a stream", "tools", "responses tools", *SCHEMAS},
    "openai-go": {"retry", "usage of a stream", "tools", "responses tools", *SCHEMAS},
    "openai-java": {"retry", "tools", *SCHEMAS},
    "langchain4j": {"usage", "tools", "responses tools", "structured output"},
}


@pytest.mark.parametrize("name", CONCERNED)
def test_a_wrong_server_is_seen_in_the_cases_that_it_concerns(name, tmp_path):
    """Without Retry-After, deaf to the format and the choice of tools, and silent on usage."""
    skip_unless_installed(name)
    hasty = tmp_path / "scenario.yaml"
    hasty.write_text((HERE / "scenario.yaml").read_text().replace(', headers: {Retry-After: "1"}', ""))
    faults = ["ignores-response-format", "ignores-text-format", "ignores-tool-choice", "missing-usage"]
    told = play(CLIENTS[name], *(f"--fault={fault}" for fault in faults), scenario=hasty)
    assert {case for case, outcome in OUTCOMES[name].items() if told[case]["outcome"] != outcome} == CONCERNED[name]
