# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""What a person reads when something is wrong: one line with what, expected, got, how long and a hint; log below."""

import re

import pytest
from inner_suites import InnerRun, run_inner
from machine import patience


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    options = ["--variable", f"PATIENCE:{patience(2):.1f} s"]
    return run_inner("servers_fail.robot", tmp_path_factory.mktemp("servers_fail"), *options)


MESSAGES = {
    "Unknown Profile": r"No profile 'simulatr': expected the path of a YAML file or one of .*simulator.* Did you mean 'simulator'\? Hint: rfinference profiles lists them\.",
    "Unknown Key": r"\S+/mine\.yaml:3: key 'start\.comand': unknown key\. Allowed here: alternatives, announcement, command, .* Did you mean 'command'\?",
    "Wrong Type": r"\S+/mine\.yaml:4: key 'ready\.health\.statuses': expected a list, such as \[.*\], got a text \(.*\)\.",
    "Not YAML": r"\S+/mine\.yaml:\d+ is not YAML: .*expected .*",
    "Unknown Placeholder": r"\S+/mine\.yaml:3: key 'start\.command\[2\]': nothing fills the placeholder '\{prot\}'\. Allowed: host, model, port, python\. Did you mean \{port\}\?",
    "Unknown Option": r"Profile 'simulator' has no option 'sed': expected one of .*\bseed\b.*\bport\b.* Did you mean 'seed'\?",
    "Option Of The Wrong Type": r"Option 'seed' of profile 'simulator': expected a whole number, got 'many'\.",
    "No Such Binary": r"Program '/no/such/binary' cannot be run: expected a file, got nothing at that path\. Hint: The folder '/no/such' does not exist either; '/' does",
    "Binary Not On The Path": r"Program 'no-such-binary-anywhere' does not exist: expected a file on the PATH, got none\. Hint: Give its path, or put its folder on the PATH",
    "Not Executable": r"Program '\S+/plain' cannot be run: expected an executable file, got mode \S+ without the right to execute\. Hint: chmod \+x \S+/plain",
    "No Interpreter Line": r"Program '\S+/script' cannot be run: expected a program, got a text file whose first line names no interpreter\. Hint: Begin it with #!/bin/sh or the like",
    "Dies At Start": r"Server 'mine' ended before it was ready: expected a listener on port \d+, got exit code 3 after \d+\.\d+ s\.",
    "Dies By A Signal": r"Server 'mine' ended before it was ready: expected a listener on port \d+, got signal SIGSEGV after \d+\.\d+ s\.",
    "Out Of Memory": r"Server 'mine' ended before it was ready: .*got exit code 1 after .* Hint: memory ran out: .*",
    "Never Listens": r"Server 'mine' is not ready \(listening\): expected a listener on port \d+, got connection refused after \d+\.\d+ s; process \d+ runs\. Hint: give it more time with timeout=\.\.\., or read its log\.",
    "Never Ready": r"Server 'simulator' is not ready \(healthy\): expected 200 on GET /health, got status 503 after \d+\.\d+ s; process \d+ runs\. Hint: .*",
    "Port In Use": r"Server 'simulator' cannot be started on port \d+: address already in use\. Hint: stop what listens there, or leave the port to the library\.",
    "Nobody Answers": r"Nobody answers as expected: expected 200 or 401 or 403 on GET http://127\.0\.0\.1:\d+/v1/models, got connection refused after \d\.\d\d s\. Hint: is it running there, and is the URL right\?",
    "No URL": r"'localhost:8000' is not the URL of a server: expected http://host:port, https://host or unix:/path/of/socket\.",
    "No Server Open": r"No server is open\. Hint: use Start Server or Connect To Server\.",
    "Unknown Alias": r"No server 'second' is open: expected one of: \d+ = first \(first\)\. Hint: use Start Server or Connect To Server\.",
    "Not JSON": r"POST http://\S+/v1/chat/completions of server 'simulator' failed: expected a JSON object, got .* after \d+\.\d+ s\.",
    "Stream Stops In The Middle": r"POST http://\S+/v1/chat/completions of server 'simulator' failed: expected a stream with a proper end, got .* after 3 events \(.*\) after \d+\.\d+ s\.",
    "Memory Runs Out In A Call": r"POST \S+ of server 'simulator' failed: expected an answer, got .*; its process ended with exit code 1\. Hint: memory ran out: .*",
    "Engine Dies And Says So": r"POST \S+ of server 'simulator' failed: expected status 200, got 500: EngineCore encountered .* Hint: its engine died: .*",
    "Server Dies In A Call": r"POST http://\S+ of server 'simulator' failed: expected an answer, got a connection closed without an answer after \d+\.\d+ s; its process ended with exit code 7\.",
    "Listens On Another Port": r"Server 'mine' is not ready \(listening\): expected a listener on port (\d+), got connection refused after .*; process \d+ runs\. Hint: process \d+ listens on port \d+, not \1: use \{port\} in start\.command of the profile\.",
    "Health Path That Is None": r"Server 'mine' is not ready \(healthy\): expected 200 on GET /health, got status 404 after .*; process \d+ runs\. Hint: is ready\.health\.path of the profile right\?",
    "Wrong Path In The URL": r"Nobody answers as expected: .*, got status 404 after .* Hint: a server answers there, but not with 200 or 401 or 403 on this path: is the path of the URL right\?",
    "TLS To A Plain Server": r"Nobody answers as expected: .* Hint: it speaks plain HTTP: use http://",
    "No Such Host": r"Nobody answers as expected: .*, got no such host name.* Hint: is the host of the URL right\?",
    "No Key Given": r"GET http://\S+/v1/models of server \S+ failed: .*401.* Hint: give api_key=, or --variable API_KEY:\.\.\. or INFERENCE_API_KEY where the target is used\.",
}

LOG_TAILS = {
    "Dies At Start": ["loading weights", "weights are broken"],
    "Dies By A Signal": ["about to crash"],
    "Never Listens": ["still loading"],
    "Out Of Memory": ["CUDA error: out of memory"],
    "Server Dies In A Call": ["the engine died"],
    "Never Ready": ["listening on http://127.0.0.1:"],
}


@pytest.mark.parametrize("test", MESSAGES)
def test_the_first_line_tells_it_all(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message


@pytest.mark.parametrize("test", LOG_TAILS)
def test_the_end_of_the_log_stands_below(run: InnerRun, test: str) -> None:
    _, heading, *lines = run[test].message.splitlines()
    assert re.match(r"Last lines of \S+( log)?:$|Last lines of the server's log:$", heading)
    for expected in LOG_TAILS[test]:
        assert any(expected in line for line in lines), run[test].message


def test_every_case_of_the_suite_is_read(run: InnerRun) -> None:
    assert set(run.tests) == set(MESSAGES)


def test_no_message_shows_a_traceback(run: InnerRun) -> None:
    for name, outcome in run.tests.items():
        assert "Traceback" not in outcome.message, name
    assert "Traceback" not in run.console


def test_nothing_is_left_running(run: InnerRun) -> None:
    assert run.leftovers == []
