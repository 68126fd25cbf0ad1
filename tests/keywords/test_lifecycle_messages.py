# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""What a person reads when a server goes wrong in some stage of its life."""

import re

import pytest
from inner_suites import InnerRun, run_inner

ENDED = r"Server 'mine' ended before it was ready: expected a listener on port \d+, got "

MESSAGES = {
    "Wrong Architecture": r"Program '\S+/foreign' cannot be run: expected a program for \w+, got one for riscv64\. Hint: Build it, or download it, for this machine\.?",
    "Missing Interpreter": r"Program '\S+/lost' cannot be run: expected an interpreter that exists, got '/no/such/interpreter' in its first line\.",
    "Killed From Outside": ENDED
    + r"signal SIGKILL after \d+\.\d+ s\. Hint: somebody killed it; the kernel does when memory runs out: see dmesg\.",
    "Unknown Flag": r"Server 'simulator' ended before it was ready: expected the announced address, got exit code 2 after .* Hint: the program does not know an argument: compare the command line with its --help\.",
    "Missing Library": ENDED + r"exit code 127 after .* Hint: a shared library is missing: see ldd\.",
    "Missing Model File": ENDED
    + r"exit code 1 after .* Hint: a file is missing: check the paths; in a profile, \{profile_dir\} is the folder that it lies in\.",
    "No Gpu": ENDED + r"exit code 1 after .* Hint: no GPU can be used here: see nvidia-smi, or run where one is\.",
    "Own Hint": ENDED + r"exit code 1 after .* Hint: feed the hamster\.",
    "Dies During Load": r"Server 'mine' ended before it was ready: expected 200 on GET /health, got exit code 9 after \d+\.\d+ s\.",
    "Unwell Forever": r"Server 'mine' is not ready \(healthy\): expected 200 on GET /health, got status 200 with the body '\{\"status\": \"starting\"\}' after \d+\.\d+ s; the stage's budget is 0\.3 s; process \d+ runs\. Hint: give it more time with ready\.budgets\.healthy in the profile, or read its log\.",
    "Hangs On The First Request": r"Server 'mine' is not ready \(first token\): expected a first token from a chat, got POST .* after .*; the stage's budget is 0\.5 s; process \d+ runs\. Hint: .*",
    "Wrong Model Name": r"Server 'mine' is not ready \(model listed\): expected the model 'mine' on GET /v1/models, got a list of another-model after .*; the stage's budget is 0\.3 s; process \d+ runs\. Hint: .*",
    "Refuses The First Request": r"Server 'mine' is not ready \(first token\): expected a first token from a chat, got POST .* got 401: no such key.* after \d+\.\d+ s; process \d+ runs\. Hint: it wants a key: give api_key=, or .*INFERENCE_API_KEY where the target is used\.",
    "Stage Over Its Budget": r"Server 'mine' is not ready \(listening\): expected a listener on port \d+, got connection refused after \d+\.\d+ s; the stage's budget is 0\.2 s; process \d+ runs\. Hint: give it more time with ready\.budgets\.listening in the profile, or read its log\.",
    "Foreign Server On The Port": r"Server 'mine' is not ready \(listening\): expected its own listener on port \d+, got one of .* \(pid \d+\) after \d+\.\d+ s; process \d+ runs\. Hint: another program answers there: .*",
    "Not Graceful": r"Server 'simulator' did not stop gracefully: expected its end within 0\.3 s after TERM, got none, and it was killed after \d+\.\d+ s\.",
    "Graceful End Of A Dead One": r"Server 'simulator' did not stop gracefully: expected one that runs, got one that had ended with exit code 7\.",
    "Should Have Exited And Runs": r"Server 'simulator' should have exited: expected its end, got process \d+, which runs after \d+\.\d+ s\.",
    "Exited With Another Code": r"Server 'simulator' should have exited: expected exit code 0, got exit code 7\.",
    "Exited By Another Signal": r"Server 'simulator' should have exited: expected signal SIGSEGV, got signal SIGKILL\.",
    "Unknown Signal": r"'SIGHUPP' is not a signal: expected a name such as SIGKILL, or a number\.",
    "Log Lacks It": r"The log of server 'simulator' lacks what was expected since the test began: expected a line with 'no such line', got \d+ lines without it\.",
    "Log Holds It": r"The log of server 'simulator' holds what it should not, since the test began: expected no line with 'listening on', got 1 of \d+ lines\.",
    "Broken Pattern": r"'\(' is not a regular expression: got missing \), unterminated subpattern at position 0\. Hint: leave matching= out for plain text\.",
    "A Check Does Not Pass": r"Server 'simulator' is not ready \(checks passed\): expected the file /no/such/file to pass, got no such file after \d+\.\d+ s; process \d+ runs\. Hint: .+",
    "A Check That Is None": r"Check 1 cannot be used: expected a function, or an object with one of command, tcp, grpc, file, python, got Object contains unknown field `fiel`\.",
    "Its Guard Is Killed": r"POST \S+ of server 'simulator' failed: .*; its process ended with signal SIGKILL, after its guard \(process \d+\) ended with signal SIGKILL\.",
    "A Stranger Shares The Port": r"Server 'mine' shares its port \d+: expected nobody else who listens there, got \S+ \(pid \d+\)\. Hint: calls reach either of them: stop the other one\.",
    "Left A Process Behind": r"Server 'mine' left something behind: expected nothing, got the processes sleep \(pid \d+\)\.",
    "A Crash Left A Process Behind": r"Server 'mine' left something behind: expected nothing, got the processes sleep \(pid \d+\)\.",
    "Leaks Of A Living One": r"What server 'simulator' left behind cannot be told: it runs\.",
    "Pause A Remote One": r"Server 'remote' cannot be paused: expected a process that the library started, got a remote server\.",
    "Pause A Dead One": r"Server 'simulator' cannot be paused: got one that ended: signal SIGKILL\.",
    "Restart A Remote One": r"Server 'remote' cannot be restarted: expected a process that the library started, got a remote server\.",
    "Stage Not Gone Through": r"Server 'simulator' has no time of the stage 'first token': expected one of spawned, listening, healthy\.",
    "Too Slow A Start": r"Time of server 'simulator' until it was healthy: expected < 1 ms, got .*",
    "Missing CA File": r"The CA file '/no/such\.pem' of a TLS connection does not exist\.",
    "Tls Options Without Tls": r"TLS options have no effect on http://127\.0\.0\.1:9: expected a URL that begins with https:\.",
    "Proxy That Is No Url": r"The proxy cannot be used: expected none, environment or http://host:port, got 'somewhere'\.",
    "Gpu Size Without A Unit": r"GPU memory cannot be judged: expected a size with a unit, such as 500 MB or 2 GiB, got '500'\.",
    "Failed With A Log": r"on purpose",
}

