"""Vectors of embeddings in both codings, and how alike two of them are."""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from collections.abc import Sequence
from sys import byteorder
from typing import Any

_LARGEST = sys.float_info.max


def read_vector(value: Any) -> Sequence[float] | None:
    """Return the numbers of an embedding, a list or the base64 text of 32-bit floats in little-endian order.

    Returns:
        The numbers, NaN and infinite ones as they are; None when it is neither.
    """
    if isinstance(value, list):
        return value if all(type(one) is float or type(one) is int for one in value) else None
    if not isinstance(value, str):
        return None
    numbers = array("f")
    try:
        numbers.frombytes(base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        return None
    if byteorder == "big":
        numbers.byteswap()
    return numbers


def is_finite(vector: Sequence[float]) -> bool:
    """Whether all numbers are finite as a float; an integer may be too large for one."""
    return all(abs(one) <= _LARGEST for one in vector)


def cosine(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the cosine of the angle between two vectors; NaN when a number is.

    Raises:
        ValueError: Their lengths differ, one is zero, or their numbers are beyond reckoning.
    """
    if len(first) != len(second):
        raise ValueError(f"expected vectors of one length, got {len(first)} and {len(second)}")
    try:
        lengths = math.sqrt(math.fsum(a * a for a in first)) * math.sqrt(math.fsum(b * b for b in second))
        product = math.fsum(a * b for a, b in zip(first, second, strict=True))
    except OverflowError:
        raise ValueError("expected vectors of smaller numbers") from None
    if lengths == 0:
        raise ValueError("expected vectors that are not zero")
    return product / lengths
