# ruff: noqa: E501 - each message stands on one line, as the reader of a log sees it
"""Keywords for model files: what they say when something is wrong, when they skip, and that nothing is left."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from inner_suites import InnerRun, run_inner, run_text

from InferenceLibrary.keywords.shared.base import KeywordGroup
from InferenceLibrary.library import InferenceLibrary
from InferenceLibrary.modelfiles.tiny import create_tiny_model


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> InnerRun:
    return run_inner("models_fail.robot", tmp_path_factory.mktemp("models_fail"))


SECONDS = r"after \d+\.\d\d s\."
PROGRAM = r"python\S*"
MESSAGES = {
    "A Whole Model Is Not Refused": rf"Model 'model\.gguf' was taken by simulator-mistralrs: expected exit code other than 0, got exit code 0 {SECONDS}",
    "A Broken Model Is Not Loaded": rf"Model 'truncated\.gguf' was not loaded by simulator-mistralrs: expected exit code 0, got exit code 1 {SECONDS}",
    "A Dry Run Without The Words": rf"Model 'model\.gguf' was loaded by simulator-mistralrs without saying so: expected /Weights are warm/ in its output, got another text {SECONDS}",
    "A Server That Does Not Load": r"Model 'empty\.gguf' was not loaded by mine: Server 'mine' ended before it was ready.*: expected .*, got exit code 1 after .*",
    "Crashes By A Signal": rf"Model 'some\.gguf' crashed {PROGRAM}: expected exit code other than 0, got signal SIGSEGV {SECONDS}",
    "Crashes With A Traceback": rf"Model 'some\.gguf' crashed {PROGRAM}: expected a message for people, got 'Traceback \(most recent call last\)' {SECONDS}",
    "Crashes With A Panic": rf"Model 'some\.gguf' crashed {PROGRAM}: expected a message for people, got 'panicked at' {SECONDS}",
    "Refused Without A Word": rf"Model 'some\.gguf' was refused by {PROGRAM} without a word: expected a message, got no output {SECONDS}",
    "Refused Without The Name": rf"Model 'some\.gguf' was refused by {PROGRAM} without the reason: expected 'some\.gguf', got another text {SECONDS}",
    "Refused With Another Word": rf"Model 'some\.gguf' was refused by {PROGRAM} without the reason: expected /truncated\|cut off/, got another text {SECONDS}",
    "Refused With Another Exit Code": rf"Model 'some\.gguf' was refused by {PROGRAM} otherwise: expected exit code 7, got exit code 1 {SECONDS}",
    "Not Refused In Time": rf"Model 'some\.gguf' was not refused by {PROGRAM}: .* did not end: expected its end within 0\.5 s, got a running program after .*",
    "Something Is Left Behind": rf"Model 'some\.gguf' was refused, but {PROGRAM} left processes behind: expected none, got .*sleep.* {SECONDS}",
    "No Such Model": r"Model '\S+/no-such\.gguf' does not exist\.",
    "A Near Name": r"Model '\S+/capitls\.gguf' does not exist\. Hint: in that folder there is capitals\.gguf",
    "A Folder Without A Model": r"Folder '\S+/nothing' holds no model: expected SafeTensors or GGUF files\. Hint: name the file itself",
    "A Download That Broke Off": r"Model file '\S+/model\.safetensors' is not whole: got it is cut off: tensor '\S+' ends at byte [\d,]+, and the file after [\d,]+\.",
    "Wrong Layers": r"Layers of model\.gguf: expected == 32, got 2\.",
    "Wrong Architecture": r"Architecture of model\.gguf: 'llama' \(str\) should be 'qwen2' \(str\)",
    "Unknown In This Format": r"The context length of model\.ggml is not known: expected 0, got a file without it\.",
    "An Assertion Without A Field": r"An assertion about a model needs a field: got none\.",
    "A Field That Is None": r".*Argument 'field': expected one of '.*'layers'.* got 'layer'\. Did you mean 'layers'\?",
    "Not A Model": r"The model is not clear: expected a path, or what Create Tiny Model returned, got 42\.",
    "Unknown Kind": r"Broken model cannot be made: expected kind to be one of truncated, .*, unreadable, got 'rotten'\.",
    "No Version To Get Wrong": r"Broken model cannot be made: expected kind to be one of truncated, .*, got 'wrong-version'\.",
    "Unknown Format": r".*Argument 'format': expected one of 'gguf', 'safetensors' or 'ggml', got 'onnx'\.",
    "A Sentence In Another Format": r"Tiny model in the format ggml cannot be made: expected kind=random, without sentence and answers, got kind=None\. Hint: format=gguf can say what you like",
    "No Program": r"No program that loads models is open\. Hint: use Use Model Program, or give profile= or command=\.",
    "Two Programs": r"The program is not clear: expected profile= or command=, got both\.",
    "A Command Without A Model": r"The command takes no model: expected a word with \{model_file\}, \{model_folder\} or \{model_filename\}, got python --version\.",
    "A Profile Without A Model": r"Profile 'gateway' cannot be given a model: expected a start option 'model_file', or 'model_folder' and 'model_filename'\. Hint: name the program with command=\.",
    "No Such Program": r"Program 'no-such-program' does not exist: expected a file on the PATH, got none\..*",
    "Wrong Option": r"Profile 'simulator-mistralrs' has no option 'dryrun': expected one of .* Did you mean 'dry_run'\?",
    "Nothing To Draw": r"There is nothing to draw: expected one load or more, got none\.",
    "No Load To Draw": r"A load cannot be drawn: expected what Model Should Load returned, got 'fast'\.",
}
DETAILS = {
    "A Broken Model Is Not Loaded": "Error: Failed to load model from",
    "A Server That Does Not Load": "GGUF file is shorter than its magic",
    "Refused Without The Name": "cannot load it",
    "A Whole Model Is Not Refused": "Model loaded.",
}


@pytest.mark.parametrize("test", MESSAGES)
def test_the_first_line_tells_it_all(run: InnerRun, test: str) -> None:
    assert run[test].status == "FAIL"
    assert re.fullmatch(MESSAGES[test], run[test].first_line), run[test].message
    assert (
        "Traceback" not in run[test].message.replace("'Traceback (most recent call last)'", "").partition("Output:")[0]
    )


@pytest.mark.parametrize("test", DETAILS)
def test_the_program_is_quoted_below(run: InnerRun, test: str) -> None:
    assert DETAILS[test] in run[test].message.partition("\n")[2]


def test_every_test_is_read_and_nothing_is_left(run: InnerRun) -> None:
    assert set(run.tests) == set(MESSAGES)
    assert run.leftovers == []


SKIPS = """
*** Settings ***
Library    InferenceLibrary
Suite Setup    Use Model Program    profile=llama.cpp