LOG_TAILS = {
    "Dies During Load": "loading shard 3 of 8",
    "Missing Library": "libcuda.so.1",
    "Stage Over Its Budget": "slow",
    "Not Graceful": "listening on",
    "Log Holds It": "listening on",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("lifecycle_fail.robot", tmp_path_factory.mktemp("lifecycle_fail"))


@pytest.mark.parametrize("test", MESSAGES)
def test_the_first_line_tells_it_all(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message


@pytest.mark.parametrize("test", LOG_TAILS)
def test_the_end_of_the_log_stands_below(run: InnerRun, test: str) -> None:
    assert any(LOG_TAILS[test] in line for line in run[test].message.splitlines()[1:]), run[test].message


def test_what_a_server_wrote_is_attached_to_a_failed_test(run: InnerRun) -> None:
    (attached,) = [line for line in run["Failed With A Log"].log if "during this test" in line]
    assert "Log of server &#x27;talker&#x27; during this test" in attached
    assert "listening on" in attached


def test_an_end_by_itself_is_told_whatever_its_code(run: InnerRun) -> None:
    assert "Server 'mine' ended by itself" not in run.console, "a start that failed is told by its error"


def test_a_stranger_on_the_port_is_told_at_the_end_of_the_test(run: InnerRun) -> None:
    told = r"Server 'mine' shared its port \d+ during 'A Stranger Shares The Port': \S+ \(pid \d+\) listened there too"
    assert len(re.findall(told, run.console)) == 1
    assert "shared its port" not in "".join(
        line for test in run.tests if "Stranger" not in test for line in run[test].log
    )


def test_every_case_of_the_suite_is_read(run: InnerRun) -> None:
    assert set(run.tests) == set(MESSAGES)


def test_no_message_shows_a_traceback(run: InnerRun) -> None:
    for name, outcome in run.tests.items():
        assert "Traceback" not in outcome.message, name
    assert "Traceback" not in run.console


def test_nothing_is_left_running(run: InnerRun) -> None:
    assert run.leftovers == []
