"""The command lines of mistral.rs: `mistralrs-server` 0.6 with `mistralrs-bench`, and `mistralrs` 0.9.2.

Options that nothing here depends on are taken and ignored; those that the simulator adds are `--dry-run`, and all that
`inference-simulator --help` lists.
"""

from __future__ import annotations

from dataclasses import replace

from InferenceLibrary.simulator.personalities.mistralrs_clap import Arg, Command

OLD, OLD_BENCH, NEW = "mistralrs-server", "mistralrs-bench", "mistralrs"
_DRY_RUN = Arg("dry-run", "", "Load the model, say so, and exit; mistral.rs itself has no such flag", "switch")
DRY_RUN = replace(_DRY_RUN, everywhere=True)
_SIZES = (
    Arg("max-seq-len", "", "Maximum prompt sequence length to expect for this model", "usize", "4096"),
    Arg("max-batch-size", "", "Maximum prompt batch size to expect for this model", "usize", "1"),
)
_TOPOLOGY = Arg("topology", "", "Path to a topology YAML file")


# The older generation


def _old_plain(name: str, about: str) -> Command:
    return Command(
        name,
        about,
        (
            Arg("model-id", "m", "Model ID to load from. This may be a HF hub repo or a local path", required=True),
            Arg("tokenizer-json", "t", "Path to local tokenizer.json file"),
            Arg("arch", "a", "The architecture of the model"),
            Arg("dtype", "d", "Model data type", "dtype", "auto"),
            _TOPOLOGY,
            Arg("from-uqff", "f", "UQFF path to load from"),
            *_SIZES,
        ),
    )


def _old_quantized(name: str, about: str, *more: Arg) -> Command:
    return Command(
        name,
        about,
        (
            Arg("tok-model-id", "t", "The local or remote model ID where you can find a `tokenizer_config.json` file"),
            Arg("quantized-model-id", "m", "Quantized model ID to find the `quantized_filename`", required=True),
            Arg("quantized-filename", "f", "Quantized filename(s), separated by a space", required=True),
            Arg("dtype", "d", "Model data type", "dtype", "auto"),
            _TOPOLOGY,
            *_SIZES,
            *more,
        ),
    )


_OLD_MODELS = (
    _old_plain("run", "Select a model for running via auto loader"),
    _old_plain("plain", "Select a plain model, without quantization or adapters"),
    _old_quantized("gguf", "Select a GGUF model"),
    _old_quantized("ggml", "Select a GGML model", Arg("gqa", "g", "GQA value", "usize", "1")),
    _old_plain("vision-plain", "Select a vision plain model, without quantization or adapters"),
)
_BENCHMARK = Command(
    "benchmark",
    "Load a model, run one prompt and print the speed, as the project's testing guide expects it",
    (
        Arg("model", "m", "Folder of the model", required=True),
        Arg("file", "f", "File of the model in that folder"),
        Arg("prompt", "p", "The prompt", default="Hello!"),
        Arg("max-tokens", "n", "Tokens to generate", "usize", "128"),
    ),
)
_PAGED = (
    Arg("pa-gpu-mem", "", "GPU memory to allocate for KV cache with PagedAttention in MBs", "usize"),
    Arg("pa-gpu-mem-usage", "", "Percentage of GPU memory to utilize for the KV cache, from 0 to 1", "f32"),
    Arg("pa-ctxt-len", "", "Total context length to allocate the KV cache for", "usize"),
    Arg("pa-cache-type", "", "PagedAttention KV cache type (auto or f8e4m3)", "cache type"),
    Arg("pa-blk-size", "", "Block size (number of tokens per block) for PagedAttention", "usize"),
    Arg("no-paged-attn", "", "Disable PagedAttention on CUDA", "switch", conflicts=("paged-attn",)),
    Arg("paged-attn", "", "Enable PagedAttention on Metal", "switch", conflicts=("cpu",)),
)
OLD_SERVER = Command(
    OLD,
    "Fast and easy LLM serving.",
    (
        Arg("serve-ip", "", "IP to serve on. Defaults to 127.0.0.1 here, to 0.0.0.0 there", everywhere=True),
        Arg("seed", "s", "Integer seed to ensure reproducible random number generation", "u64"),
        Arg("port", "p", "Port to serve on", "u16", everywhere=True),
        Arg("log", "l", "Log all responses and requests to this file"),
        Arg("truncate-sequence", "t", "Truncate sequences that are larger than the maximum model length", "switch"),
        Arg("max-seqs", "", "Maximum running sequences at any time", "usize", "16"),
        Arg("no-kv-cache", "", "Use no KV cache", "switch"),
        Arg("chat-template", "c", "Chat template file with a JINJA file"),
        Arg("jinja-explicit", "j", "Explicit JINJA chat template file (.jinja) to be used"),
        Arg("token-source", "", "Source of the token for authentication", "token source", "cache"),
        Arg("interactive-mode", "i", "Enter interactive mode instead of serving a chat server", "switch"),
        Arg("prefix-cache-n", "", "Number of prefix caches to hold on the device", "usize", "16"),
        Arg("num-device-layers", "n", "Number of device layers to load and run on GPU(s)"),
        Arg("isq", "", "In-situ quantization to apply", key="in_situ_quant"),
        *_PAGED,
        Arg("cpu", "", "Use CPU only", "switch"),
        Arg("enable-search", "", "Enable web search", "switch"),
        Arg("search-bert-model", "", "Override the reranking model of the web search"),
        Arg("enable-thinking", "", "Enable thinking for interactive mode and models that support it", "switch"),
        Arg("mcp-port", "", "Port to serve MCP protocol on", "u16"),
        Arg("mcp-config", "", "MCP client configuration file path"),
        DRY_RUN,
    ),
    (*_OLD_MODELS, _BENCHMARK),
    needs_command=True,
    version="0.6.0",
)
OLD_BENCHMARK = Command(
    OLD_BENCH,
    "mistral.rs performance benchmark.",
    (
        Arg("n-prompt", "p", "Number of prompt tokens to run", "usize", "512"),
        Arg("n-gen", "g", "Number of generations tokens to run", "usize", "128"),
        Arg("concurrency", "c", "Number of concurrent requests to run", "usizes", "1"),
        Arg("repetitions", "r", "Number of times to repeat each test", "usize", "5"),
        Arg("num-device-layers", "n", "Number of device layers to load and run on GPU(s)"),
        *_PAGED[:3],
        DRY_RUN,
    ),
    _OLD_MODELS,
    needs_command=True,
    version="0.6.0",
)

