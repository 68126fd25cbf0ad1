"""Converters whose signature costs nothing to read.

Robot Framework reads the signature and the types of every converter of a library anew at each call of a keyword
(`TestLibrary.converters`), which took longer than the call of a server. So it is given functions of one plain argument,
and the types that a converter takes are checked here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

_SIGNATURE = inspect.Signature([inspect.Parameter("value", inspect.Parameter.POSITIONAL_ONLY)])


def light(converters: Mapping[type, Any]) -> dict[type, Any]:
    """Return the same converters in a form that is cheap to inspect; those that take the library too stay."""
    return {
        kind: converter if converter.__code__.co_argcount > 1 else _light(converter)
        for kind, converter in converters.items()
    }


def _light(converter: Callable[[Any], Any]) -> Callable[[Any], Any]:
    accepted: tuple[type, ...] | None = None

    def convert(value):  # type: ignore[no-untyped-def]  # annotations would be read at every call
        nonlocal accepted
        if accepted is None:
            accepted = _accepted_by(converter)
        if accepted and not isinstance(value, accepted):
            # What is wanted instead is said in plain words: see `plain_words`.
            raise ValueError
        return converter(value)

    convert.__doc__ = converter.__doc__
    convert.__signature__ = _SIGNATURE  # type: ignore[attr-defined]
    return convert


def _accepted_by(converter: Callable[[Any], Any]) -> tuple[type, ...]:
    """Return the types that the first argument of a converter is annotated with; none: all."""
    import typing

    hints = typing.get_type_hints(converter)
    hints.pop("return", None)
    hint = next(iter(hints.values()), object)
    kinds = tuple(typing.get_origin(kind) or kind for kind in typing.get_args(hint) or (hint,))
    return () if object in kinds or Any in kinds else kinds
