*** Settings ***
Documentation    Checks of jobs that must fail: a test reads their messages.

Library          InferenceLibrary

Suite Setup      Start Server    worker


*** Test Cases ***
Wrong Values
    Execute Job    Hello    max_tokens=0

Stream Breaks Off
    Execute Job    Hello    headers={"X-Inference-Fault": "cut-after-events:events=3"}

No Terminal Event
    Execute Job    Hello    headers={"X-Inference-Fault": "terminal-event-missing"}

No Event Stream
    Execute Job    Hello    headers={"X-Inference-Fault": "not-json"}

Over Before It Is Cancelled
    Execute Job    Hello    max_tokens=2    cancel_after=3

Started Late
    Order Should Fail    start-event-late

Lost Token
    Order Should Fail    lost-token

Swapped Tokens
    Order Should Fail    swapped-tokens

Two Ends
    Order Should Fail    terminal-event-twice

Names Differ
    Order Should Fail    event-name-differs

Broken In The Middle
    Order Should Fail    cut-after-events:events=3

Too Few Tokens
    ${job} =    Execute Job    Hello    job_id=few    max_tokens=4
    Token Count Should Be    ${job}    5

Count Is Not As Sent
    ${job} =    Execute Job
    ...    Hello
    ...    job_id=miscounted
    ...    max_tokens=4
    ...    headers={"X-Inference-Fault": "lost-token"}
    Token Count Should Be    ${job}    3

Completed With An Error
    ${job} =    Execute Job    Hello    job_id=oom    headers={"X-Inference-Fault": "error-mid-stream:code=VRAM_OOM"}
    Job Events Should Be In Order    ${job}
    Job Should Have Completed    ${job}

Completed With Another Count
    ${job} =    Execute Job
    ...    Hello
    ...    job_id=miscounted
    ...    max_tokens=4
    ...    headers={"X-Inference-Fault": "lost-token"}
    Job Should Have Completed    ${job}

Completed For Another Reason
    ${job} =    Execute Job    Hello    job_id=stopped    max_tokens=4
    Job Should Have Completed    ${job}    stop_reason=stop_sequence

Not Cancelled
    ${job} =    Execute Job    Hello    job_id=done    max_tokens=4
    Job Should Have Been Cancelled    ${job}

Cancel Is Refused
    Start Server    simulator
    Cancel Job    job-1

Not A Job
    Job Events Should Be In Order    nothing

Nothing To Run
    Call At Once    Execute Job    Hello    count=0

Several Fail
    Start Server    worker    fault=status:code=503,first=2
    Call At Once    Execute Job    Hello    count=4


*** Keywords ***
Order Should Fail
    [Documentation]    Runs a job with a fault and checks the order of its events.
    [Arguments]    ${fault}
    ${job} =    Execute Job    Hello    job_id=the-job    max_tokens=4    allow_broken=True
    ...    headers={"X-Inference-Fault": "${fault}"}
    Job Events Should Be In Order    ${job}
