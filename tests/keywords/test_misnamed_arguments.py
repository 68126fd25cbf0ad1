"""Typos in the names of arguments: Robot takes them for text, the library says what was meant, for every keyword."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from inner_suites import InnerRun, run_inner
from robot.running.arguments import ArgumentSpec
from robot.running.testlibraries import TestLibrary as RobotLibrary

from InferenceLibrary.keywords.shared.argument_names import refusal

MESSAGES = {
    "Misspelt In A Chat": r"'max_token' is not an argument of Chat: expected one of messages, .*\bmax_tokens\b.* "
    r"Did you mean 'max_tokens'\? Hint: text with an equals sign is written max_token\\=\.\.\.",
    "Misspelt After Another": r"'temprature' is not an argument of Chat: .* Did you mean 'temperature'\?",
    "Misspelt In A Request": r"'expected_staus' is not an argument of Send Request: .* "
    r"Did you mean 'expected_status'\?.*",
    "Other Word In A Request": r"'status' is not an argument of Send Request: .*\bexpected_status\b.*",
    "Misspelt In A Check": r"'sinc' is not an argument of Server Log Should Contain: .* Did you mean 'since'\?.*",
    "Misspelt In Words": r"'timout' is not an argument of Run Program: .* Did you mean 'timeout'\?.*",
    "Misspelt In A Message": r"'mesage' is not an argument of Get Metric: .* Did you mean 'message'\?.*",
    "Misspelt In A Switch": r"'sever' is not an argument of Server Should Be Healthy: expected one of server\. "
    r"Did you mean 'server'\?.*",
    "Misspelt Through Another Keyword": r"'max_token' is not an argument of Chat: .* Did you mean 'max_tokens'\?.*",
    "Misspelt In A Dictionary": r"'temprature' is not an argument of Chat: expected one of messages, .* "
    r"Did you mean 'temperature'\?",
    "Argument Of Another Api": r"'response_format' is not an argument of Send Message: .*",
    "Two Texts": r"Complete has no place for 'there': expected prompt without a name, and by name .*\bmax_tokens\b.*\. "
    r"Hint: give it a name; put text with several spaces into one variable\.",
    "Text After Names": r"Complete: 'Hello' comes after named arguments: text without a name comes first\.",
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


FORWARDING = {"Start Server", "Run Onnx Model", "Change Server Configuration", "Start Call", "Call At Once"}
"""Keywords that take names of others: of a profile, inputs, settings, another keyword. They refuse themselves."""


def specs() -> Iterator[tuple[str, ArgumentSpec]]:
    for keyword in RobotLibrary.from_name("InferenceLibrary").keywords:
        yield keyword.name, keyword.args


def misspelt(name: str) -> str:
    if len(name) < 4:
        return name * 2
    middle = len(name) // 2
    return name[:middle] + name[middle + 1 :]


def test_every_keyword_refuses_every_misspelt_argument() -> None:
    asked = 0
    for keyword, spec in specs():
        if keyword in FORWARDING:
            assert spec.var_named
            continue
        assert not spec.var_named, keyword
        needed = ["${value}" for name in spec.positional if name not in spec.defaults and name not in spec.embedded]
        for name in {*spec.named_only, *spec.positional_or_named} - set(spec.embedded):
            assert refusal(keyword, spec, [*needed, f"{name}=1"]) is None
            # Names of one or two letters have no near ones: they are refused where nothing may take text.
            if len(name) < 4 and spec.var_positional:
                continue
            told = refusal(keyword, spec, [*needed, f"{misspelt(name)}=1"])
            assert told, f"{keyword}: {misspelt(name)}"
            assert told.startswith(f"'{misspelt(name)}' is not an argument of {keyword}: "), told
            if len(name) > 3:
                assert "Did you mean '" in told, told
            asked += 1
    assert asked > 800


def test_names_given_with_their_values_are_compared_too() -> None:
    from robot.running.model import Argument

    spec = dict(specs())["Chat"]
    assert refusal("Chat", spec, [Argument(None, "Hello"), Argument("seed", 3)]) is None
    told = refusal("Chat", spec, [Argument(None, "Hello"), Argument("sed", 3)])
    assert told is not None
    assert "Did you mean 'seed'?" in told


@pytest.mark.parametrize(
    "arguments", [["@{words}"], ["@{words}", "a", "b", "c"], ["&{named}"], ["${name}=1"], ["Hello", 5, "seed=1"][:1]]
)
def test_what_variables_hold_is_left_to_robot(arguments: list[str]) -> None:
    assert refusal("Chat", dict(specs())["Chat"], arguments) is None


def test_a_dry_run_of_the_suites_refuses_nothing() -> None:
    """No variable has its value then: `&{options}` of a keyword would be Robot Framework's own `&{OPTIONS}`."""
    quiet = ("--output", "NONE", "--log", "NONE", "--report", "NONE")
    suites = Path(__file__).parents[2] / "robot"
    run = subprocess.run(
        [sys.executable, "-m", "robot", "--dryrun", *quiet, suites], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout[-4000:]
    counts = re.findall(r"^(\d+) tests, \1 passed, 0 failed$", run.stdout, re.MULTILINE)
    assert int(counts[-1]) > 400
