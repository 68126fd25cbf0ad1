"""Terminal keywords in Robot: what they say when they fail, and what a time limit or Ctrl-C leaves running."""

from __future__ import annotations

import os
import signal
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from inner_suites import INNER, InnerRun, finish_inner, run_inner, run_text, start_inner

from InferenceLibrary.deadline import wait_until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs of these suites are POSIX")
CHATTY = Path(__file__).parent / "programs" / "chatty.py"

MESSAGES = {
    "No Terminal Is Open": "No terminal is open. Hint: use Start Terminal",
    "A Program That Is Missing": "Program 'no-such-program-here' does not exist: expected a file on the PATH, got none",
    "A Program That Dies At Once": "; the program ended with exit code 3.",
    "A Text That Does Not Come": "(terminal 'sh'): expected 'goodbye' within 0.3 s, got this screen after ",
    "A Text That Should Be There": "The text is not on the screen (terminal 'sh'): expected 'goodbye', got",
    "A Text That Should Not Be There": "The text is on the screen (terminal 'sh'): expected no /Trace.*/, got",
    "A Pattern That Is None": "'(' is not a regular expression: got missing ), unterminated subpattern",
    "A Key That Is None": "There is no key 'Etner': expected one character or one of Enter,",
    "Typing At A Program That Has Ended": "cannot be typed (terminal 'true'): expected a running program, got its end",
    "A Program That Does Not End": "expected its end within 0.2 s, got a running program after ",
    "Another Exit Code": "The program ended otherwise (terminal 'sh'): expected exit code 0, got exit code 3",
    "A Signal Where An Exit Code Is Right": "(terminal 'cat'): expected exit code 0, got signal SIGINT",
    "A Screen That Goes On Changing": "expected no change for 5 s, within 6 s, got",
    "A Row That Is None": "There is no such row (terminal 'cat'): expected -1 to 4, got 7",
    "A Row That Is Another": "'hello' (str) should be 'goodbye' (str)",
    "Another Style": "The text 'red' is drawn otherwise (terminal 'sh'): expected foreground 2, got foreground 1",
    "A Size That Is None": "The terminal has no usable size: expected 1 to 1000 columns and rows, got 0 x 24.",
    "A Chat That Never Shows A Prompt": "No prompt came (terminal 'python",
    "A Chat That Dies While It Answers": "The program ended while it answered (terminal 'python",
    "An Answer That Does Not End": "expected its end within 0.3 s, got no text after ",
    "A Question To What Is No Chat": "It is not a chat terminal (terminal 'cat'); the program runs. Hint:",
    "An Option That The Profile Has Not": "The terminal of profile 'simulator' has no option 'sceanrio': expected",
    "A Profile Without A Terminal": "The terminal of 'openai' cannot be used: only its URL is known, not its program.",
    "A First Token Where There Is No Answer": "Argument 'answer': expected an answer of Ask In Terminal, got the text",
    "Binary Garbage": "expected 'ready' within 0.5 s, got this screen after ",
    "A Flood Without End": "(terminal 'yes'): expected 'ready' within 1 s, got this screen after ",
    "A Question To The Terminal That It Does Not Answer": "expected 'ready' within 0.5 s, got this screen after ",
    "A Program That Ignores Hang Up": "expected its end within 0.3 s, got a running program after ",
    "A Program That Ends While We Type": "'four' cannot be typed (terminal 'sh'): expected a running program, got its",
    "A Chat That Ends While We Type": "; the program ended with exit code 5.",
    "A Screen Of One Cell": "expected 'ready' within 0.3 s, got this screen after ",
    "Control Characters In A Text": r"expected 'a\x07b' within 0.3 s, got this screen after ",
    "A Command That The Chat Has Not": "This chat has no command 'help' (terminal 'python",
    "A Chat That Is Silent After A Command": "The prompt did not come back after '/anything' (terminal 'python",
    "A Click On What Is Not There": "The text cannot be clicked (terminal 'cat'): expected 'Save' on the screen, got",
    "A Reply With A Token Lost": "got token 5 of 16 (' jumps') is lost",
    "A Reply With A Token Doubled": "got token 5 of 16 (' jumps') is doubled",
    "A Reply With Tokens Swapped": "got token 5 of 16 (' jumps') and the next one (' over') are swapped",
    "A Screen That Lost A Row": "on the screen",
    "No Record Of What Was Sent": "no such file' cannot be read: got No such file or directory. Hint: Start the",
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    pytest.importorskip("tui_test")
    variables = {"PYTHON": sys.executable, "CHATTY": CHATTY, "LIAR": CHATTY.with_name("liar.py")}
    options = [word for name, value in variables.items() for word in ("--variable", f"{name}:{value}")]
    return run_inner("terminal_failures.robot", tmp_path_factory.mktemp("out"), *options)


@pytest.mark.parametrize("name", MESSAGES)
def test_message(failures: InnerRun, name: str) -> None:
    assert failures[name].status == "FAIL"
    assert MESSAGES[name] in failures[name].first_line


def test_every_test_of_the_suite_is_read_and_nothing_is_left_running(failures: InnerRun) -> None:
    assert set(failures.tests) == set(MESSAGES)
    assert failures.leftovers == []


def test_a_failure_shows_the_screen_and_leaves_a_picture_and_the_recording(failures: InnerRun) -> None:
    test = failures["A Text That Does Not Come"]
    assert "    │hello there" in test.message
    assert "    Last keys: typed 'abc'; Enter" in test.message
    links = [part.partition('"')[0] for part in "".join(test.log).split('href="')[1:]]
    assert [link for link in links if link.endswith(".svg")]
    assert [link for link in links if link.endswith(".cast")]
    assert all((failures.output_dir / link).is_file() for link in links)


def test_messages_hold_no_control_characters(failures: InnerRun) -> None:
    for name, test in failures.tests.items():
        shown = test.message.replace("\n", "").replace("\t", "")
        assert [character for character in shown if unicodedata.category(character) == "Cc"] == [], name
    assert r"typed 'a\x07\x1b[2J\x00b'" in failures["Control Characters In A Text"].message


def test_no_message_is_a_traceback(failures: InnerRun) -> None:
    assert not [name for name, test in failures.tests.items() if "Traceback (most recent" in test.message]


def test_time_limits_stop_every_wait_and_leave_nothing_running(tmp_path: Path, lives: Callable[[int], bool]) -> None:
    pytest.importorskip("tui_test")
    # A busy machine may not have begun a program when the limit ends.
    for limit in ("300 milliseconds", "3 seconds", "30 seconds"):
        pids = tmp_path / limit.replace(" ", "")
        pids.mkdir()
        variables = ("--variable", f"PIDS:{pids}", "--variable", f"LIMIT:{limit}")
        run = run_inner("terminal_time_limits.robot", tmp_path / "out", *variables)
        assert {test.message for test in run.tests.values()} == {f"Keyword timeout {limit} exceeded."}
        if all(file.read_text() for file in pids.iterdir()) and len(list(pids.iterdir())) == len(run.tests):
            break
    assert len(list(pids.iterdir())) == len(run.tests)
    started = [int(pid) for file in pids.iterdir() for pid in file.read_text().split()]
    assert [pid for pid in started if lives(pid)] == []
    assert run.leftovers == []


@pytest.mark.parametrize(
    "test", ["Wait Until Terminal Contains", "Terminal Should Have Exited", "Run Program", "Ask In Terminal"]
)
def test_control_c_stops_the_run_and_leaves_nothing_running(tmp_path: Path, test: str) -> None:
    pytest.importorskip("tui_test")
    pids = tmp_path / "pids"
    pids.mkdir()
    # Without the limit, so that Ctrl-C alone can be what stops it.
    suite = tmp_path / "unlimited.robot"
    suite.write_text((INNER / "terminal_time_limits.robot").read_text().replace("    [Timeout]    ${LIMIT}\n", ""))
    options = ("--variable", f"PIDS:{pids}", "--test", test)
    process, mark = start_inner(suite, tmp_path / "out", *options)
    try:
        assert wait_until(lambda: any(file.read_text().strip() for file in pids.iterdir()), 60)
        process.send_signal(signal.SIGINT)
    finally:
        run = finish_inner(process, mark, tmp_path / "out")
    assert run[test].message == "Execution terminated by signal"
    assert run.leftovers == []


def test_a_secret_that_is_typed_is_in_nothing_that_the_run_writes(tmp_path: Path) -> None:
    pytest.importorskip("tui_test")
    suite = """
*** Settings ***
Library    InferenceLibrary

*** Variables ***
${KEY: Secret}    %{TYPED_KEY}

*** Test Cases ***
Typed
    Start Terminal    cat
    Type In Terminal    ${KEY}
    Press Terminal Keys    Enter
    Wait Until Terminal Contains    hunter    within=5 s
    Take Terminal Screenshot
    ${screen} =    Get Terminal Screen
    Terminal Should Contain    goodbye

Given As An Argument And In The Environment
    ${result} =    Run Program    sh    -c    echo $0 $VARIABLE    ${KEY}    environment={"VARIABLE": "x"}
    Should Be Equal    ${result.exit_code}    ${1}
"""
    run = run_text(suite, tmp_path, "--loglevel", "TRACE", env={"TYPED_KEY": "hunter22"})
    assert run["Typed"].first_line.startswith("The text is not on the screen")
    assert run["Given As An Argument And In The Environment"].status == "FAIL"
    assert "hunter22" not in run.everything()
