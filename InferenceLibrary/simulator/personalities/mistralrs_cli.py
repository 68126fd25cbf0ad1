"""The programs of mistral.rs: `mistralrs-server`, `mistralrs-bench` and `mistralrs`, from their words to their end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from InferenceLibrary.simulator.personalities.mistralrs_clap import Exit, Parsed, parse
from InferenceLibrary.simulator.personalities.mistralrs_commands import (
    NEW,
    NEW_PROGRAM,
    NOT_SIMULATED,
    OLD_BENCHMARK,
    is_before_0_9,
    program_at,
    program_of,
)
from InferenceLibrary.simulator.personalities.mistralrs_log import fail, line, log, use_colours
from InferenceLibrary.simulator.personalities.mistralrs_settings import MistralRsSettings

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings
    from InferenceLibrary.simulator.personalities.mistralrs_clap import Command
    from InferenceLibrary.simulator.personalities.mistralrs_model import LoadedModel, ModelSource

DEFAULT_HOST = "127.0.0.1"
_SWITCHES = ("disable-metrics", "disable-request-id-header", "disable-access-log", "access-log-health", "no-ui")
_OTHER_ANSWERS = frozenset({"--mode", "--scenario", "--dataset-path", "--onnx-model"})
_NOT_DETECTED = (
    "Auto loader could not determine model type: missing `config.json` and no diffusion/speech markers found."
)
# What both command lines could mean is theirs, not the simulator's.
_THEIRS = frozenset({"port", "host", "seed", "model", "config", "v", "as"})


def main(
    name: str,
    words: Sequence[str],
    check: Callable[[Settings], None],
    scenario_of: Callable[[Settings], Any],
    serve: Callable[[Settings, str], int],
) -> int:
    """Run one of the programs; return its exit code: 1 for what cannot be loaded, 2 for wrong arguments.

    Args:
        name: The program's name, `mistralrs` with a version or without; empty when the words tell which one is meant.
        words: The arguments; the simulator's own flags may stand among them.
        check: Refuses settings of the simulator that cannot be.
        scenario_of: Returns the scenario that settings name, or None.
        serve: Serves until a signal, with a text for the announcement; returns the exit code.
    """
    own, rest = own_flags(words)
    program, rest = program_of(name.partition("@")[0], rest)
    is_new = program is NEW_PROGRAM
    personality = name if is_new and "@" in name else NEW
    from InferenceLibrary.simulator.core.options import OptionError, parse_options
    from InferenceLibrary.simulator.personalities.registry import settings_class

    try:
        settings = parse_options([*own, "--as", NEW], os.environ, settings_class)
        settings.personality = personality
        check(settings)
        program = program_at(personality) if is_new else program
        parsed = parse(program, rest)
    except OptionError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except Exit as end:
        (sys.stderr if end.code else sys.stdout).write(end.text)
        return end.code
    if parsed.path[0] in NOT_SIMULATED:
        return fail(f"`{program.name} {parsed.path[0]}` is not simulated")
    assert isinstance(settings, MistralRsSettings)
    settings.older_generation = not is_new
    return _Run(program, parsed, settings, own, scenario_of, serve).run()


def own_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the words into the simulator's flags with their values, and the rest."""
    from InferenceLibrary.simulator.core.options import FIELDS, use_flags_of
    from InferenceLibrary.simulator.core.settings import Settings

    use_flags_of(Settings)
    own: list[str] = []
    rest: list[str] = []
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        name, equals, _ = word.partition("=")
        flag = FIELDS.get(name[2:]) if name.startswith("--") and name[2:] not in _THEIRS else None
        if flag is None:
            rest.append(word)
            continue
        own.append(word)
        if not equals and flag.metadata["kind"] != "bool" and waiting:
            own.append(waiting.pop(0))
    return own, rest


