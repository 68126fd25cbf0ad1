# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""Every clause of a check fails for its own reason: an option that is never compared would let these tests pass."""

from __future__ import annotations

import re

import pytest
from inner_suites import INNER, InnerRun, run_inner

EMPTY = (
    r"Nothing is looked for in {}: expected a text, got an empty one, which is everywhere\. Hint: is a variable unset\?"
)
NEITHER = (
    r"What is looked for in the help is not clear: expected a text, or a regular expression by matching=, got neither\."
)
STYLE = r"The text 'word' is drawn otherwise \(terminal 'sh'\): expected {}, got {} at column 0, row 0; .*"

MESSAGES = {
    "Empty In A Reply": EMPTY.format("the answer"),
    "Empty Among Several In A Reply": EMPTY.format("the answer"),
    "None Of Several In A Reply": EMPTY.format("the answer"),
    "Empty In An Error": EMPTY.format("the error"),
    "Empty In A Log": EMPTY.format("the log"),
    "No Empty In A Log": EMPTY.format("the log"),
    "Empty On A Screen": EMPTY.format("the screen"),
    "No Empty On A Screen": EMPTY.format("the screen"),
    "Empty Awaited On A Screen": EMPTY.format("the screen"),
    "Empty In A Style": EMPTY.format("the screen"),
    "Empty In An Inline Assertion": EMPTY.format("Screen"),
    "No Word Of A Help": NEITHER,
    "Empty Word Of A Help": EMPTY.format("the help"),
    "Help Of A Program That Fails": r"sh --help failed: expected exit code 0, got exit code 3 after \d+\.\d+ s\.",
    "Word Of A Help That Must Be Missing": r"The help of .* mentions '-c': expected none of '--no-such-option', '-c', got .*",
    "Pattern Of A Help That Must Be Missing": r"The help of .* mentions /\^USAGE/ in any case: expected no match of .*, got .*",
    "No Word That A Help Must Lack": NEITHER,
    "Word And Pattern That A Help Must Lack": r"What is looked for in the help is not clear: .*, got both\.",
    "No Help That Lacks A Word": r"The help of sh does not match: expected /\\S/ on stdout, got nothing\.",
    "Lacking Word Of A Program That Fails": r"sh --help failed: expected exit code 0, got exit code 3 after .*",
    "Empty Pattern Of A Version": EMPTY.format("the version"),
    "Empty Mention Of A Refusal": EMPTY.format("the message"),
    "Another Parameter": r"Error: expected param temperature, got .* in.*",
    "Another Type": r"Error: expected type rate_limit_error, got .* in.*",
    "Another Message": r"Error: expected a message that contains 'no such words', got.*",
    "Another Code In An Answer": r"Error: expected code model_not_there, got .* in.*",
    "No Error In An Answer": r"Error: expected a failure, got 200 in .*",
    "Status Without An Answer": r"Statuses: expected only 200, got 2 x no answer\.",
    "Rise That Is Too Large": r"Metric vllm:request_success_total: expected a rise by 1, got 2 \(from \d+\)\.",
    "Rise By Nothing Of A Name That Is Not There": r"Metric vllm:no_such_total: there is no sample of it\..*",
    "Rise By Nothing While A Request Is Under Way": r"Metric vllm:request_success_total: expected a rise by 0, got 1 \(from \d+\)\.",
    "Rise With Other Labels": r"Metric vllm:request_success_total: (expected a rise by 1, got 0|there is no sample of it with the labels).*",
    "Rise By A Fraction": r"Metric vllm:request_success_total: expected a rise by 0\.5, got 1 \(from \d+\)\.",
    "Counters Without Any Answer": r"Counters: expected at least one answer to hold them against, got none\.",
    "Counters With One Answer Too Few": r"Counters: expected a rise of vllm:request_success_total by 1, got 2; .* for 1 answers\.",
    "Counters With An Answer Without Usage": r"Counters: expected usage in every answer\. Hint: stream with include_usage=True\.",
    "Counters That No Profile Names": r"The profile of '.*' names no counters: it needs a section 'metrics'\.",
    "Idle Before The Request Has Arrived": r"Server 'simulator' is not idle: expected no request at work, got .*calls of ours under way 1 after \d+\.\d+ s\.",
    "Idle By A Slow Page": r"Whether server 'simulator' is idle is not known: expected its metrics within 200 ms, got .* after \d+\.\d+ s\.",
    "Line Of An Earlier Time": r"The log of server 'simulator' lacks what was expected since the test began: .*",
    "Line Since The Start": r"The log of server 'simulator' holds what it should not, since the start began: .*",
    "Log Of A Server That Is Not Ours": r"Server '.*' has no log here: it was not started by the library\. Hint: .*",
    "Log With A Pattern That Is None": r"'\(' is not a regular expression: got .*",
    "Timing Of A Server That Is Not Ours": r"Server '.*' has no time of the stage 'healthy': expected one of none: it was not started by the library\.",
    "Memory Of Another Kind": r"Memory of 'simulator' is too high \(RSS of its process tree\): expected below .*",
    "Tool With Another Value": r"Tool calls: expected weather\(.*another.*\), got weather\(.*\)\.",
    "Vectors One Way": r"Embeddings: expected equal vectors within 1e-06, got a difference of 0\.\d+ in vector 0\.",
    "Vectors The Other Way": r"Embeddings: expected equal vectors within 1e-06, got a difference of 0\.\d+ in vector 0\.",
    "Second Place In A Row Is Drawn Otherwise": r"The text 'word' is drawn otherwise .*: expected bold False, got bold True at column 5, row 0; .*",
    "First Place In A Row Is Drawn Otherwise": r"The text 'word' is drawn otherwise .*: expected bold False, got bold True at column 0, row 0; .*",
    "Not Bold": STYLE.format("bold False", "bold True"),
    "Not Dim": STYLE.format("dim True", "dim False"),
    "Not Italic": STYLE.format("italic True", "italic False"),
    "Not Underlined": STYLE.format("underline True", "underline False"),
    "Not Inverse": STYLE.format("inverse True", "inverse False"),
    "Another Foreground": STYLE.format("foreground 2", "foreground 1"),
    "Another Background": STYLE.format("background 1", "background default"),
    "No Second Row From The End": r"There is no such row \(terminal 'sh'\): expected -1 to 23, got -2.*",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("clauses.robot", tmp_path_factory.mktemp("clauses"))


@pytest.mark.parametrize("test", MESSAGES)
def test_a_clause_fails_for_its_own_reason(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message


def test_every_test_of_the_suite_is_read() -> None:
    text = (INNER / "clauses.robot").read_text(encoding="utf-8").partition("*** Test Cases ***")[2]
    names = re.findall(r"^(\S.*)$", text.partition("*** Keywords ***")[0], re.MULTILINE)
    assert names == list(MESSAGES)
