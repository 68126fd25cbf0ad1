"""mistral.rs: the command lines of both generations, model files, the terminal, the HTTP side."""

from __future__ import annotations

import json
import re
import select
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from InferenceLibrary.simulator.model_files import ModelFileError, read_model_file


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def gguf(version: int = 3, tensors: int = 1) -> bytes:
    pairs = [
        text("general.architecture") + struct.pack("<I", 8) + text("llama"),
        text("llama.block_count") + struct.pack("<II", 4, 2),
        text("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b"),
        text("tokenizer.ggml.scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 0, 1),
    ]
    infos = text("t") + struct.pack("<I", 2) + struct.pack("<QQ", 32, 2) + struct.pack("<IQ", 8, 0)
    head = b"GGUF" + struct.pack("<IQQ", version, tensors, len(pairs)) + b"".join(pairs) + infos * bool(tensors)
    return head + b"\0" * (-len(head) % 32) + b"\0" * 68


def safetensors() -> bytes:
    header = json.dumps({"__metadata__": {"format": "pt"}, "t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
    return struct.pack("<Q", len(header)) + header.encode() + b"\0" * 8


def ggml() -> bytes:
    words = b"".join(struct.pack("<I", 1) + b"a" + struct.pack("<f", 0.0) for _ in range(2))
    return struct.pack("<II", 0x67676A74, 3) + struct.pack("<7I", 2, 8, 1, 1, 1, 8, 0) + words


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, data in {
        "good.gguf": gguf(),
        "cut.gguf": gguf()[:-10],
        "head.gguf": gguf()[:30],
        "old.gguf": gguf(version=1),
        "foreign.gguf": b"PK\x03\x04" + b"x" * 100,
        "empty.gguf": b"",
        "huge.gguf": b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1),
        "text.gguf": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1 << 50),
        "good.safetensors": safetensors(),
        "cut.safetensors": safetensors()[:-1],
        "good.bin": ggml(),
        "cut.bin": ggml()[:-1],
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "directory.gguf").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "architecture", "tensors"),
    [("good.gguf", "gguf", "llama", 1), ("good.safetensors", "safetensors", "", 1), ("good.bin", "ggml", "llama", 0)],
)
def test_whole_files_are_read(models, name, kind, architecture, tensors):
    found = read_model_file(models / name)
    assert (found.format, found.architecture, found.tensors) == (kind, architecture, tensors)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("cut.gguf", "is truncated: its tensors need"),
        ("head.gguf", "is truncated: its header ends"),
        ("old.gguf", "GGUF version 1"),
        ("foreign.gguf", "is no GGUF file: it begins with b'PK"),
        ("empty.gguf", "is empty"),
        ("huge.gguf", "is damaged: it declares 1152921504606846976 tensors"),
        ("text.gguf", "is damaged: it declares"),
        ("directory.gguf", "is a directory"),
        ("missing.gguf", "does not exist"),
    ],
)
def test_broken_files_are_refused_with_exit_code_1(run_cli, models, name, part):
    done = run_cli("--as", "mistralrs", "-p", "0", "gguf", "-m", str(models), "-f", name)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("Error: ")
    assert part in done.stderr


@pytest.mark.parametrize("name", ["cut.safetensors", "cut.bin"])
def test_other_truncated_files(models, name):
    with pytest.raises(ModelFileError, match="truncated"):
        read_model_file(models / name)


def test_every_cut_of_a_file_is_noticed(models, tmp_path):
    whole = gguf()
    for end in range(len(whole)):
        (tmp_path / "x.gguf").write_bytes(whole[:end])
        with pytest.raises(ModelFileError):
            read_model_file(tmp_path / "x.gguf", "gguf")


