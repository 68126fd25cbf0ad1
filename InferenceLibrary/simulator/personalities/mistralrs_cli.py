"""The programs of mistral.rs: `mistralrs-server` and `mistralrs-bench` (older), `mistralrs serve|run|bench` (newer)."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from InferenceLibrary.deadline import wait_until
from InferenceLibrary.simulator.model_files import ModelFile, ModelFileError, read_model_file
from InferenceLibrary.simulator.options import OptionError, parse_options
from InferenceLibrary.simulator.personalities.mistralrs_bench import new_bench, old_bench
from InferenceLibrary.simulator.personalities.mistralrs_flags import (
    KINDS,
    NEW_COMMANDS,
    NEW_GLOBAL,
    OLD_BENCH,
    OLD_COMMANDS,
    OLD_GLOBAL,
    UNSIMULATED,
    Command,
    UsageError,
    check_required,
    help_text,
    read_flags,
    take_number,
    usage_error,
)
from InferenceLibrary.simulator.personalities.mistralrs_settings import MistralRsSettings
from InferenceLibrary.simulator.settings import Settings

OLD_VERSION = "0.6.0"
NEW_VERSION = "0.9.5"
PROGRAMS = ("mistralrs", "mistralrs-server", "mistralrs-bench")
# The simulator's own flags, which may stand anywhere among those of mistral.rs.
_OURS = {
    "time-to-first-token", "time-to-first-token-std-dev", "inter-token-latency", "inter-token-latency-std-dev",
    "prefill-overhead", "prefill-time-per-token", "scenario", "mode", "fault", "control-port", "truth-file",
    "max-model-len", "max-num-seqs", "startup-duration", "drain-timeout", "dataset-path", "api-key",
}  # fmt: skip


def main(program: str, words: Sequence[str]) -> int:
    """Run one of the programs; return its exit code: 0, 1 for what cannot be loaded, 2 for wrong arguments.

    `program` is empty when it is not said; then the first word without a dash decides between the generations.
    """
    ours, theirs = _divide(words)
    if not program:
        command = next((word for word in theirs if not word.startswith("-")), "")
        program = "mistralrs" if command in {*NEW_COMMANDS, *UNSIMULATED} - {"run"} else "mistralrs-server"
        if command == "run" and "-i" not in theirs[: theirs.index("run")]:
            program = "mistralrs"
    try:
        settings = parse_options(["--as", "mistralrs", *ours], os.environ)
        assert isinstance(settings, MistralRsSettings)
        settings.older_generation = program != "mistralrs"
        return _new(settings, theirs) if program == "mistralrs" else _old(program, settings, theirs)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OptionError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except ModelFileError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1


def _divide(words: Sequence[str]) -> tuple[list[str], list[str]]:
    ours: list[str] = []
    theirs: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.removeprefix("--").partition("=")
        if word.startswith("--") and name in _OURS:
            ours += [word] if equals or not rest else [word, rest.pop(0)]
        else:
            theirs.append(word)
    return ours, theirs


def _asked(words: Sequence[str], *names: str) -> bool:
    return any(name in words for name in names)


def _log(target: str, text: str) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    print(f"{now}  INFO {target}: {text}", flush=True)


def _old(program: str, settings: Settings, words: list[str]) -> int:
    top = OLD_BENCH if program == "mistralrs-bench" else OLD_GLOBAL
    if _asked(words, "--version", "-V"):
        print(f"{program} {OLD_VERSION}")
        return 0
    if _asked(words, "--help", "-h") or words[:1] == ["help"]:
        command = next((OLD_COMMANDS[word] for word in words if word in OLD_COMMANDS), None)
        text = help_text(f"{program} {command.name}", command, {}) if command else help_text(program, top, OLD_COMMANDS)
        print(text)
        return 0
    given, rest = read_flags(program, top, words, stop=tuple(OLD_COMMANDS))
    if not rest:
        raise usage_error(program, f"'{program}' requires a subcommand but one was not provided")
    command = OLD_COMMANDS[rest[0]]
    flags = {**command.flags, "port": "p", "serve-ip": ""}
    late = Command(command.name, command.about, flags, {"interactive-mode": "i", "dry-run": ""}, command.required)
    model, _ = read_flags(f"{program} {command.name}", late, rest[1:])
    check_required(program, command, model)
    given = {**given, **{name: value for name, value in model.items() if name not in command.flags}}
    settings.seed = take_number(program, given, "seed", 0) if "seed" in given else settings.seed
    port = take_number(program, given, "port", 1234, 65535) if program == "mistralrs-server" else 0
    file = _load(
        settings, command, model.get("quantized-model-id") or model["model-id"], model.get("quantized-filename")
    )
    _log("mistralrs_server", f"Model kind is: {command.name}, {file.tensors} tensors, architecture {file.architecture}")
    _wait_for_loading(settings)
    _log("mistralrs_server", "Model loaded.")
    if "dry-run" in given:
        return 0
    if program == "mistralrs-bench":
        prompt, gen = take_number(program, given, "n-prompt", 512), take_number(program, given, "n-gen", 128)
        return old_bench(settings, prompt, gen, take_number(program, given, "repetitions", 5))
    if "interactive-mode" in given:
        return _chat(settings, "\\", "Time to first token")
    if "port" not in given:
        raise usage_error(program, "one of --port or --interactive-mode must be given")
    settings.port, settings.host = port, given.get("serve-ip", "127.0.0.1")
    return _serve(settings, "mistralrs_server", "OpenAI-compatible server listening on {url}.")


def _new(settings: Settings, words: list[str]) -> int:
    program = "mistralrs"
    if _asked(words, "--version", "-V"):
        print(f"{program} {NEW_VERSION}")
        return 0
    if _asked(words, "--help", "-h") or words[:1] == ["help"]:
        found = next((NEW_COMMANDS[word] for word in words if word in NEW_COMMANDS), None)
        print(
            help_text(f"{program} {found.name}", found, {}) if found else help_text(program, NEW_GLOBAL, NEW_COMMANDS)
        )
        return 0
    given, rest = read_flags(program, NEW_GLOBAL, words, stop=(*NEW_COMMANDS, *UNSIMULATED))
    if not rest:
        raise usage_error(program, f"'{program}' requires a subcommand but one was not provided")
    name, *tail = rest
    if name in UNSIMULATED:
        sys.stderr.write(f"Error: `{program} {name}` is not simulated\n")
        return 1
    command = NEW_COMMANDS[name]
    if tail and tail[0] in KINDS:
        tail = tail[1:]
    model, _ = read_flags(f"{program} {name}", command, tail)
    if name == "doctor":
        print('{"checks": [{"name": "cpu", "status": "ok"}]}' if "json" in model else "cpu: ok")
        return 0
    check_required(program, command, model)
    settings.seed = take_number(program, given, "seed", 0) if "seed" in given else settings.seed
    wanted = {"gguf": "gguf", "ggml": "ggml"}.get(
        model.get("format", "gguf" if "quantized-file" in model else ""), "plain"
    )
    numbers = {
        key: take_number(program, model, key, default) for key, default in _BENCH.items() if key in command.flags
    }
    settings.port = take_number(program, model, "port", 1234, 65535)
    file = _load(settings, Command(wanted, ""), model["model-id"], model.get("quantized-file"))
    _log("mistralrs_core", f"Loading {file.format} model, {file.tensors} tensors")
    _wait_for_loading(settings)
    _log("mistralrs_core", "Model loaded.")
    if "dry-run" in model:
        return 0
    if name == "bench":
        return new_bench(settings, numbers)
    if name == "run":
        if "input" in model:
            return _one_shot(settings, model["input"])
        return _chat(settings, "/", "CLI time to first token")
    settings.host = model.get("host", "127.0.0.1")
    return _serve(settings, "mistralrs_cli", "Server listening on {url}")


_BENCH = {"prompt-len": 512, "gen-len": 128, "depth": 4, "iterations": 3, "warmup": 1}


def _load(settings: Settings, command: Command, model: str, names: str | None) -> ModelFile:
    """Read the files of the model.

    Raises:
        ModelFileError: One of them is missing or wrong.
    """
    base = Path(model)
    settings.model = base.name or model
    wanted = command.name if command.name in {"gguf", "ggml"} else "safetensors"
    if names:
        files = [base / name for part in names.split(";") for name in part.split() if name]
        if not base.exists():
            raise ModelFileError(f"'{model}' does not exist, and models are not fetched from anywhere")
    elif base.is_dir():
        files = sorted(base.glob("*.safetensors"))
        if not files:
            raise ModelFileError(f"'{model}' holds no .safetensors file")
    else:
        files = [base]
        if not base.exists():
            raise ModelFileError(f"'{model}' does not exist, and models are not fetched from anywhere")
        wanted = ""
    found = [read_model_file(file, wanted) for file in files]
    return found[0]


def _wait_for_loading(settings: Settings) -> None:
    if settings.startup_duration:
        wait_until(lambda: False, settings.startup_duration)


def _chat(settings: Settings, mark: str, label: str) -> int:
    from InferenceLibrary.simulator.interactive import chat_in_terminal

    return chat_in_terminal(settings, mark, label)


def _one_shot(settings: Settings, text: str) -> int:
    from InferenceLibrary.simulator.interactive import TerminalChat

    TerminalChat(settings, "/", "CLI time to first token").answer(text)
    return 0


def _serve(settings: Settings, target: str, line: str) -> int:
    from InferenceLibrary.simulator.server import Server, StartError

    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    server = Server(settings, f"{now}  INFO {target}: {line}")
    settings.startup_duration = 0.0
    try:
        return server.run()
    except StartError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
