*** Settings ***
Documentation    A simulator told what to do while it runs, and asked what it counted; responses that it keeps. The first
...              tests must pass, the others must fail for the reason in their names; pytest reads what they say.

Library          InferenceLibrary
Library          OperatingSystem

Suite Setup      Start Server    simulator    alias=sim
Test Teardown    Stop Other Servers


*** Test Cases ***
A Fault Strikes
    Inject Fault    status:code=503    missing-done
    Chat    Hello    expected_status=503
    Get Server Counters    failed    >=    1    within=2 s

A Fault Ends With Its Test
    Chat    Hello

A Fault Of The Start Is Taken Away
    Start Server    simulator    fault=status:code=503    alias=other
    Clear Faults
    Chat    Hello
    Inject Fault    status:code=429
    Chat    Hello    expected_status=429

A Setting Lasts As Long As Its Test
    Change Server Configuration    time_to_first_token=30 ms    server=sim
    ${stream} =    Stream Chat    Hello    server=sim
    Get Time To First Token    ${stream}    >=    30 ms

A Setting Is Put Back
    ${settings} =    Change Server Configuration    mode=echo    server=sim
    Should Be Equal    ${settings}[time-to-first-token]    0ms

A Count Is Awaited
    ${before} =    Get Server Counters    completed
    Chat    Hello
    Get Server Counters    completed    ==    ${before + 1}    within=2 s

A Response Is Awaited And Cancelled
    ${reply} =    Respond    Hello    extra={"background": true}
    Wait Until Response Is    ${reply}    completed    within=5 s
    Change Server Configuration    time_to_first_token=5 s
    ${reply} =    Respond    Hello    extra={"background": true}
    Cancel Response    ${reply.id}
    Wait Until Response Is    ${reply}    cancelled    within=5 s

A Route Needs A Key
    Start Locked Server
    Route Should Need A Key
    ...    POST
    ...    /v1/chat/completions
    ...    {"model": "fake-model", "messages": [{"role": "user", "content": "Hi"}]}

A Model Is Loaded In Time
    Start Server    service    loaded_models=none    alias=models
    Served Model Should Be    phi-4    available
    Start Call    Load Served Model    phi-4
    Served Model Should Be    phi-4    loaded    within=10 s

A Metric Is Awaited
    Start Call    Stream Chat    Hello    headers={"X-Inference-Fault": "stall:before=headers,seconds=0.3"}
    Get Metric    vllm:num_requests_running    ==    0    within=20 s

A Key Of One Call
    Start Locked Server
    Send Request    GET    /v1/models    api_key=none    expected_status=401
    Send Request    GET    /v1/models    api_key=${WRONG}    expected_status=401
    Send Request    GET    /v1/models    expected_status=200

Not A Fault
    Inject Fault    status:code=503    mising-done

No Fault
    Inject Fault

Fault Of The Process
    Inject Fault    never-ready

Not A Setting
    Change Server Configuration    time_to_frist_token=1 ms

Setting Of The Start
    Change Server Configuration    port=8000

Value Of Another Kind
    Change Server Configuration    max_num_seqs=many

Setting That Is Not A List
    Change Server Configuration    failure_types=[rate_limit

No Setting
    Change Server Configuration

Not A Simulator
    ${server} =    Get Server    server=sim
    Connect To Server    ${server.base_url}    alias=elsewhere
    Inject Fault    missing-done    server=elsewhere

Not A Count
    Get Server Counters    complet    ==    1

Count Without A Name
    Get Server Counters    ${NONE}    ==    1

Another Count
    Get Server Counters    in_flight    ==    7    within=100 ms

Response That Is Not There
    Wait Until Response Is    resp_none    completed    within=1 s

Response Of No Id
    Get Response    ${NONE}

Response With Another Status
    ${reply} =    Respond    Hello    extra={"background": true}
    Wait Until Response Is    ${reply}    cancelled    within=20 s

Response That Is Late
    Change Server Configuration    time_to_first_token=5 s
    ${reply} =    Respond    Hello    extra={"background": true}
    Wait Until Response Is    ${reply}    completed    within=100 ms

Response That Cannot Be Asked For
    Get Response    resp_none

Response That Cannot Be Cancelled
    Cancel Response    resp_none

Route Without A Key
    Start Locked Server
    Route Should Need A Key    GET    /health

Route That Takes Any Key
    Start Locked Server    not-a-key-of-this-server
    Route Should Need A Key    GET    /v1/models

Route That Refuses Its Own Key
    Start Locked Server
    ${server} =    Get Server
    Connect To Server    ${server.base_url}    api_key=${WRONG}    check=no
    Route Should Need A Key    GET    /v1/models

Route Of A Server Without A Key
    Route Should Need A Key    GET    /v1/models

Model In Another State
    Start Server    service    loaded_models=none    alias=models
    Served Model Should Be    phi-4    loaded    within=100 ms

Model That Is Not Served
    Start Server    service    loaded_models=none    alias=models
    Served Model Should Be    phi4    loaded

Model Of A List Without States
    Served Model Should Be    fake-model    loaded

Model Without A State To Compare
    Served Model Should Be    fake-model    ${EMPTY}

Metric That Stays
    Get Metric    vllm:num_requests_running    ==    7    within=100 ms

No Status Of A Response
    Wait Until Response Is    resp_none    ${EMPTY}


*** Keywords ***
Start Locked Server
    [Documentation]    Start a server that needs a key, and connect to it with that key.
    [Arguments]    ${its_key}=key-1
    Set Environment Variable    INNER_KEY    ${its_key}
    VAR    ${key: Secret}    %{INNER_KEY}
    Set Environment Variable    INNER_KEY    key-2
    VAR    ${WRONG: Secret}    %{INNER_KEY}    scope=TEST
    ${server} =    Start Server    simulator    arguments=--api-key=${its_key}
    Connect To Server    ${server.base_url}    api_key=${key}    alias=keyed

Stop Other Servers
    Switch Server    sim
