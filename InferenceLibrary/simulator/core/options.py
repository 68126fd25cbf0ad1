"""Read the command line, the environment and the YAML file into settings.

A parser of its own: argparse would cost a tenth of the start-up time, and llm-d-inference-sim's flags have two habits
that it lacks: a list flag takes all words up to the next flag, and `--flag=value` gives a list exactly one value.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Any

from InferenceLibrary.simulator.core.durations import parse_duration
from InferenceLibrary.simulator.core.settings import CHOICES, Settings

FIELDS: dict[str, dataclasses.Field[Any]] = {}


class OptionError(ValueError):
    """A flag or key is unknown or has a wrong value. The text is one line and names it."""


def use_flags_of(settings_class: type[Settings]) -> None:
    """Take the flags of a personality: those that all have, and its own."""
    FIELDS.clear()
    named = {item.name.replace("_", "-"): item for item in dataclasses.fields(settings_class)}
    FIELDS.update({name: item for name, item in named.items() if name not in settings_class.absent})
    FIELDS["as"] = FIELDS.pop("personality")


use_flags_of(Settings)


def parse_options(
    arguments: Sequence[str], environment: Mapping[str, str], settings_class: Callable[[str], type[Settings]]
) -> Settings:
    """Return the settings; command line before environment before YAML file before default.

    Args:
        arguments: The words of the command line.
        environment: SIM_MODEL counts.
        settings_class: Returns the class of the settings of a personality.

    Raises:
        OptionError: A flag, a key or a value is wrong.
    """
    chosen = settings_class(personality_of(arguments))
    use_flags_of(chosen)
    values = chosen.read(arguments, environment)
    if values is None:
        values = _read(arguments, environment)
    settings = chosen(**{FIELDS[name].name: value for name, value in values.items()})
    check_together(settings)
    return settings


def defaults_of(settings_class: type[Settings]) -> dict[str, Any]:
    """Return the values of all flags where none is given, by the name of the flag."""
    missing = dataclasses.MISSING
    return {
        item.name.replace("_", "-"): item.default if item.default_factory is missing else item.default_factory()
        for item in dataclasses.fields(settings_class)
    }


def _read(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return what is set, by the name of the flag."""
    given = _read_flags(arguments)
    legacy = bool(given.get("legacy-durations"))
    values: dict[str, Any] = {}
    if "config" in given:
        from_file = _read_config(str(given["config"]))
        legacy = legacy or from_file.get("legacy-durations") is True
        for name, value in from_file.items():
            values[name] = convert(name, value, legacy=legacy, where=f"{given['config']}: {name}")
    if environment.get("SIM_MODEL"):
        values["model"] = environment["SIM_MODEL"]
    for name, value in given.items():
        values[name] = convert(name, value, legacy=legacy, where=f"--{name}")
    return values


def personality_of(arguments: Sequence[str]) -> str:
    """Return the personality that the arguments or their YAML file name, before either is read; empty for none."""
    words = iter(arguments)
    found = {"as": "", "config": ""}
    for word in words:
        flag, equals, value = word.partition("=")
        name = flag.lstrip("-")
        if flag.startswith("-") and name in found:
            found[name] = value if equals else next(words, "")
    return found["as"] or _personality_in(found["config"])


def _personality_in(path: str) -> str:
    """Return the personality that a YAML file names; what is wrong with the file is told when it is read."""
    if not path:
        return ""
    from pathlib import Path

    import yaml

    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""
    return str(data.get("as", "")) if isinstance(data, dict) else ""


