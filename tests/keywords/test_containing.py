"""Contain means the same everywhere: a text as it stands, `matching=` a pattern, `ignore_case=` any case."""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from assertionengine import AssertionOperator

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.answers import Reply
from InferenceLibrary.client.stream_reader import stream_of
from InferenceLibrary.client.streams import Stream
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.protocol.exchange import Exchange, Request
from InferenceLibrary.types import JsonObject

ASKED = Request("POST", "http://host/v1/chat/completions", (), b"{}")


def said(text: str) -> Reply:
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})
    return Reply(Exchange(ASKED, 200, (("content-type", "application/json"),), body.encode()))


def said_twice(first: str, second: str) -> Reply:
    """Two choices of one reply."""
    choices = [{"index": index, "message": {"content": text}} for index, text in enumerate((first, second))]
    body = json.dumps({"choices": choices})
    return Reply(Exchange(ASKED, 200, (("content-type", "application/json"),), body.encode()))


def streamed_twice(first: str, second: str) -> Stream:
    """Two choices, letter by letter in turn."""
    chunks = [
        {"choices": [{"index": index, "delta": {"content": letter}}]}
        for letters in itertools.zip_longest(first, second, fillvalue="")
        for index, letter in enumerate(letters)
    ]
    body = "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks) + "data: [DONE]\n\n"
    return stream_of(Exchange(ASKED, 200, (("content-type", "text/event-stream"),), body.encode()))


BOTH: dict[str, Reply | Stream] = {
    "whole": said_twice('{"a": 1}', '{"a": "Rome"}'),
    "streamed": streamed_twice('{"a": 1}', '{"a": "Rome"}'),
}
NUMBER = JsonObject({"properties": {"a": {"type": "integer"}}})
WORD = JsonObject({"properties": {"a": {"type": "string"}}})

PARIS = said("It is Paris.\nNot Rome.")

HOLDS: dict[str, Callable[[InferenceLibrary], Any]] = {
    "as it stands": lambda lib: lib.answer_should_contain(PARIS, "is Paris."),
    "a pattern": lambda lib: lib.answer_should_contain(PARIS, matching=r"^Not \w+\.$"),
    "any case": lambda lib: lib.answer_should_contain(PARIS, "PARIS", ignore_case=True),
    "a pattern in any case": lambda lib: lib.answer_should_contain(PARIS, matching="^not", ignore_case=True),
    "not there": lambda lib: lib.answer_should_not_contain(PARIS, "Berlin"),
    "not there in this case": lambda lib: lib.answer_should_not_contain(PARIS, "rome"),
    "a dot is a dot": lambda lib: lib.answer_should_not_contain(PARIS, "Par.s"),
    "one of several": lambda lib: lib.answer_should_contain_any(PARIS, "Berlin", "Rome"),
}

FAILS: dict[str, tuple[Callable[[InferenceLibrary], Any], str]] = {
    "not there": (lambda lib: lib.answer_should_contain(PARIS, "Berlin"), "Answer: expected a text that contains 'Ber"),
    "another case": (
        lambda lib: lib.answer_should_contain(PARIS, "paris"),
        "Answer: expected .* contains 'paris', got",
    ),
    "a pattern as text": (lambda lib: lib.answer_should_contain(PARIS, "P.ris"), "Answer: expected .* 'P.ris', got"),
    "no match": (lambda lib: lib.answer_should_contain(PARIS, matching="^Rome"), "Answer: expected .* /.Rome/, got"),
    "a pattern of another case": (
        lambda lib: lib.answer_should_contain(PARIS, matching="rome"),
        "Answer: expected .* /rome/, got",
    ),
    "there": (lambda lib: lib.answer_should_not_contain(PARIS, "Rome"), "Answer: expected a text without 'Rome', got"),
    "there in any case": (
        lambda lib: lib.answer_should_not_contain(PARIS, "ROME", ignore_case=True),
        "Answer: expected a text without 'ROME' in any case, got 'Rome' in",
    ),
    "a match": (
        lambda lib: lib.answer_should_not_contain(PARIS, matching="R.me"),
        "Answer: expected a text without /R",
    ),
    "no text at all": (lambda lib: lib.answer_should_not_contain(said(""), "Rome"), "Answer: expected .*, got no text"),
    "nothing unwanted": (lambda lib: lib.answer_should_not_contain(PARIS, ""), "Nothing is looked for in the answer"),
    "nothing named": (
        lambda lib: lib.answer_should_not_contain(PARIS),
        "What is looked for in the answer is not clear",
    ),
    "none of several in this case": (
        lambda lib: lib.answer_should_contain_any(PARIS, "rome", "paris"),
        "Answer: expected a text that contains one of 'rome', 'paris', got",
    ),
}


