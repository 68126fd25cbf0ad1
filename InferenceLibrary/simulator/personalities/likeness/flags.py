"""The command line of a real server: its flags beside those of the stand-in."""

from __future__ import annotations

import difflib
import keyword
import os
from collections.abc import Iterable
from dataclasses import Field, field, fields, make_dataclass
from typing import TYPE_CHECKING, Any

from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.simulator.core.durations import parse_duration
from InferenceLibrary.simulator.core.options import OptionError, within_limits
from InferenceLibrary.simulator.core.settings import CHOICES, Settings, about
from InferenceLibrary.simulator.personalities.likeness.server import field_name

if TYPE_CHECKING:
    from InferenceLibrary.dialects.choices import FlagChoice

_NOTHING: dict[str, Any] = {"bool": False, "int": None, "float": None, "str": "", "list": None}
_OF_THE_START = frozenset({"personality", "config"})
"""Settings that are looked at before a dialect is read."""
_LARGEST = 1e300
_LISTS = frozenset({"list", "repeat"})


def settings_of(dialect: str) -> type[Settings]:
    """Return the settings of the stand-in with the flags of a dialect, and with its defaults.

    Raises:
        OptionError: It names a setting that there is not, or gives one a value that it cannot have.
    """
    choices = load_dialect(dialect).dialect.choices
    assert choices is not None
    known = {one.name: one for one in fields(Settings)}
    made: dict[str, tuple[str, Any, Any]] = {}
    for name, value in choices.settings.items():
        where = f"dialect {dialect}, key choices.settings"
        one = _setting(where, name, known)
        if one.name in _OF_THE_START:
            raise OptionError(f"{where}.{name}: a dialect cannot set it: it is looked at before the dialect is read")
        if one.name in made:
            raise OptionError(f"{where}.{name}: the setting is given twice")
        made[one.name] = (one.name, one.type, _field(_of_setting(f"{where}.{name}", value, one), dict(one.metadata)))
    of_flags: dict[str, str] = {}
    for name, flag in choices.flags.items():
        key = field_name(name)
        where = f"dialect {dialect}, key choices.flags.{name}"
        _check_name(where, name, key, of_flags, known)
        of_flags[key] = name
        default = _NOTHING[flag.kind] if flag.default is None else _of_kind(where, flag.default, flag.kind)
        if flag.sets is not None:
            _check_effect(where, flag, _setting(where, flag.sets, known))
        if key in known:
            continue
        if flag.environment is not None and os.environ.get(flag.environment, "") not in {"", "0"}:
            default = True
        text = f"as --{flag.sets}" if flag.sets else "a flag of the real server"
        made[key] = (key, Any, _field(default, about(flag.kind, text)))
    leading = {field_name(name): field_name(flag.sets) for name, flag in choices.flags.items() if flag.sets}

    def take_over(settings: Settings) -> None:
        """Let the flags of the real program have their effect."""
        if settings.scenario == choices.settings.get("scenario") and (
            settings.mode != "random" or settings.dataset_path
        ):
            # Another way to answer was asked for.
            settings.scenario = ""
        for name, target in leading.items():
            value = getattr(settings, name)
            if value not in {None, "", False} if not isinstance(value, list) else value:
                setattr(settings, target, [value] if isinstance(getattr(settings, target), list) else value)

    return make_dataclass("DialectSettings", made.values(), bases=(Settings,), namespace={"__post_init__": take_over})


def _field(value: Any, metadata: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return field(default_factory=lambda: list(value), metadata=metadata)
    return field(default=value, metadata=metadata)


def _setting(where: str, name: str, known: dict[str, Field[Any]]) -> Field[Any]:
    one = known.get(field_name(name))
    if one is None:
        close = difflib.get_close_matches(field_name(name)[:80], known, n=1)
        meant = f"; did you mean '{close[0]}'?" if close else ""
        raise OptionError(f"{where}: the stand-in has no setting '{name[:80]}'{meant}")
    return one


def _check_name(where: str, name: str, key: str, others: dict[str, str], known: Iterable[str]) -> None:
    """Refuse a flag whose setting cannot have its name."""
    if not key.isidentifier() or key[0] == "_":
        raise OptionError(f"{where}: expected letters, digits and hyphens, a letter first, got '{name[:80]}'")
    if keyword.iskeyword(key) or (key not in known and hasattr(Settings, key)):
        raise OptionError(f"{where}: a flag cannot be called '{name}', the stand-in uses that name itself")
    if key in others:
        raise OptionError(f"{where}: expected another name, '{others[key]}' is the same flag")


def _check_effect(where: str, flag: FlagChoice, target: Field[Any]) -> None:
    """Refuse a flag whose values are none of the setting that it has an effect on."""
    name, kind = target.name.replace("_", "-"), target.metadata["kind"]
    if target.name in _OF_THE_START:
        raise OptionError(f"{where}: a flag of a dialect cannot set {name}: it is looked at before the dialect is read")
    takes = {"int": {"int"}, "float": {"int", "float"}, "duration": {"int", "float"}, "bool": {"bool"}}
    fits = flag.kind in takes.get(kind, {"str", "list"} if kind in _LISTS else {"str"})
    if not fits:
        wanted = "text" if kind in CHOICES or kind == "json" else kind
        raise OptionError(f"{where}: it is of kind {flag.kind} and sets {name}, which is of kind {wanted}")
    if flag.default is not None and kind != "duration":
        _of_setting(where, flag.default, target)


def _of_setting(where: str, value: Any, one: Field[Any]) -> Any:
    """Return a value as the kind of a setting, within its limits."""
    found = _of_kind(where, value, one.metadata["kind"])
    return within_limits(found, str(value)[:80], one.metadata, where)


def _of_kind(where: str, value: Any, kind: str) -> Any:
    """Return a value of a file as a kind of setting, as the command line takes it."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and -_LARGEST < value < _LARGEST
    if kind in _LISTS and isinstance(value, str | list):
        return value if isinstance(value, list) else [value]
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and number and isinstance(value, int):
        return value
    if kind == "float" and number:
        return float(value)
    if kind == "duration" and (number or isinstance(value, str)):
        try:
            return parse_duration(str(value)[:80])
        except ValueError as error:
            raise OptionError(f"{where}: {error}") from None
    if kind in CHOICES and value in CHOICES[kind]:
        return value
    if kind in {"str", "json"} and (number or isinstance(value, str)):
        return str(value)
    wanted = {"bool": "true or false", "int": "a whole number", "float": "a number", "list": "a list of texts",
              "repeat": "a list of texts", "duration": "a duration such as 200ms"}  # fmt: skip
    expected = wanted.get(kind) or (f"one of {', '.join(map(repr, CHOICES[kind]))}" if kind in CHOICES else "a text")
    raise OptionError(f"{where}: expected {expected}, got {str(value)[:80]!r}")
