"""JSON as most servers read it: without NaN, without Infinity, and without numbers beyond a double."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from math import isinf

_STEP = 154
_TWO_DIGITS = re.compile("[0-9]{2}")
_LONG = re.compile("[0-9][0-9]{308}")
_SHOWN = 40


def no_constant(name: str) -> None:
    """Refuse NaN or Infinity.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{name} is not a JSON value")


def decoder_for(text: str, constant: Callable[[str], None] = no_constant) -> json.JSONDecoder:
    """Return what reads a text, and raises ValueError for a number beyond a double; `constant` refuses the rest."""
    # Whole numbers are seldom so long: a row of 309 digits has two successive ones of every 154th character.
    if len(text) > 308 and _TWO_DIGITS.search(text[::_STEP]) and _LONG.search(text):
        return _decoder(constant, True)
    return _USUAL if constant is no_constant else _decoder(constant, False)


@cache
def _decoder(constant: Callable[[str], None], is_long: bool) -> json.JSONDecoder:
    return json.JSONDecoder(parse_constant=constant, parse_float=_real, parse_int=_whole if is_long else None)


def _real(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError(f"the number {text if len(text) <= _SHOWN else text[:_SHOWN] + '...'} is out of range")
    return value


def _whole(text: str) -> int:
    _real(text)
    return int(text)


_USUAL = _decoder(no_constant, False)
