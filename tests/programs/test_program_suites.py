"""Keywords for programs that must fail, in Robot: the message that a reader of the log sees."""

from __future__ import annotations

import os
import sys

import pytest
from inner_suites import InnerRun, run_inner

pytestmark = pytest.mark.skipif(os.name != "posix", reason="the programs of this suite are POSIX")

MESSAGES = {
    "No Program Is Named": "No program to test is named. Hint: use Use Program, or Start Server with a profile.",
    "Neither A Command Nor A Profile": "The program to test is not clear: expected a command or profile=, got",
    "A Program That Is Missing": "Program 'pyhton3' does not exist: expected a file on the PATH, got none.",
    "A Program That Is A Directory": "got a directory",
    "A Program That Is Not Executable": "without the right to execute. Hint: chmod +x",
    "A Program Without Interpreter": "an interpreter that exists, got '/no/such/interpreter' in its first line",
    "A Program That Does Not End": "expected its end within 0.3 s, got a running program after ",
    "A Version That Is Another": "does not match: expected /Python 2/ on stdout, got 'Python 3.",
    "A Version On The Other Stream": "expected /version: 7/ on stdout, got nothing. Hint: It stands on stderr",
    "Help Without An Option": "does not mention '--verison': expected all of '--verison', got",
    "Arguments That Are Accepted": "was accepted: expected exit code other than 0, got exit code 0",
    "Arguments That Crash The Program": "crashed: expected a refusal with an exit code, got signal SIGSEGV",
    "Arguments Refused With Another Code": "was refused with another exit code: expected 1, got 2",
    "Arguments Refused Without A Message": "without a message on stderr: expected text on stderr, got nothing on any",
    "Arguments Refused With Processes Left": "left processes behind: expected none, got sleep (",
    "Too Much Memory": "expected < 1 kB, got",
    "Memory Of What Is No Result": "Argument 'result': expected a result of Run Program, got the text 'hello'.",
    "Output That Is Another": "'hello' (str) should be 'goodbye' (str)",
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    folder = tmp_path_factory.mktemp("programs")
    (folder / "plain").write_text("#!/bin/sh\n")
    (folder / "no-interpreter").write_text("#!/no/such/interpreter\n")
    (folder / "no-interpreter").chmod(0o755)
    variables = ("--variable", f"FOLDER:{folder}", "--variable", f"PYTHON:{sys.executable}")
    return run_inner("program_failures.robot", tmp_path_factory.mktemp("out"), *variables)


@pytest.mark.parametrize("name", MESSAGES)
def test_message(failures: InnerRun, name: str) -> None:
    assert failures[name].status == "FAIL"
    assert MESSAGES[name] in failures[name].first_line


def test_every_test_of_the_suite_is_read_and_nothing_is_left_running(failures: InnerRun) -> None:
    assert set(failures.tests) == set(MESSAGES)
    assert failures.leftovers == []


def test_no_message_is_a_traceback(failures: InnerRun) -> None:
    assert not [name for name, test in failures.tests.items() if "Traceback (most recent" in test.message]
