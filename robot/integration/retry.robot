*** Settings ***
Documentation    Calls to a failing server: retries off and on, time limits, cancelled calls.

Resource         ../../resources/target.resource
Variables        ../../resources/prompts.yaml

Suite Setup      Use Target

Test Tags        retry


*** Test Cases ***
Without Retries The First Failure Counts
    [Tags]    mock
    Start Failing Server    status:code=503,first=1
    Run Keyword And Expect Error    *expected status 200, got 503*    Chat    ${SHORT_PROMPT}
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    1

With Retries A Passing Failure Is Overcome
    [Tags]    mock
    Start Failing Server    status:code=503,first=2
    Use Retry Policy    max_retries=3    initial_backoff=20 ms    jitter=0
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    3
    Should Be Equal As Integers    ${reply.attempts[0].status}    503
    Should Be Equal As Numbers    ${reply.attempts[0].wait}    0.02
    Should Be Equal As Numbers    ${reply.attempts[1].wait}    0.04

A Rate Limit's Retry-After Is Obeyed
    [Tags]    mock
    Start Failing Server    status:code=429,first=1,retry_after=1
    Use Retry Policy    max_retries=1    initial_backoff=1 ms
    ${reply} =    Chat    ${SHORT_PROMPT}
    Attempts Should Be    ${reply}    2
    Should Be Equal As Numbers    ${reply.attempts[0].wait}    1

A Lasting Failure Is Reported After All Attempts
    [Tags]    mock
    Start Failing Server    status:code=500
    Use Retry Policy    max_retries=2    initial_backoff=5 ms
    Run Keyword And Expect Error    *got 500*in 3 attempts*    Chat    ${SHORT_PROMPT}

A Refused Request Is Not Tried Again
    [Tags]    mock
    Start Failing Server    status:code=400,first=1
    Use Retry Policy    max_retries=3    initial_backoff=5 ms
    ${reply} =    Chat    ${SHORT_PROMPT}    expected_status=400
    Attempts Should Be    ${reply}    1

A Time Limit Is Kept
    [Tags]    mock
    Skip Unless Server Supports    fault injection
    Start Server    simulator    time_to_first_token=30 s
    Run Keyword And Expect Error    *no answer within the total time limit of 0.3 s*
    ...    Chat    ${SHORT_PROMPT}    timeout=300 ms
    Run Keyword And Expect Error    *total time limit of 0.3 s*
    ...    Stream Chat    ${SHORT_PROMPT}    timeout=300 ms

A Time Limit Covers The Retries
    [Tags]    mock
    Start Failing Server    status:code=503
    Use Retry Policy    max_retries=50    initial_backoff=50 ms    backoff_factor=1
    TRY
        Chat    ${SHORT_PROMPT}    timeout=400 ms
    EXCEPT    *got 503*attempts*    type=GLOB    AS    ${error}
        Log    ${error}
    ELSE
        Fail    50 retries ended well at a server that always fails.
    END

A Cancelled Stream Leaves The Server Serving
    ${stream} =    Stream Chat    ${CAPITAL_OF_FRANCE}    cancel_after=2    max_tokens=32
    Should Be True    ${stream.cancelled}
    Should Be True    len($stream.tokens) >= 2
    ${next} =    Chat    ${SHORT_PROMPT}    max_tokens=8
    Should Not Be Empty    ${next.text}


*** Keywords ***
Start Failing Server
    [Documentation]    Starts a simulator of its own for this test, with a fault.
    [Arguments]    ${fault}
    Skip Unless Server Supports    fault injection
    Start Server    simulator    fault=${fault}
