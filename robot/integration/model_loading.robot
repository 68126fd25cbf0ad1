*** Settings ***
Documentation    Model files: whole ones of each format are loaded, and measured; missing ones are refused.
...
...              By default the program is the simulator in the manner of mistral.rs, which truly reads the files;
...              with TARGET, the profile that it names, such as `llama.cpp`. The files are made on the spot, but for
...              one that the machine may bring along (TEST_MODEL_PATH, TEST_MODEL_FILE).

Resource         ../../resources/target.resource

Suite Setup      Use Model Program
Test Setup       Skip Unless Model Format Is Supported    gguf

Test Tags        model


*** Test Cases ***
A Whole Model Is Loaded
    [Documentation]    By a dry run where the program has one, else as a server that must say a first word.
    [Tags]    smoke    covers:mistral-gguf
    ${model} =    Create Tiny Model    kind=capitals
    ${load} =    Model Should Load    ${model}
    Should Be True    0 < ${load.elapsed} < 60

The Header Says What The Model Is
    [Documentation]    No server is asked: it says nothing of a target.
    [Tags]    smoke    simulator
    Skip Unless Target Is A Simulator
    ${model} =    Create Tiny Model    kind=capitals    context_length=2048
    Get Model Info    ${model}    format    ==    gguf
    Get Model Info    ${model}    architecture    ==    llama
    Get Model Info    ${model}    layers    ==    2
    Get Model Info    ${model}    heads    >=    1
    Get Model Info    ${model}    context_length    ==    2048
    Get Model Info    ${model}    quantization    ==    F32
    Get Model Info    ${model}    vocabulary    >    256

A Missing File Is Refused
    [Tags]    covers:mistral-broken-models
    Model Should Be Refused    ${OUTPUT_DIR}/no-such-model.gguf    timeout=20 s

A File Without The Right To Read Is Refused
    TRY
        ${model} =    Create Broken Model    kind=unreadable
    EXCEPT    *cannot be made unreadable*    type=glob    AS    ${reason}
        Skip    ${reason}
    END
    Model Should Be Refused    ${model}    timeout=20 s

A SafeTensors Model Is Loaded
    [Tags]    covers:mistral-safetensors
    Skip Unless Model Format Is Supported    safetensors
    ${model} =    Create Tiny Model    format=safetensors
    Get Model Info    ${model}    architecture    ==    llama
    Model Should Load    ${model}

A GGML Model Is Loaded
    [Tags]    covers:mistral-ggml
    Skip Unless Model Format Is Supported    ggml
    ${model} =    Create Tiny Model    format=ggml
    Get Model Info    ${model}    layers    ==    2
    Model Should Load    ${model}

The Model Of This Machine Is Loaded
    [Documentation]    A real model, where TEST_MODEL_PATH and TEST_MODEL_FILE name one.
    [Tags]    requires-model    covers:worker-model-exists    covers:mistral-model-variables
    ${path} =    Skip Unless Model Exists
    Get Model Info    ${path}    parameters    >    0
    Model Should Load    ${path}    timeout=120 s

Loading Is Measured
    [Documentation]    Two models of different size, their time and memory in one picture.
    ${small} =    Create Tiny Model    kind=random    context_length=128    name=small
    ${capitals} =    Create Tiny Model    kind=capitals    name=capitals
    ${first} =    Model Should Load    ${small}
    ${second} =    Model Should Load    ${capitals}
    Log Model Load Chart    ${first}    ${second}    title=Two models
