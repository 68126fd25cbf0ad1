"""mistral.rs: the command lines of both generations, model files, the terminal, benchmarks, the HTTP side."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator.conftest import Answer, Simulator, close

from InferenceLibrary.modelfiles.broken import broken_kinds, create_broken_model
from InferenceLibrary.modelfiles.ggml_file import create_tiny_ggml
from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
from InferenceLibrary.modelfiles.tiny import create_tiny_model
from InferenceLibrary.simulator.cli import main
from InferenceLibrary.simulator.personalities.mistralrs_clap import Command, Exit, parse
from InferenceLibrary.simulator.personalities.mistralrs_cli import own_flags
from InferenceLibrary.simulator.personalities.mistralrs_commands import PROGRAMS, program_of

MORE = "\n\nFor more information, try '--help'.\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a whole model of each format."""
    folder = tmp_path_factory.mktemp("models")
    create_tiny_model(folder / "m.gguf", context_length=128)
    create_tiny_ggml(folder / "m.bin")
    create_tiny_safetensors(folder / "plain" / "model.safetensors", context_length=512)
    return folder


@pytest.fixture
def mistralrs(run_cli: Run) -> Run:
    def run(*words: str, **more: object) -> subprocess.CompletedProcess[str]:
        return run_cli("--as", "mistralrs", *words, **more)

    return run


@pytest.fixture
def inside(capsys: pytest.CaptureFixture[str]) -> Run:
    """The same without a process, for the many cases that end before anything is served."""

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        code = main(["--as", "mistralrs", *words])
        written = capsys.readouterr()
        return subprocess.CompletedProcess(words, code, written.out, written.err)

    return run


# Version, help, wrong arguments


