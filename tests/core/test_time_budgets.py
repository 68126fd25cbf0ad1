"""Budgets of time by the kind of a test: one run whose tests take no time and too much of it."""

from __future__ import annotations

import pytest
from inner_suites import InnerRun, run_text

from InferenceLibrary.errors import InferenceError
from InferenceLibrary.time_budgets import BUDGETS, TimeBudgets

LISTENER = "InferenceLibrary.time_budgets.TimeBudgets"
SUITE = """*** Test Cases ***
Above The Maximum
    [Tags]    api
    Sleep    30 ms

Above The Target
    [Tags]    terminal
    Sleep    30 ms
    Set Test Message    said

Within
    [Tags]    program
    Sleep    30 ms

Of No Kind
    Sleep    30 ms

Its Own Tag Counts
    [Tags]    api    budget:mine
    Sleep    30 ms

Failed Before
    [Tags]    api
    Sleep    30 ms
    Fail    another reason

Skipped
    [Tags]    api
    Sleep    30 ms
    Skip    not here

Without A Budget
    [Tags]    model
    Sleep    30 ms

Misspelt
    [Tags]    budget:termnal
    Sleep    30 ms
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    settings = "api=10 ms/20 ms:terminal=10 ms/1 hour:binary=1 hour/2 hours:mine=1 hour/1 hour:loading=off"
    return run_text(SUITE, tmp_path_factory.mktemp("budgets"), "--listener", f"{LISTENER}:{settings}")


def test_a_test_above_its_maximum_fails(run: InnerRun) -> None:
    found = run["Above The Maximum"]
    assert found.status == "FAIL"
    assert found.first_line.startswith(
        "Test 'Above The Maximum' took too long for a test of kind 'api': expected at most 20 ms, got "
    )


def test_a_test_above_its_target_passes_with_a_warning(run: InnerRun) -> None:
    assert run["Above The Target"].status == "PASS"
    text = "Test 'Above The Target' took too long for a test of kind 'terminal': expected about 10 ms, got "
    assert text in run.console


@pytest.mark.parametrize("name", ["Within", "Of No Kind", "Its Own Tag Counts", "Without A Budget", "Misspelt"])
def test_others_pass(run: InnerRun, name: str) -> None:
    assert run[name].status == "PASS", run[name].message
    assert f"'{name}' took" not in run.console


def test_what_failed_or_was_skipped_keeps_its_reason(run: InnerRun) -> None:
    assert run["Failed Before"].first_line == "another reason"
    assert "'Failed Before' took too long" in run.console
    assert run["Skipped"].status == "SKIP"


def test_a_misspelt_kind_is_told(run: InnerRun) -> None:
    assert "Test 'Misspelt' has an unknown budget: expected one of binary, " in run.console
    assert "Hint: did you mean 'terminal'?" in run.console


def test_the_budgets_are_those_of_the_documents() -> None:
    found = {kind: (budget.target, budget.maximum) for kind, budget in BUDGETS.items()}
    assert found == {
        "binary": (5, 10),
        "loading": (30, 60),
        "terminal": (20, 40),
        "benchmark": (120, 300),
        "api": (10, 20),
    }


@pytest.mark.parametrize(
    "setting", ["api", "api=", "=5 s/6 s", "api=5 s", "api=9 s/8 s", "api=0 s/1 s", "api=x/y", "api=1 s/2 s/3 s"]
)
def test_a_setting_that_cannot_be_read_is_refused(setting: str) -> None:
    with pytest.raises(InferenceError) as error:
        TimeBudgets(setting)
    assert str(error.value) == (
        "A budget of time cannot be read: expected KIND=TARGET/MAXIMUM such as api=5 s/10 s, or KIND=off, "
        f"got '{setting}'."
    )
