*** Settings ***
Documentation    Adapters that are loaded, asked for, listed and unloaded while the server runs; models of a service
...              that come and go; sleep and waking.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Run Keywords
...                  Skip Unless Target Is A Simulator    AND
...                  Use Target

Test Tags        lora    simulator


*** Test Cases ***
An Adapter Given At The Start Is Served
    [Tags]    covers:batch-lora
    Skip Unless Server Supports    adapters
    VAR    @{adapters}    --lora-modules    {"name": "adapter-1"}
    Start Server    simulator    arguments=${adapters}
    ${models} =    List Models
    Should Contain    ${models}    adapter-1
    ${reply} =    Chat    ${SHORT_PROMPT}    model=adapter-1    max_tokens=16
    Should Be Equal    ${reply.model}    adapter-1

An Adapter Is Loaded And Unloaded
    Skip Unless Server Supports    adapters
    Load Adapter    pirate    /adapters/pirate
    ${models} =    List Models
    Should Contain    ${models}    pirate
    ${reply} =    Chat    ${SHORT_PROMPT}    model=pirate    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Unload Adapter    pirate
    Chat    ${SHORT_PROMPT}    model=pirate    expected_status=404

An Unknown Adapter Cannot Be Unloaded
    Skip Unless Server Supports    adapters
    Unload Adapter    nobody    expected_status=404

Adapter And Base Are Served At Once
    Skip Unless Server Supports    adapters
    Load Adapter    second    /adapters/second
    ${base} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    ${adapted} =    Chat    ${SHORT_PROMPT}    model=second    max_tokens=16
    Should Not Be Equal    ${base.model}    ${adapted.model}
    [Teardown]    Unload Adapter    second

A Server Sleeps And Wakes
    Skip Unless Server Supports    sleep
    VAR    &{mode}    VLLM_SERVER_DEV_MODE=1
    Start Server    simulator    arguments=--enable-sleep-mode    environment=${mode}
    Put Server To Sleep
    Wake Server Up
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.

A Service Unloads A Model And Loads It Again
    Skip Unless Server Supports    fault injection
    Start Server    service    loaded_models=phi-4
    Unload Served Model    phi-4
    Chat    ${SHORT_PROMPT}    expected_status=404
    ${reply} =    Load Served Model    phi-4
    Get Answer Value    ${reply}    status    ==    loaded
    ${reply} =    Chat    ${SHORT_PROMPT}    max_tokens=16
    Should Not Be Empty    ${reply.text}    Answer: expected a text, got none: ${reply}.
    Load Served Model    nobody    expected_status=404