@pytest.mark.parametrize(
    ("program", "words", "text"),
    [
        ("mistralrs", ["--version"], "mistralrs-server 0.6.0\n"),
        ("mistralrs", ["mistralrs", "-V"], "mistralrs 0.9.5\n"),
        ("mistralrs", ["serve", "--version"], "mistralrs-serve 0.9.5\n"),
        ("mistralrs-server", ["--version"], "mistralrs-server 0.6.0\n"),
        ("mistralrs-bench", ["--version"], "mistralrs-bench 0.6.0\n"),
    ],
)
def test_version(run_cli: Run, program: str, words: list[str], text: str) -> None:
    done = run_cli("--as", program, *words)
    assert (done.returncode, done.stdout, done.stderr) == (0, text, "")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--help"], ["Fast and easy LLM serving.\n\nUsage: mistralrs-server [OPTIONS] <COMMAND>\n", "  gguf  "]),
        (["-h"], ["  -i, --interactive-mode  ", "  -p, --port <PORT>  ", "[default: 16]", "Print help"]),
        (["gguf", "--help"], ["Usage: mistralrs-server gguf [OPTIONS] --quantized-model-id <QUANTIZED_MODEL_ID> "]),
        (["help", "gguf"], ["  -f, --quantized-filename <QUANTIZED_FILENAME>  "]),
        (
            ["mistralrs", "--help"],
            ["Usage: mistralrs [OPTIONS] <COMMAND>", "  serve  ", "  bench  ", "-v, --verbose..."],
        ),
        (["serve", "--help"], ["Usage: mistralrs serve [OPTIONS] [COMMAND]", "[possible values: plain, gguf, ggml]"]),
        (["run", "--help"], ["Usage: mistralrs run [OPTIONS] [COMMAND]", "  -i, --input <INPUT>  "]),
        (["bench", "-h"], ["      --prompt-len <PROMPT_LEN>  ", "[default: 512]"]),
    ],
)
def test_help(inside: Run, words: list[str], parts: list[str]) -> None:
    done = inside(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert [part for part in parts if part not in done.stdout] == []


SERVER_USAGE = "Usage: mistralrs-server [OPTIONS] <COMMAND>"
REFUSALS = {
    "--bogus": f"error: unexpected argument '--bogus' found\n\n{SERVER_USAGE}",
    "--prot 1": "error: unexpected argument '--prot' found\n\n"
    f"  tip: a similar argument exists: '--port'\n\n{SERVER_USAGE}",
    "--quantized-model-id x": "error: unexpected argument '--quantized-model-id' found\n\n"
    f"  tip: 'gguf --quantized-model-id' exists\n\n{SERVER_USAGE}",
    "-x": f"error: unexpected argument '-x' found\n\n{SERVER_USAGE}",
    "gguff": f"error: unrecognized subcommand 'gguff'\n\n  tip: a similar subcommand exists: 'gguf'\n\n{SERVER_USAGE}",
    "--port 1": "error: 'mistralrs-server' requires a subcommand but one was not provided\n"
    f"  [subcommands: run, plain, gguf, ggml, vision-plain, benchmark, help]\n\n{SERVER_USAGE}",
    "gguf -m .": "error: the following required arguments were not provided:\n"
    "  --quantized-filename <QUANTIZED_FILENAME>\n\nUsage: mistralrs-server gguf [OPTIONS] "
    "--quantized-model-id <QUANTIZED_MODEL_ID> --quantized-filename <QUANTIZED_FILENAME>",
    "-p": "error: a value is required for '--port <PORT>' but none was supplied",
    "--port --cpu gguf": "error: a value is required for '--port <PORT>' but none was supplied",
    "-p1 -p 2": f"error: the argument '--port <PORT>' cannot be used multiple times\n\n{SERVER_USAGE}",
    "-p 70000": "error: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535",
    "--port=x": "error: invalid value 'x' for '--port <PORT>': invalid digit found in string",
    "--port=": "error: invalid value '' for '--port <PORT>': cannot parse integer from empty string",
    "--max-seqs 99999999999999999999": "error: invalid value '99999999999999999999' for '--max-seqs <MAX_SEQS>': "
    "number too large to fit in target type",
    "--pa-gpu-mem-usage x": "error: invalid value 'x' for '--pa-gpu-mem-usage <PA_GPU_MEM_USAGE>': "
    "invalid float literal",
    "--cpu=yes": f"error: unexpected value 'yes' for '--cpu' found; no more were expected\n\n{SERVER_USAGE}",
    "--paged-attn --cpu gguf": f"error: the argument '--paged-attn' cannot be used with '--cpu'\n\n{SERVER_USAGE}",
    "serve --format gguff": "error: invalid value 'gguff' for '--format <FORMAT>'\n"
    "  [possible values: plain, gguf, ggml]\n\n  tip: a similar value exists: 'gguf'",
    "serve text": "error: the following required arguments were not provided:\n  --model-id <MODEL_ID>\n\n"
    "Usage: mistralrs serve text [OPTIONS] --model-id <MODEL_ID>",
    "run --image a.png -m .": "error: the following required arguments were not provided:\n  --input <INPUT>\n\n"
    "Usage: mistralrs run [OPTIONS] [COMMAND]",
    "bench extra -m .": "error: unrecognized subcommand 'extra'\n\nUsage: mistralrs bench [OPTIONS] [COMMAND]",
    "bench --depth 1,x": "error: invalid value '1,x' for '--depth <DEPTH>': invalid digit found in string",
    "gguf -- x": "error: unexpected argument 'x' found\n\nUsage: mistralrs-server gguf [OPTIONS] "
    "--quantized-model-id <QUANTIZED_MODEL_ID> --quantized-filename <QUANTIZED_FILENAME>",
}


@pytest.mark.parametrize("words", REFUSALS)
def test_wrong_arguments_are_refused_as_clap_does(inside: Run, words: str) -> None:
    done = inside(*words.split())
    assert (done.returncode, done.stdout, done.stderr) == (2, "", REFUSALS[words] + MORE)


def test_no_argument_at_all_shows_the_help_as_an_error(inside: Run) -> None:
    done = inside()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", inside("--help").stdout)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--time-to-first-token", "5", "gguf", "-m", ".", "-f", "x"], "error: --time-to-first-token: "),
        (["serve", "-m", ".", "--fault", "nonsense"], "error: --fault: "),
        (["serve", "-m", ".", "--scenario", "/no/such.yaml"], "error: --scenario: "),
    ],
)
def test_wrong_flags_of_the_simulator_are_refused(inside: Run, words: list[str], text: str) -> None:
    done = inside(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(text)


@pytest.mark.parametrize("command", ["quantize", "tune", "cache"])
def test_what_is_not_simulated_says_so(inside: Run, command: str) -> None:
    done = inside(command)
    assert (done.returncode, done.stderr) == (1, f"Error: `mistralrs {command}` is not simulated\n")


# Loading

LOADS = {
    "gguf": ["gguf", "-m", "{models}", "-f", "m.gguf"],
    "ggml": ["ggml", "-m", "{models}", "-f", "m.bin"],
    "plain": ["plain", "-m", "{models}/plain"],
    "auto loader": ["--serve-ip", "127.0.0.1", "run", "-m", "{models}/plain"],
    "newer, gguf": ["serve", "-m", "{models}", "-f", "m.gguf"],
    "newer, format": ["serve", "--format", "ggml", "-m", "{models}", "-f", "m.bin"],
    "newer, folder": ["run", "-m", "{models}/plain"],
    "newer, file": ["bench", "-m", "{models}/m.gguf"],
    "newer, kind": ["serve", "text", "-m", "{models}", "-f", "m.bin"],
    "bench": ["mistralrs-bench", "gguf", "-m", "{models}", "-f", "m.gguf"],
}


@pytest.mark.parametrize("case", LOADS)
def test_whole_models_load(inside: Run, models: Path, case: str) -> None:
    words = [word.format(models=models) for word in LOADS[case]]
    first = int(words[0] == "mistralrs-bench")
    for place in (first, len(words)):
        done = inside(*words[:place], "--dry-run", *words[place:])
        assert (done.returncode, done.stderr) == (0, "")
        assert "llama.block_count: 2\n" in done.stdout
        lines = done.stdout.splitlines()
        pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z  INFO mistralrs_\S+: "
        assert re.fullmatch(f"{pattern}Model loaded\\.", lines[-2])
        assert re.fullmatch(f"{pattern}Model loaded successfully.*", lines[-1])


def test_dry_run_of_the_testing_guide(mistralrs: Run, models: Path) -> None:
    """As mistral.rs's testing guide writes it: -i before, --dry-run behind the kind of model."""
    done = mistralrs("-i", "gguf", "-m", str(models), "-f", "m.gguf", "--dry-run")
    assert done.returncode == 0
    assert "Model loaded successfully" in done.stdout


CASES = [
    (kind, form) for form in ("gguf", "safetensors", "ggml") for kind in broken_kinds(form) if kind != "unreadable"
]


def test_a_broken_model_ends_the_process(mistralrs: Run, tmp_path: Path) -> None:
    create_broken_model(tmp_path / "m.gguf", "truncated")
    done = mistralrs("serve", "-m", str(tmp_path), "-f", "m.gguf")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "it is cut off: tensor 'output.weight' ends at byte" in done.stderr


@pytest.mark.parametrize(("kind", "form"), CASES)
def test_broken_models_are_refused(inside: Run, tmp_path: Path, kind: str, form: str) -> None:
    if form == "safetensors":
        create_tiny_safetensors(tmp_path / "other" / "model.safetensors")
        (tmp_path / "other" / "config.json").rename(tmp_path / "config.json")
    made = create_broken_model(tmp_path / f"broken.{form}", kind, form)
    quantized = ["-m", str(tmp_path), "-f", made.path.name]
    plain = ["-m", str(tmp_path)]
    olds = [form, *quantized] if form != "safetensors" else ["plain", *plain]
    news = ["serve", *(quantized if form != "safetensors" else plain)]
    for words in (["--port", "0", *olds], news):
        done = inside(*words)
        assert done.returncode == 1
        assert re.fullmatch(r"Error: Failed to (load model from|open) `.*broken\..*`: .+\n", done.stderr), done.stderr
        assert "Model loaded" not in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["gguf", "-m", "{models}", "-f", "x.gguf"], "Failed to open `{models}/x.gguf`: No such file or directory"),
        (["gguf", "-m", "{models}", "-f", "m.bin"], "it is no gguf file but a ggml file"),
        (["serve", "-m", "org/model"], "Model `org/model` is no local path, and this stand-in downloads nothing"),
        (["serve", "-m", "{models}/empty"], "No `.safetensors` file in `{models}/empty`"),
        (["serve", "-m", "{models}/bare"], "Failed to open `{models}/bare/config.json`: No such file"),
        (["serve"], "--model-id (-m) is required"),
        (["bench", "-m", "{models}", "-f", "m.gguf", "--depth", "0"], "--depth must be greater than 0"),
    ],
)
def test_what_is_not_there_is_named(inside: Run, models: Path, words: list[str], text: str) -> None:
    (models / "empty").mkdir(exist_ok=True)
    (models / "bare").mkdir(exist_ok=True)
    (models / "bare" / "model.safetensors").write_bytes((models / "plain" / "model.safetensors").read_bytes())
    done = inside(*(word.format(models=models) for word in words))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("Error: ")
    assert text.format(models=models) in done.stderr


