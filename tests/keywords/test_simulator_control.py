# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""Faults, settings and counters of a simulator while it runs, and the responses that a server keeps."""

from __future__ import annotations

import re

import pytest
from inner_suites import INNER, InnerRun, run_inner

PASS = ""
NOT_THERE = (
    r"{} http://127\.0\.0\.1:\d+/v1/responses/resp_none{} of server 'sim' failed: expected status 200, got 404: .*"
)
STATUS = r"Response resp_\S+ has another status: expected {}, got {} after \d+\.\d+ s\."
NO_SETTING = r"The simulator 'sim' has no setting '{}' that can be changed while it runs: expected one of time_to_first_token, .*"

MESSAGES = {
    "A Fault Strikes": PASS,
    "A Fault Ends With Its Test": PASS,
    "A Fault Of The Start Is Taken Away": PASS,
    "A Setting Lasts As Long As Its Test": PASS,
    "A Setting Is Put Back": PASS,
    "A Count Is Awaited": PASS,
    "A Response Is Awaited And Cancelled": PASS,
    "A Route Needs A Key": PASS,
    "A Model Is Loaded In Time": PASS,
    "A Metric Is Awaited": PASS,
    "A Key Of One Call": PASS,
    "Not A Fault": r"The simulator 'sim' refuses POST /faults: .*unknown fault 'mising-done'; did you mean 'missing-done'\?.*",
    "No Fault": r"Inject Fault: expected a fault such as missing-done, got none\.",
    "Fault Of The Process": r"The simulator 'sim' refuses POST /faults: .*'never-ready' is a fault of the process: .*",
    "Not A Setting": NO_SETTING.format("time_to_frist_token") + r" Hint: did you mean 'time_to_first_token'\?",
    "Setting Of The Start": NO_SETTING.format("port"),
    "Value Of Another Kind": r"The simulator 'sim' refuses PATCH /config: .* max_num_seqs: 'many' .*",
    "Setting That Is Not A List": r"Change Server Configuration: expected a list as JSON, such as \[\"rate_limit\"\], got '\[rate_limit'\.",
    "No Setting": r"Change Server Configuration: expected a setting such as time_to_first_token=200 ms, got none\.",
    "Not A Simulator": r"Server 'elsewhere' has no control API: expected a simulator that was started here, got one that was not\. .*",
    "Not A Count": r"The simulator 'sim' has no count 'complet': expected one of received, .* Hint: did you mean 'completed'\?",
    "Count Without A Name": r"Counters: expected the name of a count to compare, got none\.",
    "Another Count": r"Counter in_flight: expected == 7, got 0\.",
    "Response That Is Not There": NOT_THERE.format("GET", ""),
    "Response Of No Id": r"Get Response: expected the id of a response or a reply that has one, got None\.",
    "Response With Another Status": STATUS.format("cancelled", "completed"),
    "Response That Is Late": STATUS.format("completed", "(queued|in_progress)"),
    "Response That Cannot Be Asked For": NOT_THERE.format("GET", ""),
    "Response That Cannot Be Cancelled": NOT_THERE.format("POST", "/cancel"),
    "Route Without A Key": r"GET /health without a key: expected a refusal by 401 or 403, got 200: .*",
    "Route That Takes Any Key": r"GET /v1/models with a wrong key: expected a refusal by 401 or 403, got 200: .*",
    "Route That Refuses Its Own Key": r"GET /v1/models with the server's key: expected an answer, got 401: .*",
    "Route Of A Server Without A Key": r"Key of a route: expected a server whose key is known\. Hint: give api_key= when it begins\.",
    "Model In Another State": r"Model 'phi-4': expected loaded, got available\.",
    "Model That Is Not Served": r"Model 'phi4': expected it in the list, got .*phi-4.* Did you mean 'phi-4'\?",
    "Model Of A List Without States": r"Model 'fake-model': expected loaded, got no state in .*",
    "Model Without A State To Compare": r"Nothing is looked for in the list of models: .*",
    "Metric That Stays": r"Metric vllm:num_requests_running: expected == 7, got 0\.",
    "No Status Of A Response": r"Nothing is looked for in the status: expected a text, got an empty one, .*",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("simulator_control.robot", tmp_path_factory.mktemp("simulator_control"))


@pytest.mark.parametrize("test", MESSAGES)
def test_a_test_ends_as_its_name_says(run: InnerRun, test: str) -> None:
    assert run[test].status == ("FAIL" if MESSAGES[test] else "PASS"), run[test].message
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message


def test_every_test_of_the_suite_is_read() -> None:
    text = (INNER / "simulator_control.robot").read_text(encoding="utf-8").partition("*** Test Cases ***")[2]
    assert re.findall(r"^(\S.*)$", text.partition("*** Keywords ***")[0], re.MULTILINE) == list(MESSAGES)