# The newer generation

_SOURCE = (
    Arg("model-id", "m", "HuggingFace model ID or local path to model directory"),
    Arg("tokenizer", "t", "Path to local tokenizer.json file"),
    Arg("arch", "a", "Model architecture (auto-detected if not specified)"),
    Arg("dtype", "", "Model data type", "dtype", "auto"),
)
_FORMAT = (
    Arg("format", "", "Model format; found out if not specified", "choice", choices=("plain", "gguf", "ggml")),
    Arg("quantized-file", "f", "Quantized model filename(s) for GGUF/GGML (semicolon-separated for multiple)"),
    Arg("tok-model-id", "", "Model ID for tokenizer when using quantized format"),
    Arg("gqa", "", "GQA value for GGML models", "usize", "1"),
)
_ADAPTERS = (
    Arg("enable-lora", "", "Take LoRA adapters while it runs", "switch", conflicts=("xlora",)),
    Arg(
        "lora",
        "",
        "Preload a LoRA adapter as ALIAS=SOURCE or JSON [aliases: --lora-modules]",
        "adapter",
        repeat=True,
        key="alias=source|json",
        aliases=("lora-modules",),
        conflicts=("xlora",),
    ),
    Arg("lora-max-adapters", "", "Most adapters at once", "usize", conflicts=("xlora", "legacy-lora")),
    Arg(
        "lora-max-rank",
        "",
        "Highest rank of an adapter [aliases: --max-lora-rank]",
        "usize",
        aliases=("max-lora-rank",),
        conflicts=("xlora", "legacy-lora"),
    ),
    Arg("lora-max-bytes", "", "Most bytes of all adapters", "bytes", key="bytes", conflicts=("xlora", "legacy-lora")),
    Arg("legacy-lora", "", "LoRA adapter of a raw GGUF or GGML model", conflicts=("enable-lora", "lora", "xlora")),
    Arg("legacy-lora-order", "", "Ordering file of that adapter", requires="legacy-lora"),
    Arg("xlora", "", "X-LoRA adapter model ID"),
    Arg("xlora-order", "", "X-LoRA ordering JSON file", requires="xlora"),
    Arg("tgt-non-granular-index", "", "Target non-granular index for X-LoRA", "usize", requires="xlora"),
)
_QUANTIZATION = (
    Arg("quant", "", "Quantization: a level (2, 3, 4, 5, 6, 8) or a name (q4k, q8_0)", conflicts=("isq", "from-uqff")),
    Arg("isq", "", "In-situ quantization: a level or a name", key="in_situ_quant"),
    Arg("from-uqff", "", "UQFF file(s) to load from"),
    Arg("isq-organization", "", "How it is organized: default or moqe", "organization"),
    Arg("imatrix", "", "imatrix file for enhanced quantization"),
    Arg("calibration-file", "", "File to make an imatrix from", conflicts=("imatrix",)),
)
_DEVICE = (
    Arg("cpu", "", "Force CPU-only execution", "switch"),
    Arg("device-layers", "n", "Device layer mapping (format: ORD:NUM;...)"),
    _TOPOLOGY,
    Arg("hf-cache", "", "Custom HuggingFace cache directory"),
    *_SIZES,
)
_CACHE = (
    Arg("paged-attn", "", "PagedAttention mode", "choice", "auto", choices=("auto", "on", "off")),
    Arg("pa-context-len", "", "Allocate the KV cache for this context length", "usize"),
    Arg("pa-memory-mb", "", "GPU memory for the KV cache in MBs", "usize", conflicts=("pa-context-len",)),
    Arg("pa-memory-fraction", "", "Part of the memory", "f32", conflicts=("pa-context-len", "pa-memory-mb")),
    Arg("pa-block-size", "", "Tokens per block", "usize"),
    Arg("pa-cache-type", "", "Quantization of the KV cache", "cache type", "auto"),
)
_MULTIMODAL = (
    Arg("max-edge", "", "Longest edge of an image", "u32"),
    Arg("max-num-images", "", "Most images of a request", "usize"),
    Arg("max-image-length", "", "Most pixels for the mapping of devices", "usize"),
    Arg("mmproj", "", "Projector of a GGUF model that sees"),
)
_MODEL = (*_SOURCE, *_FORMAT, *_ADAPTERS, *_QUANTIZATION, *_DEVICE, *_CACHE, *_MULTIMODAL)