@pytest.fixture
def lib(tmp_path: Path) -> Iterator[InferenceLibrary]:
    lib = InferenceLibrary()
    lib.context.output_dir = tmp_path
    yield lib
    lib.close()


@pytest.mark.parametrize("case", HOLDS)
def test_a_text_is_found(lib: InferenceLibrary, case: str) -> None:
    HOLDS[case](lib)


@pytest.mark.parametrize("case", FAILS)
def test_each_clause_fails_for_its_own_reason(lib: InferenceLibrary, case: str) -> None:
    call, told = FAILS[case]
    with pytest.raises(CheckFailure, match=told):
        call(lib)


@pytest.mark.parametrize("answer", BOTH.values(), ids=BOTH)
def test_a_choice_is_looked_at_alone(lib: InferenceLibrary, answer: Reply | Stream) -> None:
    lib.answer_should_contain(answer, "1")
    lib.answer_should_contain(answer, "Rome", choice=1)
    lib.answer_should_not_contain(answer, "Rome")
    lib.answer_should_not_contain(answer, "1", choice=1)
    assert lib.answer_should_contain_any(answer, "Paris", "Rome", choice=1) == "Rome"
    assert lib.get_answer_text(answer, choice=1) == '{"a": "Rome"}'
    assert lib.answer_should_fit_schema(answer, NUMBER) == {"a": 1}
    assert lib.answer_should_fit_schema(answer, WORD, choice=1) == {"a": "Rome"}


OTHER_CHOICE: dict[str, tuple[Callable[[InferenceLibrary, Any], Any], str]] = {
    "contain": (
        lambda lib, both: lib.answer_should_contain(both, "1", choice=1),
        "Answer of choice 1: expected a text that contains '1', got '{\"a\": \"Rome\"}'",
    ),
    "not contain": (
        lambda lib, both: lib.answer_should_not_contain(both, "Rome", choice=1),
        "Answer of choice 1: expected a text without 'Rome', got 'Rome' in",
    ),
    "contain any": (
        lambda lib, both: lib.answer_should_contain_any(both, "1", choice=1),
        "Answer of choice 1: expected a text that contains one of '1', got",
    ),
    "text": (
        lambda lib, both: lib.get_answer_text(both, AssertionOperator["=="], "x", choice=1),
        "Text of choice 1",
    ),
    "schema": (
        lambda lib, both: lib.answer_should_fit_schema(both, NUMBER, choice=1),
        "Answer of choice 1: expected JSON that fits the schema, got",
    ),
    **{
        f"no choice to {name}": (call, "Text: expected choice 2, got only 0, 1 in ")
        for name, call in {
            "contain": lambda lib, both: lib.answer_should_contain(both, "1", choice=2),
            "lack": lambda lib, both: lib.answer_should_not_contain(both, "9", choice=2),
            "contain any": lambda lib, both: lib.answer_should_contain_any(both, "1", choice=2),
            "get": lambda lib, both: lib.get_answer_text(both, choice=2),
            "fit": lambda lib, both: lib.answer_should_fit_schema(both, NUMBER, choice=2),
        }.items()
    },
}


@pytest.mark.parametrize("answer", BOTH.values(), ids=BOTH)
@pytest.mark.parametrize("case", OTHER_CHOICE)
def test_another_choice_fails(lib: InferenceLibrary, case: str, answer: Reply | Stream) -> None:
    call, told = OTHER_CHOICE[case]
    with pytest.raises(AssertionError, match=re.escape(told)):
        call(lib, answer)


def test_every_keyword_that_looks_for_a_text_has_the_same_arguments_and_its_opposite() -> None:
    from robot.running.testlibraries import TestLibrary as RobotLibrary

    found = {keyword.name: keyword.args for keyword in RobotLibrary.from_name("InferenceLibrary").keywords}
    looking = [name for name in found if name.endswith(("Should Contain", "Should Not Contain", "Terminal Contains"))]
    assert len(looking) >= 8
    for name in looking:
        assert {"matching", "ignore_case"} <= set(found[name].named_only), name
        if name.endswith("Should Contain"):
            assert name.replace("Should Contain", "Should Not Contain") in found
    assert not [name for name, spec in found.items() if "regexp" in spec.named]
