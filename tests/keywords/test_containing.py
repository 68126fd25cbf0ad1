"""Contain means the same everywhere: a text as it stands, `matching=` a pattern, `ignore_case=` any case."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from InferenceLibrary import InferenceLibrary
from InferenceLibrary.client.answers import Reply
from InferenceLibrary.errors import CheckFailure
from InferenceLibrary.protocol.exchange import Exchange, Request

ASKED = Request("POST", "http://host/v1/chat/completions", (), b"{}")


def said(text: str) -> Reply:
    body = json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]})
    return Reply(Exchange(ASKED, 200, (("content-type", "application/json"),), body.encode()))


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
