"""The real llama-server while it loads a large model: it listens and says 503, and is not taken for ready."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import msgspec
import pytest

from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.processes.ports import free_port
from InferenceLibrary.redaction import Redactor
from InferenceLibrary.servers.profile import load_profile
from InferenceLibrary.servers.sections import Health
from InferenceLibrary.servers.starting import StartSettings, start

pytestmark = pytest.mark.real

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_llamacpp.py"


@pytest.fixture(scope="module")
def program() -> Path:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("llama.cpp is not built. Build it once (minutes): python scripts/build_llamacpp.py")
    return Path(done.stdout.splitlines()[-1]) / "llama-server"


@pytest.fixture(scope="module")
def large_model(program: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "large.gguf"
    create_tiny_model(path, "capitals", size=600_000_000)
    return path


class Observer:
    """Asks for health beside the start, and keeps each answer with the time at which it was asked for."""

    def __init__(self, port: int) -> None:
        self.answers: list[tuple[float, int, str]] = []
        self.healthy_at = 0.0
        self._url = f"http://127.0.0.1:{port}/health"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def note(self, line: str) -> None:
        """Take a line about the start."""
        if ": healthy after" in line:
            self.healthy_at = time.monotonic()

    def finish(self) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._over.wait(0.002):
                asked = time.monotonic()
                try:
                    answer = client.get(self._url)
                except httpx.TransportError:
                    continue
                self.answers.append((asked, answer.status_code, answer.text))


def observe(program: Path, model: Path, statuses: list[int], log: Path) -> Observer:
    """Start the server and stop it, with these statuses taken for healthy."""
    profile = load_profile("llama.cpp")
    ready = msgspec.structs.replace(
        profile.ready, health=Health(path="/health", statuses=statuses), first_token="none", model_list=None
    )
    port = free_port()
    observer = Observer(port)
    try:
        server = start(
            msgspec.structs.replace(profile, ready=ready),
            # Read, not mapped: the load takes as long as the file is large.
            StartSettings(
                port=port,
                options={"program": str(program), "model_file": str(model)},
                arguments=["--load-mode", "none"],
            ),
            name="llama",
            new_log=lambda: log,
            redact=Redactor(),
            report=observer.note,
            progress=observer.note,
        )
        server.stop()
    finally:
        observer.finish()
    return observer


def test_503_while_it_loads_is_not_taken_for_ready(program: Path, large_model: Path, tmp_path: Path) -> None:
    seen = observe(program, large_model, [200], tmp_path / "server.log")
    loading = [asked for asked, status, text in seen.answers if status == 503 and "Loading model" in text]
    up = [asked for asked, status, _ in seen.answers if status == 200]
    assert loading, "it listens while it loads"
    assert not up or max(loading) < min(up), "it does not go back"
    assert seen.healthy_at > max(loading)


def test_who_takes_503_for_healthy_is_too_early(program: Path, large_model: Path, tmp_path: Path) -> None:
    """The counter-check: the comparison above can tell the difference."""
    seen = observe(program, large_model, [200, 503], tmp_path / "server.log")
    assert seen.healthy_at > 0
    assert not [asked for asked, status, _ in seen.answers if status == 200 and asked < seen.healthy_at]
