*** Settings ***
Documentation    A run that is interrupted by a signal while it waits. The first call imports the client, and Python may lose
...              an interruption in the middle of an import; so a call comes before.

Library          InferenceLibrary


*** Test Cases ***
In A Call
    [Tags]    call
    Start Server    simulator    time_to_first_token=60 s
    List Models
    Log To Console    waiting now
    Chat    Hello

In A Start
    [Tags]    start
    Log To Console    waiting now
    Start Server    simulator    fault=never-ready    timeout=60 s

In A Stream
    [Tags]    stream
    Start Server    simulator    inter_token_latency=20 s
    List Models
    Log To Console    waiting now
    Stream Chat    What is the capital of France?

At A Server That Ignores Term
    [Tags]    ignore-term
    Start Server    simulator    fault=ignore-term    time_to_first_token=60 s
    List Models
    Log To Console    waiting now
    Chat    Hello
