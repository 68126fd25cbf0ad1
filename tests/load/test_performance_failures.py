# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""Thresholds that are not met, and measurements of nothing, read as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from inner_suites import INNER, InnerRun, run_inner
from wire_server import DONE, END_OF_BODY, STREAM_HEAD, WireServer, delta, piece

NUMBER = r"\d+(\.\d+)?"

MESSAGES = {
    "Too Slow": rf"Tokens per second of 'paced' \(p50 of 2 iterations\): expected at least 1000 tokens/s, got {NUMBER} tokens/s\.",
    "Slower Than Expected Warns": r"it was a warning",
    "Too Slow Inline": rf"Tokens per second of 'paced' \(p50 of 1 iteration\): expected > 1000 tokens/s, got {NUMBER} tokens/s\.",
    "First Token Too Late": rf"Time to first token of 'paced' \(max of 2 iterations\): expected at most 20 ms, got {NUMBER} ms\.",
    "First Token Too Late Inline": rf"Time to first token of 'paced' \(p90 of 1 iteration\): expected < 20 ms, got {NUMBER} ms\.",
    "Gaps Too Long": rf"Inter-token latency of 'paced' \(p50 of 1 iteration\): expected < 1 ms, got {NUMBER} ms\.",
    "Whole Answer Too Long": rf"End-to-end latency of 'paced' \(p50 of 1 iteration\): expected < 50 ms, got {NUMBER} ms\.",
    "Too Much Memory": rf"Memory of 'paced' is too high \(PSS of its process tree\): expected below 1 MB, got {NUMBER} MB {NUMBER} s after the start; \d+ samples in {NUMBER} s\.",
    "Too Much Memory Inline": rf"Peak memory of 'paced' \(RSS\): expected < 1 MB, got {NUMBER} MB\.",
    "Own Words": r"Too slow for the product\.",
    "Nothing Measured": r"No measurement is open\. Hint: use Measure Generation\.?",
    "Measured By Another Test": r"No measurement is open\. Hint: use Measure Generation\.?",
    "Nothing To Draw": r"No measurement is open\. Hint: use Measure Generation\.?",
    "Nothing Watched": r"No memory monitor is open\. Hint: use Start Memory Monitor\.?",
    "Nothing Generated": rf"Iteration 1 of 3 of the measurement of '\S+' generated nothing: expected at least one token, got a stream without output \(finish reason: stop\) after {NUMBER} s\.",
    "All Tokens At Once": r"The measurement of '\S+' has no tokens per second: expected two or more tokens whose times are known, got 1 token shown: a rate needs two or more \(iteration 1\)\.",
    "Stream Cut In The Middle": r"POST \S+/v1/chat/completions of server 'simulator' failed: expected a stream with a proper end, got .* after 3 events .*",
    "No Iterations": r"A measurement needs iterations: expected 1 or more, got 0\.",
    "Unknown Percentile": r"Unknown percentile: expected p50, p99\.9 or the like, median, mean, min or max, got 'best'\.",
    "Unknown Size": r"Unknown size of memory: expected a number with B, kB, MB, GB, KiB, MiB or GiB, got '2 XB'\.",
    "Remote Memory": r"Server '\S+' cannot be watched: expected a process that this library started, got a server at http://127\.0\.0\.1:\d+\. Hint: give the process with pid= when it runs on this machine",
    "No Such Process": r"Process 4194304 of 'process 4194304' cannot be watched: expected a process, got none\.",
    "Interval Too Short": r"The interval of a memory monitor is too short: expected at least 10 ms, got 1 ms\.",
    "Generation Too Long": r"POST \S+/v1/chat/completions of server 'paced' failed: expected .* within the total time limit of 0\.03 s .*",
    "Load Too Slow": rf"Ttft_p50 of 'paced': expected < 20 ms, got {NUMBER} ms\.",
    "Load Too Slow Inline": rf"Ttft_p50 of 'paced': expected < 20 ms, got {NUMBER} ms\.",
    "Load With Failures": r"Failures of '\S+': expected == 0, got 3\.",
    "Load Of A Server That Dies": r"Failures of 'dying': expected == 0, got 1\d\.",
    "Load Of A Server That Refuses": r"Failures of '\S+': expected == 0, got 3\.",
    "Load Of Errors Only": r"Error_rate of 'erring': expected <= 1 %, got 100 %\.",
    "Load Of A Server That Stalls": r"Failures of 'stalling': expected == 0, got 2\.",
    "Load In One Chunk": r"The load of '\S+' has no tokens per second of a request: got 3 of 3 requests succeeded; 1 token shown: a rate needs two or more\.",
    "Load Without Usage": r"Output_tokens of '\S+': expected >= 100, got 3\.",
    "Compared By No Tolerance": r"A tolerance cannot be read: expected a share, such as 10 % or 0\.1, got 'ten'\.",
    "Baseline Of Another Machine": r"it was a warning",
    "Load That Nobody Can Trust": r"The load of 'paced' cannot be trusted: expected a client that is not the bottleneck, got the client was slow\.",
    "Load Held To A Typo": r"Unknown figure 'tftp99': expected one of requests, .* Hint: did you mean 'ttft_p99'\?",
    "Load Held To No Unit": r"The limit 'ttft_p99 < 1' cannot be read\. Expected a time with a unit, such as 200 ms or 2 s, got '1'\.",
    "Load Held To Half A Limit": r"A limit cannot be read: expected one such as 'ttft_p99 < 300 ms', got 'ttft_p99'\.",
    "Load Held To Nothing": r"A load is held to nothing: expected limits such as 'ttft_p99 < 300 ms'\.",
    "Load Without A Schedule": r"A load needs a schedule: expected users=, rate= or trace=, one of them, got neither\.",
    "Load With Two Schedules": r"A load needs a schedule: expected users=, rate= or trace=, one of them, got users and rate\.",
    "Load Of An Unknown Rate": r"A rate cannot be read: expected requests a second, such as 5/s or 1/s to 10/s, got '5 per hour'\.",
    "Load Of A Change Without Time": r"A rate that changes needs both: expected such as rate=1/s to 10/s and ramp=30 s, got '1/s to 5/s'\.",
    "Load Of Users In Bursts": r"A load by users= has no burst: expected rate= beside burst=\.",
    "Load Of A Misspelt Kind": r"Kind 1 of the load has an unknown 'wieght': expected some of name, weight, .* Hint: did you mean 'weight'\?",
    "Load Of A Kind Of Another Type": r"Kind 2 of the load: 'max_tokens' cannot be read: expected a number, got True\.",
    "Load Of Half A Kind": r"Kind 1 of the load is half a request of its own: expected both, such as .*, got path\.",
    "Load Of No Kinds": r"Argument 'kinds': expected kinds such as .*, got '\[\]'\.",
    "Load Of Two Sources": r"A load has two sources of prompts: expected prompt= or prompts=, one of them\.",
    "Load By No Tokenizer": r"The tokenizer '\S+/nowhere' does not exist: expected the tokenizer\.json of a model, or the folder that it is in\.",
    "Load In Talks At A Rate": r"Conversations belong to users: expected users= beside turns=, got 5 requests/s \(constant\)\.",
    "Load Without An End": r"A load has no end: expected requests=, duration=, or both\.",
    "Load That Is Too Much": r"Server 'paced' does not hold its load: expected 1 users or more within ttft_p50 < 20 ms, failures == 0, got not even these\.",
    "Load That Is Held But Not Enough": r"Server 'paced' does not hold its load: expected 3 users or more within ttft_p50 < 5 s, failures == 0, got 2\.",
    "Search With A Typo": r"The limit 'ttft_p50 < 20' cannot be read\. Expected a time with a unit, such as 200 ms or 2 s, got '20'\.",
    "Search Without A Limit": r"A load is held to nothing: expected limits such as 'ttft_p99 < 300 ms'\.",
    "Search For Two Kinds": r"A search needs one kind of load: expected users= or rate=, got both\.",
    "Search By A Trace": r"A limit cannot be read: expected one such as 'ttft_p99 < 300 ms', got 'trace=times\.jsonl'\. Hint: this keyword has no argument 'trace'",
    "Search By A Rate That Rises": r"A search raises the rate itself: expected the rate to begin with, such as 5/s, got '1/s to 5/s'\.",
    "Servers Compared By Two Schedules": r"A load needs a schedule: expected users=, rate= or trace=, one of them, got users and trace\.",
    "Search From Above": r"The largest load cannot be searched for: expected a first load above zero and up to the largest, a precision of 0 to 1, got 4, 2 and 0\.1\.",
    "Slower Than Before": r"Load of 'paced' and its baseline: expected no figure more than 10 % worse, got ttft worse\.",
    "Too Few To Tell": r"Load of 'paced' and its baseline cannot be told apart: expected intervals within or beyond 0 %, got ttft in between\. Hint: run more requests, tolerate more, or let it pass with undecided=True",
    "No Baseline": r"Baseline '\S+/nowhere' does not exist\. Hint: give save_as= to Run Load",
    "Too Few Rounds": r"Two servers cannot be compared: expected 6 rounds or more, got 3\.",
    "Servers Compared By A Typo": r"Unknown figure 'tftt': expected one of ttft, .*",
    "Goodput With A Typo": r"Unknown figure 'tftt': expected one of ttft, .*",
    "Goodput Above": r"A limit of goodput cannot be read: expected <, got 'ttft > 1 s'\.",
    "Load Stopped By A Timeout": r"Test timeout 1 second exceeded\.",
    "Memory That Grows": r"Memory of 'grown' grows: expected at most 10 MB more, got 102 MB at the beginning, 117 MB at the end \(RSS\); 20 samples in 19\.00 s\.",
    "Growth Of Too Few Samples": r"Growth of the memory of 'paced' cannot be told: expected 8 samples or more of its RSS, got \d\. Hint: watch longer, or at a shorter interval",
    "Growth By A Typo": r"A limit of growth cannot be read: expected one such as 20 MB or 10 %, got 'ten %'\.",
    "Too Many Threads": rf"Threads of 'paced': expected < 1, got {NUMBER}\.",
    "Metric That Is Too High": r"Max of vllm:num_requests_running of 'paced': expected < 0, got 0\.",
    "Metric By A Typo": r"Unknown metric 'vllm:num_request_running': expected one of .* Hint: did you mean 'vllm:num_requests_running'\?",
    "No Metrics Watched": r"No metrics monitor is open\. Hint: use Start Metrics Monitor\.?",
    "Stopped By A Timeout": r"Test timeout 500 milliseconds exceeded\.",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InnerRun]:
    silent = [STREAM_HEAD, piece(delta(role="assistant")), piece(delta(finish="stop")), piece(DONE), END_OF_BODY]
    lump = [STREAM_HEAD, piece(delta("all at once")), piece(delta(finish="stop")), piece(DONE), END_OF_BODY]
    no_output, one_chunk = WireServer([silent]), WireServer([lump])
    yield run_inner(
        "performance_fail.robot",
        tmp_path_factory.mktemp("performance_fail"),
        "--listener",
        str(INNER / "trusting.py"),
        "--variable",
        f"NO_OUTPUT:{no_output.url}",
        "--variable",
        f"ONE_CHUNK:{one_chunk.url}",
    )
    no_output.close()
    one_chunk.close()


