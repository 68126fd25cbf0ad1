"""The catalogue: each rule has a fault, each fault a test; how a fault is asked for, and when it strikes."""

from __future__ import annotations

import json
import re

import pytest
from simulator.faults.answers import TEXT, ids
from simulator.faults.test_broken_rules import BROKEN
from simulator.faults.test_fields import OTHERS
from simulator.faults.test_streams_and_bodies import STREAM, WHOLE

from InferenceLibrary.protocol.rules.book import REGISTRY
from InferenceLibrary.simulator.faults.catalogue import KINDS, parse_fault, parse_faults

# Shown by the tests below, or in the tests of the process.
ELSEWHERE = {
    "works-on-when-left",
    "harms-neighbours",
    "chunks-to-http10",
    "lost-characters",
    "first-space-lost",
    "gaps-drift",
    "refuse-connection",
    "endless-stream",
    "endless-line",
    "accepts-any-key",
    "stuck-after-error",
    "metrics-frozen",
    "first-request-hangs",
    "offer-refused",
    "exit-at-start",
    "never-listen",
    "never-ready",
    "ignore-term",
    "crash-after",
    "out-of-memory",
    "log-flood",
    "forked-child",
}


def test_every_rule_has_a_fault_that_breaks_it():
    covered = {rule for kind in KINDS.values() for rule in kind.breaks}
    assert [rule for rule in REGISTRY if rule not in covered] == []
    # What readers must be able to read, and no answer can break.
    assert covered - set(REGISTRY) == {"F4", "F6"}


def test_every_fault_has_a_test():
    tested = {name.partition(":")[0] for name in (*STREAM, *WHOLE, *OTHERS, *BROKEN)} | ELSEWHERE
    assert sorted(set(KINDS) - tested) == []
    assert sorted(tested - set(KINDS)) == []


def test_when_a_fault_strikes(start_simulator):
    for when, expected in (
        ("first=2", [503, 503, 200, 200, 200]),
        ("after=3", [200, 200, 200, 503, 503]),
        ("after=1,first=1", [200, 503, 200, 200, 200]),
        ("every=2", [503, 200, 503, 200, 503]),
        ("path=/v1/completions", [200] * 5),
    ):
        simulator = start_simulator("--fault", f"status:{when}")
        assert [simulator.chat().status for _ in range(5)] == expected


def test_faults_by_chance_are_repeatable(start_simulator):
    found = [[start_simulator("--fault", "status:percent=50", "--seed", "3")] for _ in range(2)]
    runs = [[simulator.chat().status for _ in range(30)] for (simulator,) in found]
    assert runs[0] == runs[1]
    assert 3 < runs[0].count(503) < 27


def test_several_faults_in_one_header(simulator):
    answer = simulator.chat(TEXT, fault="wrong-id; missing-done", stream=True)
    assert len(ids(answer)) == 2
    assert "[DONE]" not in answer.data
    assert [fault.text for fault in parse_faults("status:code=500,first=2, missing-done")] == [
        "status:code=500,first=2",
        "missing-done",
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("nothing", "unknown fault 'nothing'"),
        ("status:code", "no parameter 'code'"),
        ("status:code=-1", "below 0"),
        ("stall:before=lunch", "'lunch' is none of headers, first-token, event, end"),
        ("stall:seconds=long", "'long' is not a duration"),
        ("status:every=0", "at least 1"),
    ],
)
def test_wrong_faults_are_refused(text, part):
    with pytest.raises(ValueError, match=re.escape(part)):
        parse_fault(text)


