"""From a profile and options to a command line."""

from __future__ import annotations

import ast
import contextlib
import difflib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from InferenceLibrary.durations import parse_duration
from InferenceLibrary.errors import ProfileError, ServerError, describe
from InferenceLibrary.processes.find import find_program
from InferenceLibrary.servers.sections import Option

MODEL_FOLDER = "TEST_MODEL_PATH"
"""Environment variable with the folder below which relative model files are looked up."""


def build_command(
    command: list[str],
    options: Mapping[str, Option],
    given: Mapping[str, Any],
    *,
    source: str,
    placeholders: Mapping[str, str],
    arguments: Sequence[str] = (),
    flags: bool = True,
    also_allowed: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    alternatives: Sequence[Sequence[str]] = (),
) -> list[str]:
    """Return the arguments that start a program.

    Args:
        command: The profile's command, with placeholders.
        options: The options that the profile allows.
        given: Options of this start, by name; values are text or objects.
        source: The profile's name, for errors.
        placeholders: Values of `{port}`, `{host}`, `{model}`.
        arguments: Further arguments, put at the end.
        flags: Whether options with a flag are put on the command line; without, they only fill placeholders.
        also_allowed: Names that the caller takes beside the options, for the error about an unknown one.
        environment: Where options' variables are read; the process's own by default.
        alternatives: Groups of options of which exactly one is given.

    Raises:
        ProfileError: An option is unknown, missing, given beside its alternative, or has a value of the wrong type.
        ProgramError: A program cannot be found, or cannot be run.
        ServerError: A file that an option names cannot be found.
    """
    environment = os.environ if environment is None else environment
    for name in given:
        if name not in options:
            allowed = [*sorted(options), *also_allowed]
            close = difflib.get_close_matches(name, allowed, n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            raise ProfileError(
                f"Profile '{source}' has no option '{name}': expected one of {', '.join(allowed) or 'none'}.{meant}"
            )
    values = dict(placeholders) | {"python": sys.executable}
    displaced = {name for group in alternatives for name in _displaced(group, options, given, environment, source)}
    flagged: list[str] = []
    for name, option in options.items():
        if name in displaced:
            continue
        on_line = flags and option.flag is not None
        if not on_line and f"{{{name}}}" not in " ".join(command):
            continue
        value = given.get(name)
        if value == "" and on_line and not option.required:
            # Given as empty: neither the environment's nor the profile's value is wanted.
            continue
        if value is None and option.environment:
            value = environment.get(option.environment)
        if value is None or value == "":
            value = option.default
        if value is None:
            if option.required:
                raise ProfileError(_missing(source, name, option))
            continue
        written = [_written(source, name, option, item, environment) for item in _items(option, value)]
        values[name] = written[0] if written else ""
        if on_line and option.type == "switch":
            flagged += [str(option.flag)] if written == ["true"] else []
        elif on_line:
            flagged += [part for text in written for part in (str(option.flag), text)]
    argv = [_fill(part, values) for part in command]
    argv[0] = str(find_program(argv[0], env=environment))
    return argv + flagged + list(arguments)


def _displaced(
    group: Sequence[str],
    options: Mapping[str, Option],
    given: Mapping[str, Any],
    environment: Mapping[str, str],
    source: str,
) -> set[str]:
    """Return the options of a group in whose place another one is given, by the start or by the environment."""
    named = [name for name in group if given.get(name) not in (None, "")]
    if len(named) > 1:
        raise ProfileError(f"Profile '{source}' takes one of the options {_any(group)}, got {_both(named)}.")
    if not named:
        named = [name for name in group if environment.get(options[name].environment or "")][:1]
    if not named:
        named = [name for name in group if options[name].default is not None][:1]
    if not named:
        ways = [_ways(name, options[name]) for name in group]
        hints = " ".join(dict.fromkeys(options[name].hint for name in group if options[name].hint))
        hint = f" Hint: {hints}" if hints else ""
        raise ProfileError(
            f"Profile '{source}' needs one of the options {_any(group)}: give {' or '.join(ways)}.{hint}"
        )
    return set(group) - set(named)


def _any(names: Sequence[str]) -> str:
    return " or ".join(f"'{name}'" for name in names)


def _both(names: Sequence[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)


def _items(option: Option, value: Any) -> list[Any]:
    if option.type != "list":
        return [value]
    if isinstance(value, str) and value.lstrip().startswith("["):
        # A list may be given as JSON or as a Python literal; what is neither is one text, such as [::1]:80.
        with contextlib.suppress(ValueError, SyntaxError):
            value = ast.literal_eval(value.strip())
    return list(value) if isinstance(value, list | tuple) else [value]


def _written(source: str, name: str, option: Option, value: Any, environment: Mapping[str, str]) -> str:
    """Return one value as the text that the command line takes."""
    text = str(value).strip() if not isinstance(value, bool) else str(value).lower()
    try:
        match option.type:
            case "integer":
                text = str(int(text))
            case "number":
                text = f"{float(text):g}"
            case "switch":
                if text.lower() not in {"true", "false", "yes", "no", "on", "off", "1", "0"}:
                    raise ValueError
                text = "true" if text.lower() in {"true", "yes", "on", "1"} else "false"
            case "duration":
                total = value.total_seconds() if hasattr(value, "total_seconds") else parse_duration(value)
                return option.format.format(value=text, milliseconds=f"{total * 1000:g}", seconds=f"{total:g}")
    except ValueError:
        kinds = {"duration": "a duration such as 200 ms", "switch": "true or false", "integer": "a whole number"}
        kind = kinds.get(option.type, f"a {option.type}")
        raise ProfileError(f"Option '{name}' of profile '{source}': expected {kind}, got '{value}'.") from None
    if option.type == "program":
        text = str(find_program(text, env=environment, hint=option.hint or None))
    elif option.type in {"path", "model-file"}:
        text = _found_file(name, option, text, environment)
    return option.format.format(value=text)


def _found_file(name: str, option: Option, text: str, environment: Mapping[str, str]) -> str:
    path = Path(text).expanduser()
    folder = environment.get(MODEL_FOLDER) if option.type == "model-file" else None
    if folder and not path.is_absolute() and not path.exists():
        path = Path(folder).expanduser() / path
    if not path.exists():
        hint = option.hint or None
        if option.type == "model-file" and not Path(text).expanduser().is_absolute():
            # Where the variable is set, the path shows it.
            way = f"set {MODEL_FOLDER} or give a full path"
            hint = f"{way}; {hint}" if hint else f"{way}."
        raise ServerError(describe(f"The {name.replace('_', ' ')} '{path.absolute()}' does not exist", hint=hint))
    return str(path.absolute())


def _missing(source: str, name: str, option: Option) -> str:
    hint = f" Hint: {option.hint}" if option.hint else ""
    needed = f"Profile '{source}' needs the option '{name}' ({option.help or option.type})"
    return f"{needed}: give {_ways(name, option)}.{hint}"


def _ways(name: str, option: Option) -> str:
    variable = f" or the environment variable {option.environment}" if option.environment else ""
    return f"{name}=...{variable}"


_BRACES = str.maketrans("{}", "\ue000\ue001")
_BRACES_AGAIN = str.maketrans("\ue000\ue001", "{}")


def literal(text: str) -> str:
    """Return a text whose braces are not placeholders, for a place in a command or a variable that is filled later."""
    return text.translate(_BRACES)


def _fill(part: str, values: Mapping[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], ""), part).translate(_BRACES_AGAIN)


def filled(text: str, placeholders: Mapping[str, str]) -> str:
    """Fill what is known; other braces belong to the value."""
    return re.sub(r"\{(\w+)\}", lambda match: placeholders.get(match[1], match[0]), text).translate(_BRACES_AGAIN)
