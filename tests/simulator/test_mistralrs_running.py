"""mistral.rs: benchmarks, the HTTP side."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from simulator.conftest import Answer, Run, Simulator, close, read_all, request_bytes
from simulator.java_client import java_request, one_answer

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.processes.ports import free_port

# Benchmarks


def model_words(models: Path) -> list[str]:
    return ["-m", str(models), "-f", "m.gguf"]


def test_the_newer_benchmark(mistralrs: Run, models: Path) -> None:
    flags = ["--gen-len", "10", "--depth", "4,8", "--prompt-len", "16", "--inter-token-latency", "2ms"]
    folder = models / "many-words"
    shutil.copytree(models / "plain", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "vocab_size": 2001}))
    done = mistralrs("bench", "-m", str(folder), *flags)
    assert done.returncode == 0
    table = done.stdout.partition("\nBenchmark Results\n=================\n\n")[2]
    assert table.startswith(f"Model: {folder}\nAdapter: base\nIterations: 3\n\n┌─")
    assert re.search(r"│ Test +┆ T/s +┆ Latency +│\n╞═", table)
    assert re.search(r"│ TTFT \(16 input tokens\) +┆ [\d.]+ ± [\d.]+ +┆ [\d.]+ ms TTFT +│\n├╌", table)
    rows = re.findall(r"│ Decode \(10 tokens @ d(\d)\) +┆ [\d.]+ ± [\d.]+ +┆ ([\d.]+) ms TPOT +│", table)
    assert [depth for depth, _ in rows] == ["4", "8"]
    assert all(2 <= float(latency) < 20 for _, latency in rows)


def test_the_newer_benchmark_asks_with_tokens_that_a_small_model_does_not_have(mistralrs: Run, models: Path) -> None:
    done = mistralrs("bench", "-m", str(models / "plain"))
    assert (done.returncode, done.stderr) == (1, "Error: index-select invalid index 1850 with dim size 259\n")


def test_the_older_benchmark(mistralrs: Run, models: Path) -> None:
    done = mistralrs("mistralrs-bench", "-g", "10", "-p", "16", "-r", "2", "-c", "1,2", "gguf", *model_words(models))
    assert done.returncode == 0
    assert re.search(r"\| model +\| backend \| test  \| t/s +\| ms/t +\| concurrency \| throughput/s \|", done.stdout)
    found = re.findall(r"\| CPU     \| (\w\w \d+) \| [\d.]+±[\d.]+ +\| [\d.]+±[\d.]+ +\| (\d) ", done.stdout)
    assert found == [("tg 10", "1"), ("pp 16", "1"), ("tg 10", "2"), ("pp 16", "2")]


def test_the_benchmark_of_the_testing_guide(mistralrs: Run, models: Path) -> None:
    words = ["--model", str(models), "--file", "m.gguf", "--prompt", "Write.", "--max-tokens", "20"]
    done = mistralrs("benchmark", *words, "--inter-token-latency", "5ms")
    assert done.returncode == 0
    rate = re.search(r"^Tokens/sec: ([\d.]+)$", done.stdout, re.MULTILINE)
    assert rate is not None
    assert float(rate[1]) < 200


# Serving


def begin_to_serve(models: Path, *words: str) -> Simulator:
    """Start a server of the model, and return it with what it wrote."""
    words = tuple(word.replace("{port}", str(free_port())) for word in words)
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", "mistralrs", *words]
    process = subprocess.Popen(
        [*command, "-m", str(models), "-f", "m.gguf"],
        env={**os.environ, "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    server = Simulator(process, 0)
    assert process.stdout is not None
    assert process.stderr is not None
    while not server.port:
        assert select.select([process.stdout], [], [], 15)[0], server.lines
        line = process.stdout.readline().decode()
        assert line, process.stderr.read().decode()
        server.lines.append(line)
        match = re.search(r"(control on|listening on) http://127\.0\.0\.1:(\d+)\.?$", line)
        if match is not None and match[1] == "control on":
            server.control_port = int(match[2])
        elif match is not None:
            server.port = int(match[2])
    return server


@pytest.fixture
def serve(models: Path) -> Iterator[Callable[..., Simulator]]:
    """Give a function that starts servers of the model."""
    started: list[Simulator] = []

    def begin(*words: str) -> Simulator:
        started.append(begin_to_serve(models, *words))
        return started[-1]

    yield begin
    for server in started:
        # The newer one ends at once; a test may have ended it.
        assert server.process.poll() is not None or server.stop() in {0, -signal.SIGTERM}
        close(server)


@pytest.fixture(scope="module")
def one_server(models: Path) -> Iterator[Simulator]:
    """Give one server of the newer generation for several tests."""
    server = begin_to_serve(models, "serve", "-p", "{port}")
    yield server
    close(server)


def chat(server: Simulator, **body: object) -> Answer:
    message = {"model": "default", "messages": [{"role": "user", "content": "one two three"}], **body}
    return server.request("POST", "/v1/chat/completions", message)


@pytest.mark.parametrize("words", [("-p", "0", "gguf"), ("serve", "-p", "{port}")])
def test_the_first_request_of_a_java_client_is_answered(
    serve: Callable[..., Simulator], words: tuple[str, ...]
) -> None:
    answer = one_answer(serve(*words), java_request("default"))
    assert answer.status == 200, answer.raw
    assert answer.json["choices"][0]["message"]["role"] == "assistant"


def test_the_older_server(serve: Callable[..., Simulator], models: Path) -> None:
    server = serve("-p", "0", "gguf")
    assert server.lines[-2].endswith(": Model loaded.\n")
    assert re.search(r" INFO mistralrs_server: OpenAI-compatible server listening on http://\S+\.\n$", server.lines[-1])
    for path in ("/", "/health"):
        answer = server.request("GET", path)
        assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"OK", "text/plain; charset=utf-8")
    unknown = chat(server, model="x")
    assert (unknown.status, list(unknown.json)) == (404, ["message"])
    wrong = chat(server, messages=3)
    assert (wrong.status, list(wrong.json)) == (422, ["message"])
    for path in ("/v1/health", "/tokenize", "/metrics", "/health/ready"):
        assert server.request("GET", path).status == 404, path
    ids = [model["id"] for model in server.request("GET", "/v1/models").json["data"]]
    assert ids[:2] == ["default", str(models)]


def test_the_newer_server(serve: Callable[..., Simulator], models: Path) -> None:
    server = serve("serve", "-p", "{port}", "--control-port", "0")
    name = str(models)
    data = server.request("GET", "/v1/models").json["data"]
    assert [(model["id"], model.get("status")) for model in data] == [("default", None), (name, "loaded")]
    answer = chat(server)
    assert (answer.status, answer.json["model"], answer.json["id"]) == (200, name, "1")
    assert re.fullmatch("req_[0-9a-f]{32}", answer.headers["x-request-id"])
    unknown = chat(server, model="x")
    assert (unknown.status, list(unknown.json)) == (500, ["message"])
    text = server.request("GET", "/metrics").body.decode()
    assert f'http_requests_total{{method="POST",path="/v1/chat/completions",model="{name}",status="200"}} 1\n' in text
    assert f'http_requests_in_flight{{method="POST",path="/v1/chat/completions",model="{name}"}} 0\n' in text
    assert "\nmistralrs_sequences_running 1\n" in text, "as the real one, which never comes back to zero"
    assert 'mistralrs_sequences_completed_total{reason="stop"} 1\n' in text
    assert server.stats()["completed"] == 1


def test_models_are_unloaded_and_loaded_as_0_9_2_does(serve: Callable[..., Simulator], models: Path) -> None:
    server, name = serve("serve", "-p", "{port}"), str(models)

    def asked(action: str, model: str) -> str:
        answer = server.request("POST", f"/v1/models/{action}", {"model_id": model})
        assert (answer.status, answer.json["model_id"]) == (200, model)
        return str(answer.json["status"])

    assert [asked("status", name), asked("unload", name), asked("unload", name)] == ["loaded", "unloaded", "unloaded"]
    assert asked("unload", "default") == "not_found"
    assert [asked("status", name), asked("reload", name), asked("status", name)] == ["unloaded", "loaded", "loaded"]
    lost = chat(server, model="default")
    assert (lost.status, lost.json) == (500, {"message": "engine state lock is poisoned"})
    assert chat(server, model=name).json["id"] == "0"
    assert server.request("GET", "/calibration/status").raw == b""
    assert server.request("POST", "/re_isq", {"ggml_type": "q4k"}).raw == b""
    assert asked("reload", name) == "not_found", "it is loaded"
    asked("unload", name)
    stuck = chat(server, model=name)
    assert (stuck.status, "being reloaded" in stuck.json["message"]) == (500, True)
    shown = [model.get("status") for model in server.request("GET", "/v1/models").json["data"]]
    assert shown == [None, "reloading"]


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b"[1", 400, "Failed to parse the request body as JSON: EOF while parsing a list at line 1 column 2"),
        (b'{"a": ', 400, "Failed to parse the request body as JSON: EOF while parsing a value at line 1 column 6"),
        (b'{"a": 1,\n x}', 400, "Failed to parse the request body as JSON: key must be a string at line 2 column 2"),
        (b'"x', 400, "Failed to parse the request body as JSON: EOF while parsing a string at line 1 column 2"),
        (b"{} {}", 400, "Failed to parse the request body as JSON: trailing characters at line 1 column 4"),
        (
            b'{"messages": [],"n": 1.5}',
            422,
            "n: invalid type: floating point `1.5`, expected usize at line 1 column 24",
        ),
        (
            b'{"messages": [],"stop": 5}',
            422,
            "stop: data did not match any variant of untagged enum StopTokens at line 1",
        ),
        (b"{}", 422, "missing field `messages` at line 1 column 2"),
    ],
)
def test_bodies_are_refused_in_the_words_of_serde(one_server: Simulator, body: bytes, status: int, text: str) -> None:
    answer = one_server.request("POST", "/v1/chat/completions", body)
    assert (answer.status, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert text in answer.body.decode()


def test_a_required_call_does_not_come_in_a_stream(one_server: Simulator) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    asked = {"tools": [tool], "tool_choice": "required"}
    assert chat(one_server, **asked).json["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"
    streamed = chat(one_server, **asked, stream=True)
    assert (streamed.status, streamed.data[0]["error"]["type"], streamed.data[1:]) == (200, "server_error", ["[DONE]"])
    cut = chat(one_server, **asked, max_tokens=9)
    assert (cut.status, cut.json["partial_response"]["choices"][0]["finish_reason"]) == (500, "error")


@pytest.mark.parametrize("body", [b'{"messages": [], "model": "nobody"}', b"{}"])
def test_faults_of_errors_strike_those_without_an_object_and_those_in_words(one_server: Simulator, body: bytes) -> None:
    fault = {"X-Inference-Fault": "error-leaks:stack=rust"}
    answer = one_server.request("POST", "/v1/chat/completions", body, fault)
    assert answer.status in {422, 500}
    assert "at ./src/core/run.rs:81:9" in answer.body.decode()


def test_a_stop_text_stops_only_as_a_token(one_server: Simulator) -> None:
    question = {"messages": [{"role": "user", "content": "What is the capital of France?"}]}
    texts = [chat(one_server, **question, stop=stop).json["choices"][0]["message"]["content"] for stop in ("F", " of")]
    assert texts == ["The capital of France is Paris.", "The capital"]


def test_choices_of_one_moment_come_in_one_chunk(one_server: Simulator) -> None:
    *chunks, done = chat(one_server, stream=True, n=2).data
    assert done == "[DONE]"
    assert [[choice["index"] for choice in chunk["choices"]] for chunk in chunks] == [[0, 1]] * len(chunks)
    assert [chunk["usage"] is None for chunk in chunks] == [True] * (len(chunks) - 1) + [False]
    assert chunks[-1]["usage"]["completion_tokens"] == len(chunks), "of one choice, with its end"


def test_bodies_may_have_50_megabytes(one_server: Simulator) -> None:
    text = "x" * (5 * 1024 * 1024)
    assert chat(one_server, messages=[{"role": "user", "content": text}], truncate_sequence=True).status == 200
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    refused = Answer(one_server.raw(f"{head}Content-Length: {50 * 1024 * 1024 + 1}\r\n\r\n".encode()))
    assert (refused.status, refused.body) == (413, b"Failed to buffer the request body: length limit exceeded")


def test_usage_tells_the_speed_and_comes_with_the_finish(serve: Callable[..., Simulator]) -> None:
    server = serve("serve", "-p", "{port}", "--mode", "echo", "--inter-token-latency", "10ms")
    usage = chat(server, stream_options={"include_usage": True}).json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (5, 4, 9)
    assert usage["total_completion_time_sec"] == 0.03
    assert usage["avg_compl_tok_per_sec"] == 133.3333
    *chunks, last, done = chat(server, stream=True).data
    assert done == "[DONE]"
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"] == usage


def test_metrics_and_request_ids_can_be_off(serve: Callable[..., Simulator]) -> None:
    server = serve("serve", "-p", "{port}", "--disable-metrics", "--disable-request-id-header")
    assert server.request("GET", "/metrics").status == 503
    assert "x-request-id" not in chat(server).headers


def test_port_behind_the_model_and_faults(serve: Callable[..., Simulator]) -> None:
    server = serve("gguf", "--port", "0", "--fault", "status:code=503,first=1")
    assert [chat(server).status for _ in range(2)] == [503, 200]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_the_newer_server_dies_at_once_and_cuts_its_answers(
    serve: Callable[..., Simulator], number: signal.Signals
) -> None:
    server = serve("serve", "-p", "{port}", "--mode", "echo", "--inter-token-latency", "60s")
    body = {"messages": [{"role": "user", "content": "one two three"}], "stream": True}
    with server.connect() as sock:
        sock.sendall(request_bytes("POST", "/v1/chat/completions", body))
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")
        server.process.send_signal(number)
        assert server.process.wait(60) == -number
        assert b"[DONE]" not in read_all(sock)


def test_a_whole_answer_that_is_left_is_made_to_its_end_and_a_silent_stream_is_kept_open(
    serve: Callable[..., Simulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEEP_ALIVE_INTERVAL", "40")
    server = serve("serve", "-p", "{port}", "--mode", "echo", "--inter-token-latency", "100ms")

    def shown(pattern: str) -> float:
        found = re.search(rf"^{pattern} (\S+)$", server.request("GET", "/metrics").body.decode(), re.MULTILINE)
        return float(found[1]) if found else 0

    in_flight = r'http_requests_in_flight\{method="POST",path="/v1/chat/completions",.*\}'
    completed = r'mistralrs_sequences_completed_total\{reason="stop"\}'
    text = " ".join(["word"] * 12)
    with server.connect() as sock:
        body = {"model": "default", "messages": [{"role": "user", "content": text}]}
        sock.sendall(request_bytes("POST", "/v1/chat/completions", body))
        assert wait_until(lambda: shown(in_flight) + shown(completed) == 1, 60)
    # It does not count as a request in flight any more, and the work on it goes on.
    assert wait_until(lambda: shown(in_flight) == 0, 60)
    assert wait_until(lambda: shown(completed) == 1, 60)
    assert shown("mistralrs_tokens_processed_total") > 24
    # Comments come in each gap of a stream.
    streamed = chat(server, stream=True).body.split(b"\n\n")
    assert [one == b":" for one in streamed[:6]] == [False, True, True, False, True, True]


def test_requests_are_logged_but_those_for_health(serve: Callable[..., Simulator]) -> None:
    server = serve("serve", "-p", "{port}", "--access-log-format", "json")
    assert re.search(r"Z  INFO mistralrs::commands::serve: Server listening on http://127", server.lines[-1])
    server.request("GET", "/health")
    chat(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout is not None
    lines = [json.loads(line) for line in server.process.stdout.read().decode().splitlines()]
    assert [(line["message"], line["path"]) for line in lines] == [
        ("request started", "/v1/chat/completions"),
        ("request completed", "/v1/chat/completions"),
    ]
    assert (lines[1]["status"], lines[1]["outcome"]) == (200, "completed")


def test_the_log_is_coloured_even_in_a_pipe(mistralrs: Run, models: Path) -> None:
    words = ["serve", "-f", str(models / "m.gguf"), "--dry-run"]
    done = mistralrs(*words, env={**os.environ, "NO_COLOR": ""})
    assert "\x1b[32m INFO\x1b[0m" in done.stdout
    assert "\x1b[" not in mistralrs(*words, env={**os.environ, "NO_COLOR": "1"}).stdout


def test_port_0_is_told_as_it_was_given(models: Path) -> None:
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", "mistralrs", "serve", "-p", "0"]
    with subprocess.Popen([*command, *model_words(models)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        assert any(line.endswith(b" Server listening on http://127.0.0.1:0\n") for line in lines)
        process.terminate()


def test_a_busy_port_is_an_error(serve: Callable[..., Simulator], mistralrs: Run, models: Path) -> None:
    server = serve("serve", "-p", "{port}")
    done = mistralrs("serve", "-p", str(server.port), *model_words(models))
    assert done.returncode == 1
    assert done.stderr == "Error: Address already in use (os error 98)\n"


def test_without_a_port_the_older_program_ends(mistralrs: Run, models: Path) -> None:
    assert mistralrs("gguf", *model_words(models)).returncode == 0


def test_a_slow_load_is_waited_for_before_the_port_is_bound(models: Path) -> None:
    command = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", "mistralrs", "serve", "-p", "0"]
    process = subprocess.Popen(
        [*command, *model_words(models), "--startup-duration", "60s"], stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout is not None
    try:
        text = b""
        while b"Model config" not in text:
            text += process.stdout.readline()
        while select.select([process.stdout], [], [], 0.3)[0]:
            text += os.read(process.stdout.fileno(), 4096)
        assert b"Model loaded." not in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()