@pytest.mark.parametrize(
    ("path", "fault", "why"),
    [
        ("/v1/chat/completions", "never-listen", "is one of the process"),
        ("/v1/chat/completions", "refuse-connection", "strikes connections, before there is a request"),
        ("/v1/chat/completions", "status:first=2", "'first' counts those of a server"),
        ("/v1/chat/completions", "wrong-id:path=/v1/completions", "'path' counts those of a server"),
        ("/v1/chat/completions", "sequence-gap", "is for /v1/responses, not for /v1/chat/completions"),
        ("/v1/completions", "role-late", "cannot strike /v1/completions of openai: it strikes openai (chat stream), "),
        ("/v1/completions", "tool-id-missing", "cannot strike /v1/completions of openai"),
        ("/v1/embeddings", "missing-done", "cannot strike /v1/embeddings of openai"),
    ],
)
def test_a_header_asks_for_no_fault_that_can_never_strike(simulator, path, fault, why):
    body = {"messages": [{"role": "user", "content": "a"}], "prompt": "a", "input": "a"}
    answer = simulator.request("POST", path, body, {"X-Inference-Fault": fault})
    assert (answer.status, answer.json["error"]["param"]) == (400, "X-Inference-Fault")
    assert why in answer.json["error"]["message"]


def test_an_answer_names_the_faults_that_strike_nothing(simulator):
    struck = simulator.chat(TEXT, fault="wrong-id; missing-done", stream=True)
    assert "x-inference-fault-inert" not in struck.headers
    whole = simulator.chat(TEXT, fault="wrong-role; missing-done")
    assert whole.headers["x-inference-fault-inert"] == "missing-done"
    assert "x-inference-fault-inert" not in simulator.chat(TEXT).headers
    refused = simulator.chat(TEXT, fault="status:code=503")
    assert (refused.status, "x-inference-fault-inert" in refused.headers) == (503, False)
    refused = simulator.chat(TEXT, fault="status; missing-done")
    assert (refused.status, refused.headers["x-inference-fault-inert"]) == (503, "missing-done")


def test_counts_tell_what_was_changed_from_what_was_matched(start_simulator):
    simulator = start_simulator("--fault", "ignores-echo", "--fault", "stop-string-flushed", "--control-port", "0")
    for more in ({}, {"echo": True}, {"stop": "b"}, {"stop": ["never said"]}):
        assert simulator.request("POST", "/v1/completions", {"prompt": "a b", **more}).status == 200
    counted = {item["fault"]: (item["matched"], item["struck"]) for item in simulator.stats()["faults"]}
    assert counted == {"ignores-echo": (4, 1), "stop-string-flushed": (4, 1)}
    told = simulator.control("GET", "/requests").json["requests"]
    assert [item["struck"] for item in told] == [[], ["ignores-echo"], [], ["stop-string-flushed"]]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/responses",
        "/v1/messages",
        "/v1/embeddings",
        "/v1/rerank",
        "/v1/score",
    ],
)
def test_no_fault_upsets_an_answer_that_it_is_not_for(start_simulator, path):
    simulator = start_simulator("--mode", "echo", "--control-port", "0")
    body = {
        "model": "fake-model",
        "messages": [{"role": "user", "content": "a b"}],
        "prompt": "a b",
        "input": "a b",
        "query": "a b",
        "documents": ["a", "b"],
        "text_1": "a",
        "text_2": "b",
        "max_tokens": 5,
    }
    without_end = {"stall", "huge-body", "compression-bomb", "endless-stream", "endless-line", "slow-drip"}
    without_end |= {"stuck-after-error", "first-request-hangs"}
    for kind in KINDS.values():
        if not kind.of_process and kind.on_connect is None and kind.name not in without_end:
            simulator.control("POST", "/faults", {"fault": f"{kind.name}:path={path}"})
            for stream in (False, True):
                simulator.request("POST", path, {**body, "stream": stream})
            simulator.control("DELETE", "/faults")
    assert simulator.errors() == ""


def test_catalogue_is_printed(run_cli):
    text = run_cli("--list-faults").stdout
    listed = json.loads(run_cli("--list-faults", "--json").stdout)
    assert {entry["name"] for entry in listed} == set(KINDS)
    assert all(entry["name"] in text for entry in listed)
    assert "--fault stall:seconds=2" in text
    strikes = {entry["name"]: entry["strikes"] for entry in listed}
    assert strikes["sequence-gap"] == {"openai": ["responses stream"], "mistralrs": ["responses stream"]}
    assert strikes["stall"] is None
    assert "strikes service: orchestration" in text
    assert {entry["nature"] for entry in listed} == {"wire", "legal", "time", "size", "process"}
    assert "[F10] and the like are the ids of the wire rules" in text
