# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""What a check of the wire says when it does not hold."""

from __future__ import annotations

import re

import pytest
from inner_suites import InnerRun, run_inner


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("wire_failures.robot", tmp_path_factory.mktemp("wire_failures"))


MESSAGES = {
    "Request That Succeeds": r"Chat: expected a failure, got 200 in .* for POST /v1/chat/completions with \{.*",
    "Request With Another Status": r"POST .* failed: expected status 400, got 404: .*",
    "Request With A Status Of Another Class": r"POST .* failed: expected status 5xx or 400, got 404: .*",
    "Request Whose Refusal Does Not Come": r"POST .* failed: expected status 4xx, got 200: .*",
    "Stream Whose Refusal Does Not Come": r"POST .* failed: expected status 4xx, got 200: .*",
    "Stream Refused Otherwise": r"POST .* failed: expected status 503, got 404: .*",
    "Stream Refused Unexpectedly": r"POST .* failed: expected status 200, got 404: .*",
    "Stream That Must Fail": r"Streamed chat: expected a failure, got .* for POST /v1/chat/completions with \{.*",
    "Stream That Did Not Break": r"Error: expected a failure, got .* for POST /v1/chat/completions with .*",
    "Status That Is None": r"Argument 'expected_status': expected a status such as 404, a class such as 4xx, .*, got 'nope'\.",
    "Body That Is Accepted": r"Error: expected status 400 or 413 or 415 or 422, got 200: .* for POST /v1/embeddings with \{.*\}\.",
    "Body That Is Refused Otherwise": r"Error: expected status 422, got 400: .* for POST /v1/embeddings with 7\.",
    "Capabilities That Are Not All There": r"simulator does not support all of this: expected each offered, got 'regeneration in the terminal' not offered \(.*\)\.",
    "Capability That Is Misspelt": r"Server Should Support: 'embedings' is not a capability\. Did you mean 'embeddings'\? .*",
    "Capability Of Which Nobody Knows": r"http://127\.0\.0\.1:9 does not support all of this: expected each offered, got 'embeddings' unknown \(no answer: .*\)\.",
    "Capabilities That Nobody Names": r"Server Should Support: expected one capability or more, got none\.",
    "Change Of A Body That Is Wrong Already": r"POST /v1/embeddings: the right body is refused, so that a refusal of the changed one says nothing: expected status 2xx, got 404: .*",
    "Change Of A Body On A Route That Is Not There": r"POST /v1/no-such: the right body is refused, .*: expected status 2xx, got 404: .*",
    "Change Of A Body That Is Accepted": r"Error: expected status 400 or 413 or 415 or 422, got 200: .* for POST /v1/embeddings with \{.*\"other\".*",
    "Change Of A Body To Null That Is Accepted": r"Error: expected status 400 or 413 or 415 or 422, got 200: .* for POST /v1/embeddings with \{.*null.*",
    "Change Of A Body That Is Refused Otherwise": r"Error: expected status 422, got 400: .*",
    "Change Of A Body With Another Code": r"Error: expected code other, got .* in 400: .*",
    "Change Of A Body With Another Type": r"Error: expected type other, got .* in 400: .*",
    "Change Of A Body With Another Parameter": r"Error: expected param other, got .* in 400: .*",
    "Change Of A Body With Another Message": r"Error: expected .*other.*, got .*",
    "Body With Another Code": r"Error: expected code other, got .* in 400: .*",
    "Body With Another Type": r"Error: expected type other, got .* in 400: .*",
    "Body At A Route That Is Not There": r"Error: expected status 400 or 413 or 415 or 422, got 404: .*does not exist.* for POST /v1/no-such with 7\.",
    "Body At A Route Of Another Method": r"Error: expected status 400 or 413 or 415 or 422, got 405: .* for PUT /v1/chat/completions with 7\.",
    "Body With Another Parameter": r"Error: expected param other, got .* in 400: .*",
    "Body With Another Message": r"Error: expected a message that contains 'other', got 400: .*",
    "Request With Another Category": r"Error: expected category RATE_LIMIT, got UNKNOWN in 404: \"POST .*",
    "Request With Another Code": r"Error: expected code context_length, got model_not_found in 404: \"POST .*",
    "Request With Another Case": r"Error: expected a message that contains 'NOBODY', got 404: .*",
    "Request That Fails Too Late": r"Elapsed time: expected < 10 ms, got [\d.]+ m?s.*",
    "Error That Is None": r"Error: expected a failure, got 200 in .*",
    "Idle Server That Works": r"Server 'simulator' is not idle: expected no request at work, got vllm:num_requests_running 1, vllm:num_requests_waiting 0, calls of ours under way 1 after \d+\.\d+ s\.",
    "Cancel What Has Ended": r"Stream Chat cannot be cancelled: expected a call under way, got one that has ended\.",
    "Tokens That Never Come": r"Stream Chat brought too little: expected 5 tokens, got 0, and it runs after \d+\.\d+ s\.",
    "Stream That Never Ends": r"Stream Chat has not ended: expected its end within 50 ms, got 0 tokens so far\.",
    "No Call Started": r"No call is open\. Hint: use Start Call\.",
    "Tool Not Called": r"Tool calls: expected weather\(\), got none, but the text '.*'\.",
    "Tool With Other Arguments": r"Tool calls: expected weather\(\{\"city\": 77\}\), got weather\(.*\)\.",
    "Tool Called In Spite": r"Tool calls: expected none, got weather\(.*\)\.",
    "Tools Not JSON": r"Argument 'tools': expected functions as JSON such as .*, got '\[weather\]'\.",
    "Text Instead Of JSON": r"Answer: expected JSON, got 'The capital of France is Paris\.' \(Expecting value: .*\)\.",
    "JSON That Does Not Fit": r"Answer: expected JSON that fits the schema, got '\{.*\}': \$\.a '.*' is not of type 'integer'\.",
    "No Log Probabilities": r"Log probabilities: expected one for each token, got none\. Hint: ask with logprobs=1\.",
    "Attempts Of A Failed Call": r"Expected 2 attempts, got 1:",
    "Backoff Without Retries": r"Backoff: expected at least two attempts, got 1:",
    "Backoff Of Another Policy": r"Backoff: wait 1: expected 0\.04 s, got 0\.01 s; wait 2: expected 0\.08 s, got 0\.02 s\. The attempts:",
    "Order Of Typed Events": r"Order: RS4: The sequence numbers of the events rise by one\. Got \d+ after \d+ in event \d+ at byte \d+\.",
    "Embeddings That Differ": r"Embeddings: expected equal vectors within 1e-06, got a difference of 0\.\d+ in vector 0\.",
    "Similarity Too Low": r"Similarity: expected > 0\.999, got -?0\.\d+\.",
    "Metric Of Buckets": r'Metric vllm:e2e_request_latency_seconds_bucket: its samples are parts that add up to nothing: expected one of them by labels=\{"le": \.\.\.\}, got 0\.3, 0\.5, 0\.8, 1\.0, 1\.5 and \d+ more\.',
    "Unknown Metric": r"Metric vllm:num_request_running: there is no sample of it\. Did you mean 'vllm:num_requests_running'\?",
    "Metric That Has Not Risen": r"Metric vllm:request_success_total: expected a rise by 1, got 0 \(from \d+\)\.",
    "Some Of Ten Fail": r"Requests at once: expected at least 80 % to succeed, got 70 % \(7 of 10\)\.",
    "One Of Five Fails": r"Requests at once: expected at least 100 % to succeed, got 80 % \(4 of 5\)\.",
    "Too Slow Together": r"5 requests at once: expected all within 0 ms, got \d+ ms\.",
    "Answers Of Others": r"Isolation: (expected '\w+' in answer \d, got '.*'|answer \d to '\w+' holds that of '\w+')\.",
    "Equal Prompts Prove Nothing": r"Isolation: expected prompts that all differ; equal ones cannot be told apart\.",
    "Pass Rate Too Low": r"Pass rate of 'Chat': expected at least 90\.0%, got 7 of 10 passed \(70\.0%, 95 % confidence 39\.7% to 89\.2%\)\.",
    "Pass Rate Not Sure": r"Pass rate of 'Chat': expected at least 99\.0% with confidence, got 5 of 5 passed \(100\.0%, 95 % confidence 56\.6% to 100\.0%\)\.",
    "None Of The Words": r"Answer: expected a text that contains one of 'Rome', 'Berlin', got 'The capital of France is Paris\.'\.",
    "Answers That Differ": r"Agreement: expected the same text, got a difference at character 15: 'France is Paris\.' and 'Italy is Rome\.'\.",
    "Answers That Differ Clearly": r"Agreement: expected the same text, got a difference at character 15: .*, the likelier token leads by \d\S* nats\.",
    "No Recording": r"'/no/such/recording\.json' is not a recording of a call: expected a file of format 2, got no such file or directory\.",
    "Stalled Stream": r"Stalls of a stream: expected at most 0, got 1: \d+ ms at 0\.\d+ s\.",
}


@pytest.mark.parametrize("test", MESSAGES)
def test_the_message_is_one_clear_line(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line, re.DOTALL), run[test].first_line
    assert "Traceback" not in run[test].message


def test_every_test_is_read(run: InnerRun) -> None:
    assert set(run.tests) == set(MESSAGES)


def test_nothing_is_left(run: InnerRun) -> None:
    assert run.leftovers == []
