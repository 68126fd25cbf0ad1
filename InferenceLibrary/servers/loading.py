"""Give a model file to a program, and judge how it loads or refuses it.

A profile's program is given the file by its start options `model_file` (the path), or `model_folder` (or `model_path`)
and `model_filename`, in that way of both in which its own options name a model; an option `format` is the file's, an
option `dry_run` makes it load the model and end. A program without a profile is a command with the placeholders
`{model_file}`, `{model_folder}` and `{model_filename}` that loads the model and ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from InferenceLibrary.errors import CheckFailure, ProfileError, ProgramError, ServerError, describe, refuse_empty
from InferenceLibrary.modelfiles.info import SUFFIXES
from InferenceLibrary.programs.result import RunResult

if TYPE_CHECKING:
    from InferenceLibrary.servers.profile import Profile
    from InferenceLibrary.servers.sections import Option

FILE, FOLDER, PATH, FILENAME, DRY_RUN = "model_file", "model_folder", "model_path", "model_filename", "dry_run"
FORMAT = "format"
_OF_A_MODEL = {FILE, FOLDER, PATH, FILENAME, FORMAT}
_FORMATS = {".gguf": "gguf", ".safetensors": "plain", ".ggml": "ggml"}
"""Suffix of a file to the word for its format, in the option that says it."""
_SHOWN_LINES = 12
_CRASHES = re.compile(
    r"panicked at|Traceback \(most recent call last\)|Segmentation fault|core dumped|terminate called|GGML_ASSERT"
)


@dataclass(frozen=True)
class ModelLoad:
    """How a model was loaded.

    Attributes:
        model: The file or folder.
        how: `dry run`, `first token` or `health`.
        elapsed: Seconds from the start of the program to its end, to the first token or to health.
        memory: Bytes: the peak of a dry run, else what the program's processes held when it was ready; None when
            nobody knows.
        stages: For a server: seconds to each stage of its readiness.
        size: Bytes of the model.
    """

    model: Path
    how: str
    elapsed: float
    memory: int | None
    size: int
    stages: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        memory = f", {self.memory / 1e6:.0f} MB of memory" if self.memory is not None else ""
        return f"{self.model.name}: {self.how} after {self.elapsed:.3f} s{memory}"


class Loader:
    """A program that takes a model file.

    Args:
        profile: The profile that tells how; None with a command.
        command: A command with placeholders; empty with a profile.
        options: Further options of the profile's start.
    """

    def __init__(
        self, profile: Profile | None, command: Sequence[str] = (), options: Mapping[str, Any] | None = None
    ) -> None:
        self.profile = profile
        self.command = tuple(command)
        self._options = dict(options or {})
        if profile is None and not any("{model_" in word for word in self.command):
            raise ProgramError(
                describe(
                    "The command takes no model",
                    expected="a word with {model_file}, {model_folder} or {model_filename}",
                    got=" ".join(self.command) or "no command",
                )
            )
        if profile is not None:
            if profile.start is None:
                raise ProfileError(
                    f"Profile '{profile.name}' cannot be given a model: it has no 'start' section. "
                    "Hint: name the program with command=."
                )
            if not {FILE, FOLDER, PATH} & set(profile.start.options):
                raise ProfileError(
                    f"Profile '{profile.name}' cannot be given a model: expected a start option '{FILE}', or "
                    f"'{FOLDER}' and '{FILENAME}'. Hint: name the program with command=."
                )

    @property
    def name(self) -> str:
        return self.profile.name if self.profile is not None else Path(self.command[0]).name

    @property
    def ends_by_itself(self) -> bool:
        """Whether the program can load a model and end."""
        return self.profile is None or (self.profile.start is not None and DRY_RUN in self.profile.start.options)

    def close(self) -> None:
        """There is nothing to release: a program that takes models is a description."""

    def options(self, model: Path, *, dry_run: bool) -> dict[str, Any]:
        """Return the start options of a profile that name the model."""
        assert self.profile is not None
        assert self.profile.start is not None
        known = self.profile.start.options
        given = {name: value for name, value in places(model).items() if name in known}
        # Two ways to say the same would be one too many.
        if FILE in given and not {FOLDER, PATH} & set(self._options):
            given = {FILE: given[FILE]}
        else:
            given.pop(FILE, None)
        if FORMAT in self._options and model.suffix in _FORMATS:
            given[FORMAT] = _FORMATS[model.suffix]
        others = {name: value for name, value in self._options.items() if name not in _OF_A_MODEL}
        return others | given | ({DRY_RUN: True} if dry_run and DRY_RUN in known else {})

    def argv(self, model: Path, *, dry_run: bool) -> list[str]:
        """Return the command line of a run whose server nobody will use.

        Raises:
            ProfileError: An option is unknown or missing.
            ServerError: The program cannot be found.
        """
        if self.profile is None:
            return [re.sub(r"\{(\w+)\}", lambda match: places(model).get(match[1], match[0]), w) for w in self.command]
        from InferenceLibrary.processes.ports import LOOPBACK, free_port
        from InferenceLibrary.servers.command import build_command

        assert self.profile.start is not None
        port = 0 if self.profile.start.announcement is not None else free_port()
        return build_command(
            self.profile.start.command,
            _unchecked(self.profile.start.options),
            self.options(model, dry_run=dry_run),
            source=self.profile.name,
            placeholders={"port": str(port), "host": LOOPBACK, "model": self.profile.model or ""},
            alternatives=self.profile.start.alternatives,
        )

    @property
    def environment(self) -> Mapping[str, str]:
        return self.profile.start.environment if self.profile is not None and self.profile.start is not None else {}


def places(model: Path) -> dict[str, str]:
    """Return path, folder and file name of a model. A folder, and SafeTensors, are loaded by their folder."""
    path = model.absolute()
    if path.suffix not in SUFFIXES and path.is_dir():
        return {FILE: str(path), FOLDER: str(path), PATH: str(path), FILENAME: ""}
    by_folder = path.suffix == ".safetensors"
    folder = str(path.parent)
    return {FILE: str(path), FOLDER: folder, PATH: folder, FILENAME: "" if by_folder else path.name}


def _unchecked(options: Mapping[str, Option]) -> dict[str, Option]:
    """The options with those of the model as plain text: a file that is missing is for the program to refuse."""
    import msgspec

    return {
        name: msgspec.structs.replace(option, type="text") if name in {FILE, FOLDER, PATH} else option
        for name, option in options.items()
    }


Run = Callable[[Sequence[str]], RunResult]
"""Runs a command line to its end."""


def check_dry_run(loader: Loader, model: Path, run: Run, matching: str | None = None) -> ModelLoad:
    """Let a program load a model and end.

    Args:
        loader: The program.
        model: The model.
        run: Runs a command line.
        matching: A regular expression that the output must match.

    Raises:
        CheckFailure: It did not end with exit code 0, or without the words.
    """
    refuse_empty("the output", matching)
    result = run(loader.argv(model, dry_run=True))
    if result.exit_code != 0:
        raise _failure(f"Model '{model.name}' was not loaded by {loader.name}", "exit code 0", result.ending, result)
    if matching is not None and not re.search(matching, result.stdout + result.stderr):
        raise _failure(
            f"Model '{model.name}' was loaded by {loader.name} without saying so",
            f"/{matching}/ in its output",
            "another text",
            result,
        )
    return ModelLoad(model, "dry run", result.elapsed, result.peak_memory, _size(model))


def check_refusal_of_model(
    loader: Loader,
    model: Path,
    run: Run,
    *,
    exit_codes: Sequence[int] = (),
    matching: str | None = None,
) -> RunResult:
    """Return how a program refused a model, found to be what a person needs.

    It must end by itself, not by a signal and not by a crash that is caught and printed; with an exit code that is not
    0; say why on standard error or output, and name the file; and leave no process behind.

    Args:
        loader: The program.
        model: The model.
        run: Runs a command line within a time limit.
        exit_codes: The codes that are right; any but 0 when none is named.
        matching: A regular expression for the message; the file's name by default.

    Raises:
        CheckFailure: One of this does not hold.
    """
    what = f"Model '{model.name}'"
    codes = " or ".join(map(str, exit_codes)) or "other than 0"
    refuse_empty("the message", matching)
    try:
        result = run(loader.argv(model, dry_run=True))
    except ProgramError as error:
        if "did not end" not in str(error):
            raise
        raise CheckFailure(f"{what} was not refused by {loader.name}: {error}") from None
    if result.signal:
        raise _failure(f"{what} crashed {loader.name}", f"exit code {codes}", result.ending, result)
    if result.exit_code == 0:
        raise _failure(f"{what} was taken by {loader.name}", f"exit code {codes}", "exit code 0", result)
    if exit_codes and result.exit_code not in exit_codes:
        raise _failure(f"{what} was refused by {loader.name} otherwise", f"exit code {codes}", result.ending, result)
    text = f"{result.stderr}\n{result.stdout}"
    crash = _CRASHES.search(text)
    if crash is not None:
        raise _failure(f"{what} crashed {loader.name}", "a message for people", f"'{crash[0]}'", result)
    pattern = re.escape(model.name) if matching is None else matching
    if not text.strip():
        raise _failure(f"{what} was refused by {loader.name} without a word", "a message", "no output", result)
    if not re.search(pattern, text):
        expected = f"'{model.name}'" if matching is None else f"/{matching}/"
        raise _failure(f"{what} was refused by {loader.name} without the reason", expected, "another text", result)
    if result.left_behind:
        left = ", ".join(result.left_behind)
        raise _failure(f"{what} was refused, but {loader.name} left processes behind", "none", left, result)
    return result


def resident_memory(pid: int | None) -> int | None:
    """Return the bytes that a process and its children hold now; None when nobody knows."""
    if pid is None:
        return None
    from InferenceLibrary.errors import MissingExtraError, MonitorError
    from InferenceLibrary.monitor.memory import process_tree

    try:
        tree = process_tree(pid)
    except (MissingExtraError, MonitorError):
        return None
    try:
        sample = tree.sample()
    finally:
        tree.close()
    return None if sample is None else sample.pss or sample.rss


def loaded_by_server(model: Path, stages: Mapping[str, float], memory: int | None) -> ModelLoad:
    """Describe the start of a server with a model."""
    how, elapsed = list(stages.items())[-1] if stages else ("start", 0.0)
    return ModelLoad(model, how, elapsed, memory, _size(model), dict(stages))


def refused_load(loader: Loader, model: Path, error: ServerError) -> CheckFailure:
    """Turn a failed start into a failed check."""
    return CheckFailure(f"Model '{model.name}' was not loaded by {loader.name}: {error}")


def _size(model: Path) -> int:
    files = [model] if not model.is_dir() else [entry for entry in model.iterdir() if entry.suffix in SUFFIXES]
    return sum(file.stat().st_size for file in files)


def _failure(what: str, expected: str, got: str, result: RunResult) -> CheckFailure:
    lines = [
        f"{name}: {line}" for name in ("stderr", "stdout") for line in result.stream(name).splitlines()[-_SHOWN_LINES:]
    ]
    return CheckFailure(
        describe(what, expected=expected, got=got, after=result.elapsed, detail=("Output", lines or ["nothing"]))
    )
