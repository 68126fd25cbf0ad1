*** Settings ***
Documentation    What is wrong with model files and with programs that load them. All tests must fail; pytest reads what they say.

Library          InferenceLibrary
Library          OperatingSystem


*** Variables ***
${LOADER}    simulator-mistralrs
${MODEL}     ${OUTPUT_DIR}/some.gguf


*** Test Cases ***
A Whole Model Is Not Refused
    ${model} =    Create Tiny Model
    Model Should Be Refused    ${model}    profile=${LOADER}

A Broken Model Is Not Loaded
    ${model} =    Create Broken Model    kind=truncated
    Model Should Load    ${model}    profile=${LOADER}

A Dry Run Without The Words
    ${model} =    Create Tiny Model
    Model Should Load    ${model}    profile=${LOADER}    matching=Weights are warm

A Server That Does Not Load
    ${model} =    Create Broken Model    kind=empty
    VAR    ${profile} =
    ...    title: mine
    ...    start:
    ...    ${SPACE}${SPACE}command: [inference-simulator, --as, mistralrs, mistralrs, serve, -p, "{port}"]
    ...    ${SPACE}${SPACE}announcement: 'listening on (?P<url>http://\\S+)'
    ...    ${SPACE}${SPACE}options: {model_folder: {flag: -m}, model_filename: {flag: -f}}
    ...    separator=\n
    Create File    ${OUTPUT_DIR}/mine.yaml    ${profile}
    Model Should Load    ${model}    profile=${OUTPUT_DIR}/mine.yaml

Crashes By A Signal
    Refused By    import os, signal; os.kill(os.getpid(), signal.SIGSEGV)

Crashes With A Traceback
    Refused By    raise RuntimeError("weights")

Crashes With A Panic
    Refused By    import sys; sys.exit("thread 'main' panicked at src/main.rs:1:1 some.gguf")

Refused Without A Word
    Refused By    import sys; sys.exit(3)

Refused Without The Name
    Refused By    import sys; sys.exit("cannot load it")

Refused With Another Word
    Refused By    import sys; sys.exit("some.gguf is odd")    matching=truncated|cut off

Refused With Another Exit Code
    Refused By    import sys; sys.exit("some.gguf is odd")    exit_code=7

Not Refused In Time
    Refused By    import time; time.sleep(60)    timeout=500 ms

Something Is Left Behind
    Refused By    import subprocess, sys; subprocess.Popen(["sleep", "60"]); sys.exit("some.gguf is odd")

No Such Model
    Get Model Info    ${OUTPUT_DIR}/no-such.gguf

A Near Name
    Create Tiny Model    ${OUTPUT_DIR}/capitals.gguf
    Get Model Info    ${OUTPUT_DIR}/capitls.gguf

A Folder Without A Model
    Create Directory    ${OUTPUT_DIR}/nothing
    Get Model Info    ${OUTPUT_DIR}/nothing

A Download That Broke Off
    ${model} =    Create Broken Model    kind=truncated    format=safetensors
    Get Model Info    ${model}

Wrong Layers
    ${model} =    Create Tiny Model
    Get Model Info    ${model}    layers    ==    32

Wrong Architecture
    ${model} =    Create Tiny Model
    Get Model Info    ${model}    architecture    ==    qwen2

Unknown In This Format
    ${model} =    Create Tiny Model    format=ggml
    Get Model Info    ${model}    context_length    >    0

An Assertion Without A Field
    ${model} =    Create Tiny Model    format=ggml
    Get Model Info    ${model}    assertion_operator=should be    assertion_expected=1

A Field That Is None
    Get Model Info    ${MODEL}    layer    ==    1

Not A Model
    Get Model Info    ${42}

Unknown Kind
    Create Broken Model    kind=rotten

No Version To Get Wrong
    Create Broken Model    kind=wrong-version    format=safetensors

Unknown Format
    Create Tiny Model    format=onnx

A Sentence In Another Format
    Create Tiny Model    format=ggml    sentence=Good morning.

No Program
    Model Should Load    ${MODEL}

Two Programs
    Model Should Load    ${MODEL}    profile=${LOADER}    command=["python", "{model_file}"]

A Command Without A Model
    Model Should Load    ${MODEL}    command=["python", "--version"]

A Profile Without A Model
    Model Should Load    ${MODEL}    profile=gateway

No Such Program
    Model Should Be Refused    ${MODEL}    command=["no-such-program", "{model_file}"]

Wrong Option
    Model Should Be Refused    ${MODEL}    profile=${LOADER}    options={"dryrun": true}

Nothing To Draw
    Log Model Load Chart

No Load To Draw
    Log Model Load Chart    fast


*** Keywords ***
Refused By
    [Arguments]    ${code}    &{options}
    Create File    ${MODEL}    ${EMPTY}
    VAR    @{command} =    python    -c    ${code}    {model_file}
    Model Should Be Refused    ${MODEL}    command=${command}    &{options}
