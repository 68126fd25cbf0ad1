"""mistral.rs: the command lines of both generations, and the loading of model files."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulator.conftest import Run

from InferenceLibrary.modelfiles.broken import broken_kinds, create_broken_model
from InferenceLibrary.modelfiles.safetensors_file import create_tiny_safetensors
from InferenceLibrary.simulator.personalities.mistralrs_clap import Command, Exit, parse
from InferenceLibrary.simulator.personalities.mistralrs_cli import own_flags
from InferenceLibrary.simulator.personalities.mistralrs_commands import PROGRAMS, program_of

MORE = "\n\nFor more information, try '--help'.\n"


# Version, help, wrong arguments


@pytest.mark.parametrize(
    ("program", "words", "text"),
    [
        ("mistralrs", ["--version"], "mistralrs-server 0.6.0\n"),
        ("mistralrs", ["mistralrs", "-V"], "mistralrs 0.9.2\n"),
        ("mistralrs", ["serve", "--version"], "mistralrs-serve 0.9.2\n"),
        ("mistralrs@0.8.1", ["serve", "--version"], "mistralrs-serve 0.8.1\n"),
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


def test_a_version_has_its_own_flags(run_cli: Run) -> None:
    told = {at: run_cli("--as", f"mistralrs{at}", "serve", "--help").stdout.split() for at in ("", "@0.8.1")}
    assert set(told[""]) - set(told["@0.8.1"]) > {"--no-ui", "--disable-metrics", "--sandbox"}
    assert "--ui" in set(told["@0.8.1"]) - set(told[""])
    refused = run_cli("--as", "mistralrs@0.8.1", "serve", "--no-ui", "-m", ".")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("error: unexpected argument '--no-ui' found\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["-f", "tiny.gguf"], "--model-id (-m) is required"),
        (["-m", ".", "-f", "tiny.gguf"], "Auto loader could not determine model type: "),
    ],
)
def test_the_older_version_is_told_folder_and_format(run_cli: Run, words: list[str], error: str) -> None:
    refused = run_cli("--as", "mistralrs@0.8.1", "serve", *words)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.splitlines()[-1].startswith(f"Error: {error}")


def test_a_version_that_there_is_not_is_told(run_cli: Run) -> None:
    refused = run_cli("--as", "mistralrs@newest", "serve", "-m", ".")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith("'newest' is not a version of mistralrs: expected one such as 0.9.2.\n")


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


@pytest.mark.parametrize("command", ["tune", "cache list", "doctor --json", "from-config -f x.toml", "uqff"])
def test_what_is_not_simulated_says_so(inside: Run, command: str) -> None:
    words = command.split()
    done = inside("mistralrs", *words)
    assert (done.returncode, done.stderr) == (1, f"Error: `mistralrs {words[0]}` is not simulated\n")


FLAGS_OF_SERVE = """
    --model-id=x --tokenizer=x --arch=x --dtype=BF16 --format=gguf --quantized-file=x --tok-model-id=x --gqa=1
    --enable-lora --lora=a=b --lora-modules=a=b --lora-max-adapters=1 --max-lora-rank=1
    --lora-max-bytes=8GiB --isq=4 --isq-organization=moqe --imatrix=x --cpu --device-layers=0:1 --topology=x
    --hf-cache=x --max-seq-len=1 --max-batch-size=1 --paged-attn=off --pa-context-len=1 --pa-block-size=1
    --pa-cache-type=auto --max-edge=1 --max-num-images=1 --max-image-length=1 --mmproj=x --port=1 --host=x --no-ui
    --mcp-port=1 --max-tool-rounds=1 --tool-dispatch-url=x --disable-access-log --access-log-format=json
    --access-log-health --disable-request-id-header --disable-metrics --max-seqs=1 --max-num-batched-tokens=1
    --no-kv-cache --prefix-cache-n=1 --chat-template=x --jinja-explicit=x --matformer-config-path=x
    --matformer-slice-name=x --mtp-model=x --mtp-n-predict=1 --mcp-config=x --agentic --enable-search
    --search-embedding-model=embedding-gemma --enable-code-execution --enable-shell --code-exec-python=x
    --code-exec-timeout=1 --code-exec-workdir=x --shell-path=x --shell-timeout=1 --shell-workdir=x --skills-dir=x
    --code-exec-permission=ask --sandbox=off --sandbox-profile=developer --sb-max-memory-mb=1 --sb-max-cpu-secs=1
    --sb-max-procs=1 --sandbox-network=none --seed=1 --log=x --token-source=none --verbose
