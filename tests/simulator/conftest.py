"""Start simulators as real processes on a free port, and speak to them in bytes."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from InferenceLibrary.modelfiles.ggml_file import create_tiny_ggml
from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.simulator.cli import main

Run = Callable[..., subprocess.CompletedProcess[str]]
NAMING = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings"}
"""Routes whose requests must name a model, as in OpenAI's reference."""
BUDGET = 60.0
"""Seconds until what hangs is given up."""


@dataclass
class Answer:
    """One HTTP answer as bytes."""

    raw: bytes

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def status(self) -> int:
        return int(self.raw.split(b" ", 2)[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}

    @property
    def body(self) -> bytes:
        """The body without its transfer coding; what is cut is given as far as it came."""
        rest = self.raw.partition(b"\r\n\r\n")[2]
        return dechunk(rest) if self.headers.get("transfer-encoding") == "chunked" else rest

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def data(self) -> list[Any]:
        """The data of each server-sent event; JSON where it is."""
        found = []
        for event in re.split(rb"\n\n", self.body):
            lines = [line[6:] for line in event.split(b"\n") if line.startswith(b"data: ")]
            if lines:
                text = b"\n".join(lines).decode()
                found.append(json.loads(text) if text.startswith("{") else text)
        return found


def dechunk(raw: bytes) -> bytes:
    """Undo the chunked transfer coding as far as it goes."""
    body, rest = b"", raw
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            break
        body, rest = body + rest[:length], rest[length + 2 :]
    return body


@dataclass
class Simulator:
    """A running simulator."""

    process: subprocess.Popen[bytes]
    port: int
    control_port: int = 0
    model: str = ""
    """What a generating request names that names no model; empty where the personality needs none."""
    lines: list[str] = field(default_factory=list)
    said: bytearray = field(default_factory=bytearray)
    """What it wrote to stderr before it listened."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, port: int | None = None) -> socket.socket:
        return socket.create_connection(("127.0.0.1", port or self.port), timeout=BUDGET)

    def raw(self, data: bytes, port: int | None = None) -> bytes:
        """Send bytes and return all that comes until the connection ends. A reset ends it too."""
        with self.connect(port) as sock:
            sock.sendall(data)
            return read_all(sock)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        port: int | None = None,
    ) -> Answer:
        """Send one request on a connection of its own. It names a model, unless its body is given in bytes."""
        if self.model and isinstance(body, dict) and "model" not in body and path.partition("?")[0] in NAMING:
            body = {"model": self.model, **body}
        return Answer(self.raw(request_bytes(method, path, body, {"Connection": "close", **(headers or {})}), port))

    def chat(self, text: str = "hi", fault: str = "", **more: Any) -> Answer:
        body = {"model": "fake-model", "messages": [{"role": "user", "content": text}], **more}
        return self.request("POST", "/v1/chat/completions", body, {"X-Inference-Fault": fault} if fault else None)

    def complete(self, prompt: Any = "hi", fault: str = "", **more: Any) -> Answer:
        body = {"model": "fake-model", "prompt": prompt, **more}
        return self.request("POST", "/v1/completions", body, {"X-Inference-Fault": fault} if fault else None)

    def control(self, method: str, path: str, body: Any = None) -> Answer:
        return self.request(method, path, body, port=self.control_port)

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control("GET", "/stats").json
        return found

    def errors(self) -> str:
        """End it, and return what it wrote to stderr."""
        self.stop()
        assert self.process.stderr is not None
        return (bytes(self.said) + self.process.stderr.read()).decode()

    def stop(self) -> int:
        """End it by TERM; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(60)


def request_bytes(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> bytes:
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", *([] if "Host" in (headers or {}) else ["Host: localhost"])]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


def read_all(sock: socket.socket) -> bytes:
    found = b""
    while True:
        try:
            part = sock.recv(65536)
        except ConnectionResetError:
            return found
        if not part:
            return found
        found += part


def start(*arguments: str, env: dict[str, str] | None = None) -> Simulator:
    """Start a simulator and wait for its line."""
    process = subprocess.Popen(
        [sys.executable, "-m", "InferenceLibrary.simulator", "--port", "0", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **(env or {})},
    )
    given = dict(pairwise(arguments))
    model = given.get("--served-model-name") or given.get("--model") or "fake-model"
    simulator = Simulator(process, 0, model=model if given.get("--as", "openai") == "openai" else "")
    assert process.stdout is not None
    assert process.stderr is not None
    end = monotonic() + BUDGET
    pipes = [process.stdout, process.stderr]
    while not simulator.port:
        ready, _, _ = select.select(pipes, [], [], max(0.0, end - monotonic()))
        if process.stderr in ready:
            # A full pipe would hold it up.
            part = os.read(process.stderr.fileno(), 1_000_000)
            simulator.said += part
            pipes = pipes if part else [process.stdout]
            if process.stdout not in ready:
                continue
        line = process.stdout.readline().decode() if ready else ""
        if not line:
            process.kill()
            _, errors = process.communicate()
            pytest.fail(f"the simulator did not start: {(bytes(simulator.said) + errors).decode()[-2000:]}")
        simulator.lines.append(line)
        name, _, port = line.strip().rpartition(":")
        if name.startswith("control on"):
            simulator.control_port = int(port)
        elif name.startswith("listening on"):
            simulator.port = int(port)
    return simulator


def close(simulator: Simulator) -> None:
    simulator.stop()
    for stream in (simulator.process.stdout, simulator.process.stderr):
        if stream is not None:
            stream.close()


@pytest.fixture
def start_simulator() -> Iterator[Callable[..., Simulator]]:
    """Give a function that starts simulators, which end with the test."""
    started: list[Simulator] = []

    def begin(*arguments: str, env: dict[str, str] | None = None) -> Simulator:
        started.append(start(*arguments, env=env))
        return started[-1]

    yield begin
    for simulator in started:
        close(simulator)


@pytest.fixture(scope="module")
def start_shared() -> Iterator[Callable[..., Simulator]]:
    """Give a function that starts simulators, which end with the module."""
    started: list[Simulator] = []

    def begin(*arguments: str, env: dict[str, str] | None = None) -> Simulator:
        started.append(start(*arguments, env=env))
        return started[-1]

    yield begin
    for simulator in started:
        close(simulator)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Give one simulator for the tests of a module: echo mode, with a seed and a control port."""
    simulator = start("--mode", "echo", "--seed", "1", "--control-port", "0", "--max-num-seqs", "64")
    yield simulator
    assert simulator.stop() == 0
    close(simulator)


@pytest.fixture
def run_cli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Give a function that runs the program to its end."""

    def run(*arguments: str, text: str | None = None, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=BUDGET, check=False, **more)

    return run


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole model of each format."""
    folder = tmp_path_factory.mktemp("models")
    create_tiny_model(folder / "m.gguf", context_length=128)
    create_tiny_ggml(folder / "m.bin")
    create_tiny_safetensors(folder / "plain" / "model.safetensors", context_length=512)
    return folder


@pytest.fixture
def mistralrs(
    run_cli: Run,
) -> Run:
    def run(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
        return run_cli("--as", "mistralrs", *words, **more)

    return run


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same without a process, for the many cases that end before anything is served."""

    monkeypatch.setenv("NO_COLOR", "1")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        code = main(["--as", "mistralrs", *words])
        written = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, written.out, written.err)

    return run