def _kinds() -> tuple[Command, ...]:
    required = (replace(_SOURCE[0], required=True), *_MODEL[1:])
    few = (required[0], *_SOURCE[1:], *_DEVICE)
    return (
        Command("auto", "Auto-detect model type (recommended)", required),
        Command("text", "Text generation model with explicit configuration", required),
        Command("multimodal", "Multimodal model", required),
        Command("diffusion", "Image generation model (diffusion)", few),
        Command("speech", "Speech synthesis model", few),
        Command("embedding", "Embedding model", required),
    )


_RUNTIME = (
    Arg("max-seqs", "", "Maximum concurrent sequences", "usize", "32"),
    Arg("max-num-batched-tokens", "", "Most tokens of a step", "usize"),
    Arg("no-kv-cache", "", "Disable KV cache entirely", "switch"),
    Arg("prefix-cache-n", "", "Number of prefix caches to hold (0 to disable)", "usize", "16"),
    Arg("chat-template", "c", "Custom chat template file (.json or .jinja)"),
    Arg("jinja-explicit", "j", "Explicit JINJA template override"),
    Arg("matformer-config-path", "", "Path to a MatFormer config"),
    Arg("matformer-slice-name", "", "MatFormer slice to load", requires="matformer-config-path"),
    Arg("mtp-model", "", "MTP assistant model id or path"),
    Arg("mtp-n-predict", "", "Tokens that it drafts in a step", "usize"),
    Arg("mcp-config", "", "Path to an MCP client configuration JSON"),
)
_AGENT = (
    Arg("agent", "", "Build a local agent: search, code execution and shell", "switch", aliases=("agentic",)),
    Arg("enable-search", "", "Enable web search", "switch"),
    Arg("search-embedding-model", "", "Model for the search", "choice", choices=("embedding-gemma",)),
    Arg("enable-code-execution", "", "Let the model run Python", "switch"),
    Arg("enable-shell", "", "Let the model run commands", "switch"),
    Arg("code-exec-python", "", "Interpreter of its code"),
    Arg("code-exec-timeout", "", "Seconds for its code", "u64"),
    Arg("code-exec-workdir", "", "Folder of its code"),
    Arg("shell-path", "", "Shell of its commands"),
    Arg("shell-timeout", "", "Seconds for its commands", "u64"),
    Arg("shell-workdir", "", "Folder of its commands"),
    Arg("skills-dir", "", "Folder of uploaded skills"),
    Arg(
        "agent-permission",
        "",
        "What it may do",
        "choice",
        "auto",
        choices=("auto", "ask", "deny"),
        aliases=("code-exec-permission",),
    ),
    Arg("sandbox", "", "Sandbox mode", "choice", "auto", choices=("auto", "on", "off")),
    Arg("sandbox-profile", "", "Sandbox policy", "choice", choices=("restricted", "developer")),
    Arg("sb-max-memory-mb", "", "Most memory of a session", "u64"),
    Arg("sb-max-cpu-secs", "", "Most seconds of a session", "u64"),
    Arg("sb-max-procs", "", "Most processes of a session", "u32"),
    Arg("sandbox-network", "", "Network of a session", "choice", choices=("none", "loopback", "full")),
)
_SERVE = Command(
    "serve",
    "Start HTTP/MCP server and (optionally) the UI at /ui",
    (
        *_MODEL,
        Arg("port", "p", "HTTP server port", "u16", "1234"),
        Arg("host", "", "Bind address. Defaults to 127.0.0.1 here, to 0.0.0.0 there"),
        Arg("no-ui", "", "Do not serve the built-in web UI at /ui", "switch"),
        Arg("mcp-port", "", "MCP protocol server port (enables MCP if set)", "u16"),
        Arg("max-tool-rounds", "", "Most rounds of tool calls", "usize"),
        Arg("tool-dispatch-url", "", "Where to send calls of tools"),
        Arg("disable-access-log", "", "Do not log requests", "switch"),
        Arg("access-log-format", "", "Format of the access log", "choice", "text", choices=("text", "json")),
        Arg("access-log-health", "", "Log requests for health, metrics and pages, too", "switch"),
        Arg("disable-request-id-header", "", "Do not send x-request-id", "switch"),
        Arg("disable-metrics", "", "Do not serve /metrics", "switch"),
        *_RUNTIME,
        *_AGENT,
    ),
    _kinds(),
)
_EFFORTS = ("off", "none", "low", "medium", "high", "xhigh", "max")
_RUN = Command(
    "run",
    "Run model in interactive mode, or one-shot mode with `-i`",
    (
        *_MODEL,
        *_RUNTIME,
        *_AGENT,
        Arg("thinking", "", "Control thinking mode for models that support it", "bool"),
        Arg("reasoning-effort", "", "How much the model thinks", "choice", choices=_EFFORTS),
        Arg("input", "i", "One-shot text prompt: send a single request and exit"),
        Arg("image", "", "Image URL(s) or file path(s) to include (requires -i)", repeat=True, requires="input"),
        Arg("video", "", "Video URL(s) or file path(s) to include (requires -i)", repeat=True, requires="input"),
        Arg("audio", "", "Audio URL(s) or file path(s) to include (requires -i)", repeat=True, requires="input"),
    ),
    _kinds(),
)
_BENCH = Command(
    "bench",
    "Run performance benchmarks for plain model generation",
    (
        *_MODEL,
        *(arg for arg in _RUNTIME if arg.name == "no-kv-cache"),
        Arg("prompt-len", "", "Number of tokens in prompt. Accepts comma-separated values", "usizes", "512"),
        Arg("gen-len", "", "Number of tokens to generate", "usize", "128"),
        Arg("depth", "", "Number of prompt tokens to prefill before measuring decode", "usizes", "4"),
        Arg("iterations", "", "Number of benchmark iterations", "usize", "3"),
        Arg("warmup", "", "Number of warmup runs (discarded)", "usize", "1"),
    ),
    _kinds(),
)
_JSON = Arg("json", "", "Output JSON instead of human-readable text", "switch")
_OTHERS = (
    Command("quantize", "Generate UQFF quantized model file"),
    Command("uqff", "Inspect, report, or verify UQFF artifacts"),
    Command("tune", "Recommend quantization + device mapping for a model", (*_MODEL, _JSON)),
    Command("doctor", "Run system diagnostics and environment checks", (_JSON,)),
    Command("login", "Authenticate with HuggingFace Hub", (Arg("token", "", "Provide token directly"),)),
    Command(
        "cache",
        "Manage the HuggingFace model cache",
        commands=(
            Command("list", "List all cached models"),
            Command("delete", "Delete a specific model from cache", (Arg("model-id", "m", "Model ID", required=True),)),
        ),
        needs_command=True,
    ),
    Command("completions", "Generate shell completions"),
    Command(
        "from-config",
        "Run from a full TOML configuration file",
        (Arg("file", "f", "Path to configuration file (.toml)", required=True),),
    ),
    Command("update", "Update a prebuilt install to the latest release", (Arg("tag", "", "Which release"),)),
    Command("uninstall", "Remove a prebuilt install", (Arg("yes", "y", "Do not ask", "switch"),)),
)
NEW_PROGRAM = Command(
    NEW,
    "Command-line interface for mistral.rs LLM inference",
    (
        Arg("seed", "", "Random seed for reproducibility", "u64", everywhere=True),
        Arg("log", "l", "Log all requests and responses to this file", everywhere=True),
        Arg(
            "token-source", "", "Token source for HuggingFace authentication", "token source", "cache", everywhere=True
        ),
        Arg("verbose", "v", "Increase logging verbosity", "count", everywhere=True),
        DRY_RUN,
    ),
    (_SERVE, _RUN, _BENCH, *_OTHERS),
    needs_command=True,
    version="0.9.2",
)
PROGRAMS = {OLD: OLD_SERVER, OLD_BENCH: OLD_BENCHMARK, NEW: NEW_PROGRAM}
NOT_SIMULATED = frozenset(command.name for command in _OTHERS)
_ONLY_NEW = {command.name for command in NEW_PROGRAM.commands} - {"run"}
_ONLY_OLD_FLAGS = {"-i", "--interactive-mode", "-p", "--port", "--serve-ip"}


