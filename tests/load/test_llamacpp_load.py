"""The real llama-server under load: what it says of its own speed and what is measured agree."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.load.plan import LoadPlan, Users
from InferenceLibrary.load.requests import Kind, Prompts
from InferenceLibrary.load.run import run
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.processes.ports import free_port

pytestmark = pytest.mark.real

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_llamacpp.py"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("llama.cpp is not built. Build it once (minutes): python scripts/build_llamacpp.py")
    model, port = tmp_path_factory.mktemp("models") / "capitals.gguf", free_port()
    create_tiny_model(model, "capitals", size=100_000_000)
    command = [str(Path(done.stdout.splitlines()[-1]) / "llama-server"), "-m", str(model), "--port", str(port)]
    with subprocess.Popen(
        [*command, "--parallel", "2", "-t", "1", "-c", "2048"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        base = f"http://127.0.0.1:{port}"

        def healthy() -> bool:
            try:
                return httpx.get(f"{base}/health").status_code == 200
            except httpx.TransportError:
                return False

        try:
            assert wait_until(healthy, 60)
            yield base
        finally:
            process.kill()


@pytest.mark.parametrize("users", [1, 2])
def test_its_timings_and_our_figures_agree(url: str, users: int) -> None:
    kind = Kind.chat(max_tokens=12, extra={"ignore_eos": True})
    found = run(LoadPlan(url, Users(users), (kind,), Prompts(tokens=4, seed=users), requests=8, warmup=1))
    assert found.failures == 0, found.errors
    ratios = [one.rate / one.server_rate for one in found.succeeded if one.rate and one.server_rate]
    assert len(ratios) == 8
    assert statistics.median(ratios) == pytest.approx(1, abs=0.05)
    assert {one.output_tokens for one in found.succeeded} == {12}
