"""What can be set: one field for each flag, with its kind, default, limits and help, the same for CLI and YAML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


class StartError(Exception):
    """The server cannot start; the text is one line."""


def about(kind: str, text: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"kind": kind, "help": text, "low": low, "high": high}


def flag(kind: str, default: Any, text: str, *, low: float | None = None, high: float | None = None) -> Any:
    return field(default=default, metadata=about(kind, text, low, high))


def _ignored(kind: str, default: Any) -> Any:
    return flag(kind, default, "accepted as upstream does, without effect")


@dataclass(slots=True)
class Settings:
    """The settings of one simulator. Durations are seconds. Field `max_num_seqs` is flag `--max-num-seqs`."""

    absent: ClassVar[frozenset[str]] = frozenset()
    """Flags that a personality does not have."""

    # Server
    personality: str = flag(
        "str",
        "openai",
        "the system to stand in for, one of the personalities below; INFERENCE_SIMULATOR_AS names it too",
    )
    config: str = flag("str", "", "YAML file with the same keys as the flags")
    host: str = flag("str", "127.0.0.1", "address to bind; anything but loopback is warned about")
    port: int = flag("int", 8000, "port to bind; 0 takes a free one and prints it", low=0, high=65535)
    model: str = flag("str", "fake-model", "base model name; the environment variable SIM_MODEL too")
    served_model_name: list[str] = field(
        default_factory=list, metadata=about("list", "names the model answers to; the first is echoed")
    )
    api_key: str = flag("str", "", "key that requests must bear; 401 without it")
    ssl_certfile: str = flag("str", "", "certificate for HTTPS, PEM")
    ssl_keyfile: str = flag("str", "", "its key, PEM")
    self_signed_certs: bool = flag("bool", False, "HTTPS with a certificate made at the start (needs openssl)")
    max_request_body_size_mb: int = flag("int", 4, "larger bodies are answered 413", low=1, high=512)
    startup_duration: float = flag("duration", 0.0, "/health/ready is 503 until this time is over")
    workers: int = flag("int", 1, "processes that serve on the port as one server", low=1, high=64)
    drain_timeout: float = flag("duration", 30.0, "longest wait for open answers after TERM")
    log_http: bool = flag("bool", False, "log one line a request on stderr")
    v: int = flag("int", 0, "verbosity; 4 and above logs requests", low=0)
    # Answers
    mode: str = flag("mode", "random", "random or echo; onnx answers by inference from --onnx-model")
    reference: str = flag("reference", "openai", "the text that openai keeps to where two references differ")
    onnx_model: str = flag("str", "", "language model of mode onnx: an .onnx file, or 'trained' for the shipped one")
    onnx_device: str = flag("device", "auto", "where it computes: auto takes CUDA where it can be used, else the CPU")
    embedding_model: str = flag("str", "", "embeddings and rankings by inference: an .onnx file, or 'topics'")
    seed: int | None = flag("int", None, "makes texts, latencies, ids and injected failures repeatable")
    max_model_len: int = flag("int", 1024, "prompt and output tokens together; 400 above", low=1)
    max_num_seqs: int = flag("int", 5, "answers generated at the same time", low=1)
    max_waiting_queue_length: int = flag("int", 1000, "requests that may wait; 429 above", low=0)
    scenario: str = flag("str", "", "scripted answers: a YAML file, or the name of a shipped one")
    dataset_path: str = flag("str", "", "answers by prompt: SQLite as upstream, or YAML of question and answer")
    dataset_url: str = _ignored("str", "")
    dataset_in_memory: bool = _ignored("bool", False)
    dataset_table_name: str = flag("str", "llmd", "table of the SQLite data set")
    default_embedding_dimensions: int = flag("int", 384, "length of an embedding", low=1, high=65536)
    # Time
    time_to_first_token: float = flag("duration", 0.0, "time to the first token")
    time_to_first_token_std_dev: float = flag("duration", 0.0, "its standard deviation, at most 30 %")
    inter_token_latency: float = flag("duration", 0.0, "time between tokens")
    inter_token_latency_std_dev: float = flag("duration", 0.0, "its standard deviation, at most 30 %")
    kv_cache_transfer_latency: float = flag("duration", 0.0, "first-token time of remote prefill requests")
    kv_cache_transfer_latency_std_dev: float = flag("duration", 0.0, "its standard deviation, at most 30 %")
    kv_cache_transfer_time_per_token: float = flag("duration", 0.0, "the same, for each prompt token")
    kv_cache_transfer_time_std_dev: float = flag("duration", 0.0, "its standard deviation, at most 30 %")
    prefill_overhead: float = flag("duration", 0.0, "fixed part of a per-token time to first token")
    prefill_time_per_token: float = flag("duration", 0.0, "part of it for each prompt token")
    prefill_time_std_dev: float = flag("duration", 0.0, "standard deviation of the prefill time")
    time_factor_under_load: float = flag("float", 1.0, "how much slower a full server is", low=1)
    latency_calculator: str = flag("calculator", "", "'', constant or per-token")
    legacy_durations: bool = flag("bool", False, "take bare numbers as milliseconds, as up to v0.8")
    one_write_per_token: bool = flag("bool", False, "one TCP write a token, also without latency")
    truth_file: str = flag("str", "", "JSON lines with every token and its send time (monotonic clock)")
    # What goes wrong
    fault: list[str] = field(
        default_factory=list,
        metadata=about("repeat", "NAME[:key=value,...]; may be given again; --list-faults names them"),
    )
    failure_injection_rate: int = flag("int", 0, "percent of requests that fail", low=0, high=100)
    failure_types: list[str] = field(
        default_factory=list, metadata=about("list", "which failures to inject; all when not given")
    )
    # LoRA, sleep, tools, headers
    max_loras: int = flag("int", 1, "adapters in one batch", low=1)
    max_cpu_loras: int = flag("int", 0, "adapters kept; 0 means as max-loras", low=0)
    lora_modules: list[str] = field(
        default_factory=list, metadata=about("list", 'adapters: JSON such as {"name": "a", "path": "/a"}')
    )
    enable_sleep_mode: bool = flag("bool", False, "/sleep and /wake_up work (with VLLM_SERVER_DEV_MODE=1)")
    enable_request_id_headers: bool = flag("bool", False, "echo or make X-Request-Id")
    min_tool_call_integer_param: int = flag("int", 0, "smallest made-up integer argument")
    max_tool_call_integer_param: int = flag("int", 100, "largest made-up integer argument")
    min_tool_call_number_param: float = flag("float", 0.0, "smallest made-up number argument")
    max_tool_call_number_param: float = flag("float", 100.0, "largest made-up number argument")
    min_tool_call_array_param_length: int = flag("int", 1, "shortest made-up array", low=0)
    max_tool_call_array_param_length: int = flag("int", 5, "longest made-up array", low=0)
    tool_call_not_required_param_probability: int = flag("int", 50, "percent", low=0, high=100)
    object_tool_call_not_required_field_probability: int = flag("int", 50, "percent", low=0, high=100)
    # Metrics, control
    fake_metrics: str = flag("json", "", "values for the vllm: metrics in place of the true ones")
    fake_metrics_refresh_interval: float = flag("duration", 0.1, "how long a function of them keeps its value")
    control_port: int | None = flag("int", None, "port of the control API; off when not given", low=0, high=65535)
    record_requests: int = flag("int", 100, "how many last requests the control API keeps", low=0, high=100_000)
    # Accepted and ignored, as upstream does
    force_dummy_tokenizer: bool = _ignored("bool", False)
    tensor_parallel_size: int = _ignored("int", 1)
    data_parallel_size: int = _ignored("int", 1)
    data_parallel_rank: int = _ignored("int", -1)
    enforce_eager: bool = _ignored("bool", False)
    enable_prefix_caching: bool = _ignored("bool", False)
    mm_processor_kwargs: str = _ignored("str", "")
    ec_transfer_config: str = _ignored("str", "")
    enable_kvcache: bool = _ignored("bool", False)
    kv_cache_size: int = _ignored("int", 1024)
    block_size: int = _ignored("int", 16)
    hash_seed: str = _ignored("str", "")
    zmq_endpoint: str = _ignored("str", "")
    event_batch_size: int = _ignored("int", 16)
    global_cache_hit_threshold: float = _ignored("float", 0.0)
    render_url: str = _ignored("str", "")
    render_timeout: float = _ignored("duration", 30.0)
    mm_render_timeout: float = _ignored("duration", 60.0)
    omni: bool = _ignored("bool", False)
    mm_encoder_only: bool = _ignored("bool", False)
    image_emission_rate: int = _ignored("int", 0)
    time_to_generate_image: float = _ignored("duration", 0.0)
    time_to_generate_image_std_dev: float = _ignored("duration", 0.0)
    use_vllm_map_event_format: bool = _ignored("bool", False)

    @classmethod
    def read(cls, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any] | None:
        """Return what a command line and an environment set, where the personality reads them in a way of its own."""
        return None

    @property
    def ranks(self) -> int:
        """How many servers there are, each on a port of its own."""
        return 1

    @property
    def names(self) -> list[str]:
        """Names that the base model answers to; the first one is echoed."""
        return self.served_model_name or [self.model]

    def check(self) -> None:
        """Refuse what a single value cannot show.

        Raises:
            ValueError: It is wrong; the text is one line and names the flag.
        """


CHOICES = {
    "mode": ("random", "echo", "onnx"),
    "reference": ("openai", "open-responses", "anthropic"),
    "device": ("auto", "cpu", "cuda"),
    "calculator": ("", "constant", "per-token"),
    "era": ("seed", "late"),
    "orchestration": ("single", "critique", "debate", "ensemble", "pipeline"),
    "queue": ("fifo", "priority"),
}