*** Test Cases ***
By Variables
    ${path} =    Skip Unless Model Exists
    Log    found ${path}

By Name
    ${path} =    Skip Unless Model Exists    other.gguf
    Log    found ${path}

A Format
    Skip Unless Model Format Is Supported    ggml

A Format That Is There
    Skip Unless Model Format Is Supported    gguf
"""


def test_a_missing_model_skips_with_what_to_set(tmp_path: Path) -> None:
    done = run_text(SKIPS, tmp_path, env={"TEST_MODEL_PATH": "", "TEST_MODEL_FILE": ""})
    assert [done[test].status for test in ("By Variables", "By Name", "A Format")] == ["SKIP"] * 3
    assert done["By Variables"].message.startswith("No model is named. To run this test, set TEST_MODEL_FILE")
    assert re.match(
        r"Model 'other\.gguf' is not there: looked at /\S+/other\.gguf\. .*TEST_MODEL_PATH", done["By Name"].message
    )
    assert done["A Format"].message.startswith("llama.cpp lacks 'ggml models': ")
    assert done["A Format That Is There"].status == "PASS"


def test_a_model_that_is_there_is_found_and_read(tmp_path: Path) -> None:
    create_tiny_model(tmp_path / "models" / "mine.gguf", context_length=128)
    (tmp_path / "models" / "other.gguf").write_bytes(b"GGUF")
    environment = {"TEST_MODEL_PATH": str(tmp_path / "models"), "TEST_MODEL_FILE": "mine.gguf"}
    done = run_text(SKIPS, tmp_path / "run", env=environment)
    assert done["By Variables"].status == "PASS"
    assert f"found {tmp_path}/models/mine.gguf" in done["By Variables"].log
    assert (done["By Name"].status, "is not whole" in done["By Name"].message) == ("FAIL", True)


TARGETS = {
    "http://127.0.0.1:1": (
        "SKIP",
        r"'http://127\.0\.0\.1:1' \(from TARGET\) is a URL, so the program that loads models is not known\. Set TARGET",
    ),
    "router": ("SKIP", r"Profile 'router' cannot be given a model: "),
    "simulatr": ("FAIL", r"No profile 'simulatr'"),
    "": ("PASS", ""),
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_target_of_the_run_is_the_program(tmp_path: Path, target: str) -> None:
    text = (
        "*** Settings ***\nLibrary    InferenceLibrary\n\n*** Test Cases ***\nTest\n    ${name} =    Use Model Program\n"
        "    Should Be Equal    ${name}    simulator-mistralrs\n"
    )
    done = run_text(text, tmp_path, "--variable", f"TARGET:{target}")
    status, pattern = TARGETS[target]
    assert done["Test"].status == status, done["Test"].message
    assert re.match(pattern, done["Test"].message)


def test_skipping_all_is_obeyed(tmp_path: Path) -> None:
    text = "*** Settings ***\nLibrary    InferenceLibrary\n\n*** Test Cases ***\nTest\n    Use Model Program\n"
    done = run_text(text, tmp_path, env={"SKIP_INTEGRATION_TESTS": "true"})
    assert (done["Test"].status, "SKIP_INTEGRATION_TESTS" in done["Test"].message) == ("SKIP", True)


def test_what_is_made_without_a_path_goes_with_its_owner(tmp_path: Path) -> None:
    text = """
