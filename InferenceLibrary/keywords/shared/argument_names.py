"""Names of arguments, as a test wrote them, against those that a keyword has.

Robot Framework takes `expected_staus=404` for text when a keyword has no argument of that name: it becomes the next
argument without a name, and the test passes for the wrong reason. Where it notices, it tells how many there are too
many, not which name is meant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from robot.errors import DataError
from robot.running.arguments import ArgumentSpec
from robot.running.model import Argument
from robot.utils import split_from_equals
from robot.variables import contains_variable, is_dict_variable, is_list_variable

_NEAR = 0.8
"""How alike a name must be to one of a keyword's to be taken for it, where any text may stand."""
_FREE_TEXT = {"assertion_expected", "expected", "unwanted", "text"}
"""Arguments after others in which text with an equals sign is common: `contains    key=value`."""


class RefusedArguments(ArgumentSpec):  # type: ignore[misc]
    """Stands in for the arguments of one call of a keyword, and refuses it."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    def resolve(self, *_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
        raise DataError(self._reason)


def refusal(
    keyword: str,
    spec: ArgumentSpec,
    arguments: Sequence[Any],
    value_of: Callable[[str], Any] = lambda variable: None,
) -> str | None:
    """Return why a keyword cannot take these arguments; None when their names and number are right.

    Text with an equals sign is refused where its name is nearly that of an argument, where an optional argument would
    take it, and where nothing takes it. The first arguments, which every call gives, and the words of a command may
    hold any other.

    Args:
        keyword: The keyword's name.
        spec: Its arguments.
        arguments: What the test wrote, variables not replaced.
        value_of: Gives the dictionary of a variable such as `&{options}`, whose keys are names; None where it is not
            known.
    """
    known = [name for name in spec.argument_names if name not in {spec.var_positional, spec.var_named, *spec.embedded}]
    places = [name for name in spec.positional if name not in spec.embedded]
    texts: list[Any] = []
    named = open_ended = False
    for argument in arguments:
        name, value = _named(argument)
        if is_dict_variable(argument):
            open_ended = True
            given = value_of(argument)
            unknown = [key for key in given if key not in spec.named] if isinstance(given, Mapping) else []
            if unknown and not spec.var_named:
                return _unknown(keyword, str(unknown[0]), known)
        elif name is not None and contains_variable(name):
            return None
        elif name is not None and (name in spec.named or spec.var_named):
            named = True
        elif name is not None and (named or not isinstance(argument, str)):
            return _unknown(keyword, name, known)
        elif named:
            return f"{keyword}: '{_short(argument)}' comes after named arguments: text without a name comes first."
        elif is_list_variable(argument):
            open_ended = True
        elif name is not None and not open_ended and _misspelt(name, len(texts), places, spec, known):
            return _unknown(keyword, name, known, value)
        else:
            texts.append(argument)
    if spec.var_positional or open_ended or len(texts) <= len(places):
        return None
    return _too_many(keyword, texts[len(places)], places, spec)


def _named(argument: Any) -> tuple[str | None, Any]:
    """The name and the value of `name=value`, or no name."""
    if isinstance(argument, Argument):
        return argument.name, argument.value
    if not isinstance(argument, str) or is_dict_variable(argument) or is_list_variable(argument):
        return None, argument
    name, value = split_from_equals(argument)
    return (None, argument) if value is None else (name, value)


def _misspelt(name: str, taken: int, places: Sequence[str], spec: ArgumentSpec, known: Sequence[str]) -> bool:
    if not name.replace("-", "_").replace(" ", "_").isidentifier():
        return False
    if _nearest(name, known, _NEAR):
        return True
    if taken >= len(places):
        return not spec.var_positional
    return places[taken] in spec.defaults and places[taken] not in _FREE_TEXT


def _nearest(name: str, known: Sequence[str], cutoff: float = 0.6) -> str | None:
    import difflib

    plain = name.lower().replace("-", "_").replace(" ", "_")
    return next(iter(difflib.get_close_matches(plain, known, n=1, cutoff=cutoff)), None)


def _unknown(keyword: str, name: str, known: Sequence[str], text: str | None = None) -> str:
    close = _nearest(name, known)
    allowed = f"expected one of {', '.join(known)}" if known else "it takes none"
    meant = f" Did you mean '{close}'?" if close else ""
    hint = f" Hint: text with an equals sign is written {name}\\=..." if text is not None else ""
    return f"'{name}' is not an argument of {keyword}: {allowed}.{meant}{hint}"


def _too_many(keyword: str, extra: Any, places: Sequence[str], spec: ArgumentSpec) -> str:
    without = f"{', '.join(places)} without a name" if places else "no argument without a name"
    others = [name for name in spec.named_only if name not in places]
    by_name = f", and by name {', '.join(others)}" if others else ""
    return (
        f"{keyword} has no place for '{_short(extra)}': expected {without}{by_name}. "
        "Hint: give it a name; put text with several spaces into one variable."
    )


def _short(text: Any) -> str:
    from InferenceLibrary.client.answers import shorten

    return shorten(str(text))