class _Run:
    def __init__(
        self,
        program: Command,
        parsed: Parsed,
        settings: MistralRsSettings,
        own: list[str],
        scenario_of: Callable[[Settings], Any],
        serve: Callable[[Settings, str], int],
    ) -> None:
        self._scenario_of = scenario_of
        self._serve_with = serve
        self._parsed = parsed
        self._settings = settings
        self._is_new = program.name == NEW
        self._detects = self._is_new and not is_before_0_9(program)
        """Whether it finds out the format of a file by itself."""
        self._is_bench = program is OLD_BENCHMARK
        self._own = {word.partition("=")[0] for word in own}

    def run(self) -> int:
        from InferenceLibrary.simulator.personalities.mistralrs_model import LoadError, load_model

        parsed, settings = self._parsed, self._settings
        use_colours(self._is_new)
        source = self._source()
        if source is None:
            return fail(f"--model-id (-m) is required{' unless `-f` is provided' if self._detects else ''}")
        if self._is_new and not self._detects and source.files and not source.form:
            return fail(_NOT_DETECTED)
        try:
            model = load_model(source)
        except LoadError as error:
            return fail(str(error))
        if settings.startup_duration:
            from InferenceLibrary.deadline import pause

            pause(settings.startup_duration)
        log("Model loaded.")
        if parsed["dry-run"]:
            log("Model loaded successfully; this is a dry run, so nothing is served.")
            return 0
        self._apply(model)
        return self._go(model)

    def _source(self) -> ModelSource | None:
        from InferenceLibrary.simulator.personalities.mistralrs_model import ModelSource

        parsed = self._parsed
        command = parsed.path[-1]
        category = "multimodal" if command in {"multimodal", "vision-plain"} else "text"
        if self._is_new:
            folder, file = parsed["model-id"], parsed["quantized-file"] or ""
            if folder is None:
                if not (file and self._detects):
                    return None
                folder, file = os.path.split(file)
            return ModelSource(folder or ".", file, parsed["format"] or "", category, is_new=True)
        if command == "benchmark":
            return ModelSource(parsed["model"], parsed["file"] or "")
        if command in {"gguf", "ggml"}:
            return ModelSource(parsed["quantized-model-id"], parsed["quantized-filename"], command)
        return ModelSource(parsed["model-id"], "", "plain", category)

    def _apply(self, model: LoadedModel) -> None:
        """Give the simulator what the command line and the model say."""
        parsed, settings = self._parsed, self._settings
        settings.model = model.model_id
        settings.host = parsed["host"] or parsed["serve-ip"] or DEFAULT_HOST
        settings.port = 0 if parsed["port"] is None else parsed["port"]
        settings.seed = parsed["seed"]
        if parsed["max-seqs"]:
            settings.max_num_seqs = parsed["max-seqs"]
        if "--max-model-len" not in self._own and model.info.context_length:
            settings.max_model_len = model.info.context_length
        for name in _SWITCHES:
            setattr(settings, name.replace("-", "_"), bool(parsed[name]))
        settings.access_log_format = parsed["access-log-format"] or "text"
        if self._is_new and not settings.scenario and not self._own & _OTHER_ANSWERS:
            # As real models do, it always answers the same.
            settings.scenario = "tiny"
        settings.startup_duration = 0.0  # it is over

    def _go(self, model: LoadedModel) -> int:
        parsed, settings = self._parsed, self._settings
        command = parsed.path[0]
        if self._is_bench or command in {"bench", "benchmark"}:
            from InferenceLibrary.simulator.personalities.mistralrs_bench import run_bench

            return run_bench(parsed, settings, model)
        if (command == "run" and self._is_new) or parsed["interactive-mode"]:
            from InferenceLibrary.simulator.personalities.mistralrs_chat import MistralChat, in_terminal

            sees = model.source.category == "multimodal"
            chat = MistralChat(settings, self._scenario_of(settings), new=self._is_new, sees=sees)
            return in_terminal(lambda: chat.run() if parsed["input"] is None else chat.once(parsed["input"]))
        if not self._is_new and parsed["port"] is None:
            # Nothing to do: mistralrs-server without a port, an MCP port or -i ends.
            return 0
        return self._serve()

    def _serve(self) -> int:
        from InferenceLibrary.simulator.core.settings import StartError

        settings = self._settings
        announcement = (
            # The port as it was given, 0 too.
            line(f"Server listening on http://{settings.host}:{settings.port}", "mistralrs::commands::serve")
            if self._is_new
            else line("OpenAI-compatible server listening on {url}.", "mistralrs_server")
        )
        try:
            return self._serve_with(settings, announcement)
        except StartError as error:
            if "in use" not in str(error):
                return fail(str(error))
            return fail("Address already in use (os error 98)" if self._is_new else f"{error} (os error 98)")
