"""The flags and the YAML keys of llm-d-inference-sim v0.10.2: each is taken, and refused, as the real one does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recordings import recording

from InferenceLibrary.simulator.cli import main
from InferenceLibrary.simulator.core.options import OptionError, parse_options
from InferenceLibrary.simulator.core.settings import Settings
from InferenceLibrary.simulator.personalities.llm_d_settings import KEYS, KINDS, LOG_KINDS
from InferenceLibrary.simulator.personalities.registry import settings_class

GOOD: dict[str, list[tuple[str, Any]]] = {
    "int": [("2", 2), ("+3", 3), ("0x10", 16), ("0b100", 4), ("0o20", 16), ("017", 15), ("1_000", 1000)],
    "float": [("0.5", 0.5), (".5", 0.5), ("5e-1", 0.5), ("0x1p-1", 0.5)],
    "string": [("x", "x"), ("", ""), ("--x", "--x")],
    "bool": [("1", True), ("T", True), ("False", False), ("0", False)],
    "toggle": [("false", True), ("zzz", True)],
    "duration": [("1m30s", 90.0), ("200ms", 0.2), ("0", 0.0), ("1.5s", 1.5), (".5s", 0.5), ("+1h", 3600.0)],
    "list": [("a", ["a"])],
    "object": [('{"running-requests": 2, "zzz": 1}', '{"running-requests": 2}')],
}
"""By kind of a flag ways to write a value, and what is read."""
BAD = {
    "int": [
        *(("Int", one, "invalid syntax") for one in ("x", "", "1.5", " 1", "1__0", "09", "0x", "1e3", "true")),
        ("Int", str(2**63), "value out of range"),
    ],
    "float": [("Float", one, "invalid syntax") for one in ("x", "", "1_0", "1,5", "0x1")],
    "bool": [("Bool", one, "invalid syntax") for one in ("yes", "", "tRUE", "2")],
}
BAD_DURATIONS = {
    "": "invalid duration",
    "x": "invalid duration",
    "5": "missing unit in duration",
    "1m5": "missing unit in duration",
    "5 ms": 'unknown unit " ms" in duration',
    "5d": 'unknown unit "d" in duration',
    " 5s": "invalid duration",
    "-": "invalid duration",
}
FITTING = {
    "mode": "echo",
    "latency-calculator": "per-token",
    "failure-types": "rate_limit",
    "lora-modules": '{"name": "a"}',
    "block-size": "32",
    "dataset-path": "answers.yaml",
    "time-factor-under-load": "1.5",
}
"""Values of flags that do not take every one of their kind."""
TOGETHER = {
    "ssl-certfile": ("--ssl-keyfile=k",),
    "ssl-keyfile": ("--ssl-certfile=c",),
    "dataset-url": ("--dataset-path=d",),
    "max-cpu-loras": ("--max-loras=1",),
    "max-loras": ("--max-cpu-loras=2",),
    "inter-token-latency-std-dev": ("--inter-token-latency=10m",),
    "time-to-first-token-std-dev": ("--time-to-first-token=10m",),
    "time-to-generate-image-std-dev": ("--time-to-generate-image=10m",),
    "kv-cache-transfer-latency-std-dev": ("--kv-cache-transfer-latency=10m",),
}
"""Flags that need another one."""


def read(*words: str, **environment: str) -> Settings:
    """The settings of a command line that names a model, read as the program reads it."""
    return parse_options(["--as", "llm-d", "--model", "m", *words], environment, settings_class)


def refusal(*words: str, **environment: str) -> str:
    with pytest.raises(OptionError) as caught:
        read(*words, **environment)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def value(settings: Settings, name: str) -> Any:
    return getattr(settings, name.replace("-", "_"))


def test_the_flags_are_those_that_the_real_one_tells() -> None:
    told = next(one for one in recording("llm-d-inference-sim-0.10.2") if one.label == "base/GET /admin/config")
    own = {"DisplayModelName", "IP", "PodName", "PodNameSpace", "VllmDevMode"}
    assert set(KEYS) == set(json.loads(told.answer["body"])) - own
    assert (len(KINDS), len(KEYS), len(LOG_KINDS)) == (73, 72, 15)


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"config"}))
def test_each_flag_takes_a_value_and_refuses_one_that_is_none(name: str) -> None:
    kind = KINDS[name]
    given, wanted = GOOD[kind][0]
    given = FITTING.get(name, given)
    wanted = {"int": int, "float": float}.get(kind, lambda _: wanted if name not in FITTING else given)(given)
    settings = read(f"--{name}={given}", *TOGETHER.get(name, ()), POD_IP="127.0.0.1")
    if name == "lora-modules":
        assert [json.loads(one) for one in value(settings, name)] == [{"name": "a"}]
    else:
        assert value(settings, name) == ([given] if kind == "list" else 90.0 if kind == "duration" else wanted)
    if kind in BAD:
        assert refusal(f"--{name}=x").startswith(f'invalid argument "x" for "--{name}" flag: strconv.Parse')
    if kind == "duration":
        assert refusal(f"--{name}=5") == f'invalid argument "5" for "--{name}" flag: time: missing unit in duration "5"'
    if kind not in {"bool", "toggle", "list", "object"}:
        assert refusal(f"--{name}") == f"flag needs an argument: --{name}"


@pytest.mark.parametrize("name", sorted(LOG_KINDS))
def test_each_flag_of_the_log_takes_a_value_and_refuses_one_that_is_none(name: str) -> None:
    kind = LOG_KINDS[name]
    good, bad = {
        "bool": ("true", "x"),
        "severity": ("warning", "x"),
        "place": ("a.go:5", "a:5"),
        "size": ("5", "-5"),
        "level": ("-1", "0x5"),
        "modules": ("a=1,b=2", "a"),
        "string": ("x", None),
    }[kind]
    assert read(f"--{name}={good}").model == "m"
    if bad is not None:
        assert refusal(f"--{name}={bad}").startswith(f'invalid argument "{bad}" for "')
    assert refusal(f"--{name.replace('_', '-')}-x=1").startswith("unknown flag: ")


@pytest.mark.parametrize(
    ("kind", "name"), [("int", "port"), ("float", "max-tool-call-number-param"), ("bool", "log-http")]
)
def test_values_are_written_as_in_go(kind: str, name: str) -> None:
    assert [value(read(f"--{name}={text}"), name) for text, _ in GOOD[kind]] == [wanted for _, wanted in GOOD[kind]]
    for go, text, why in BAD[kind]:
        told = f'invalid argument "{text}" for "--{name}" flag: strconv.Parse{go}: parsing "{text}": {why}'
        assert refusal(f"--{name}={text}") == told


def test_durations_are_written_as_in_go() -> None:
    for text, seconds in (*GOOD["duration"], ("-1s", -1.0)):
        assert read("--startup-duration", text).startup_duration == seconds
    for text, why in BAD_DURATIONS.items():
        assert f"flag: time: {why}" in refusal("--startup-duration", text)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--zzz 1", "unknown flag: --zzz; --help lists the flags"),
        ("--tensor-parallel-size 1", "unknown flag: --tensor-parallel-size"),
        ("--legacy-durations", "unknown flag: --legacy-durations"),
        ("--max_model_len 5", "unknown flag: --max_model_len; did you mean --max-model-len?"),
        ("--log-dir x", "unknown flag: --log-dir"),
        ("--no-enable-kvcache", "unknown flag: --no-enable-kvcache"),
        ("-port 1", "unknown shorthand flag: 'p' in -port"),
        ("---port 1", "bad flag syntax: ---port"),
        ("--=1", "bad flag syntax: --=1"),
        ("-v", "flag needs an argument: 'v' in -v"),
        ("-vx", 'invalid argument "x" for "-v, --v" flag: strconv.ParseInt: parsing "x": invalid syntax'),
        ("--fake-metrics", "--fake-metrics: needs a value"),
        ("--fake-metrics {", "--fake-metrics: '{' is not JSON"),
        ("--fake-metrics 5", "--fake-metrics: expected a JSON object, got '5'"),
        ("--lora-modules a", "--lora-modules: 'a' is not JSON"),
        ('--lora-modules {"name":5}', "--lora-modules: 'name' must be a text, got 5"),
        ('--lora-modules {"path":"x"}', "empty LoRA name"),
        ('--lora-modules {"name":"a","base_model_name":"z"}', "unknown base model 'z' for LoRA 'a'"),
        ("--mode zzz", "invalid mode 'zzz', valid values are 'random' and 'echo'"),
        ("--port -1", "invalid port '-1'"),
        ("--port 65536", "invalid port '65536'"),
        ("--inter-token-latency -1ms", "--inter-token-latency: inter token latency cannot be negative, got -1ms"),
        ("--prefill-overhead -1s", "prefill overhead cannot be negative"),
        ("--kv-cache-size -1", "KV cache size cannot be negative"),
        (
            "--time-to-first-token 1s --time-to-first-token-std-dev 301ms",
            "--time-to-first-token-std-dev: time to first token standard deviation cannot be more than 30% of "
            "time to first token, got 301ms",
        ),
        ("--time-to-generate-image-std-dev 1ms", "cannot be more than 30% of time to generate image, got 1ms"),
        ("--time-factor-under-load 0.9", "time factor under load cannot be less than 1.0, got 0.9"),
        ("--max-loras 0", "max LoRAs cannot be less than 1"),
        ("--max-loras 4 --max-cpu-loras 2", "max CPU LoRAs cannot be less than max LoRAs, got 2"),
        ("--max-model-len 0", "max model len cannot be less than 1"),
        ("--max-num-seqs 0", "max num seqs cannot be less than 1"),
        ("--max-waiting-queue-length 0", "max waiting queue size cannot be less than 1"),
        ("--event-batch-size 0", "event batch size cannot less than 1"),
        ("--default-embedding-dimensions 0", "default embedding dimensions must be at least 1"),
        ("--block-size 35", "token block size should be one of the following: 8, 16, 32, 64, 128, got 35"),
        ("--failure-injection-rate 101", "failure injection rate should be between 0 and 100, got 101"),
        ("--image-emission-rate -1", "image emission rate should be between 0 and 100, got -1"),
        ("--tool-call-not-required-param-probability 101", "should be between 0 and 100"),
        ("--object-tool-call-not-required-field-probability -1", "should be between 0 and 100"),
        ("--failure-types rate_limit zzz", "invalid failure type 'zzz', valid types are: rate_limit, "),
        ("--latency-calculator zzz", "unknown latency-calculator zzz, supported calculators are: "),
        ("--data-parallel-size 0", "data parallel size must be between 1 and 8, got 0"),
        ("--data-parallel-size 9", "data parallel size must be between 1 and 8, got 9"),
        ("--data-parallel-rank 8", "data parallel rank must be between 0 and 7, got 8"),
        ("--global-cache-hit-threshold 2", "global cache hit threshold must be between in range [0, 1], got 2"),
        ("--max-request-body-size-mb 513", "max-request-body-size-mb must be between 1 MB and 512 MB, got 513"),
        ("--min-tool-call-integer-param 101", "MaxToolCallIntegerParam cannot be less than MinToolCallIntegerParam"),
        ("--max-tool-call-number-param -1", "MaxToolCallNumberParam cannot be less than MinToolCallNumberParam"),
        ("--max-tool-call-array-param-length 0", "MaxToolCallArrayParamLength cannot be less than"),
        ("--min-tool-call-array-param-length -1", "MinToolCallArrayParamLength cannot be negative"),
        ("--ssl-certfile c", "both ssl-certfile and ssl-keyfile must be provided together"),
        ("--ssl-certfile c --ssl-keyfile k --self-signed-certs", "cannot use both self-signed-certs and explicit"),
        ("--dataset-url u", "dataset-path is required when dataset-url is set"),
        ("--mode echo --dataset-path p", "dataset cannot be defined in echo mode"),
        ("--enable-kvcache", "--enable-kvcache: the environment variable POD_IP must be set"),
        ("--fake-metrics {} --fake-metrics-refresh-interval 0", "fake metrics refresh interval must be positive"),
        ("--model=", "model parameter is empty"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_the_words_of_the_real_one(words: str, told: str) -> None:
    assert told in refusal(*words.split(" "))


@pytest.mark.parametrize(
    ("words", "name", "wanted"),
    [
        ("extra --max-num-seqs 7 words", "max-num-seqs", 7),
        ("--max-num-seqs=7 -- --max-num-seqs=x", "max-num-seqs", 7),
        ("--max-num-seqs 6 --max-num-seqs 7", "max-num-seqs", 7),
        ("--log-http false", "log-http", True),
        ("--log-http=false", "log-http", False),
        ("--omni --no-omni", "omni", False),
        ("--no-enforce-eager=zzz", "enforce-eager", False),
        ("--served-model-name a b --mode echo", "served-model-name", ["a", "b"]),
        ("--served-model-name=a b", "served-model-name", ["a"]),
        ("--served-model-name a --served-model-name b", "served-model-name", ["a"]),
        ("--served-model-name", "served-model-name", []),
        ("--lora-modules --failure-types", "lora-modules", []),
        ("-v 5", "v", 5),
        ("-v=5", "v", 5),
        ("-v5", "v", 5),
        ("--v=-1", "v", -1),
    ],
)
def test_the_habits_of_its_command_line(words: str, name: str, wanted: Any) -> None:
    assert value(read(*words.split()), name) == wanted


def test_the_model_and_the_seed_of_hashes_come_from_the_environment_too() -> None:
    settings = parse_options(["--as", "llm-d"], {"SIM_MODEL": "e", "PYTHONHASHSEED": "7"}, settings_class)
    assert (settings.model, settings.hash_seed) == ("e", "7")
    settings = read("--hash-seed", "8", SIM_MODEL="e", PYTHONHASHSEED="7")
    assert (settings.model, settings.hash_seed) == ("m", "8")
    with pytest.raises(OptionError, match="model parameter is empty"):
        parse_options(["--as", "llm-d"], {}, settings_class)


def test_flags_of_the_simulator_itself_stand_beside_its_own() -> None:
    settings = read("--control-port", "0", "--fault", "slow-start", "--fault=cut", "--host", "127.0.0.1")
    assert (settings.control_port, settings.fault) == (0, ["slow-start", "cut"])
    assert refusal("--control-port", "x") == "--control-port: 'x' is not a whole number"


# The YAML file


def from_file(path: Path, text: str, *words: str) -> Settings:
    path.write_text(text, encoding="utf-8")
    return read("--config", str(path), *words)


IN_YAML = {
    "int": ["2", "2.5"],
    "float": ["0.5", "1"],
    "string": ["x", "5", "true"],
    "bool": ["true", "'yes'", "off"],
    "toggle": ["true", "no"],
    "duration": ["1m30s", "'5s'"],
    "list": ["[]"],
    "object": ["{running-requests: 2}", "{running-requests: 'ramp:0:10:5s', zzz: 1}"],
}
NOT_IN_YAML = {
    "int": ["x", "'2'", "[2]", "true", "99999999999999999999"],
    "float": ["x", "'0.5'", "{}"],
    "string": ["[x]", "{}"],
    "bool": ["1", "'true'", "[]"],
    "toggle": ["1", "x"],
    "duration": ["100", "5", "x", "[5s]"],
    "list": ["x", "{}", "[[x]]", "[{name: a}]"],
    "object": ["'{}'", "[]", "5", "{loras: [{running: a}]}"],
}


@pytest.mark.parametrize("name", KEYS)
def test_each_key_of_the_file_takes_its_kind_and_refuses_another(tmp_path: Path, name: str) -> None:
    file = tmp_path / "sim.yaml"
    fitting = {**FITTING, "failure-types": "[rate_limit]", "lora-modules": '[\'{"name": "a"}\']'}
    for text in [fitting[name]] if name in fitting else IN_YAML[KINDS[name]]:
        others = [*TOGETHER.get(name, ()), *(["--enable-kvcache=false"] if name == "enable-kvcache" else [])]
        from_file(file, f"{name}: {text}\n", *others)
        from_file(file, f"{name}: null\n")
    for text in NOT_IN_YAML[KINDS[name]]:
        with pytest.raises(OptionError, match=rf"^failed to unmarshal configuration: {file}:2: {name}: "):
            from_file(file, f"zzz: 1\n{name}: {text}\n")


def test_the_file_is_read_as_yaml_v3_reads_it_into_a_structure(tmp_path: Path) -> None:
    file = tmp_path / "sim.yaml"
    text = (
        "as: llm-d\nmodel: y\nzzz: 1\nMode: echo\nmax-num-seqs: 7\ncontrol-port: 0\nfake-metrics: {waiting-requests: 1}"
    )
    settings = from_file(file, text)
    assert (settings.model, settings.mode, settings.max_num_seqs) == ("m", "random", 7)
    assert (settings.control_port, settings.fake_metrics) == (0, '{"waiting-requests": 1}')
    assert from_file(file, text, "--max-num-seqs", "8").max_num_seqs == 8
    assert from_file(file, "").model == "m"
    for wrong, told in {
        "mode: echo\nmode: random\n": f'{file}:2: mapping key "mode" already defined at line 1',
        "[1]": "expected keys and values",
        "a: [": "while parsing a flow node",
    }.items():
        with pytest.raises(OptionError) as caught:
            from_file(file, wrong)
        assert told in str(caught.value)
    assert f"open {tmp_path}/none: No such file" in refusal("--config", f"{tmp_path}/none")
    # Two words after it are none, as in the real one.
    assert read("--config", f"{tmp_path}/none", "extra").model == "m"


def test_a_refused_start_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--as", "llm-d", "--model", "m", "--max-loras", "x"]) == 2
    told = 'invalid argument "x" for "--max-loras" flag: strconv.ParseInt: parsing "x": invalid syntax'
    assert capsys.readouterr().err == f"inference-simulator: error: {told}\n"


def test_what_was_given_is_told_again_by_the_configuration(start_simulator: Any) -> None:
    values = {"running-requests": 2}
    simulator = start_simulator(
        "--as", "llm-d", "--model", "m", "--image-emission-rate", "0x10", "--time-to-generate-image=1m", "--no-omni",
        "--render-url", "http://r", "--fake-metrics", json.dumps(values), "--hash-seed", "7", "--logtostderr",
        env={"POD_IP": "10.0.0.1", "POD_NAME": "p"},
    )  # fmt: skip
    told = simulator.request("GET", "/admin/config").json
    assert told["fake-metrics"] == values
    assert (told["image-emission-rate"], told["time-to-generate-image"], told["omni"]) == (16, "1m0s", False)
    assert (told["render-url"], told["hash-seed"], told["IP"], told["PodName"]) == ("http://r", "7", "10.0.0.1", "p")
    changed = simulator.request("POST", "/admin/config", {"image-emission-rate": 5}).json
    assert changed["image-emission-rate"] == 5