def test_an_unknown_architecture_is_refused(inside: Run, models: Path) -> None:
    raw = (models / "m.gguf").read_bytes().replace(b"llama", b"lamma")
    (models / "other.gguf").write_bytes(raw)
    done = inside("serve", "-m", str(models), "-f", "other.gguf")
    assert (done.returncode, "Unknown gguf architecture `lamma`" in done.stderr) == (1, True)


def test_several_files_of_one_model(inside: Run, models: Path) -> None:
    done = inside("serve", "-m", str(models), "-f", "m.gguf;m.gguf", "--dry-run")
    assert done.stdout.count("Loading `m.gguf` locally") == 2


# The terminal


def model_words(models: Path) -> list[str]:
    return ["-m", str(models), "-f", "m.gguf"]


def replies(text: str) -> list[str]:
    """What stands behind each prompt."""
    return text.split("> ")[1:]


def test_the_older_terminal(mistralrs: Run, models: Path) -> None:
    typed = ["hello", "/exit", "\\quit", "\\temperature 3", "\\topk x", "\\topp 0.5", "\\system", "\\clear", "\\exit"]
    done = mistralrs("-i", "gguf", *model_words(models), "--mode", "echo", text="\n".join(typed))
    assert (done.returncode, done.stderr) == (0, "")
    welcome, *answers = done.stdout.split("\n> ")
    assert "=" * 20 + "\nWelcome to interactive mode! Because this model is a text model" in welcome
    assert "- `\\system <system message here>`: " in welcome
    assert re.fullmatch(
        r"hello\n\nStats:\nTime to first token: \d+\.\d\ds\n"
        r"Prompt: 1 tokens, [\d.]+ T/s\nDecode: 1 tokens, [\d.]+ T/s\n",
        answers[0],
    )
    assert answers[1].startswith("/exit\n\nStats:")
    assert answers[2].startswith("\\quit\n\nStats:"), "what is no command goes to the model"
    assert answers[3] == "Error: temperature must be in [0.0, 2.0]"
    assert answers[4] == "Error: format is `\\topk <int>`"
    assert answers[5].endswith(": Set top-p to 0.5")
    assert answers[6].startswith("Error: Setting the system command should be done with this format: `\\system This")
    assert answers[7].endswith("Cleared chat history.")
    assert answers[8] == ""