@pytest.mark.parametrize("test", MESSAGES)
def test_the_first_line_tells_it_all(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message


def test_every_test_of_the_suite_fails(run: InnerRun) -> None:
    assert {name: test.message for name, test in run.tests.items() if test.status != "FAIL"} == {}
    assert set(run.tests) - set(MESSAGES) <= {"No Gpu Memory"}
    assert "Traceback" not in "".join(test.message for test in run.tests.values())


def test_the_iterations_stand_below(run: InnerRun) -> None:
    _, heading, *lines = run["Too Slow"].message.splitlines()
    assert re.fullmatch(r"Iterations \(\d+ tokens in all, counted by the server\):", heading)
    assert [line.split(":")[0].strip() for line in lines] == ["1", "2"]


def test_a_slower_measurement_may_warn_in_place_of_failing(run: InnerRun) -> None:
    [warning] = [line for line in run["Slower Than Expected Warns"].log if "expected at least 1000 tokens/s" in line]
    assert warning.startswith("Tokens per second of 'paced' (mean of 2 iterations)")


@pytest.mark.parametrize(
    ("test", "detail"),
    [
        ("Load Of A Server That Dies", r"Remark: the server died: its process ended with exit code 1 \(memory ran out: use a smaller model or free the GPU\.\)"),
        ("Load Of A Server That Dies", r"\d+ times refused"),
        ("Load Of A Server That Refuses", r"    3 times refused\n    the first: Connection refused"),
        ("Load Of Errors Only", r"    3 times status 503\n    the first: .+"),
        ("Load Of A Server That Stalls", r"    2 times stall\n    the first: nothing came for 0\.3 s"),
        ("Load Without Usage", r"Remark: tokens were counted by chunks: not every answer had a usage"),
    ],
)  # fmt: skip
def test_what_went_wrong_stands_below(run: InnerRun, test: str, detail: str) -> None:
    assert re.search(detail, run[test].message), run[test].message


def test_a_baseline_of_another_machine_is_told(run: InnerRun) -> None:
    warnings = [line for line in run["Baseline Of Another Machine"].log if "is of another machine" in line]
    assert len(warnings) == 1
    assert "for abacus" in warnings[0]


def test_a_timeout_leaves_nothing_behind(run: InnerRun) -> None:
    assert run.leftovers == []


def test_a_load_that_was_cut_is_kept(run: InnerRun) -> None:
    message = run["Load Stopped By A Timeout"].message
    assert re.search(rf"Requests of 'paced': expected >= 100000, got {NUMBER}\.", message)
    assert "Failures of" not in message
    [folder] = run.output_dir.glob("inference/loads/load-stopped-by-a-timeout-paced-*")
    rows = (folder / "requests.jsonl").read_text().splitlines()
    assert len(rows) >= 2
    assert (folder / "summary.json").exists()


def test_threads_do_not_log(run: InnerRun) -> None:
    assert "memory-monitor" not in run.everything()
