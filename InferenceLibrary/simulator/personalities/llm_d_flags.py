"""A command line as llm-d-inference-sim reads it, by Go's pflag: its kinds of values, its habits and its errors.

Its habits: a bare word is passed over; a flag that is on or off takes a value after `=` alone; a list takes all words
up to the next flag, of its first place alone, and may be empty; single letters have one dash, names have two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from InferenceLibrary.simulator.core.durations import UNITS
from InferenceLibrary.simulator.core.fake_metrics import known_values
from InferenceLibrary.simulator.core.options import FIELDS, OptionError, convert, suggest

TRUE = {"1", "t", "T", "true", "TRUE", "True"}
"""What Go reads as true."""
_FALSE = {"0", "f", "F", "false", "FALSE", "False"}
_INTEGER = re.compile(r"[+-]?(0[xX](_?[0-9a-fA-F])+|0[bB](_?[01])+|0[oO]?(_?[0-7])+|0|[1-9](_?[0-9])*)")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_HEX_NUMBER = re.compile(r"[+-]?0[xX](_?[0-9a-fA-F])*\.?[0-9a-fA-F]*[pP][+-]?[0-9]+")
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_SEVERITIES = ("INFO", "WARNING", "ERROR", "FATAL")
_NEEDS_NO_VALUE = {"bool": "true", "toggle": "true", "list": " ", "object": " "}


def read_flags(arguments: Sequence[str], kinds: Mapping[str, str], log_kinds: Mapping[str, str]) -> dict[str, Any]:
    """Return what a command line sets, by the name of the flag; of those of the log `v` alone.

    Args:
        arguments: The words.
        kinds: The kinds of the flags, but for those of the simulator itself, which `FIELDS` has.
        log_kinds: The kinds of the flags of the log.

    Raises:
        OptionError: One line, in Go's words.
    """
    given: dict[str, Any] = {}
    words = iter(arguments)
    for word in words:
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            continue
        if not word.startswith("--"):
            given["v"] = _level(word, words)
            continue
        name, equals, value = word[2:].partition("=")
        if not name or name[0] == "-":
            raise OptionError(f"bad flag syntax: {word}")
        kind = _kind_of(name, kinds, log_kinds)
        if not equals:
            found = _NEEDS_NO_VALUE.get(kind) or next(words, None)
            if found is None:
                raise OptionError(f"flag needs an argument: --{name}")
            value = found
        _take(given, name, kind, value, kinds)
    for name, kind in kinds.items():
        if kind in {"list", "object"} or name == "config":
            _take_words(given, name, kind, arguments)
    return given


def _kind_of(name: str, kinds: Mapping[str, str], log_kinds: Mapping[str, str]) -> str:
    found = kinds.get(name) or log_kinds.get(name)
    if found is None and kinds.get(name.removeprefix("no-")) == "toggle":
        return "toggle"
    if found is None and name in FIELDS:
        # A flag of the simulator itself.
        return "bool" if FIELDS[name].metadata["kind"] == "bool" else "own"
    if found is None:
        raise OptionError(f"unknown flag: --{name}{suggest(name)}")
    return found


def _take(given: dict[str, Any], name: str, kind: str, value: str, kinds: Mapping[str, str]) -> None:
    if kind == "own":
        repeated = FIELDS[name].metadata["kind"] == "repeat"
        given[name] = convert(
            name, [*given.get(name, []), value] if repeated else value, legacy=False, where=f"--{name}"
        )
    elif kind == "toggle":
        # Whatever value it is given.
        given[name.removeprefix("no-")] = not name.startswith("no-")
    elif kind in {"list", "object"} or name == "config":
        return
    else:
        try:
            read = value_of(kind, value)
        except ValueError as error:
            shown = "-v, --v" if name == "v" else f"--{name}"
            raise OptionError(f'invalid argument "{value}" for "{shown}" flag: {error}') from None
        if name in kinds or name in FIELDS:
            given[name] = read


def _take_words(given: dict[str, Any], name: str, kind: str, arguments: Sequence[str]) -> None:
    """Take the words that follow a list, as far as the next flag, or its one after `=`."""
    found: list[str] | None = None
    for place, word in enumerate(arguments):
        if word.startswith(f"--{name}="):
            found = [word.partition("=")[2]]
            break
        if word == f"--{name}":
            rest = arguments[place + 1 :]
            end = next((at for at, one in enumerate(rest) if one.startswith("--")), len(rest))
            found = [one for one in rest[:end] if one]
            break
    if found is None:
        return
    if name == "config":
        # Two words after it are none.
        given[name] = found[0] if len(found) == 1 else None
    elif kind == "list":
        given[name] = [adapter_text(one) for one in found] if name == "lora-modules" else found
    elif not found:
        # Go ends in a panic.
        raise OptionError(f"--{name}: needs a value, such as '{{\"running-requests\": 2}}'")
    else:
        given[name] = metrics_text(_json_object(name, found[0]))


def adapter_text(text: str) -> str:
    """Return the JSON of an adapter.

    Raises:
        OptionError: It is not a JSON object, or its texts are none.
    """
    found = _json_object("lora-modules", text)
    for key in ("name", "path", "base_model_name"):
        if not isinstance(found.get(key) or "", str):
            raise OptionError(f"--lora-modules: '{key}' must be a text, got {json.dumps(found[key])}")
    return json.dumps({"name": "", **found})


def metrics_text(values: dict[str, Any]) -> str:
    """Return the JSON of values for metrics, without keys that there are not: those are passed over."""
    return json.dumps(known_values(values))


def _json_object(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise OptionError(f"--{name}: '{text}' is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise OptionError(f"--{name}: expected a JSON object, got '{text}'")
    return found


def _level(word: str, words: Any) -> int:
    """Return the level of `-v 4`, `-v4` or `-v=4`; there is no other letter."""
    letter, rest = word[1], word[2:].removeprefix("=") if word[2:3] == "=" else word[2:]
    if letter != "v":
        raise OptionError(f"unknown shorthand flag: '{letter}' in {word}")
    text = rest or (next(words, None) if len(word) == 2 else "")
    if text is None:
        raise OptionError(f"flag needs an argument: 'v' in {word}")
    try:
        return int(value_of("level", text))
    except ValueError as error:
        raise OptionError(f'invalid argument "{text}" for "-v, --v" flag: {error}') from None


def value_of(kind: str, text: str) -> Any:
    """Return a value as Go reads it; durations in seconds.

    Raises:
        ValueError: It cannot, in Go's words.
    """
    if kind == "bool":
        if text not in TRUE | _FALSE:
            raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
        return text in TRUE
    if kind in {"int", "level", "size"}:
        return _integer(kind, text)
    if kind == "float":
        return _number(text)
    if kind == "duration":
        return duration(text)
    if kind == "severity" and text.upper() not in _SEVERITIES:
        return _integer("level", text)
    if kind == "place" and text and not re.fullmatch(r"[^:]*\.[^:]*:0*[1-9][0-9]*", text):
        raise ValueError("syntax error: expect file.go:234")
    if kind == "modules" and not all(re.fullmatch(r"[^=]+=[0-9]+", one) for one in text.split(",") if one):
        raise ValueError("syntax error: expect comma-separated list of filename=N")
    return text


def _integer(kind: str, text: str) -> int:
    """Return a whole number; of a level in ten digits alone, else in Go's ways of writing."""
    plain = re.fullmatch(r"[+-]?[0-9]+", text)
    if plain is None if kind == "level" else _INTEGER.fullmatch(text) is None:
        raise ValueError(f'strconv.Parse{"Uint" if kind == "size" else "Int"}: parsing "{text}": invalid syntax')
    digits = text.replace("_", "")
    octal = re.fullmatch(r"([+-]?)0([0-7]+)", digits)
    number = int(f"{octal[1]}0o{octal[2]}", 0) if octal and kind != "level" else int(digits, 10 if plain else 0)
    low, high = {"level": (-(2**31), 2**31), "size": (0, 2**64)}.get(kind, (-(2**63), 2**63))
    if not low <= number < high:
        raise ValueError(f'strconv.Parse{"Uint" if kind == "size" else "Int"}: parsing "{text}": value out of range')
    return number


def _number(text: str) -> float:
    if _HEX_NUMBER.fullmatch(text):
        return float.fromhex(text.replace("_", ""))
    if _NUMBER.fullmatch(text) is None:
        # Go takes `Inf` and `NaN`, with which it can do nothing.
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
    number = float(text)
    if not isfinite(number):
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": value out of range')
    return number


def duration(text: str) -> float:
    """Return the seconds of `1m30s`, `-5ms` or `0`.

    Raises:
        ValueError: It is not a duration, in Go's words.
    """
    unsigned = text[1:] if text[:1] in {"+", "-"} else text
    if unsigned == "0":
        return 0.0
    position, total = 0, 0.0
    while position < len(unsigned):
        part = _PART.match(unsigned, position)
        if part is None:
            break
        if not part[2]:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if part[2] not in UNITS:
            raise ValueError(f'time: unknown unit "{part[2]}" in duration "{text}"')
        total += float(part[1]) * UNITS[part[2]]
        position = part.end()
    if not unsigned or position < len(unsigned):
        raise ValueError(f'time: invalid duration "{text}"')
    return -total if text[0] == "-" else total
