"""Converters in their cheap form do what they did."""

from __future__ import annotations

from typing import Any

import pytest
from robot.running.arguments.customconverters import CustomArgumentConverters

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.types import light


def to_number(value: str | int) -> float:
    """A number."""
    return float(value)


def with_library(value: str, library: Any) -> float:
    return float(value)


def test_a_converter_still_converts_and_refuses() -> None:
    convert = light({float: to_number})[float]
    assert convert("1.5") == 1.5
    assert convert.__doc__ == "A number."
    with pytest.raises(ValueError, match=r"^$"):
        convert([])


def test_one_that_takes_the_library_stays() -> None:
    assert light({float: with_library})[float] is with_library


def test_robot_takes_all_of_them() -> None:
    converters = InferenceLibrary.ROBOT_LIBRARY_CONVERTERS
    assert len(CustomArgumentConverters.from_dict(converters).converters) == len(converters)
