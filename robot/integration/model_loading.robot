*** Settings ***
Documentation    Model files: whole ones are loaded, broken ones refused by name, quickly, and without a crash.
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
    [Tags]    smoke
    ${model} =    Create Tiny Model    kind=capitals    context_length=2048
    Get Model Info    ${model}    format    ==    gguf
    Get Model Info    ${model}    architecture    ==    llama
    Get Model Info    ${model}    layers    ==    2
    Get Model Info    ${model}    heads    >=    1
    Get Model Info    ${model}    context_length    ==    2048
    Get Model Info    ${model}    quantization    ==    F32
    Get Model Info    ${model}    vocabulary    >    256

Broken Files Are Refused
    [Documentation]    An exit code that is not 0, no crash, the file's name in the message, nothing left behind.
    [Tags]    covers:mistral-broken-models
    [Template]    A Broken File Is Refused
    truncated
    truncated-header
    bad-magic
    wrong-version
    huge-count
    huge-size

What Is No Model Is Refused
    [Documentation]    What downloads and careless hands leave in place of a model.
    [Template]    A Broken File Is Refused
    empty
    garbage
    html-page
    lfs-pointer
    directory

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

Broken SafeTensors Are Refused
    [Setup]    Skip Unless Model Format Is Supported    safetensors
    [Template]    A Broken File Is Refused
    truncated    safetensors
    truncated-header    safetensors
    huge-size    safetensors
    empty    safetensors

A GGML Model Is Loaded
    [Tags]    covers:mistral-ggml
    Skip Unless Model Format Is Supported    ggml
    ${model} =    Create Tiny Model    format=ggml
    Get Model Info    ${model}    layers    ==    2
    Model Should Load    ${model}

Broken GGML Files Are Refused
    [Setup]    Skip Unless Model Format Is Supported    ggml
    [Template]    A Broken File Is Refused
    truncated    ggml
    wrong-version    ggml
    huge-count    ggml

The Model Of This Machine Is Loaded
    [Documentation]    A real model, where TEST_MODEL_PATH and TEST_MODEL_FILE name one.
    [Tags]    requires-model    covers:worker-model-exists    covers:mistral-model-variables
    ${path} =    Model Should Exist
    Get Model Info    ${path}    parameters    >    0
    Model Should Load    ${path}    timeout=120 s

Loading Is Measured
    [Documentation]    Two models of different size, their time and memory in one picture.
    ${small} =    Create Tiny Model    kind=random    context_length=128    name=small
    ${capitals} =    Create Tiny Model    kind=capitals    name=capitals
    ${first} =    Model Should Load    ${small}
    ${second} =    Model Should Load    ${capitals}
    Log Model Load Chart    ${first}    ${second}    title=Two models


*** Keywords ***
A Broken File Is Refused
    [Documentation]    The file is named after what is wrong with it.
    [Arguments]    ${kind}    ${format}=gguf
    ${model} =    Create Broken Model    kind=${kind}    format=${format}
    Model Should Be Refused    ${model}    timeout=20 s