def program_of(name: str, words: list[str]) -> tuple[Command, list[str]]:
    """Return the program that is meant, and its own words.

    Where no name is given, the program's name may be the first word, else the first sub-command tells the generation;
    what both have, and no sub-command at all, is the older one's, but for a `run` that comes first.
    """
    if words and words[0] in PROGRAMS:
        return PROGRAMS[words[0]], words[1:]
    if name in PROGRAMS:
        return PROGRAMS[name], words
    both = {command.name for command in (*NEW_PROGRAM.commands, *OLD_SERVER.commands)}
    place = next((place for place, word in enumerate(words) if word in both), len(words))
    found = words[place : place + 1]
    is_new = not _ONLY_NEW.isdisjoint(found) or (found == ["run"] and _ONLY_OLD_FLAGS.isdisjoint(words[:place]))
    return (NEW_PROGRAM if is_new else OLD_SERVER), words


_SINCE_0_9 = frozenset({
    "access-log-format", "access-log-health", "agent", "agent-permission", "code-exec-python", "code-exec-timeout",
    "code-exec-workdir", "depth", "disable-access-log", "disable-metrics", "disable-request-id-header",
    "enable-code-execution", "enable-lora", "enable-shell", "legacy-lora", "legacy-lora-order", "lora-max-adapters",
    "lora-max-bytes", "lora-max-rank", "lora-modules", "matformer-config-path", "matformer-slice-name",
    "max-lora-rank", "max-num-batched-tokens", "max-tool-rounds", "mmproj", "mtp-model", "mtp-n-predict", "no-ui",
    "quant", "reasoning-effort", "sandbox", "sandbox-network", "sandbox-profile", "sb-max-cpu-secs",
    "sb-max-memory-mb", "sb-max-procs", "shell-path", "shell-timeout", "shell-workdir", "skills-dir",
    "tool-dispatch-url", "uninstall", "update", "uqff", "verbose",
})  # fmt: skip
"""Options and commands that 0.8.1 does not have."""
_UI = Arg("ui", "", "Serve the built-in web UI at /ui", "switch")


def program_at(personality: str) -> Command:
    """Return the newer program as a personality has it: `mistralrs`, or `mistralrs@VERSION` for that version's."""
    if personality == NEW:
        return NEW_PROGRAM
    from InferenceLibrary.dialects.files import load_dialect

    program = replace(NEW_PROGRAM, version=load_dialect(personality).dialect.version)
    return _before_0_9(program) if is_before_0_9(program) else program


def is_before_0_9(program: Command) -> bool:
    """Whether the newer program is of a version before 0.9."""
    return [int(part) for part in program.version.split(".")] < [0, 9]


def _before_0_9(command: Command) -> Command:
    args = [arg for arg in command.args if arg.name not in _SINCE_0_9]
    below = [_before_0_9(one) for one in command.commands if one.name not in _SINCE_0_9]
    return replace(command, args=(*args, *((_UI,) if command is _SERVE else ())), commands=tuple(below))
