"""Tests and suites bear what they were about as metadata, in the output of a real run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from inner_suites import run_text

from InferenceLibrary.library import DOC_FORMAT
from InferenceLibrary.report.measured import with_measurements
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

Loads
    Start Memory Monitor    interval=20 ms
    Run Load    users=2    requests=4    max_tokens=4
    Stop Memory Monitor

With Its Own Server
    VAR    @{AS_LLAMA}    --as    llama.cpp
    Start Server    simulator    alias=two    arguments=${AS_LLAMA}
    Chat    hi
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("facts")


@pytest.fixture(scope="module")
def results(folder: Path) -> RunResults:
    run_text(SUITE, folder, "--variable", "PABOTEXECUTIONPOOLID:3")
    return with_measurements(read_output(folder / "out" / "output.xml"), folder / "out")


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


def test_versions_are_those_that_answers_tell(results: RunResults) -> None:
    first, second = results.servers
    assert first.version == ""
    assert re.fullmatch(r"b\d+-\w+", second.version)
    if DOC_FORMAT == "MARKDOWN":
        assert {test.name: test.version for test in results.tests if test.version} == {
            "With Its Own Server": second.version
        }


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
    if DOC_FORMAT == "MARKDOWN":
        assert test.calls == 2


def test_suites_bear_the_lives_of_their_servers_and_the_worker(results: RunResults) -> None:
    first, second = results.servers
    assert first.started < second.started < second.ended < first.ended
    assert first.url.startswith("http://127.0.0.1:")
    assert (first.model, first.worker) == ("fake-model", "3")
    assert {test.worker for test in results.tests} == {"3"}
    assert "InferenceLibrary" in results.versions


def test_what_was_measured_is_read_again_from_the_files(results: RunResults) -> None:
    assert [one for one in results.problems if "figures in" in one] == []
    found = {(one.test.rpartition(".")[2], one.what): one for one in results.measurements}
    assert set(found) == {("Measures", "generation"), ("Loads", "load"), ("Loads", "memory")}
    load = {figure.name: figure for figure in found["Loads", "load"].figures}
    assert load["requests"].values == {"value": 4.0}
    assert 0.019 <= load["ttft"].values["median"] <= load["ttft"].values["p99"]
    curves = {curve.name: curve for curve in found["Loads", "load"].curves}
    assert max(value for _, value in curves["open requests"].points) == 2
    assert {"PSS", "RSS"} & set(curves)
    memory = {figure.name: figure for figure in found["Loads", "memory"].figures}
    assert memory["rss"].values["maximum"] > 1e6
    assert [curve.over for curve in found["Loads", "memory"].curves][:1] == ["s"]


@pytest.mark.skipif(DOC_FORMAT != "MARKDOWN", reason="tests have metadata since Robot Framework 7.5")
def test_a_load_tells_its_server_and_its_times(results: RunResults) -> None:
    (test,) = (test for test in results.tests if test.name == "Loads")
    assert (test.server, test.model, test.calls) == ("one", "fake-model", 4)
    assert test.figures is not None
    assert test.figures.streams == 4


def test_suites_bear_what_became_of_the_rules(results: RunResults) -> None:
    rules = {one.rule: one for one in results.rules}
    assert rules["F8"].state == "broken"
    if DOC_FORMAT == "MARKDOWN":
        assert [name.rpartition(".")[2] for name in rules["F8"].tests] == ["Breaks A Rule"]
    assert rules["C1"].state == "kept"
    assert "waived" not in {one.state for one in results.rules}
