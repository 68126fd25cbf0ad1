# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""What a person reads when a job of a worker went wrong."""

import re

import pytest
from inner_suites import InnerRun, run_inner


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("worker_fail.robot", tmp_path_factory.mktemp("worker_fail"))


MESSAGES = {
    "Wrong Values": r"POST http://\S+/execute of server 'worker' failed: expected status 200, got 400: .*max_tokens must be at least 1.*",
    "Stream Breaks Off": r"POST http://\S+/execute of server 'worker' failed: expected a stream with a proper end, got a connection that broke off \(.*\) after 3 events \('.*'\) after \d+\.\d+ s\.",
    "No Terminal Event": r"POST http://\S+/execute of server 'worker' failed: expected a stream with a proper end, got an end without an end or error event, the last one was (token|metrics) after \d+ events \('.*'\) after \d+\.\d+ s\.",
    "No Event Stream": r"POST http://\S+/execute of server 'worker' failed: expected an event stream \(text/event-stream\) or lines of JSON, got text/html.*",
    "Over Before It Is Cancelled": r"Job job-\d+ was over before it could be cancelled: expected more than 3 tokens, got 2 tokens and then max_tokens\. Hint: give it more max_tokens, or a slower worker\.",
    "Started Late": r'Order of the-job: W1: .* Got "token" first in event 1 at byte 0\. \(2 times\)',
    "Lost Token": r"Order of the-job: W4: .* Got i 3, 2 expected in event 4 at byte \d+\. \(2 times\)",
    "Swapped Tokens": r"Order of the-job: W4: .* Got i 1, 0 expected in event 2 at byte \d+\. \(\d times\)",
    "Two Ends": r"Order of the-job: W1: .* Got `end` again in event 7 at byte \d+\.",
    "Names Differ": r'Order of the-job: W2: .* Got the name "something" for the type "token" in event 4 at byte \d+\.',
    "Broken In The Middle": r'Order of the-job: W1: .* Got "token" as the last event\.',
    "Too Few Tokens": r"Tokens of few: expected 5, got 4, then max_tokens\.",
    "Count Is Not As Sent": r"Tokens of miscounted: expected tokens_out 3 as sent, got 4\.",
    "Completed With An Error": r"Job oom did not complete: expected an end, got error VRAM_OOM: The engine died after 1 tokens\.",
    "Completed With Another Count": r"Job miscounted: expected tokens_out 3 as sent, got 4\.",
    "Completed For Another Reason": r"Job stopped: expected stop reason stop_sequence, got max_tokens after 4 tokens\.",
    "Not Cancelled": r"Job done was not cancelled: expected stop reason or error code cancelled, got max_tokens after 4 tokens\.",
    "Cancel Is Refused": r"POST \S+/cancel/job-1 of server 'simulator' failed: expected status 2xx, got 404: .*",
    "Not A Job": r"Argument 'job': expected a job of Execute Job, got the text 'nothing'\.",
    "Nothing To Run": r"There is nothing to ask: expected at least one text and a count of at least 1\.",
    "Several Fail": r"2 of 4 calls of Execute Job at once failed; the first: POST http://\S+/execute of server 'worker' failed: expected status 200, got 503: .*",
}


@pytest.mark.parametrize("test", MESSAGES)
def test_the_first_line_tells_it_all(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message


def test_every_test_of_the_suite_is_read(run: InnerRun) -> None:
    assert set(run.tests) == set(MESSAGES)
    assert run.leftovers == []
    assert "Traceback" not in run.console