"""
OTHER_NAMES = {
    "lora-modules": "lora",
    "max-lora-rank": "lora-max-rank",
    "agentic": "agent",
    "code-exec-permission": "agent-permission",
}
"""By another name of an option its own; help does not show them in lines of their own."""


def test_serve_takes_the_flags_of_the_real_program() -> None:
    flags = FLAGS_OF_SERVE.split()
    parsed = parse(PROGRAMS["mistralrs"], ["serve", *flags])
    names = [flag[2:].partition("=")[0] for flag in flags]
    missing = [name for name in names if parsed[OTHER_NAMES.get(name, name)] in (None, False)]
    assert (parsed.path, missing) == (["serve"], [])


@pytest.mark.parametrize(("other", "name"), OTHER_NAMES.items())
def test_an_option_by_another_name_is_the_same_and_not_in_the_help(inside: Run, other: str, name: str) -> None:
    value = {"agent": "", "agent-permission": "=deny", "lora": "=a=b", "lora-max-rank": "=7"}[name]
    serve = PROGRAMS["mistralrs"]
    assert parse(serve, ["serve", f"--{other}{value}"])[name] == parse(serve, ["serve", f"--{name}{value}"])[name]
    told = inside("serve", "--help").stdout
    assert (f"  --{name}" in told, f"      --{other}" in told) == (True, False)
    with pytest.raises(Exit, match=f"unexpected argument '--{other}x' found"):
        parse(serve, ["serve", f"--{other}x"])


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("--ui", "unexpected argument '--ui' found"),
        ("text -m x -p 1", "unexpected argument '-p' found"),
        ("--quant 4 --isq 4", "the argument '--quant <QUANT>' cannot be used with '--isq <IN_SITU_QUANT>'"),
        ("--pa-memory-mb 1 --pa-context-len 1", "cannot be used with '--pa-context-len <PA_CONTEXT_LEN>'"),
        ("--xlora x --lora a=b", "the argument '--lora <ALIAS=SOURCE|JSON>' cannot be used with '--xlora <XLORA>'"),
        ("--xlora-order x", "the following required arguments were not provided:\n  --xlora <XLORA>"),
        ("--xlora x --max-lora-rank 1", "the argument '--lora-max-rank <LORA_MAX_RANK>' cannot be used with '--xlora"),
        ("--legacy-lora x --lora-max-bytes 1", "the argument '--lora-max-bytes <BYTES>' cannot be used with '--legacy"),
        (
            "--code-exec-permission maybe",
            "invalid value 'maybe' for '--agent-permission <AGENT_PERMISSION>'\n  [possible",
        ),
        ("--agentic=1", "unexpected value '1' for '--agent' found"),
        ("--lora x", "invalid value 'x' for '--lora <ALIAS=SOURCE|JSON>': expected ALIAS=SOURCE or a JSON object with"),
        ("--lora =x", "LoRA adapter alias must not be empty"),
        ("--lora-modules a=", "LoRA adapter source for alias `a` must not be empty"),
        ("--lora {", "invalid LoRA module JSON: "),
        ('--lora {"name":"a"}', "invalid LoRA module JSON: missing field `path`"),
        ('--lora {"name":"a","path":"b","zzz":1}', "invalid LoRA module JSON: unknown field `zzz`"),
        ('--lora {"name":1,"path":"b"}', "invalid LoRA module JSON: invalid type for `name`"),
        ('--lora {"name":"a","path":"b","is_3d_lora_weight":true}', "is_3d_lora_weight=true is unsupported"),
        ("--lora-max-bytes x", "'--lora-max-bytes <BYTES>': expected a byte count such as 8589934592 or 8GiB"),
        ("--lora-max-bytes 8XB", "unsupported byte-size suffix `xb`"),
        ("--lora-max-bytes 99999999999999999999", "invalid byte count: number too large"),
        ("--dtype int8", "invalid value 'int8' for '--dtype <DTYPE>': Model DType `int8` is not supported."),
        ("--isq-organization x", "Expected ISQ organization `default` or `moqe`, got `x`"),
        ("--pa-cache-type x", "Unexpected `PagedCacheType`, got `x` but expected `auto` and `f8e4m3`."),
        ("--token-source x", "invalid value 'x' for '--token-source <TOKEN_SOURCE>': Invalid token source format"),
        ("--token-source literal", "Expected a value for 'literal'"),
        ("--sandbox maybe", "invalid value 'maybe' for '--sandbox <SANDBOX>'\n  [possible values: auto, on, off]"),
    ],
)
def test_serve_refuses_what_the_real_program_refuses(words: str, problem: str) -> None:
    with pytest.raises(Exit) as caught:
        parse(PROGRAMS["mistralrs"], ["serve", *words.split()])
    assert (caught.value.code, problem in caught.value.text) == (2, True), caught.value.text


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
        shown = re.sub("\x1b.*?m", "", done.stderr)
        told = (
            r"Failed to (load model from|open) `.*broken\..*`: .+",
            r"path: \".*\" invalid GGUF magic \[.*\]",
            r"path: \".*\" GGUF file is shorter than its magic",
        )
        pattern = rf"Error: ({'|'.join(told)})\n"
        assert re.fullmatch(pattern, shown), shown
        assert "Model loaded" not in done.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["gguf", "-m", "{models}", "-f", "x.gguf"], "Failed to open `{models}/x.gguf`: No such file or directory"),
        (["gguf", "-m", "{models}", "-f", "m.bin"], "it is not a gguf file but a ggml file"),
        (["serve", "-m", "org/model"], "Auto loader could not determine model type: missing 'config.json'"),
        (["serve", "-m", "{models}/empty"], "Auto loader could not determine model type: missing 'config.json'"),
        (
            ["serve", "-m", "{models}", "-f", "x.gguf"],
            "File `x.gguf` was not found in local model directory",
        ),
        (["serve", "-m", "{models}/bare"], "Auto loader could not determine model type: missing 'config.json'"),
        (["serve"], "--model-id (-m) is required unless `-f` is provided"),
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
