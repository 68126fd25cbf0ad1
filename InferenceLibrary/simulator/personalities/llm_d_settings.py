"""The flags of llm-d-inference-sim v0.10.2 with the kind of each, and what it refuses once it has read them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from InferenceLibrary.simulator.core.options import OptionError, defaults_of
from InferenceLibrary.simulator.core.settings import Settings, flag
from InferenceLibrary.simulator.personalities.failures import FAILURES
from InferenceLibrary.simulator.personalities.llm_d_flags import read_flags
from InferenceLibrary.simulator.personalities.llm_d_yaml import read_yaml

_BY_KIND = {
    "int": """block-size data-parallel-rank data-parallel-size default-embedding-dimensions event-batch-size
        failure-injection-rate image-emission-rate kv-cache-size max-cpu-loras max-loras max-model-len max-num-seqs
        max-request-body-size-mb max-tool-call-array-param-length max-tool-call-integer-param max-waiting-queue-length
        min-tool-call-array-param-length min-tool-call-integer-param object-tool-call-not-required-field-probability
        port seed tool-call-not-required-param-probability""",
    "float": """global-cache-hit-threshold max-tool-call-number-param min-tool-call-number-param
        time-factor-under-load""",
    "string": """config dataset-path dataset-table-name dataset-url ec-transfer-config hash-seed latency-calculator
        mm-processor-kwargs mode model render-url ssl-certfile ssl-keyfile zmq-endpoint""",
    "bool": """dataset-in-memory enable-kvcache enable-request-id-headers force-dummy-tokenizer log-http
        self-signed-certs use-vllm-map-event-format""",
    "toggle": "enable-prefix-caching enable-sleep-mode enforce-eager mm-encoder-only omni",
    "duration": """fake-metrics-refresh-interval inter-token-latency inter-token-latency-std-dev
        kv-cache-transfer-latency kv-cache-transfer-latency-std-dev kv-cache-transfer-time-per-token
        kv-cache-transfer-time-std-dev mm-render-timeout prefill-overhead prefill-time-per-token prefill-time-std-dev
        render-timeout startup-duration time-to-first-token time-to-first-token-std-dev time-to-generate-image
        time-to-generate-image-std-dev""",
    "list": "failure-types lora-modules served-model-name",
    "object": "fake-metrics",
}
KINDS = {name: kind for kind, names in _BY_KIND.items() for name in names.split()}
"""Its flags, and their kinds; all but `config` are keys of the YAML file too. A toggle has an opposite with `no-`."""
KEYS = tuple(sorted(KINDS.keys() - {"config"}))
LOG_KINDS = {
    "add_dir_header": "bool", "alsologtostderr": "bool", "alsologtostderrthreshold": "severity",
    "legacy_stderr_threshold_behavior": "bool", "log_backtrace_at": "place", "log_dir": "string", "log_file": "string",
    "log_file_max_size": "size", "logtostderr": "bool", "one_output": "bool", "skip_headers": "bool",
    "skip_log_headers": "bool", "stderrthreshold": "severity", "v": "level", "vmodule": "modules",
}  # fmt: skip
"""The flags of its log, which is not imitated: they are read, and but for `v` without effect."""
_BLOCKS = (8, 16, 32, 64, 128)
_CALCULATORS = ("", "constant", "per-token")
_NOT_NEGATIVE = {
    "inter-token-latency": "inter token latency",
    "inter-token-latency-std-dev": "inter token latency standard deviation",
    "time-to-first-token": "time to first token",
    "time-to-first-token-std-dev": "time to first token standard deviation",
    "time-to-generate-image": "time to generate image",
    "time-to-generate-image-std-dev": "time to generate image standard deviation",
    "prefill-overhead": "prefill overhead",
    "prefill-time-per-token": "prefill time per token",
    "prefill-time-std-dev": "prefill time standard deviation",
    "kv-cache-transfer-time-per-token": "kv-cache transfer time per token",
    "kv-cache-transfer-time-std-dev": "kv-cache transfer time standard deviation",
    "kv-cache-transfer-latency": "kv-cache transfer time",
    "kv-cache-transfer-latency-std-dev": "kv-cache transfer time standard deviation",
    "min-tool-call-array-param-length": "MinToolCallArrayParamLength",
    "kv-cache-size": "KV cache size",
}
_SPREADS = {
    "inter-token-latency": "inter token latency",
    "time-to-first-token": "time to first token",
    "time-to-generate-image": "time to generate image",
    "kv-cache-transfer-latency": "kv-cache transfer",
}
_AT_LEAST_1 = {
    "max-loras": "max LoRAs cannot be less than 1",
    "max-model-len": "max model len cannot be less than 1",
    "max-num-seqs": "max num seqs cannot be less than 1",
    "max-waiting-queue-length": "max waiting queue size cannot be less than 1",
    "event-batch-size": "event batch size cannot less than 1",
    "default-embedding-dimensions": "default embedding dimensions must be at least 1",
}
_BETWEEN = {
    "tool-call-not-required-param-probability": (
        0, 100, "ToolCallNotRequiredParamProbability should be between 0 and 100",
    ),
    "object-tool-call-not-required-field-probability": (
        0, 100, "ObjectToolCallNotRequiredParamProbability should be between 0 and 100",
    ),
    "failure-injection-rate": (0, 100, "failure injection rate should be between 0 and 100"),
    "image-emission-rate": (0, 100, "image emission rate should be between 0 and 100"),
    "data-parallel-size": (1, 8, "data parallel size must be between 1 and 8"),
    "global-cache-hit-threshold": (0, 1, "global cache hit threshold must be between in range [0, 1]"),
    "max-request-body-size-mb": (1, 512, "max-request-body-size-mb must be between 1 MB and 512 MB"),
}  # fmt: skip


@dataclass(slots=True)
class LlmDSettings(Settings):
    """As `Settings`, for `--as llm-d`, whose command line and file are read as Go's pflag and yaml.v3 read them."""

    absent: ClassVar[frozenset[str]] = frozenset({"tensor-parallel-size", "legacy-durations", "reference"})

    model: str = flag("str", "", "base model name; SIM_MODEL names it too. There is none of its own, as upstream")
    zmq_endpoint: str = flag("str", "tcp://127.0.0.1:5557", "accepted as upstream does, without effect")
    render_url: str = flag("str", "http://localhost:8082", "accepted as upstream does, without effect")
    data_parallel_size: int = flag("int", 1, "servers on as many ports, from --port on; of 1 to 8")
    data_parallel_rank: int = flag("int", -1, "rank of this server, up to 7; --data-parallel-size counts for 1 then")

    @classmethod
    def read(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
        """Read the command line, the YAML file that it names and the environment, and refuse what upstream refuses.

        Raises:
            OptionError: One line, in the words of upstream.
        """
        given = read_flags(arguments, KINDS, LOG_KINDS)
        path = given.pop("config", None)
        values = (read_yaml(path, KINDS) if path else {}) | given
        for name, variable in (("model", "SIM_MODEL"), ("hash-seed", "PYTHONHASHSEED")):
            if name not in given and environment.get(variable):
                values[name] = environment[variable]
        _check(defaults_of(cls) | values, environment)
        return values

    @property
    def ranks(self) -> int:
        """How many servers there are: one a rank, each on its own port."""
        return 1 if self.data_parallel_rank >= 0 else self.data_parallel_size


def _check(told: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Refuse what upstream refuses once all is read, in its order of importance and its words."""
    if not told["model"]:
        raise OptionError("model parameter is empty; --model or SIM_MODEL names it")
    if told["mode"] not in {"echo", "random"}:
        raise OptionError(f"invalid mode '{told['mode']}', valid values are 'random' and 'echo'")
    # It refuses port 0 too; here that is the way to a free port, as with every stand-in.
    last = told["port"] + (told["data-parallel-size"] - 1 if told["data-parallel-rank"] < 0 else 0)
    if told["port"] < 0 or last > 65535:
        raise OptionError(f"invalid port '{last if told['port'] >= 0 else told['port']}'")
    for name, words in _NOT_NEGATIVE.items():
        _refuse(name, told[name], f"{words} cannot be negative", told[name] < 0)
    for name, words in _SPREADS.items():
        most = f"{words} standard deviation cannot be more than 30% of {words}"
        spread = told[f"{name}-std-dev"]
        _refuse(f"{name}-std-dev", spread, most, spread > 0.3 * told[name] + 1e-12)
    factor = told["time-factor-under-load"]
    _refuse("time-factor-under-load", factor, "time factor under load cannot be less than 1.0", factor < 1)
    for name, words in _AT_LEAST_1.items():
        _refuse(name, told[name], words, told[name] < 1)
    for name, (low, high, words) in _BETWEEN.items():
        _refuse(name, told[name], words, not low <= told[name] <= high)
    _check_adapters(told)
    _check_pairs(told)
    rank, block = told["data-parallel-rank"], told["block-size"]
    _refuse("data-parallel-rank", rank, "data parallel rank must be between 0 and 7", rank > 7)
    _refuse(
        "block-size", block, "token block size should be one of the following: 8, 16, 32, 64, 128", block not in _BLOCKS
    )
    for one in told["failure-types"]:
        if one not in FAILURES:
            raise OptionError(f"invalid failure type '{one}', valid types are: {', '.join(FAILURES)}")
    if told["latency-calculator"] not in _CALCULATORS:
        raise OptionError(
            f"unknown latency-calculator {told['latency-calculator']}, "
            "supported calculators are: constant and per-token"
        )
    if told["fake-metrics"] and told["fake-metrics-refresh-interval"] <= 0:
        raise OptionError("fake metrics refresh interval must be positive")
    if told["enable-kvcache"] and not environment.get("POD_IP"):
        raise OptionError("--enable-kvcache: the environment variable POD_IP must be set")


def _check_adapters(told: Mapping[str, Any]) -> None:
    most, kept = told["max-loras"], told["max-cpu-loras"]
    _refuse("max-cpu-loras", kept, "max CPU LoRAs cannot be less than max LoRAs", kept != 0 and kept < most)
    for text in told["lora-modules"]:
        adapter = json.loads(text)
        if not adapter.get("name"):
            raise OptionError("empty LoRA name")
        base = adapter.get("base_model_name")
        if base and base != told["model"]:
            raise OptionError(f"unknown base model '{base}' for LoRA '{adapter['name']}'")


def _check_pairs(told: Mapping[str, Any]) -> None:
    """Refuse flags that do not go together."""
    for kind, words in (("integer", "IntegerParam"), ("number", "NumberParam"), ("array", "ArrayParamLength")):
        end = "param-length" if kind == "array" else "param"
        low, high = told[f"min-tool-call-{kind}-{end}"], told[f"max-tool-call-{kind}-{end}"]
        if high < low:
            raise OptionError(f"MaxToolCall{words} cannot be less than MinToolCall{words}, got {high} and {low}")
    certificate, key = told["ssl-certfile"], told["ssl-keyfile"]
    if bool(certificate) != bool(key):
        raise OptionError("both ssl-certfile and ssl-keyfile must be provided together")
    if told["self-signed-certs"] and certificate:
        raise OptionError("cannot use both self-signed-certs and explicit ssl-certfile/ssl-keyfile")
    if told["dataset-url"] and not told["dataset-path"]:
        raise OptionError("dataset-path is required when dataset-url is set")
    if told["mode"] == "echo" and told["dataset-path"]:
        raise OptionError("dataset cannot be defined in echo mode")


def _refuse(name: str, value: Any, words: str, wrong: bool) -> None:
    if wrong:
        told = f"{value * 1000:g}ms" if KINDS[name] == "duration" else f"{value}"
        raise OptionError(f"--{name}: {words}, got {told}")
