"""Typos in the names of arguments: Robot takes them for text, the keywords say what was meant."""

import re

import pytest
from inner_suites import InnerRun, run_inner

MESSAGES = {
    "Misspelt In A Chat": r"'max_token' is no argument of Chat: expected one of messages, .*\bmax_tokens\b.* "
    r"Did you mean 'max_tokens'\? Hint: text with an equals sign is written max_token\\=\.\.\.",
    "Misspelt In A Stream": r"'include_usge' is no argument of Stream Chat: .* Did you mean 'include_usage'\? Hint: .*",
    "Misspelt In A Message": r"'temprature' is no argument of Send Message: .* Did you mean 'temperature'\? Hint: .*",
    "Misspelt In A Request": r"'expected_staus' is no argument of Send Request: .* Did you mean 'expected_status'\?.*",
    "Two Texts": r"Complete takes one text: expected named arguments behind it, got 'there'\. Hint: name it, .*",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("misnamed.robot", tmp_path_factory.mktemp("misnamed"))


@pytest.mark.parametrize("test", MESSAGES)
def test_a_wrong_name_is_told_with_the_right_one(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].message), run[test].message


def test_text_may_hold_equals_signs(run: InnerRun) -> None:
    assert (run["Text With An Equals Sign"].status, run["Text With An Equals Sign"].message) == ("PASS", "")
    assert set(run.tests) == {*MESSAGES, "Text With An Equals Sign"}
