*** Settings ***
Documentation    A run that is interrupted by a signal while it waits.

Library          InferenceLibrary


*** Test Cases ***
In A Call
    [Tags]    call
    Start Server    simulator    time_to_first_token=60 s
    Log To Console    waiting now
    Chat    Hello

In A Start
    [Tags]    start
    Log To Console    waiting now
    Start Server    simulator    fault=never-ready    timeout=60 s

In A Stream
    [Tags]    stream
    Start Server    simulator    inter_token_latency=20 s
    Log To Console    waiting now
    Stream Chat    What is the capital of France?

At A Server That Ignores Term
    [Tags]    ignore-term
    Start Server    simulator    fault=ignore-term    time_to_first_token=60 s
    Log To Console    waiting now
    Chat    Hello
