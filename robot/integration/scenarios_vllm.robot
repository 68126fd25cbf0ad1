*** Settings ***
Documentation    Scenarios of vLLM's own tests of its server. What needs a fault or a slow answer is played on the
...              simulator.

Resource         ../../resources/simulator.resource
Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target

Test Tags        scenarios


*** Test Cases ***
The Counts Of An Answer Are Exact
    Skip Unless Server Supports    ignore_eos
    ${reply} =    Chat    ${LONG_PROMPT}    max_tokens=16    extra={"ignore_eos": true}
    Usage Should Be    ${reply}    completion=16
    Usage Should Add Up    ${reply}

Two Hundred Calls Are Cancelled
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Start Server    simulator    inter_token_latency=50 ms
    Call At Once    Stream Chat    ${LONG_PROMPT}    count=200    max_tokens=200    cancel_after=1
    Server Should Be Idle    within=10 s
    Get Server Counters    in_flight    ==    0    within=5 s
    Get Server Counters    received    ==    200

The Load Rises And Falls
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Start Server    simulator    inter_token_latency=20 ms
    Start Call    Stream Chat    ${LONG_PROMPT}    max_tokens=900    extra={"ignore_eos": true}
    Get Metric    vllm:num_requests_running    ==    1    within=5 s
    Cancel Call
    Get Metric    vllm:num_requests_running    ==    0    within=5 s

Several Prompts Are Answered In Order
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    several prompts
    ${reply} =    Complete    ["${CAPITAL_OF_FRANCE}", "${SHORT_PROMPT}", "${CAPITAL_OF_FRANCE}"]    max_tokens=16
    Choices Should Be    ${reply}    3

Several Prompts Are Answered In One Stream
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    several prompts
    Skip Unless Server Supports    several prompts in streams
    ${stream} =    Stream Completion    ["${CAPITAL_OF_FRANCE}", "${SHORT_PROMPT}"]    max_tokens=16
    Choices Should Be    ${stream}    2

Each Chunk Is Of One Kind
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=16    include_usage=True
    Every Chunk Should Have    ${stream}    object    chat.completion.chunk
    Every Chunk Should Have    ${stream}    choices.0.delta    among=text
    Values Should Not Fall    ${stream}    created
    Skip Unless Server Supports    usage in streams
    Get Completion Tokens    ${stream}    <=    16

Options Of Streams Are Refused Without A Stream
    VAR    &{options}    include_usage=${True}
    ${body} =    Get Right Chat    stream_options=${options}
    ${reply} =    Send Request    POST    /v1/chat/completions    ${body}
    Answer Should Keep The Rules    ${reply}    only=["C18", "R1"]

An Engine That Dies Is Told In The Stream
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Start Server    simulator
    Inject Fault    error-mid-stream
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    allow_broken=True    rules=off
    Stream Should End With Error    ${stream}    error_type=server_error

A Response Is Kept And Cancelled
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Start Server    simulator    time_to_first_token=5 s
    ${reply} =    Respond    ${CAPITAL_OF_FRANCE}    extra={"background": true}
    Get Answer Value    ${reply}    status    ==    queued
    Cancel Response    ${reply}
    Wait Until Response Is    ${reply}    cancelled    within=5 s

Calls Of Different Kinds Run At Once
    Skip Unless Server Supports    completions
    Skip Unless Server Supports    embeddings
    Start Call    Stream Chat    ${CAPITAL_OF_FRANCE}    max_tokens=16
    Start Call    Complete    ${SHORT_PROMPT}    max_tokens=16
    Start Call    Create Embeddings    ${SHORT_PROMPT}
    Start Call    List Models
    ${results} =    Wait For Calls
    All Requests Should Succeed    ${results}

The Id Of A Request Comes Back
    [Tags]    simulator
    Skip Unless Target Is A Simulator
    Start Server    simulator    arguments=--enable-request-id-headers
    ${reply} =    Chat    ${SHORT_PROMPT}    headers={"X-Request-Id": "my-id-1"}
    Get Header    ${reply}    X-Request-Id    ==    my-id-1