def test_the_newer_terminal(mistralrs: Run, models: Path) -> None:
    typed = ["hello", "\\exit", "/help", "/adapter list", "/adapter x", "/system be kind", "/topk 0", "/exit"]
    done = mistralrs("run", *model_words(models), "--mode", "echo", text="\n".join(typed))
    assert done.returncode == 0
    welcome, *answers = done.stdout.split("\n> ")
    assert "Sampling: temp=0.8, top_k=40, top_p=0.95, min_p=0.05" in welcome
    assert "\nStats:\nCLI time to first token: " in answers[0]
    assert "T/s\nSampling: temp=0.8, top_k=40, top_p=0.95, min_p=0.05\n" in answers[0]
    assert answers[1].startswith("\\exit\n\nStats:")
    assert "- `/adapter <alias|none|list>`: " in answers[2]
    assert answers[3:5] == ["No LoRA adapters are loaded.", "Error: LoRA adapter alias `x` is not loaded"]
    assert answers[5].endswith("Set system message to `be kind`.")
    assert answers[6] == "Error: top-k must be a positive integer"


def test_the_system_message_and_the_history_count(mistralrs: Run, models: Path) -> None:
    typed = "one\n/system two words\none\n/clear\none\n"
    done = mistralrs("run", *model_words(models), "--mode", "echo", text=typed)
    assert [int(count) for count in re.findall(r"Prompt: (\d+) tokens", done.stdout)] == [1, 5, 3]


def test_one_shot(mistralrs: Run, models: Path) -> None:
    done = mistralrs("run", *model_words(models), "--scenario", "capitals", "-i", "What is the capital of France?")
    assert done.returncode == 0
    assert "\nThe capital of France is Paris.\n\nStats:\n" in done.stdout
    assert "> " not in done.stdout.partition("Stats:")[2]