*** Settings ***
Library    InferenceLibrary
Library    OperatingSystem
Suite Setup    Make One

*** Test Cases ***
First
    ${mine} =    Create Tiny Model    format=ggml
    File Should Exist    ${mine.path}
    VAR    ${MINE}    ${mine.path}    scope=SUITE

Second
    File Should Not Exist    ${MINE}
    File Should Exist    ${OURS.path}
    ${kept} =    Create Tiny Model    ${OUTPUT_DIR}/kept.bin    format=ggml

*** Keywords ***
Make One
    ${ours} =    Create Broken Model    kind=empty
    VAR    ${OURS}    ${ours}    scope=SUITE
"""
    done = run_text(text, tmp_path, env={"TMPDIR": str(tmp_path)})
    assert [outcome.status for outcome in done.tests.values()] == ["PASS", "PASS"], done.console
    assert (done.output_dir / "kept.bin").is_file()
    assert list(tmp_path.glob("inference-model-*")) == []


def test_loads_are_drawn_beside_the_log(tmp_path: Path) -> None:
    text = """
*** Settings ***
Library    InferenceLibrary

*** Test Cases ***
Draw
    Use Model Program    profile=simulator-mistralrs
    ${slow} =    Create Tiny Model    format=ggml
    ${load} =    Model Should Load    ${slow}    options={"startup_duration": "300 ms"}
    ${other} =    Model Should Load    ${slow}
    Should Be True    ${load.elapsed} >= 0.3
    Should Be True    ${load.memory} > 1e6
    Log Model Load Chart    ${load}    ${other}    title=Slow & fast
"""
    done = run_text(text, tmp_path)
    assert done["Draw"].status == "PASS", done["Draw"].message
    (picture,) = (done.output_dir / "inference" / "charts").glob("*.svg")
    drawn = picture.read_text(encoding="utf-8")
    assert "Slow &amp; fast" in drawn
    assert drawn.count("model.ggml (dry run)") == 2
    assert any(picture.name in line for line in done["Draw"].log)


@pytest.mark.parametrize("profile", ["simulator-mistralrs", "simulator-mistralrs-server"])
def test_both_profiles_serve_chat_and_explain_themselves(tmp_path: Path, profile: str) -> None:
    create_tiny_model(tmp_path / "m.gguf", context_length=512)
    text = f"""
*** Settings ***
Library    InferenceLibrary
Suite Setup    Start Server    {profile}    model_folder={tmp_path}    model_filename=m.gguf

*** Test Cases ***
Served
    ${{reply}} =    Chat    What is the capital of France?
    Should Be Equal    ${{reply.text}}    The capital of France is Paris.
    Server Should Be Healthy

Explained
    Program Version Should Match
    Program Help Should Contain    --version    Commands:
    Program Should Refuse Arguments    --bogus    exit_code=2

Chatted
    Start Chat Terminal    profile={profile}    options={{"model_folder": "{tmp_path}", "model_filename": "m.gguf"}}
    ${{answer}} =    Ask In Terminal    What is the capital of Italy?
    Should Be Equal    ${{answer.text}}    The capital of Italy is Rome.
    Should Contain    ${{answer.statistics}}    Decode:
    Leave Chat Terminal
"""
    done = run_text(text, tmp_path / "run")
    assert {test: outcome.status for test, outcome in done.tests.items()} == dict.fromkeys(done.tests, "PASS"), (
        done.console
    )
    assert done.leftovers == []


def test_no_keyword_class_hides_the_helper_of_another() -> None:
    """All keyword classes become one: a private name that two of them use would be one method for both."""
    owners: Counter[str] = Counter()
    for group in InferenceLibrary.__mro__:
        if issubclass(group, KeywordGroup) and group not in {KeywordGroup, InferenceLibrary}:
            owners.update(name for name in vars(group) if name.startswith("_") and not name.startswith("__"))
    assert [name for name, count in owners.items() if count > 1] == []
