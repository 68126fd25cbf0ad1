"""The program `inference-simulator`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from InferenceLibrary.simulator.core.settings import Settings
    from InferenceLibrary.simulator.scenario import Scenario


_PROGRAMS = ("mistralrs", "mistralrs-server", "mistralrs-bench")
"""The programs of mistral.rs that --as takes by name, `mistralrs` with a version too; they read command lines of their
own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code: 0, 1 when it cannot start, 2 for wrong arguments."""
    from InferenceLibrary.simulator.core.options import OptionError

    try:
        return _run(arguments)
    except OptionError as error:
        sys.stderr.write(f"inference-simulator: error: {error}\n")
        return 2
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more when it closes stdout.
        sys.stdout = None
        return 0
    except KeyboardInterrupt:
        # While it starts: once it serves, a signal is handled there.
        return 130


def _run(arguments: Sequence[str] | None) -> int:
    words = _without_version(_named(list(sys.argv[1:] if arguments is None else arguments)))
    called = os.path.basename(sys.argv[0]) if arguments is None else ""  # noqa: PTH119 - pathlib is not needed yet
    program, words = _mistralrs(called, words)
    if program is not None:
        from InferenceLibrary.simulator.personalities.mistralrs_cli import main as mistralrs

        return mistralrs(program, words, _check, _scenario, _serve)
    if "--help" in words or "-h" in words:
        return _print_help(words)
    if "--version" in words:
        from InferenceLibrary.version import __version__

        print(f"inference-simulator {__version__}")
        return 0
    if "--list-faults" in words:
        from InferenceLibrary.simulator.faults.catalogue import print_catalogue

        return print_catalogue("--json" in words)
    interactive, dry = "-i" in words, "--dry-run" in words
    from InferenceLibrary.simulator.core.options import parse_options, personality_of
    from InferenceLibrary.simulator.personalities.registry import settings_class

    # First: which flags there are depends on it.
    _check_personality(personality_of(words))
    flags = [word for word in words if word not in {"-i", "--dry-run"}]
    settings = parse_options(flags, os.environ, settings_class)
    _check(settings)
    from InferenceLibrary.simulator.core.settings import StartError

    try:
        if dry:
            from InferenceLibrary.simulator.server import Server

            return Server(settings, "").dry_run()
        if interactive:
            from InferenceLibrary.simulator.answers.interactive import chat_in_terminal

            return chat_in_terminal(settings, _scenario(settings))
        return _serve(settings)
    except StartError as error:
        sys.stderr.write(f"inference-simulator: error: {error}\n")
        return 1


def _named(words: list[str]) -> list[str]:
    """Name the personality of the environment first, so that one on the command line counts more."""
    named = os.environ.get("INFERENCE_SIMULATOR_AS")
    if not named:
        return words
    from InferenceLibrary.simulator.core.options import personality_of

    return words if personality_of(words) else ["--as", named, *words]


def _without_version(words: list[str]) -> list[str]:
    """Name a personality without its version where that is the one it stands in for: `--as llm-d@0.10.2`."""
    from InferenceLibrary.simulator.core.options import personality_of

    named = personality_of(words)
    name, at, version = named.partition("@")
    if not at:
        return words
    from InferenceLibrary.dialects.files import dialect_for, dialect_names
    from InferenceLibrary.errors import ProfileError
    from InferenceLibrary.simulator.personalities.registry import is_personality

    if not is_personality(name) or name not in dialect_names():
        return words
    try:
        chosen = dialect_for(name, version)
    except ProfileError:  # told where the personality is looked up
        return words
    if chosen.dialect.file != name:
        return words
    if chosen.notice:
        sys.stderr.write(f"inference-simulator: {chosen.notice}\n")
    return [name if word == named else f"--as={name}" if word == f"--as={named}" else word for word in words]


def _mistralrs(called: str, words: list[str]) -> tuple[str | None, list[str]]:
    """Whether mistral.rs is meant, by the name we are called by or by --as; return its program, and the other words."""
    if called.startswith("mistralrs"):
        return called, words
    for place, word in enumerate(words):
        flag, equals, value = word.partition("=")
        named = value if equals else next(iter(words[place + 1 :]), "")
        if flag == "--as" and named.partition("@")[0] in _PROGRAMS:
            return ("" if named == "mistralrs" else named), [*words[:place], *words[place + (1 if equals else 2) :]]
    return None, words


def _check_personality(name: str) -> None:
    from InferenceLibrary.simulator.core.options import OptionError
    from InferenceLibrary.simulator.personalities.registry import PERSONALITIES

    if not name or name in PERSONALITIES:
        return
    from InferenceLibrary.dialects.files import dialect_names, load_dialect, pair_of, stands_on
    from InferenceLibrary.errors import ProfileError
    from InferenceLibrary.simulator.faults.quirks import quirks_of

    plain = name.partition("@")[0]
    if plain in PERSONALITIES and plain not in dialect_names():
        raise OptionError(f"--as: {plain} has no versions: expected {plain}, got '{name}'")
    try:
        chosen = load_dialect(name).dialect
    except ProfileError as error:
        if any(map(os.path.isfile, pair_of(name))):
            raise OptionError(f"--as: {error}") from None
        names = [*PERSONALITIES, *(known for known in _PROGRAMS if known not in PERSONALITIES)]
        raise OptionError(f"--as: '{name}' is none of {', '.join(names)}, nor is it a dialect. {error}") from None
    try:
        quirks_of(name)
    except ValueError as error:
        raise OptionError(f"--as: {error}") from None
    front, plus, behind = pair_of(name)
    if not plus:
        return
    before = load_dialect(front)
    standing = before.dialect.choices is not None and before.dialect.choices.stands_on
    if not standing and (before.shipped or before.dialect.choices is not None):
        raise OptionError(f"--as: {front} has no choices that stand on a server's: expected {front}, got '{name}'")
    if chosen.choices is not None and not stands_on(chosen, load_dialect(behind).dialect):
        raise OptionError(
            f"--as: the choices of {front} stand on those of {chosen.choices.stands_on}: expected {front} alone, or "
            f"before a server whose dialect is of that name or extends it, got '{name}'"
        )


def _check(settings: Settings) -> None:
    """Refuse what only the parts behind the flags can judge."""
    from InferenceLibrary.simulator.core.options import OptionError

    if not settings.personality:
        from InferenceLibrary.simulator.personalities.registry import PERSONALITIES

        raise OptionError(f"--as: is empty; expected one of {', '.join(PERSONALITIES)}, or a dialect")
    _check_personality(settings.personality)
    if settings.fault:
        from InferenceLibrary.simulator.faults.catalogue import parse_fault

        for text in settings.fault:
            try:
                parse_fault(text)
            except ValueError as error:
                raise OptionError(f"--fault: {error}") from None
    if not settings.host.strip():
        raise OptionError("--host: is empty; 127.0.0.1 is this machine alone, 0.0.0.0 all its addresses")
    _check_texts(settings)
    _check_workers(settings)
    try:
        settings.check()
    except ValueError as error:
        raise OptionError(str(error)) from None
    if settings.dataset_path:
        from InferenceLibrary.simulator.answers.dataset import DatasetError, load_dataset

        try:
            load_dataset(settings.dataset_path, settings.dataset_table_name)
        except DatasetError as error:
            raise OptionError(f"--dataset-path: {error}") from None
    if settings.scenario:
        from InferenceLibrary.errors import InferenceError

        try:
            _scenario(settings)
        except InferenceError as error:
            raise OptionError(f"--scenario: {error}") from None


def _check_workers(settings: Settings) -> None:
    """Refuse what several processes cannot serve together."""
    if settings.workers == 1:
        return
    from InferenceLibrary.simulator.core.options import OptionError
    from InferenceLibrary.simulator.workers.fitness import why_not

    if problem := why_not(settings):
        raise OptionError(f"--workers: {problem}")


def _serve(settings: Settings, announcement: str = "listening on {url}") -> int:
    if settings.workers > 1:
        from InferenceLibrary.simulator.workers.parent import Workers

        return Workers(settings, announcement).run()
    from InferenceLibrary.simulator.server import Server

    return Server(settings, announcement).run()


def _scenario(settings: Settings) -> Scenario | None:
    """Return the scenario that the settings name, if they do."""
    if not settings.scenario:
        return None
    from InferenceLibrary.simulator.scenario import load_scenario

    return load_scenario(settings.scenario)


def _check_texts(settings: Settings) -> None:
    """Refuse failure types that do not exist, and JSON that is none."""
    import json

    from InferenceLibrary.simulator.core.options import OptionError

    if settings.failure_types:
        from InferenceLibrary.simulator.personalities.failures import FAILURES

        for name in settings.failure_types:
            if name not in FAILURES:
                raise OptionError(f"--failure-types: '{name}' is none of {', '.join(FAILURES)}")
    for flag, texts in (("lora-modules", settings.lora_modules), ("fake-metrics", [settings.fake_metrics])):
        for text in filter(None, texts):
            try:
                found = json.loads(text)
            except ValueError:
                raise OptionError(f"--{flag}: '{text}' is not JSON") from None
            if not isinstance(found, dict) or (flag == "lora-modules" and not isinstance(found.get("name"), str)):
                raise OptionError(f"--{flag}: '{text}' must be a JSON object{' with a name' if flag[0] == 'l' else ''}")
    if settings.fake_metrics:
        from InferenceLibrary.simulator.core.fake_metrics import Fake
        from InferenceLibrary.simulator.core.metrics import limits_of_histograms

        try:
            Fake(settings.fake_metrics, limits_of_histograms(settings.max_model_len))
        except ValueError as error:
            raise OptionError(f"--{error}".replace("--fake metrics", "--fake-metrics", 1)) from None


def _print_help(words: Sequence[str]) -> int:
    """Print the flags, with those of the personality that the words name."""
    from InferenceLibrary.simulator.core.options import personality_of, usage_lines, use_flags_of
    from InferenceLibrary.simulator.personalities.registry import PERSONALITIES, settings_class

    use_flags_of(settings_class(personality_of(words)))
    print("usage: inference-simulator [flags]")
    print()
    print("A stand-in inference server: fast, exact in time, and breakable on command.")
    print()
    print("  -i             chat in the terminal instead of serving")
    print("  --list-faults  what can go wrong on request (--json for programs)")
    print("  --dry-run      check the flags and the files that they name, and serve nothing")
    print("  --version, -h, --help")
    print()
    print("\n".join(usage_lines()))
    print()
    print("personalities (--as):")
    for name, (_, _, text) in PERSONALITIES.items():
        print(f"  {name:<12} {text}")
    print("  mistralrs-server, mistralrs-bench: the other programs of mistral.rs")
    print("  NAME or NAME@VERSION of a dialect, or its file: that server, by its choices or its quirks")
    print()
    print("  inference-simulator --as router --help    shows the flags of a personality")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