def _read_flags(arguments: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    words = list(arguments)
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        name, equals, value = word.partition("=")
        if not name.startswith("-") or name in {"-", "--"}:
            raise OptionError(f"unexpected argument '{word}'; flags start with --")
        name = name.lstrip("-")
        if not equals and _turns_off(name):
            given[name.removeprefix("no-")] = False
            continue
        if name not in FIELDS:
            # Programs in Python take both ways of writing.
            name = name.replace("_", "-")
        if name not in FIELDS:
            raise OptionError(f"unknown flag: --{name}{suggest(name)}")
        kind = FIELDS[name].metadata["kind"]
        if kind == "bool":
            spoken = not equals and words[position : position + 1] in (["true"], ["false"])
            given[name] = words[position] if spoken else value if equals else True
            position += spoken
        elif kind == "list":
            found = [value] if equals else []
            while not equals and position < len(words) and not words[position].startswith("--"):
                found.append(words[position])
                position += 1
            if not found:
                raise OptionError(f"--{name}: needs a value")
            given[name] = [*given.get(name, []), *found]
        else:
            if not equals:
                if position == len(words):
                    raise OptionError(f"--{name}: needs a value")
                value = words[position]
                position += 1
            given[name] = [*given.get(name, []), value] if kind == "repeat" else value
    return given


def _turns_off(name: str) -> bool:
    """Whether a flag is the opposite of one that is on or off, as llm-d-inference-sim has it: --no-enforce-eager."""
    switch = FIELDS.get(name.removeprefix("no-"))
    return name not in FIELDS and switch is not None and switch.metadata["kind"] == "bool"


def _read_config(path: str) -> dict[str, Any]:
    from pathlib import Path

    import yaml

    try:
        text = Path(path).read_text(encoding="utf-8")
        data = yaml.safe_load(text)
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
    except OSError as error:
        raise OptionError(f"--config: cannot read '{path}': {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise OptionError(f"--config: '{path}' is not YAML: {' '.join(str(error).split())}") from None
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise OptionError(f"--config: '{path}' must hold keys and values, not {type(data).__name__}")
    lines = {key.value: key.start_mark.line + 1 for key, _ in tree.value} if tree else {}
    for key in data:
        if key not in FIELDS or key == "config":
            raise OptionError(f"{path}:{lines.get(str(key), 1)}: unknown key '{key}'{suggest(str(key))}")
    return data


def suggest(name: str) -> str:
    """Return what to say after the name of a flag that there is not."""
    import difflib

    close = difflib.get_close_matches(name, FIELDS, n=1)
    return f"; did you mean --{close[0]}?" if close else "; --help lists the flags"


def field_of(name: str) -> str:
    """Return the name of the settings field of a flag."""
    return FIELDS[name].name


def convert(name: str, value: Any, *, legacy: bool, where: str) -> Any:
    """Return `value` as the kind of flag `name`, within its limits.

    Raises:
        OptionError: It is not; the text begins with `where`.
    """
    metadata = FIELDS[name].metadata
    kind = metadata["kind"]
    try:
        result = _as_kind(kind, value, legacy)
    except ValueError as error:
        raise OptionError(f"{where}: {error}") from None
    return within_limits(result, str(value), metadata, where)


def within_limits(found: Any, given: str, metadata: Mapping[str, Any], where: str) -> Any:
    """Return a value that is within the limits of its flag; `given` is how it was written.

    Raises:
        OptionError: It is not; the text begins with `where`.
    """
    low, high = metadata["low"], metadata["high"]
    if low is not None and found < low:
        raise OptionError(f"{where}: {given} is below {low}")
    if high is not None and found > high:
        raise OptionError(f"{where}: {given} is above {high}")
    return found


def _as_kind(kind: str, value: Any, legacy: bool) -> Any:
    if kind in {"list", "repeat"}:
        return _as_list(value)
    if kind == "bool":
        return _as_bool(value)
    if kind == "json" and isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, (dict, list, bool)) or value is None:
        raise ValueError(f"{value!r} is not a single value")
    if kind == "duration":
        return parse_duration(str(value), legacy=legacy)
    if kind == "int":
        try:
            return int(str(value))
        except ValueError:
            raise ValueError(f"'{value}' is not a whole number") from None
    if kind == "float":
        return _as_float(value)
    if kind in CHOICES and value not in CHOICES[kind]:
        raise ValueError(f"'{value}' is none of {', '.join(repr(choice) for choice in CHOICES[kind])}")
    return str(value)


def _as_float(value: Any) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError(f"'{value}' is not a number") from None
    if not isfinite(number):
        raise ValueError(f"'{value}' is not a finite number")
    return number


def _as_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in {"true", "1", "t"}:
        return True
    if str(value).lower() in {"false", "0", "f"}:
        return False
    raise ValueError(f"'{value}' is neither true nor false")


def _as_list(value: Any) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [json.dumps(item) if isinstance(item, dict) else str(item) for item in items]


def check_together(settings: Settings) -> None:
    """Refuse settings that do not go together.

    Raises:
        OptionError: Some do not; one line that names them.
    """
    for base in ("time_to_first_token", "inter_token_latency", "kv_cache_transfer_latency"):
        mean, deviation = getattr(settings, base), getattr(settings, f"{base}_std_dev")
        if deviation > 0.3 * mean + 1e-12:
            name = base.replace("_", "-")
            raise OptionError(f"--{name}-std-dev: must be at most 30 % of --{name} ({mean:g} s), got {deviation:g} s")
    if settings.mode == "onnx" and not settings.onnx_model:
        raise OptionError("--mode onnx: needs --onnx-model, an .onnx file or 'trained'")
    if settings.onnx_model and settings.mode != "onnx":
        raise OptionError("--onnx-model: needs --mode onnx")
    if (settings.onnx_model or settings.embedding_model) and settings.personality != "openai":
        flag = "onnx-model" if settings.onnx_model else "embedding-model"
        raise OptionError(f"--{flag}: stands behind --as openai only, not {settings.personality}")
    for kind in ("integer", "number"):
        low = getattr(settings, f"min_tool_call_{kind}_param")
        if low > getattr(settings, f"max_tool_call_{kind}_param"):
            raise OptionError(f"--min-tool-call-{kind}-param: is above --max-tool-call-{kind}-param")
    if settings.min_tool_call_array_param_length > settings.max_tool_call_array_param_length:
        raise OptionError("--min-tool-call-array-param-length: is above --max-tool-call-array-param-length")


_METAVARS = {"str": "TEXT", "json": "JSON", "int": "NUMBER", "float": "NUMBER", "list": "TEXT ...", "repeat": "TEXT"}
_METAVARS_OF_FLAGS = {
    "as": "PERSONALITY", "config": "FILE", "host": "ADDRESS", "port": "PORT", "model": "NAME", "api-key": "KEY",
    "served-model-name": "NAME ...", "ssl-certfile": "FILE", "ssl-keyfile": "FILE", "fault": "NAME[:KEY=VALUE,...]",
    "scenario": "FILE", "dataset-path": "FILE", "onnx-model": "FILE", "embedding-model": "FILE",
}  # fmt: skip


def _metavar(name: str, kind: str) -> str:
    """How `--help` writes a flag's value."""
    if kind in CHOICES:
        return "|".join(CHOICES[kind])
    return _METAVARS_OF_FLAGS.get(name) or _METAVARS.get(kind, kind.upper())


def usage_lines() -> list[str]:
    """Return the flags for `--help`, one line each."""
    lines = []
    for name, item in FIELDS.items():
        kind = item.metadata["kind"]
        argument = "" if kind == "bool" else f" {_metavar(name, kind)}"
        default = "" if item.default in {"", None, dataclasses.MISSING} or kind == "bool" else f" [{item.default}]"
        lines.append(f"  --{name}{argument}  {item.metadata['help']}{default}")
    return lines
