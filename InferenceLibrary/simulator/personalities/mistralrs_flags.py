"""The command line of mistral.rs, in its older generation (`mistralrs-server`) and its newer one (`mistralrs`)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field


class UsageError(Exception):
    """The command line is wrong; the text is what the program says, in several lines."""


@dataclass(slots=True)
class Command:
    """A command and its flags: long name to short name, or "" without one. `switches` take no value."""

    name: str
    about: str
    flags: dict[str, str] = field(default_factory=dict)
    switches: dict[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()


_MODEL_OLD = {"tok-model-id": "t", "dtype": "d", "topology": "", "max-seq-len": "", "max-batch-size": ""}
OLD_GLOBAL = Command(
    "mistralrs-server",
    "Fast and easy LLM serving.",
    {
        "serve-ip": "", "seed": "s", "port": "p", "log": "l", "chat-template": "c", "jinja-explicit": "j",
        "token-source": "", "max-seqs": "", "prefix-cache-n": "", "num-device-layers": "n", "isq": "",
        "pa-gpu-mem": "", "pa-gpu-mem-usage": "", "pa-ctxt-len": "", "pa-blk-size": "", "prompt-batchsize": "",
        "mcp-port": "", "mcp-config": "", "search-bert-model": "",
    },
    {
        "interactive-mode": "i", "truncate-sequence": "t", "no-kv-cache": "", "no-paged-attn": "", "paged-attn": "",
        "cpu": "", "enable-search": "", "enable-thinking": "", "dry-run": "", "throughput": "",
    },
)  # fmt: skip
OLD_COMMANDS = {
    "plain": Command(
        "plain", "Select a plain model, without quantization or adapters.",
        {"model-id": "m", "arch": "a", "tokenizer-json": "", **_MODEL_OLD}, required=("model-id",),
    ),
    "run": Command(
        "run", "Select a model for running via auto loader.", {"model-id": "m", **_MODEL_OLD}, required=("model-id",)
    ),
    "gguf": Command(
        "gguf", "Select a GGUF model.", {"quantized-model-id": "m", "quantized-filename": "f", **_MODEL_OLD},
        required=("quantized-model-id", "quantized-filename"),
    ),
    "ggml": Command(
        "ggml", "Select a GGML model.",
        {"quantized-model-id": "m", "quantized-filename": "f", "gqa": "g", **_MODEL_OLD},
        required=("quantized-model-id", "quantized-filename"),
    ),
}  # fmt: skip
OLD_BENCH = Command(
    "mistralrs-bench",
    "Benchmark a model.",
    {**OLD_GLOBAL.flags, "n-prompt": "p", "n-gen": "g", "concurrency": "c", "repetitions": "r"},
    OLD_GLOBAL.switches,
)
OLD_BENCH.flags["port"] = OLD_BENCH.flags["chat-template"] = ""

_MODEL_NEW = {
    "model-id": "m", "quantized-file": "f", "format": "", "tokenizer": "t", "arch": "a", "dtype": "",
    "tok-model-id": "", "quant": "", "isq": "", "from-uqff": "", "lora": "", "device-layers": "n", "max-seq-len": "",
    "max-batch-size": "", "paged-attn": "", "max-seqs": "", "prefix-cache-n": "", "chat-template": "c",
    "jinja-explicit": "j", "mcp-config": "",
}  # fmt: skip
_SWITCHES_NEW = {"cpu": "", "no-kv-cache": "", "agent": "", "dry-run": ""}
NEW_GLOBAL = Command(
    "mistralrs",
    "Fast, flexible LLM inference.",
    {"seed": "", "log": "l", "token-source": ""},
    {"verbose": "v"},
)
NEW_COMMANDS = {
    "serve": Command(
        "serve", "Start an HTTP server.",
        {**_MODEL_NEW, "port": "p", "host": "", "mcp-port": "", "access-log-format": ""},
        {**_SWITCHES_NEW, "no-ui": "", "disable-access-log": "", "disable-request-id-header": "",
         "disable-metrics": ""},
        ("model-id",),
    ),
    "run": Command(
        "run", "Chat in the terminal, or answer one prompt.",
        {**_MODEL_NEW, "input": "i", "image": "", "video": "", "audio": ""}, {**_SWITCHES_NEW, "thinking": ""},
        ("model-id",),
    ),
    "bench": Command(
        "bench", "Measure prefill and decode.",
        {**_MODEL_NEW, "prompt-len": "", "gen-len": "", "depth": "", "iterations": "", "warmup": ""}, _SWITCHES_NEW,
        ("model-id",),
    ),
    "doctor": Command("doctor", "Look at the system.", switches={"json": ""}),
}  # fmt: skip
# Kinds of models that may stand after a command of the newer generation.
KINDS = ("auto", "text", "multimodal", "diffusion", "speech", "embedding")
UNSIMULATED = ("quantize", "tune", "login", "cache", "completions", "from-config", "update", "uninstall")


def usage_error(program: str, message: str, tail: str = "[OPTIONS] <COMMAND>") -> UsageError:
    """Return an error in the manner of the Rust programs."""
    return UsageError(f"error: {message}\n\nUsage: {program} {tail}\n\nFor more information, try '--help'.")


def read_flags(
    program: str, command: Command, words: Sequence[str], *, stop: Sequence[str] = ()
) -> tuple[dict[str, str], list[str]]:
    """Read flags of a command; return them, and the words from the first that is one of `stop` on.

    Raises:
        UsageError: A flag is unknown, doubled, or lacks its value.
    """
    shorts = {short: name for name, short in (*command.flags.items(), *command.switches.items()) if short}
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            if word in stop:
                return given, [word, *rest]
            if stop:
                raise usage_error(program, f"unrecognized subcommand '{word}'{_tip(word, stop)}")
            raise usage_error(program, f"unexpected argument '{word}' found", "[OPTIONS]")
        name, value, attached = _name_and_value(word, shorts)
        if name in command.switches:
            given[name] = "true"
        elif name in command.flags:
            if not attached:
                if not rest or (rest[0].startswith("--") and len(rest[0]) > 2):
                    metavar = name.upper().replace("-", "_")
                    raise usage_error(
                        program, f"a value is required for '--{name} <{metavar}>' but none was supplied", "[OPTIONS]"
                    )
                value = rest.pop(0)
            if name in given:
                raise usage_error(program, f"the argument '--{name}' cannot be used multiple times", "[OPTIONS]")
            given[name] = value
        else:
            raise usage_error(
                program, f"unexpected argument '{word.partition('=')[0]}' found{_tip_flag(name, command)}"
            )
    return given, []


def _name_and_value(word: str, shorts: dict[str, str]) -> tuple[str, str, bool]:
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        return name, value, bool(equals)
    short = word[1:2]
    if set(word[1:]) == {"v"}:
        return "verbose", "", False
    return shorts.get(short, word), word[2:].removeprefix("="), len(word) > 2


def _tip(word: str, names: Sequence[str]) -> str:
    close = difflib.get_close_matches(word, names, n=1)
    return f"\n\n  tip: a similar subcommand exists: '{close[0]}'" if close else ""


def _tip_flag(name: str, command: Command) -> str:
    close = difflib.get_close_matches(name, [*command.flags, *command.switches], n=1)
    return f"\n\n  tip: a similar argument exists: '--{close[0]}'" if close else ""


def check_required(program: str, command: Command, given: dict[str, str]) -> None:
    """Refuse a command that lacks what it needs.

    Raises:
        UsageError: Something is missing; all of it is named.
    """
    missing = [name for name in command.required if name not in given]
    if missing:
        lines = "\n".join(f"  --{name} <{name.upper().replace('-', '_')}>" for name in missing)
        tail = " ".join(f"--{name} <{name.upper().replace('-', '_')}>" for name in command.required)
        raise usage_error(
            f"{program} {command.name}", f"the following required arguments were not provided:\n{lines}", tail
        )


def take_number(program: str, given: dict[str, str], name: str, default: int, highest: int = 2**63 - 1) -> int:
    """Return a whole number.

    Raises:
        UsageError: It is none, or out of range.
    """
    text = given.get(name, str(default))
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not text.isdecimal() or not 0 <= number <= highest:
        reason = f"{text} is not in 0..={highest}" if text.isdecimal() else "invalid digit found in string"
        metavar = name.upper().replace("-", "_")
        raise UsageError(
            f"error: invalid value '{text}' for '--{name} <{metavar}>': {reason}\n\nFor more information, try '--help'."
        )
    return number


def help_text(program: str, command: Command, commands: dict[str, Command]) -> str:
    """Return the help of a program or command."""
    lines = [command.about, "", f"Usage: {program} [OPTIONS]{' <COMMAND>' if commands else ''}", ""]
    if commands:
        lines.append("Commands:")
        lines += [f"  {name:<10} {item.about}" for name, item in commands.items()]
        lines += ["  help       Print this message or the help of the given subcommand(s)", ""]
    lines.append("Options:")
    for name, short in (*command.flags.items(), *command.switches.items()):
        metavar = f" <{name.upper().replace('-', '_')}>" if name in command.flags else ""
        lines.append(f"  {f'-{short}, ' if short else '    '}--{name}{metavar}")
    return "\n".join([*lines, "  -h, --help", "  -V, --version"])