@pytest.mark.parametrize(
    ("arguments", "code", "part"),
    [
        (["--as", "mistralrs", "--version"], 0, "mistralrs-server 0.6.0"),
        (["--as", "mistralrs-bench", "--version"], 0, "mistralrs-bench 0.6.0"),
        (["--as", "mistralrs", "serve", "--version"], 0, "mistralrs 0.9.5"),
        (["--as", "mistralrs", "--help"], 0, "--interactive-mode"),
        (["--as", "mistralrs", "gguf", "--help"], 0, "--quantized-filename"),
        (["--as", "mistralrs", "serve", "--help"], 0, "--host"),
    ],
)
def test_version_and_help(run_cli, arguments, code, part):
    done = run_cli(*arguments)
    assert (done.returncode, done.stderr) == (code, "")
    assert part in done.stdout


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--bogus"], "error: unexpected argument '--bogus' found"),
        (["--prot", "1"], "tip: a similar argument exists: '--port'"),
        ([], "requires a subcommand"),
        (["gguff"], "tip: a similar subcommand exists: 'gguf'"),
        (["gguf", "-m", "."], "--quantized-filename <QUANTIZED_FILENAME>"),
        (["-p"], "a value is required for '--port <PORT>'"),
        (["-p", "1", "-p", "2"], "cannot be used multiple times"),
        (["-p", "70000", "gguf", "-m", ".", "-f", "x"], "70000 is not in 0..=65535"),
        (["serve", "--port", "x", "-m", "."], "invalid digit found in string"),
        (["bench"], "--model-id <MODEL_ID>"),
        (["--time-to-first-token", "5", "gguf"], "has no unit"),
    ],
)
def test_wrong_arguments_have_exit_code_2(run_cli, arguments, part):
    done = run_cli("--as", "mistralrs", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert part in done.stderr


def test_dry_run(run_cli, models):
    for words in (["--dry-run", "gguf"], ["serve", "--dry-run"]):
        done = run_cli("--as", "mistralrs", *words, "-m", str(models), "-f", "good.gguf")
        assert done.returncode == 0
        assert "Model loaded." in done.stdout


def test_directory_of_safetensors(run_cli, models):
    (models / "cut.safetensors").unlink()
    assert run_cli("--as", "mistralrs", "serve", "--dry-run", "-m", str(models)).returncode == 0


def test_terminal_of_both_generations(run_cli, models):
    model = ["-m", str(models), "-f", "good.gguf", "--mode", "echo"]
    old = run_cli("--as", "mistralrs", "-i", "gguf", *model, text="hello\n/exit\n\\exit\n")
    assert "> hello\n\nStats:\nTime to first token: " in old.stdout
    assert "> /exit\n" in old.stdout
    new = run_cli("--as", "mistralrs", "run", *model, text="hello\n\\exit\n/exit\n")
    assert "CLI time to first token: " in new.stdout
    assert "Sampling: " in new.stdout
    assert old.returncode == new.returncode == 0
    once = run_cli("--as", "mistralrs", "run", *model, "-i", "just once")
    assert (once.returncode, "just once" in once.stdout) == (0, True)


def test_bench(run_cli, models):
    model = ["-m", str(models), "-f", "good.gguf"]
    new = run_cli("--as", "mistralrs", "bench", *model, "--gen-len", "10", "--inter-token-latency", "1ms")
    assert "Benchmark Results" in new.stdout
    assert re.search(r"│ Decode \(10 tokens @ d4\) *│ [\d.]+ ± [\d.]+ *│ 1\.\d\d ms/T", new.stdout)
    old = run_cli("--as", "mistralrs-bench", "-g", "10", "-r", "2", "gguf", *model)
    assert re.search(r"\| pp 512 \|.*\n.*\n\| .* \| tg 10 ", old.stdout)


class Served:
    """A running server of this personality."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", "mistralrs", *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.lines: list[str] = []
        while not self.lines or "listening on" not in self.lines[-1]:
            assert select.select([self.process.stdout], [], [], 15)[0]
            line = self.process.stdout.readline().decode()
            assert line, self.process.stderr.read()
            self.lines.append(line)
        self.port = int(re.search(r":(\d+)\.?$", self.lines[-1].strip()).group(1))

    def close(self) -> int:
        self.process.terminate()
        code = self.process.wait(5)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


@pytest.fixture
def serve(models):
    started = []

    def begin(*words: str) -> Served:
        started.append(Served(*words, "-m", str(models), "-f", "good.gguf"))
        return started[-1]

    yield begin
    for item in started:
        assert item.close() == 0


def test_older_server(serve, simulator):
    server = serve("-p", "0", "gguf")
    assert "Model loaded." in server.lines[-2]
    assert re.search(r"OpenAI-compatible server listening on http://127\.0\.0\.1:\d+\.\n$", server.lines[-1])
    for path in ("/", "/health"):
        answer = simulator.request("GET", path, port=server.port)
        assert (answer.status, answer.body) == (200, b"OK")
    unknown = simulator.request("POST", "/v1/chat/completions", {"model": "x", "messages": []}, port=server.port)
    assert (unknown.status, list(unknown.json)) == (404, ["message"])
    wrong = simulator.request("POST", "/v1/chat/completions", {"messages": 3}, port=server.port)
    assert (wrong.status, list(wrong.json)) == (422, ["message"])
    assert simulator.request("GET", "/v1/health", port=server.port).status == 404


def test_newer_server(serve, simulator):
    server = serve("serve", "-p", "0")
    assert re.search(r"Server listening on http://127\.0\.0\.1:\d+\n$", server.lines[-1])
    models = simulator.request("GET", "/v1/models", port=server.port).json["data"]
    assert models[0]["id"] == "default"
    name = models[1]["id"]
    body = {"model": "default", "messages": [{"role": "user", "content": "x"}]}
    assert simulator.request("POST", "/v1/chat/completions", body, port=server.port).json["model"] == name
    error = simulator.request("POST", "/v1/chat/completions", {**body, "model": "x"}, port=server.port).json["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "model_not_found")
    for action, status in (("unload", "unloaded"), ("status", "unloaded"), ("reload", "loaded")):
        answer = simulator.request("POST", f"/v1/models/{action}", {"model_id": name}, port=server.port)
        assert answer.json == {"model_id": name, "status": status}
    assert simulator.request("POST", "/v1/models/reload", {"model_id": "x"}, port=server.port).status == 404
    text = simulator.request("GET", "/metrics", port=server.port).body.decode()
    assert 'http_requests_total{method="POST",path="/v1/chat/completions",status="200"} 1' in text