def test_images_are_looked_at(mistralrs: Run, models: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n")
    (tmp_path / "b.png").write_bytes(b"text")
    typed = [f"what is {tmp_path}/a.png", f"what is {tmp_path}/b.png", f"what is {tmp_path}/c.jpg", "plain", "\\exit"]
    words = ["-i", "vision-plain", "-m", str(models / "plain"), "--mode", "echo"]
    done = mistralrs(*words, text="\n".join(typed))
    answers = done.stdout.split("\n> ")[1:]
    assert "Stats:" in answers[0]
    assert answers[1].endswith(f"Failed to read image from URL/path {tmp_path}/b.png: no image format")
    assert answers[2].endswith(f"Failed to read image from URL/path {tmp_path}/c.jpg: No such file or directory")
    assert "Stats:" in answers[3]


def test_end_of_input_leaves(mistralrs: Run, models: Path) -> None:
    done = mistralrs("run", *model_words(models), text="")
    assert (done.returncode, done.stdout[-4:]) == (0, "\n> \n")


# Benchmarks


def test_the_newer_benchmark(mistralrs: Run, models: Path) -> None:
    flags = ["--gen-len", "10", "--depth", "4,8", "--prompt-len", "16", "--inter-token-latency", "2ms"]
    done = mistralrs("bench", *model_words(models), *flags)
    assert done.returncode == 0
    table = done.stdout.partition("\nBenchmark Results\n=================\n\n")[2]
    assert table.startswith(f"Model: {models}\nIterations: 3\n\n┌─")
    assert re.search(r"│ Test +┆ T/s +┆ Latency +│\n╞═", table)
    assert re.search(r"│ Prefill \(16 tokens\) +┆ [\d.]+ ± [\d.]+ +┆ [\d.]+ ms \(prefill\) +│\n├╌", table)
    rows = re.findall(r"│ Decode \(10 tokens @ d(\d)\) +┆ [\d.]+ ± [\d.]+ +┆ ([\d.]+) ms/T +│", table)
    assert [depth for depth, _ in rows] == ["4", "8"]
    assert all(2 <= float(latency) < 20 for _, latency in rows)


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


@pytest.fixture
def serve(models: Path) -> Iterator[Callable[..., Simulator]]:
    """Give a function that starts a server of the model and returns it with what it wrote."""
    started: list[Simulator] = []

    def begin(*words: str) -> Simulator:
        command = [sys.executable, "-m", "InferenceLibrary.simulator", "--as", "mistralrs", *words]
        process = subprocess.Popen(
            [*command, "-m", str(models), "-f", "m.gguf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        server = Simulator(process, 0)
        started.append(server)
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

    yield begin
    for server in started:
        assert server.stop() == 0
        close(server)


def chat(server: Simulator, **body: object) -> Answer:
    message = {"model": "default", "messages": [{"role": "user", "content": "one two three"}], **body}
    return server.request("POST", "/v1/chat/completions", message)


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
    server = serve("serve", "-p", "0", "--control-port", "0")
    assert re.search(r" INFO mistralrs_cli\S*: Server listening on http://127\.0\.0\.1:\d+\n$", server.lines[-1])
    name = str(models)
    data = server.request("GET", "/v1/models").json["data"]
    assert [(model["id"], model["status"]) for model in data] == [("default", "loaded"), (name, "loaded")]
    answer = chat(server)
    assert (answer.status, answer.json["model"]) == (200, name)
    assert "x-request-id" in answer.headers
    error = chat(server, model="x").json["error"]
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", "model_not_found", "model")
    for action, status in (("unload", "unloaded"), ("status", "unloaded"), ("reload", "loaded")):
        answer = server.request("POST", f"/v1/models/{action}", {"model_id": name})
        assert answer.json == {"model_id": name, "status": status}
    twice = [server.request("POST", "/v1/models/unload", {"model_id": name}) for _ in range(2)][1]
    assert (twice.status, twice.json["error"]["code"]) == (409, "model_state_conflict")
    assert server.request("POST", "/v1/models/reload", {"model_id": "x"}).status == 404
    text = server.request("GET", "/metrics").body.decode()
    assert 'http_requests_total{method="POST",path="/v1/chat/completions",status="200"} 1' in text
    assert server.stats()["completed"] == 1


@pytest.mark.parametrize(
    ("body", "status", "kind", "code"),
    [
        ({"temperature": "hot"}, 400, "invalid_request_error", None),
        ({"response_format": {"type": "json_object"}}, 400, "invalid_request_error", None),
        ({"model": "x"}, 404, "invalid_request_error", "model_not_found"),
    ],
)
def test_errors_of_the_newer_server(serve: Callable[..., Simulator], body: object, status: int, kind: str, code: str):
    server = serve("serve", "-p", "0")
    assert isinstance(body, dict)
    answer = chat(server, **body)
    error = answer.json["error"]
    assert (answer.status, error["type"], error["code"]) == (status, kind, code)
    assert set(error) == {"message", "type", "param", "code"}


def test_usage_tells_the_speed_and_comes_with_the_finish(serve: Callable[..., Simulator]) -> None:
    server = serve("serve", "-p", "0", "--mode", "echo", "--inter-token-latency", "10ms")
    usage = chat(server, stream_options={"include_usage": True}).json["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (3, 3, 6)
    assert usage["total_completion_time_sec"] == 0.02
    assert usage["avg_compl_tok_per_sec"] == 150
    *chunks, last, done = chat(server, stream=True).data
    assert done == "[DONE]"
    assert [chunk["usage"] for chunk in chunks] == [None] * len(chunks)
    assert last["choices"][0]["finish_reason"] == "stop"
    assert last["usage"] == usage


def test_metrics_and_request_ids_can_be_off(serve: Callable[..., Simulator]) -> None:
    server = serve("serve", "-p", "0", "--disable-metrics", "--disable-request-id-header")
    assert server.request("GET", "/metrics").status == 503
    assert "x-request-id" not in chat(server).headers


def test_port_behind_the_model_and_faults(serve: Callable[..., Simulator]) -> None:
    server = serve("gguf", "--port", "0", "--fault", "status:code=503,first=1")
    assert [chat(server).status for _ in range(2)] == [503, 200]


def test_a_busy_port_is_an_error(serve: Callable[..., Simulator], mistralrs: Run, models: Path) -> None:
    server = serve("serve", "-p", "0")
    done = mistralrs("serve", "-p", str(server.port), *model_words(models))
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot listen on 127.0.0.1:")
    assert "address already in use (os error 98)" in done.stderr


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


# Weight


@pytest.mark.parametrize("words", [["--version"], ["gguf", "-m", "{models}", "-f", "m.gguf", "--dry-run"]])
def test_it_starts_light(models: Path, words: list[str]) -> None:
    code = (
        "import sys\nfrom InferenceLibrary.simulator.cli import main\n"
        f"main(['--as', 'mistralrs', *{[word.format(models=models) for word in words]}])\n"
        "print('loaded', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("loaded ")[2].split())
    assert loaded & {"numpy", "gguf", "ssl", "httpx", "yaml", "msgspec", "asyncio", "robot", "difflib"} == set()


# Whatever the words are

WORDS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(
        ["-p", "--port", "--port=1", "-p1", "-vv", "-i", "--", "-", "gguf", "serve", "run", "bench", "text"]
    ),
    st.sampled_from(["-m", "-f", "x", "1,2", "--format", "gguf", "--depth", "--thinking", "--image", "-i=", "--cpu="]),
)


def ending(program: Command, words: list[str]) -> Exit | None:
    """How the parser ends the program; None where it goes on."""
    try:
        assert parse(program, words).path
    except Exit as end:
        return end
    return None


@given(st.sampled_from(["", *PROGRAMS]), st.lists(WORDS, max_size=7))
@settings(max_examples=500, deadline=None)
def test_any_words_are_parsed_or_refused_in_clap_s_way(name: str, words: list[str]) -> None:
    program, rest = program_of(name, words)
    end = ending(program, rest)
    if end is not None:
        assert end.code in {0, 2}
        assert end.text.startswith("error: ") == (end.code == 2 and bool(rest))


@given(st.lists(WORDS, max_size=5), st.sampled_from(["--mode", "--scenario", "--fault", "--log-http"]))
@settings(max_examples=100, deadline=None)
def test_the_simulator_s_flags_are_told_from_theirs(words: list[str], flag: str) -> None:
    own, rest = own_flags([*words, flag, "value", "gguf"])
    assert flag in own
    assert len(own) + len(rest) == len(words) + 3
