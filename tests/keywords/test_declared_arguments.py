"""Arguments take their declared types only: no fraction for a whole number, no text for true or false, no NaN."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from robot.running.arguments import ArgumentSpec

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.keywords.shared.calling_keywords import CallingKeyword
from InferenceLibrary.keywords.shared.declared_arguments import DeclaredArguments
from robot import running

LIBRARY = running.TestLibrary.from_name("InferenceLibrary")


def arguments_of(kind: type) -> list[tuple[str, str]]:
    """Every argument of every keyword that takes this type, and None at most beside it."""
    return [
        (keyword.name, name)
        for keyword in LIBRARY.keywords
        for name, info in (keyword.args.types or {}).items()
        if name not in {keyword.args.var_positional, keyword.args.var_named}
        and {one.type for one in (info.nested if info.is_union else [info])} - {type(None)} == {kind}
    ]


def converted(keyword: str, name: str, value: Any) -> Any:
    spec = next(one.args for one in LIBRARY.keywords if one.name == keyword)
    _, named = DeclaredArguments(spec).convert([], [(name, value)], LIBRARY.converters)
    return dict(named)[name]


def test_a_text_that_is_neither_true_nor_false_is_refused_everywhere() -> None:
    found = arguments_of(bool)
    assert len(found) > 50
    for keyword, name in found:
        assert converted(keyword, name, "off") is False
        assert converted(keyword, name, "True") is True
        for value in ("flase", "maybe", "2"):
            with pytest.raises(ValueError, match=rf"Argument '{name}' got value '{value}' that cannot be converted to"):
                converted(keyword, name, value)


def test_a_fraction_is_refused_where_a_whole_number_is_declared() -> None:
    found = arguments_of(int)
    assert len(found) > 50
    for keyword, name in found:
        assert converted(keyword, name, "7") == 7
        for value in ("1.5", "nan", 0.5):
            with pytest.raises(
                ValueError, match=rf"Argument '{name}' got value .* that cannot be converted to integer"
            ):
                converted(keyword, name, value)


def test_what_is_not_finite_is_refused_where_a_number_is_declared() -> None:
    """With an infinite tolerance a check holds everything to be equal."""
    found = arguments_of(float)
    assert len(found) > 40
    for keyword, name in found:
        assert converted(keyword, name, "0.5") == 0.5
        for value in ("nan", "inf", "-Infinity", "1e999", float("inf"), float("nan")):
            with pytest.raises(ValueError, match=rf"Argument '{name}' got value .* that cannot be converted to float"):
                converted(keyword, name, value)


def test_a_list_of_other_things_is_refused_where_texts_are_declared() -> None:
    assert converted("Start Server", "arguments", '["a"]') == ["a"]
    with pytest.raises(ValueError, match="Expected texts"):
        converted("Start Server", "arguments", "[1]")


def test_a_time_beyond_reading_is_refused() -> None:
    assert converted("Chat", "timeout", "2 s") == timedelta(seconds=2)
    with pytest.raises(ValueError, match="A number is too large"):
        converted("Chat", "timeout", "1e999")


def test_none_stays_where_it_is_the_default_and_other_defaults_are_kept() -> None:
    spec = ArgumentSpec(
        positional_or_named=["one", "other", "third"],
        defaults={"one": 3, "other": None, "third": 2},
        types={"one": int, "other": int},
    )
    declared = DeclaredArguments(spec)
    assert declared.convert([1, None, "7"], []) == ([1, None, 7], [])
    assert (declared.defaults, declared.minargs, declared.maxargs) == (spec.defaults, 0, 3)


def test_a_call_that_another_keyword_makes_is_as_strict() -> None:
    call = CallingKeyword(InferenceLibrary(), "Stream Chat")
    with pytest.raises(ValueError, match="'allow_broken' got value 'flase'"):
        call.with_arguments(["Hi"], {"allow_broken": "flase"})
