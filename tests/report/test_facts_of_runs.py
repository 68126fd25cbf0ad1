"""Tests and suites bear what they were about as metadata, in the output of a real run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from inner_suites import run_text

from InferenceLibrary.library import DOC_FORMAT
from InferenceLibrary.report.robot_output import read_output
from InferenceLibrary.report.run_results import RunResults

SUITE = """
*** Settings ***
Library           InferenceLibrary
Suite Setup       Start Server    simulator    alias=one    time_to_first_token=20 ms    inter_token_latency=30 ms

*** Test Cases ***
Streams
    Stream Chat    What is the capital of France?    include_usage=True
    Stream Chat    What is the capital of France?    include_usage=True

Breaks A Rule
    VAR    &{HEADERS}    X-Inference-Fault=missing-done
    Stream Chat    hi    headers=${HEADERS}    rules=warn

Fails
    VAR    &{HEADERS}    X-Inference-Fault=status:code=500
    Chat    hi    headers=${HEADERS}

Asks Nothing
    No Operation

Measures
    Measure Generation    What is the capital of France?    iterations=2

With Its Own Server
    Start Server    simulator    alias=two
    Chat    hi
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facts")


@pytest.fixture(scope="module")
def results(folder: Path) -> RunResults:
    run_text(SUITE, folder, "--variable", "PABOTEXECUTIONPOOLID:3")
    return read_output(folder / "out" / "output.xml")


@pytest.mark.skipif(DOC_FORMAT != "MARKDOWN", reason="tests have metadata since Robot Framework 7.5")
def test_tests_bear_what_they_asked_and_measured(results: RunResults) -> None:
    tests = {test.name: test for test in results.tests}
    streams = tests["Streams"]
    assert (streams.server, streams.model, streams.calls) == ("one", "fake-model", 2)
    assert streams.figures is not None
    assert streams.figures.ttft is not None
    assert streams.figures.ttft >= 0.019
    assert streams.figures.tokens_per_second is not None
    assert streams.figures.streams == 2
    assert streams.rules_broken == []
    assert "F8" in tests["Breaks A Rule"].rules_broken
    assert (tests["Fails"].status, tests["Fails"].calls) == ("failed", 1)
    assert (tests["Asks Nothing"].server, tests["Asks Nothing"].calls) == ("", 0)


def test_a_failure_keeps_the_request_and_the_answer(results: RunResults) -> None:
    (failed,) = (test for test in results.tests if test.name == "Fails")
    told = "\n".join(one.text for one in failed.evidence)
    assert "POST" in told
    assert '"hi"' in told
    assert [step.name for step in failed.trace] == ["InferenceLibrary.Chat"]
    assert any(one.path.startswith("inference/calls/") for one in failed.artifacts)


def test_a_measurement_leaves_its_figures_as_json(results: RunResults, folder: Path) -> None:
    (test,) = (test for test in results.tests if test.name == "Measures")
    (figures,) = (one.path for one in test.artifacts if one.caption == "Figures")
    found = json.loads((folder / "out" / figures).read_text(encoding="utf-8"))
    assert (found["format"], found["model"], len(found["generations"])) == ("rfinference-measurement", "fake-model", 2)
    first = found["generations"][0]
    assert 0.019 <= first["ttft"] <= first["elapsed"]
    assert first["output_tokens"] > 1
    assert test.calls == 2


def test_suites_bear_the_lives_of_their_servers_and_the_worker(results: RunResults) -> None:
    first, second = results.servers
    assert first.started < second.started < second.ended < first.ended
    assert first.url.startswith("http://127.0.0.1:")
    assert (first.model, first.worker) == ("fake-model", "3")
    assert {test.worker for test in results.tests} == {"3"}
    assert "InferenceLibrary" in results.versions
