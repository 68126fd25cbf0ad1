"""How Robot's texts become arguments: JSON, Python literals, plain text; every refusal is a ValueError of one line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from robot.api.types import Secret

from InferenceLibrary.types import (
    CONVERTERS,
    refuse_reply,
    refuse_stream,
    seconds,
    to_json_object,
    to_messages,
    to_quantity,
    to_texts,
)

USER = {"role": "user", "content": "Hi"}
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ('{"a": null, "b": [1]}', {"a": None, "b": [1]}),
        ("{'a': None}", {"a": None}),
        ({"a": 1}, {"a": 1}),
        ({1: 2}, {"1": 2}),
        ("{}", {}),
    ],
)
def test_json_objects(given_: Any, expected: dict[str, Any]) -> None:
    assert to_json_object(given_) == expected


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("[1]", "Expected a JSON object such as"),
        ("5", "got the number 5"),
        ("{'a'", "Expected JSON or a Python literal; as JSON it fails with"),
        ("hello", "Expected JSON or a Python literal"),
        ("", "Expected JSON or a Python literal"),
        ("{[]: 1}", "Expected JSON or a Python literal"),
        ("{'a': open('x')}", "Expected JSON or a Python literal"),
        (DEEP, "nested too deeply"),
        ("-" * 50_000 + "'", "Expected JSON or a Python literal"),
    ],
)
def test_what_is_no_json_object(given_: str, message: str) -> None:
    with pytest.raises(ValueError, match="Expected") as caught:
        to_json_object(given_)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("Hi", [USER]),
        ("", [{"role": "user", "content": ""}]),
        ("{not json}", [{"role": "user", "content": "{not json}"}]),
        ('[{"role": "user", "content": "Hi"}]', [USER]),
        ("  [{'role': 'user', 'content': 'Hi'}]", [USER]),
        ([USER], [USER]),
        ((USER,), [USER]),
        ("[]", []),
    ],
)
def test_messages(given_: Any, expected: list[Any]) -> None:
    assert to_messages(given_) == expected


def test_messages_are_copies() -> None:
    mine = [dict(USER)]
    to_messages(mine)[0]["content"] = "changed"
    assert mine == [USER]


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ("[INST] Hi", "Expected JSON or a Python literal"),
        ('[{"content": "Hi"}]', "Expected message 0 to be an object such as"),
        ('[{"role": "user"}, "Hi"]', "Expected message 1 to be an object"),
        ([{"role": 5}], "Expected message 0"),
        ([5], "got 5"),
    ],
)
def test_what_are_no_messages(given_: Any, message: str) -> None:
    with pytest.raises(ValueError, match="Expected") as caught:
        to_messages(given_)
    assert message in str(caught.value)


def test_texts() -> None:
    assert to_texts("one") == ["one"]
    assert to_texts('["one", "two"]') == ["one", "two"]
    assert to_texts("['one']") == ["one"]
    assert to_texts(("a", "b")) == ["a", "b"]
    secret = Secret("x")
    assert to_texts([secret]) == [secret], "a secret stays one until it is used"
    for wrong in ("[1]", [1], "[oops"):
        with pytest.raises(ValueError, match="Expected"):
            to_texts(wrong)


LITERAL_LIKE = st.text(st.sampled_from(list("[]{}()'\":,0123456789.eEjx-+ \\nulltrefasNTF\n\0#")) | st.characters())


@given(st.sampled_from(["", "[", "{", "[{", "  ["]), LITERAL_LIKE)
@pytest.mark.parametrize("convert", [to_json_object, to_messages, to_texts])
def test_no_text_makes_a_converter_raise_anything_else(convert: Any, start: str, rest: str) -> None:
    try:
        convert(start + rest)
    except ValueError as error:
        assert "xpected" in str(error)  # noqa: PT017 - not every text is refused


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("200 ms", "s", 0.2),
        ("1 min 30 s", "s", 90),
        ("2 s", "s", 2),
        (timedelta(milliseconds=5), "s", 0.005),
        ("2 GB", "B", 2e9),
        ("2GiB", "B", 2**31),
        ("1.5 kB", "B", 1500),
        ("100", "B", 100),
        (7, "B", 7),
        ("42 tokens/s", "tokens/s", 42),
        ("42", "tokens/s", 42),
        ("-1.5", "", -1.5),
        (True, "", 1),
        ("+Inf", "", float("inf")),
    ],
)
def test_quantities(value: Any, unit: str, expected: float) -> None:
    assert to_quantity(value, unit) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "unit", "message"),
    [
        ("soon", "s", "Expected a time with a unit, such as 200 ms or 2 s, got 'soon'."),
        ("200", "s", "Expected a time with a unit, such as 200 ms or 2 s, got '200'."),
        ("5 XB", "B", "Expected bytes with a unit of b, kb, mb, gb, kib, mib, gib, got '5 XB'."),
        ("GB", "B", "Expected bytes with a unit of"),
        ("", "B", "Expected bytes with a unit of"),
        ("5 apples", "tokens/s", "Expected a number of tokens/s, got '5 apples'."),
        ("many", "", "Expected a number, got 'many'."),
        ("nan", "", "Expected a number, got 'nan'."),
        (float("nan"), "s", "Expected a time with a unit, such as 200 ms or 2 s, got 'nan'."),
        ("inf", "s", "Expected a time with a unit, such as 200 ms or 2 s, got 'inf'."),
        ("1e999 s", "s", "Expected a time with a unit, such as 200 ms or 2 s, got '1e999 s'."),
        ("1e400 MB", "B", "Expected bytes with a unit of"),
        ("inf", "tokens/s", "Expected a number of tokens/s, got 'inf'."),
        ("inf %", "%", "Expected a share, such as 10 % or 0.1, got 'inf %'."),
        (None, "", "Expected a number, got 'None'."),
    ],
)
def test_what_is_no_quantity(value: Any, unit: str, message: str) -> None:
    with pytest.raises(ValueError, match="Expected") as caught:
        to_quantity(value, unit)
    assert str(caught.value).startswith(message)


@given(st.text(), st.sampled_from(["s", "B", "", "tokens/s"]))
def test_no_text_makes_a_quantity_raise_anything_else(text: str, unit: str) -> None:
    try:
        to_quantity(text, unit)
    except ValueError as error:
        assert str(error).startswith("Expected")  # noqa: PT017 - not every text is refused


def test_times() -> None:
    assert seconds(None) is None
    assert seconds(timedelta(minutes=1)) == 60
    assert seconds(1.5) == 1.5


def test_results_cannot_be_given_as_text() -> None:
    with pytest.raises(ValueError, match=r"Expected a reply of Chat, Complete or Send Request, got the text 'hello'\."):
        refuse_reply("hello")
    with pytest.raises(ValueError, match=r"Expected a stream of Stream Chat or Stream Completion, got the number 5\."):
        refuse_stream(5)
    assert refuse_reply in CONVERTERS.values()
