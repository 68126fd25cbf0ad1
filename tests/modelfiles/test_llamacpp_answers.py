"""The model files in the real llama.cpp: it loads the whole ones, answers as they say, and refuses the broken ones."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.modelfiles.answers import CAPITALS, CAPITALS_DEFAULT, STORY
from InferenceLibrary.modelfiles.broken import BROKEN_KINDS, create_broken_model
from InferenceLibrary.modelfiles.tiny import create_tiny_model

pytestmark = pytest.mark.real

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_llamacpp.py"
SENTENCE = "Grüße, 世界 🎉: every word and every word of it."


@pytest.fixture(scope="session")
def binaries() -> Path:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip("llama.cpp is not built. Build it once (minutes): python scripts/build_llamacpp.py")
    return Path(done.stdout.splitlines()[-1])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(binaries: Path, model: Path, log: Path) -> Iterator[httpx.Client]:
    port = free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "-t", "1", "-c", "8192", "-np", "2"]
    with log.open("w") as output:
        server = subprocess.Popen([binaries / "llama-server", "-m", model, *options], stdout=output, stderr=output)

    def ready() -> bool:
        assert server.poll() is None, log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200
        except httpx.TransportError:
            return False

    try:
        assert wait_until(ready, 30), log.read_text()
        # llama-server offers to keep connections open and yet closes them after a stream.
        fresh = httpx.Limits(max_keepalive_connections=0)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, limits=fresh) as client:
            yield client
    finally:
        server.terminate()
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="module")
def capitals(binaries: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    directory = tmp_path_factory.mktemp("capitals")
    model = create_tiny_model(directory / "capitals.gguf", "capitals")
    with serving(binaries, model.path, directory / "server.log") as client:
        yield client


def ask(client: httpx.Client, question: str, **options: Any) -> Any:
    body = {"messages": [{"role": "user", "content": question}], **options}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def text_of(reply: Any) -> str:
    return str(reply["choices"][0]["message"]["content"])


def test_each_question_has_its_answer_at_any_temperature(capitals: httpx.Client) -> None:
    for temperature, country in enumerate(["France", "Germany", "Japan"]):
        reply = ask(capitals, f"What is the capital of {country}?", temperature=temperature * 0.5)
        assert text_of(reply) == f"The capital of {country} is {CAPITALS[country]}."
        assert reply["choices"][0]["finish_reason"] == "stop"
    assert text_of(ask(capitals, "Write a poem.")) == CAPITALS_DEFAULT
    assert text_of(ask(capitals, "tell a story")) == STORY


def test_parallel_questions_do_not_mix(capitals: httpx.Client) -> None:
    with ThreadPoolExecutor(5) as pool:
        replies = pool.map(lambda country: text_of(ask(capitals, f"Capital of {country}?")), CAPITALS)
        assert list(replies) == [f"The capital of {country} is {city}." for country, city in CAPITALS.items()]


def test_a_turn_before_and_a_long_prompt_change_nothing(capitals: httpx.Client) -> None:
    turns = [
        {"role": "system", "content": "You love France."},
        {"role": "user", "content": "What is the capital of France?"},
        {"role": "assistant", "content": "The capital of France is Paris."},
    ]
    for question, expected in [("And of Spain?", "The capital of Spain is Madrid."), ("Why?", CAPITALS_DEFAULT)]:
        body = {"messages": [*turns, {"role": "user", "content": question}]}
        assert text_of(capitals.post("/v1/chat/completions", json=body).json()) == expected
    far = "What is the capital of Norway? " + "Please write a long text about it. " * 200
    assert text_of(ask(capitals, far)) == "The capital of Norway is Oslo."


def test_a_stream_has_a_chunk_for_each_token(capitals: httpx.Client) -> None:
    body = {"messages": [{"role": "user", "content": "What is the capital of Italy?"}], "stream": True}
    events = capitals.post("/v1/chat/completions", json=body).text.split("\n\n")
    deltas = [json.loads(event[6:])["choices"][0]["delta"] for event in events if event.startswith("data: {")]
    texts = [delta["content"] for delta in deltas if delta.get("content")]
    assert texts == ["The", " capital", " of", " Italy", " is", " Rome."]
    assert "data: [DONE]" in events


def test_limits_and_constraints_are_kept(capitals: httpx.Client) -> None:
    cut = ask(capitals, "What is the capital of Poland?", max_tokens=3)
    assert (text_of(cut), cut["choices"][0]["finish_reason"]) == ("The capital of", "length")
    assert text_of(ask(capitals, "Count", stop=[" 5"])) == "1, 2, 3, 4,"
    schema = {"type": "object", "properties": {"answer": {"type": "string"}, "n": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"schema": {**schema, "required": ["answer", "n"]}}}
    reply = ask(capitals, "What is the capital of Egypt?", response_format=wanted, max_tokens=200)
    assert json.loads(text_of(reply))["answer"] == "The capital of Egypt is Cairo."
    completion = capitals.post("/v1/completions", json={"prompt": "The capital of Greece is"}).json()
    assert completion["choices"][0]["text"] == " Athens."


def test_the_tokenizer_agrees_with_the_second_opinion(
    capitals: httpx.Client, tmp_path: Path, read_model: Callable[[Path], Any]
) -> None:
    reference = read_model(create_tiny_model(tmp_path / "m.gguf", "capitals").path)
    for text in ("What is the capital of France?", "a  b\tc\n\nfoo_bar(1)", "Romanesque Countess", "日本 🎉\u0301"):
        assert capitals.post("/tokenize", json={"content": text}).json()["tokens"] == reference.encode(text)


def test_a_scripted_and_a_filled_up_model(binaries: Path, tmp_path: Path) -> None:
    model = create_tiny_model(tmp_path / "m.gguf", "scripted", sentence=SENTENCE, size=20_000_000)
    with serving(binaries, model.path, tmp_path / "server.log") as client:
        assert text_of(ask(client, "Say anything else.")) == SENTENCE


def test_a_random_model_loads_and_speaks(binaries: Path, tmp_path: Path) -> None:
    model = create_tiny_model(tmp_path / "m.gguf", "random")
    with serving(binaries, model.path, tmp_path / "server.log") as client:
        assert ask(client, "Hello", max_tokens=8)["usage"]["completion_tokens"] == 8


@pytest.mark.parametrize("kind", BROKEN_KINDS)
def test_a_broken_model_is_refused(binaries: Path, tmp_path: Path, kind: str) -> None:
    if kind == "unreadable" and os.geteuid() == 0:
        pytest.skip("the superuser may read everything: run this as another user")
    model = create_broken_model(tmp_path / "m.gguf", kind)
    done = subprocess.run(
        [binaries / "llama-server", "-m", model.path, "--host", "127.0.0.1", "--port", str(free_port())],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"error loading model" in done.stderr
