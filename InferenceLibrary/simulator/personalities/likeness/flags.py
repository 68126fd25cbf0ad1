"""The command line of a real server: its flags beside those of the stand-in."""

from __future__ import annotations

import difflib
import os
from dataclasses import field, fields, make_dataclass
from typing import Any

from InferenceLibrary.dialects.files import load_dialect
from InferenceLibrary.simulator.core.options import OptionError
from InferenceLibrary.simulator.core.settings import Settings, about
from InferenceLibrary.simulator.personalities.likeness.server import field_name

_NOTHING: dict[str, Any] = {"bool": False, "int": None, "float": None, "str": "", "list": None}


def settings_of(dialect: str) -> type[Settings]:
    """Return the settings of the stand-in with the flags of a dialect, and with its defaults."""
    choices = load_dialect(dialect).dialect.choices
    assert choices is not None
    known = {one.name: one for one in fields(Settings)}
    made: list[tuple[str, Any, Any]] = []
    for name, value in choices.settings.items():
        one = known.get(field_name(name))
        if one is None:
            close = difflib.get_close_matches(field_name(name), known, n=1)
            meant = f"; did you mean '{close[0]}'?" if close else ""
            raise OptionError(f"dialect {dialect}, key choices.settings: the stand-in has no setting '{name}'{meant}")
        made.append((one.name, one.type, _field(value, dict(one.metadata))))
    for name, flag in choices.flags.items():
        key = field_name(name)
        if key in known:
            continue
        default = _NOTHING[flag.kind] if flag.default is None else flag.default
        if flag.environment is not None and os.environ.get(flag.environment, "") not in {"", "0"}:
            default = True
        text = f"as --{flag.sets}" if flag.sets else "a flag of the real server"
        made.append((key, Any, _field(default, about(flag.kind, text))))
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

    return make_dataclass("DialectSettings", made, bases=(Settings,), namespace={"__post_init__": take_over})


def _field(value: Any, metadata: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return field(default_factory=lambda: list(value), metadata=metadata)
    return field(default=value, metadata=metadata)
