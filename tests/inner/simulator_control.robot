*** Settings ***
Documentation    A simulator told what to do while it runs, and asked what it counted; responses that it keeps. The first
...              tests must pass, the others must fail for the reason in their names; pytest reads what they say.

Library          InferenceLibrary

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

No Status Of A Response
    Wait Until Response Is    resp_none    ${EMPTY}


*** Keywords ***
Stop Other Servers
    Switch Server    sim
